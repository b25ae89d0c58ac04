"""Which molecules `make_organic` computes: written by hand, and cores combined with substituents."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import product
from typing import Any

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdForceFieldHelpers

from atomlens.structures import InputError

ELEMENTS = ("H", "C", "N", "O", "F", "S", "Cl")
_SITE = "(*)"
# Single bonds that combinations make by accident and that hardly any molecule has.
_ODD = "[OX2][OX2]", "[NX3;!$([N+])][OX2]", "[NX3][NX3]", "[O,N,S][F,Cl]", "[NX3][SX2]", "[OX2][SX2]"
_LARGEST_COMBINED = 9
# All combinations up to this many heavy atoms are taken before larger ones are drawn.
_SMALL = 5


@cache
def entries(section: str) -> tuple[str, ...]:
    """SMILES strings of one section of ``organic.txt``: molecules, cores, substituents or contacts."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in files("atomlens.data").joinpath("organic.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            name = line.strip("[] \n")
            if name in ("molecules", "cores", "substituents", "contacts"):
                current = found.setdefault(name, [])
                continue
        if not line.startswith("#"):
            current += line.split()
    return tuple(dict.fromkeys(found[section]))


@cache
def organic_molecules(n: int, seed: int) -> tuple[str, ...]:
    """Canonical SMILES strings of `n` neutral molecules, all different, the hand-written ones first.

    Combinations have at most nine heavy atoms; those of up to five come next, then a random choice of the rest. All
    have parameters of MMFF94, which samples their geometries.

    Parameters
    ----------
    n
        How many.
    seed
        Of the choice.

    Raises
    ------
    InputError
        If there are fewer.

    Examples
    --------
    >>> organic_molecules(3, seed=0)
    ('C', 'CC', 'CCC')
    """
    chosen: dict[str, None] = {}
    with rdBase.BlockLogs():
        for smiles in entries("molecules"):
            if len(chosen) < n and (found := _canonical(smiles)):
                chosen[found] = None
        if len(chosen) < n:
            large: list[str] = []
            for smiles in _combinations():
                if len(chosen) == n:
                    break
                heavy = _heavy_atoms(smiles)
                if heavy <= _SMALL and (found := _canonical(smiles, combined=True)):
                    chosen[found] = None
                elif _SMALL < heavy <= _LARGEST_COMBINED:
                    large.append(smiles)
            for k in np.random.default_rng(seed).permutation(len(large)):
                if len(chosen) == n:
                    break
                if found := _canonical(large[k], combined=True):
                    chosen[found] = None
    if len(chosen) < n:
        raise InputError(f"{n} molecules asked for, the list makes {len(chosen)}; ask for fewer")
    return tuple(chosen)


def contact_pairs() -> tuple[tuple[str, str], ...]:
    """Unordered pairs of the molecules and ions of the contacts, equal ones included, ions of like charge left out."""
    names = entries("contacts")
    charges = [Chem.GetFormalCharge(Chem.MolFromSmiles(name)) for name in names]
    return tuple(
        (names[i], names[j]) for i in range(len(names)) for j in range(i, len(names)) if charges[i] * charges[j] <= 0
    )


def _combinations() -> Iterator[str]:
    substituents = tuple(f"({s})" for s in entries("substituents"))
    for core in entries("cores"):
        parts = core.split(_SITE)
        for chosen in product(("", *substituents), repeat=len(parts) - 1):
            yield parts[0] + "".join(a + b for a, b in zip(chosen, parts[1:], strict=True))


def _heavy_atoms(smiles: str) -> int:
    # Letters but the l of Cl, and the H of [nH]: parsing all combinations would take a minute.
    return sum(c.isalpha() for c in smiles) - smiles.count("Cl") - smiles.count("H")


def _canonical(smiles: str, *, combined: bool = False) -> str | None:
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        return None
    if combined and any(molecule.HasSubstructMatch(pattern) for pattern in _odd()):
        return None
    if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(Chem.AddHs(molecule)):
        return None
    return Chem.MolToSmiles(molecule)


@cache
def _odd() -> tuple[Any, ...]:
    return tuple(Chem.MolFromSmarts(pattern) for pattern in _ODD)
