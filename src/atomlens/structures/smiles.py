"""Structures from SMILES strings: RDKit embeds and relaxes them, and the structure remembers that it did."""

from __future__ import annotations

import math
import time
from functools import lru_cache
from typing import Any

import ase
from rdkit import Chem, rdBase
from rdkit.Chem import Descriptors, rdDistGeom, rdForceFieldHelpers

from atomlens.structures.bonds import remember_bonds
from atomlens.structures.errors import InputError
from atomlens.structures.notes import GEOMETRY, geometry_note

# Embedding takes seconds at this size and minutes soon after.
_MAX_HEAVY = 150
_STEPS = 2_000
# Seconds for an attempt; what takes longer rarely ends well.
_PATIENCE = 20


def structure_from_smiles(smiles: str, seed: int = 0) -> ase.Atoms | None:
    """Embed a SMILES string in three dimensions (RDKit), or None if it is not one.

    Distance geometry with torsion knowledge (ETKDGv3, doi:10.1021/acs.jcim.0c00025) gives one conformer, which a force
    field then relaxes: MMFF94 (doi:10.1002/jcc.20), or UFF (doi:10.1021/ja00051a040) where MMFF94 has no parameters.
    The same string, seed and version of RDKit give the same structure. ``info["smiles"]`` and ``info["charge"]`` (e)
    keep what was asked for; `geometry_note` says what was done.

    Parameters
    ----------
    smiles
        One molecule. Hydrogen atoms are added.
    seed
        Seed of the embedding.

    Raises
    ------
    InputError
        If the string is valid, but of no or several molecules, too large, or RDKit finds no geometry for it.

    Examples
    --------
    >>> structure_from_smiles("CCO").get_chemical_formula()
    'C2H6O'
    >>> structure_from_smiles("ethanol.xyz") is None
    True
    """
    with rdBase.BlockLogs():  # the caller tells what cannot be read
        molecule = Chem.MolFromSmiles(smiles) if smiles.strip() else None
    if molecule is None or molecule.GetNumAtoms() == 0:
        return None
    name = smiles.strip()
    shown = name if len(name) <= 80 else f"{name[:77]}..."
    if molecule.GetNumAtoms() > _MAX_HEAVY:
        raise InputError(f"SMILES {shown!r} has {molecule.GetNumAtoms()} heavy atoms; give a file with its geometry")
    if len(Chem.GetMolFrags(molecule)) > 1:
        raise InputError(
            f"SMILES {shown!r} names several molecules, whose places no SMILES tells; give a file with their geometry"
        )
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() == 0:
            raise InputError(f"SMILES {shown!r} has a placeholder ({atom.GetSymbol()}) for an atom; name the element")
    molecule = Chem.AddHs(molecule)
    with rdBase.BlockLogs():
        relaxed = _embed(molecule, shown, seed)
    numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    atoms = ase.Atoms(numbers, molecule.GetConformer().GetPositions())
    charge = Chem.GetFormalCharge(molecule)
    made = f"geometry of SMILES {shown} by RDKit {rdBase.rdkitVersion}: ETKDGv3 with seed {seed}, {relaxed}"
    atoms.info = {"name": shown, "smiles": name, "charge": charge, GEOMETRY: made + _electrons(molecule, charge)}
    remember_bonds(atoms, molecule)
    return atoms


def _embed(molecule: Any, shown: str, seed: int) -> str:
    """Give the molecule a conformer; return how it was relaxed."""
    settings = rdDistGeom.ETKDGv3()
    settings.randomSeed = seed
    started = time.monotonic()
    for random in (False, True):  # rings and cages that do not unfold from the first guess do from random places
        settings.useRandomCoords = random
        settings.timeout = max(1, math.ceil(_PATIENCE - (time.monotonic() - started)))
        if rdDistGeom.EmbedMolecule(molecule, settings) == 0:
            break
        late = time.monotonic() - started > 0.9 * _PATIENCE
        if late or random:
            within = f" within {_PATIENCE} s" if late else ""
            raise InputError(f"RDKit finds no geometry for SMILES {shown!r}{within}; give a file with its geometry")
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule):
        field, left = "MMFF94", rdForceFieldHelpers.MMFFOptimizeMolecule(molecule, maxIters=_STEPS)
    elif rdForceFieldHelpers.UFFHasAllMoleculeParams(molecule):
        field, left = "UFF", rdForceFieldHelpers.UFFOptimizeMolecule(molecule, maxIters=_STEPS)
    else:
        return "not relaxed (neither MMFF94 nor UFF has parameters for it)"
    return f"relaxed with {field}" + ("" if left == 0 else f" (not converged in {_STEPS} steps)")


def smiles_radicals(atoms: ase.Atoms) -> int | None:
    """Unpaired electrons of the SMILES string that a structure was made from; None for all other structures."""
    if geometry_note(atoms) is None or "smiles" not in atoms.info:
        return None
    return _radicals(str(atoms.info["smiles"]))


@lru_cache(maxsize=1024)  # asked at every step of what moves
def _radicals(text: str) -> int:
    return _unpaired(Chem.MolFromSmiles(text))


def _unpaired(molecule: Any) -> int:
    return Descriptors.NumRadicalElectrons(molecule)  # pyright: ignore[reportAttributeAccessIssue]


def _electrons(molecule: Any, charge: int) -> str:
    """What the string says of electrons; models see elements and positions, nothing else."""
    unpaired = _unpaired(molecule)
    told = [f"total charge {charge:+d}"] if charge else []
    told += [f"{unpaired} unpaired electron{'s' if unpaired > 1 else ''}"] if unpaired else []
    if not told:
        return ""
    return f"; it has {' and '.join(told)}, which the model does not see: it sees elements and positions only"
