r"""Numbers that cannot be, and numbers that can hardly be: what is refused, and what is only warned of.

The total energy of a neutral atom, all electrons included, is within a few per cent

.. math:: E(Z) = -0.768745\, Z^{7/3} + 0.5\, Z^2 - 0.269900\, Z^{5/3} \quad \text{Hartree}

(Thomas and Fermi, with the corrections of Scott and Schwinger; Englert and Schwinger, Phys. Rev. A 32, 26, 1985). Bonds
change it by less than a per cent, and every other convention (pseudopotentials, atomisation, energies of formation)
leaves less of it. An energy far below is most likely read in another unit than its own.
"""

from __future__ import annotations

import numpy as np
from ase import units
from jaxtyping import Float, Int

# eV an atom. Uranium, the heaviest atom of any data set, has 760,000 with all of its electrons.
IMPOSSIBLE = 1e6
# How far an energy may lie below that of the free atoms, as a factor and in eV an atom, and above zero in eV an atom.
_DEEPER, _MARGIN, _ABOVE = 1.2, 30.0, 30.0
# Orbital energies, gaps and the like, in eV.
_INTENSIVE = 200.0
# Rounding of an explanation relative to max(1, |y - c|): a hundred thousand times what is measured.
_ROUNDING = {"float64": 1e-8, "float32": 1e-2}


def free_atom_energies(numbers: Int[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Total energies of neutral atoms in eV, all electrons included.

    Examples
    --------
    >>> free_atom_energies(np.array([1, 6, 8])).round(0).tolist()  # measured: -14, -1030, -2043
    [-15.0, -1024.0, -2042.0]
    """
    z = numbers.astype(float)
    return units.Hartree * (-0.768745 * z ** (7 / 3) + 0.5 * z**2 - 0.269900 * z ** (5 / 3))


def impossible(
    value: float, n_atoms: int, unit: str, residual: float = 0.0, scale: float = 1.0, dtype: str = ""
) -> str:
    """Why a prediction cannot be a result; empty where it can.

    Parameters
    ----------
    value, unit
        The prediction.
    n_atoms
        Atoms of the structure.
    residual, scale
        What its parts miss, and the size of y - c, to which rounding is relative.
    dtype
        Precision of the parts: float64 or float32.

    Examples
    --------
    >>> impossible(-4209.9, 9, "eV")
    ''
    >>> impossible(2e52, 9, "eV")
    '2e+52 eV for 9 atoms is beyond 1e+06 eV per atom, which no matter has'
    """
    if not np.isfinite(value) or not np.isfinite(residual):
        return f"{value} {unit}, in steps that are not all finite"
    if unit == "eV" and abs(value) > IMPOSSIBLE * n_atoms:
        return f"{value:.3g} eV for {n_atoms} atoms is beyond {IMPOSSIBLE:.0e} eV per atom, which no matter has"
    allowed = _ROUNDING.get(dtype, _ROUNDING["float32"])
    if abs(residual) > allowed * max(1.0, scale):
        return f"the terms miss the prediction by {residual:.3g} {unit}, far beyond rounding"
    return ""


def implausible(value: float, numbers: Int[np.ndarray, " N"], unit: str, *, extensive: bool) -> str:
    """What makes an energy suspicious, in one sentence; empty where nothing does, and for other properties."""
    if unit != "eV":
        return ""
    n = len(numbers)
    if not extensive:
        return "" if abs(value) <= _INTENSIVE else f"{value:.6g} eV is far beyond any orbital energy; is its unit eV?"
    free = float(free_atom_energies(numbers).sum())
    lowest = _DEEPER * free - _MARGIN * n
    if lowest <= value <= _ABOVE * n:
        return ""
    direction = (
        f"free atoms with all of their electrons have {free / n:.0f}"
        if value < lowest
        else "bound atoms have less than zero, or a few eV as atomisation energies"
    )
    return f"{value / n:.6g} eV per atom is implausible ({direction}): check the model's unit and the structure"
