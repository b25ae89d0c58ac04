"""MDL molecule files, V2000 and V3000, of one (``.mol``) or many molecules (``.sdf``); RDKit parses them.

Format: "CTfile Formats", BIOVIA 2020.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import ase
from rdkit import Chem, rdBase

from atomlens.structures.bonds import remember_bonds
from atomlens.structures.errors import InputError
from atomlens.structures.notes import add_note
from atomlens.structures.symbols import set_isotopes

_END = "$$$$"


def read_molecules(lines: Sequence[str]) -> list[ase.Atoms]:
    """All molecules of a file, with their names, total charges (e) and bonds.

    Drawings in two dimensions, and molecules whose hydrogen atoms are implied, are noted: neither holds a geometry.

    Raises
    ------
    InputError
        If a molecule cannot be read; it is named by its number, counted from 0.
    """
    found = []
    for number, block in enumerate(_blocks(lines)):
        try:
            found.append(_structure(block))
        except InputError as error:
            raise InputError(f"molecule {number}: {error}") from error
    return found


def _blocks(lines: Sequence[str]) -> Iterator[list[str]]:
    block: list[str] = []
    for line in lines:
        if line.startswith(_END):
            if any(part.strip() for part in block):
                yield block
            block = []
        else:
            block.append(line)
    if any(part.strip() for part in block):
        yield block


def _structure(block: list[str]) -> ase.Atoms:
    end = next((k for k, line in enumerate(block) if line.startswith("M  END")), None)
    if end is None:
        raise InputError("has no line 'M  END'; the file is truncated")
    if any(line.startswith("M  END") for line in block[end + 1 :]):
        raise InputError("another molecule follows without the line '$$$$' between them; separate them")
    table = block[: end + 1]
    with rdBase.BlockLogs():
        try:
            molecule = Chem.MolFromMolBlock("\n".join(table) + "\n", sanitize=False, removeHs=False, strictParsing=True)
        except (RuntimeError, ValueError, OverflowError) as error:
            raise InputError(f"RDKit cannot read it ({str(error).strip().splitlines()[0]})") from error
        if molecule is None:
            raise InputError("RDKit cannot read it; check counts line and columns, or write it again")
    if molecule.GetNumAtoms() == 0 or molecule.GetNumConformers() == 0:
        raise InputError("has no atoms with coordinates")
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() == 0:
            raise InputError(f"atom {atom.GetIdx() + 1} ({atom.GetSymbol()}) is a placeholder; name its element")
    atoms = ase.Atoms([atom.GetAtomicNum() for atom in molecule.GetAtoms()], molecule.GetConformer().GetPositions())
    name = block[0].strip()
    if name:
        atoms.info["name"] = name
    atoms.info["charge"] = Chem.GetFormalCharge(molecule)
    set_isotopes(atoms, {atom.GetIdx(): atom.GetMass() for atom in molecule.GetAtoms() if atom.GetIsotope()})
    _note_what_lacks(atoms, molecule, table)
    return atoms


def _note_what_lacks(atoms: ase.Atoms, molecule: Chem.Mol, table: list[str]) -> None:
    flat = abs(atoms.positions[:, 2]).max() == 0.0
    if len(table) > 1 and table[1][20:22] == "2D" and len(atoms) > 3 and flat:
        add_note(atoms, "the file says that it is a drawing (2D): its coordinates are no geometry")
    with rdBase.BlockLogs():
        try:
            Chem.SanitizeMol(molecule)
        except (ValueError, RuntimeError):  # valences that RDKit does not know: nothing is known of its hydrogen atoms
            return
    implied = sum(atom.GetTotalNumHs() for atom in molecule.GetAtoms())
    if implied:
        add_note(atoms, f"{implied} hydrogen atoms are implied by the bonds, but not in the file; add them")
    else:
        remember_bonds(atoms, molecule)
