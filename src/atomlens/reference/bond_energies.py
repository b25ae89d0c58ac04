"""Mean bond energies by elements and bond class.

OpenStax, Chemistry 2e (2019), section 7.5, table "Bond Energies"; N=O from the CRC Handbook as quoted by quemist.com.
Other tables differ by 5 to 10 % (C-F 439 or 485, C=O 741 or 799 kJ/mol in CO2), as such means do: use the ranks, not
the absolute values. The table has no aromatic bonds.
"""

from __future__ import annotations

from dataclasses import dataclass

from ase.units import kJ, mol

# kJ/mol; elements in alphabetical order.
_TABLE: dict[str, dict[tuple[str, str], float]] = {
    "single": {
        ("H", "H"): 436,
        ("C", "H"): 415,
        ("H", "N"): 390,
        ("H", "O"): 464,
        ("C", "C"): 345,
        ("C", "N"): 290,
        ("C", "O"): 350,
        ("C", "F"): 439,
        ("N", "N"): 160,
        ("N", "O"): 200,
        ("O", "O"): 140,
    },
    "double": {
        ("C", "C"): 611,
        ("C", "N"): 615,
        ("C", "O"): 741,
        ("N", "N"): 418,
        ("N", "O"): 607,
        ("O", "O"): 498,
    },
    "triple": {("C", "C"): 837, ("C", "N"): 891, ("N", "N"): 946},
}


@dataclass(frozen=True)
class BondEnergy:
    """One entry of the table.

    Attributes
    ----------
    elements
        Chemical symbols in alphabetical order.
    bond
        single, double or triple.
    kj_per_mol
        Mean energy that breaking the bond takes, in kJ/mol; positive.
    """

    elements: tuple[str, str]
    bond: str
    kj_per_mol: float

    @property
    def ev(self) -> float:
        """The same in eV a bond."""
        return self.kj_per_mol * kJ / mol


def bond_energies() -> tuple[BondEnergy, ...]:
    """The whole table."""
    return tuple(BondEnergy(pair, bond, value) for bond, rows in _TABLE.items() for pair, value in rows.items())


def bond_energy(a: str, b: str, bond: str) -> float | None:
    """Mean energy in eV that breaking a bond takes; None where the table has none (aromatic bonds, other elements).

    Parameters
    ----------
    a, b
        Chemical symbols, in any order.
    bond
        Bond class, one of `atomlens.structures.bonds.BOND_CLASSES`.

    Examples
    --------
    >>> round(bond_energy("O", "C", "double"), 2)
    7.68
    >>> bond_energy("C", "C", "none") is None
    True
    """
    first, second = sorted((a, b))
    value = _TABLE.get(bond, {}).get((first, second))
    return None if value is None else value * kJ / mol
