"""What a structure must be, so that a model can mean anything on it."""

from __future__ import annotations

import ase
import numpy as np

from atomlens.structures.errors import InputError
from atomlens.structures.pairs import near_pairs

# Closer than this no two nuclei of matter are; nearer pairs are duplicates or a file in the wrong unit.
MIN_DISTANCE = 0.1
# 1 mm. Whatever lies farther out is an error in the file, and no list of neighbours can be trusted to count so far.
MAX_COORDINATE = 1e7
# No crystal or chain repeats itself after less; the shortest period, of a chain of carbon atoms, has 2.5 Å.
MIN_SIDE = 1.2
# Smallest volume per atom in Å^3: hydrogen at 500 GPa takes 1.2, diamond 5.7.
MIN_VOLUME = 1.0


def check_atoms(atoms: ase.Atoms) -> None:
    """Raise `InputError` if `atoms` is not a structure that a potential is defined on.

    Checked: at least one atom, known elements, finite coordinates within a millimetre, a cell of non-zero volume where
    the structure is periodic, matter no denser than any known (1 Å³ per atom), and no two atoms within 0.1 Å (the same
    spot, images included).
    """
    if len(atoms) == 0:
        raise InputError("the structure has no atoms; give at least one")
    unknown = atoms.numbers[(atoms.numbers < 1) | (atoms.numbers > 118)]
    if len(unknown):
        raise InputError(f"atomic number {unknown[0]} is no element; atoms need a chemical symbol")
    bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(bad):
        k = int(bad[0])
        raise InputError(
            f"atom {k} ({atoms.symbols[k]}) is at {atoms.positions[k].tolist()}; coordinates must be finite"
        )
    far = np.flatnonzero((np.abs(atoms.positions) > MAX_COORDINATE).any(axis=1))
    if len(far):
        k = int(far[0])
        raise InputError(
            f"atom {k} ({atoms.symbols[k]}) is at {atoms.positions[k].tolist()}, more than {MAX_COORDINATE:.0e} Å out; "
            "check that coordinates are in Å"
        )
    if atoms.pbc.any():
        if not np.isfinite(atoms.cell.array).all():
            raise InputError("the cell has entries that are not finite; give its three vectors in Å")
        periodic = atoms.cell.array[atoms.pbc]
        size = np.sqrt(max(np.linalg.det(periodic @ periodic.T), 0.0))
        if size < 1e-6:
            raise InputError(
                f"the cell {atoms.cell.cellpar().round(3).tolist()} spans no volume in its periodic directions; "
                "give three independent vectors, or pbc=False"
            )
        if atoms.pbc.all() and size < MIN_VOLUME * len(atoms):
            raise InputError(
                f"the periodic cell of {size:.3g} Å³ holds {len(atoms)} atoms, which no matter is dense enough for; "
                "a cell that only fills its place has to go (pbc=False), others must be in Å"
            )
    _check_overlap(atoms)


def check_molecule(atoms: ase.Atoms, taker: str) -> None:
    """Raise `InputError` if a structure is periodic: bonds that cross the faces of a cell are not followed.

    Parameters
    ----------
    atoms
        The structure.
    taker
        The command that received it.

    Examples
    --------
    >>> check_molecule(ase.Atoms("H"), "md")
    """
    if atoms.pbc.any():
        raise InputError(
            f"{taker} needs an open molecule, and this structure is periodic: bonds across the faces of a cell are not "
            "followed; set pbc to false where the cell is only a box"
        )


def check_file_atoms(atoms: ase.Atoms) -> None:
    """`check_atoms`, and no period shorter than 1.2 Å: what files hold is meant to be matter, not a test of images.

    Raises
    ------
    InputError
        If it is not.
    """
    check_atoms(atoms)
    periods = np.linalg.norm(atoms.cell.array[atoms.pbc], axis=1)
    if len(periods) and periods.min() < MIN_SIDE:
        raise InputError(
            f"the cell repeats every atom after {periods.min():.3g} Å; a cell that only fills its place has to go "
            "(pbc=False), others must be in Å"
        )


def _check_overlap(atoms: ase.Atoms) -> None:
    i, j, _ = near_pairs(atoms, MIN_DISTANCE)
    if not len(i):
        return
    i, j = min(zip(i.tolist(), j.tolist(), strict=True))
    if i == j:
        raise InputError(
            f"atom {i} ({atoms.symbols[i]}) lies within {MIN_DISTANCE} Å of its own periodic image; "
            f"the cell {atoms.cell.cellpar().round(3).tolist()} is too small, check that it is in Å"
        )
    raise InputError(
        f"atoms {i} ({atoms.symbols[i]}) and {j} ({atoms.symbols[j]}) lie within {MIN_DISTANCE} Å of each other; "
        "remove one of them, or check that coordinates are in Å"
    )
