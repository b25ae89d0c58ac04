"""What a reader must know of a structure before its terms, sentence by sentence."""

from __future__ import annotations

import ase
import numpy as np

from atomlens.structures import MOST_ORDERED, BondTable, charge_or_zero, geometry_note, near_pairs

# Elements whose atoms may well have no bond at all.
_NOBLE = (2, 10, 18, 36, 54, 86)


def cautions(
    atoms: ase.Atoms, bonds: BondTable, cutoff: float, outside: tuple[str, ...] = (), *, as_read: bool = True
) -> tuple[str, ...]:
    """What makes terms of a structure mean something else than a reader would think.

    Parameters
    ----------
    atoms, bonds
        The structure and what was perceived of its bonds.
    cutoff
        How far the model sees, Å.
    outside
        What is said already of how the structure differs from those that the model was trained on.
    as_read
        Whether the structure is as somebody gave it: in one that broke, missing bonds are no fault of a file.
    """
    said = [_images(atoms, cutoff), _far_apart(atoms, bonds) if as_read else ""]
    charge = charge_or_zero(atoms)
    told = f"{charge:+d} e" if charge else "0 e"
    if charge and geometry_note(atoms) is None and not any(text.startswith("total charge") for text in outside):
        said.append(f"total charge {told} by the file: bond orders are assigned with it, and the model does not see it")
    if as_read and len(bonds.pairs) and not bonds.has_orders and len(atoms) <= MOST_ORDERED and not atoms.pbc.any():
        said.append(
            f"no bond orders fit a total charge of {told}, so that bonds have none here: it is a radical, has a "
            "metal, or its charge is another (charge=... in the file)"
        )
    return tuple(filter(None, said))


def _images(atoms: ase.Atoms, cutoff: float) -> str:
    if not atoms.pbc.any():
        return ""
    i, j, _ = near_pairs(atoms, cutoff)
    if not (i == j).any() and len(np.unique(i * len(atoms) + j)) == len(i):
        return ""
    return (
        f"atoms meet several images of one atom within {cutoff:g} Å; images count as that atom, and an atom's own as "
        f"itself, so that terms depend on the size of the cell: repeat it until faces are {2 * cutoff:g} Å apart"
    )


def _far_apart(atoms: ase.Atoms, bonds: BondTable) -> str:
    if len(bonds.pairs) or len(atoms) < 2 or atoms.pbc.any() or np.isin(atoms.numbers, _NOBLE).all():
        return ""
    return "no two atoms are as near to each other as bonded atoms are: are positions in Å?"
