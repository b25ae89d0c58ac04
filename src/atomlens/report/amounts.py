"""Energies as people read them: in eV and in units of k_B T, few digits, and a cap where more says nothing."""

from __future__ import annotations

# What stands higher is never climbed; how high it is says no more, and a model's number there is far from its data.
_MOST_EV, _MOST_KT = 100.0, 1000.0
# From here on two decimals are more than anyone reads.
_TWO_DECIMALS = 9.995


def in_eV(energy: float) -> str:
    """An energy in eV in words.

    Examples
    --------
    >>> [in_eV(energy) for energy in (1.437, 14.32, 254.0)]
    ['1.44 eV', '14 eV', 'more than 100 eV']
    """
    if energy > _MOST_EV:
        return f"more than {_MOST_EV:g} eV"
    return f"{energy:.{2 if abs(energy) < _TWO_DECIMALS else 0}f} eV"


def height_text(height: float, limit: float) -> str:
    """A height in eV in words, on the side of a limit on which it counts.

    Examples
    --------
    >>> height_text(2.998, 3.0), height_text(2.9, 3.0), height_text(3.001, 3.0)
    ('just below 3 eV', '2.90 eV', '3.00 eV')
    """
    said = in_eV(height)
    return f"just below {limit:g} eV" if height < limit and said == in_eV(limit) else said


def in_kT(ratio: float, decimals: int = 0) -> str:
    """An energy in units of k_B T in words.

    Examples
    --------
    >>> in_kT(32.73), in_kT(32.73, 1), in_kT(2287686.0)
    ('33 kT', '32.7 kT', 'more than 1000 kT')
    """
    return f"more than {_MOST_KT:g} kT" if ratio > _MOST_KT else f"{ratio:.{decimals}f} kT"
