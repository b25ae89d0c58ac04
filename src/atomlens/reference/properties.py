"""How molecular properties compose: what two molecules far apart have together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float, Int

_GREEN_BOOK = "IUPAC Green Book, 3rd ed. (2007), section 1.4"
_ORBITALS = "the orbitals of two systems without interaction are those of each (definition)"
_VECTOR = "dipole moments add as vectors (definition); the norm of a sum is no sum of norms"


class Kind(StrEnum):
    """What two systems without interaction have together."""

    SUM = "sum"
    LARGER = "larger"
    SMALLER = "smaller"
    VECTOR = "vector sum"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Composition:
    """How one property composes.

    Attributes
    ----------
    kind
        What two systems far apart have together.
    reason
        Why, and where that is from.
    is_energy
        Whether it is the energy of a geometry, up to one constant per atom: what many-body expansions of energies are
        compared with.
    """

    kind: Kind
    reason: str
    is_energy: bool = False


_TOTAL = Composition(Kind.SUM, _GREEN_BOOK, is_energy=True)
# Vibrations are in these: extensive, but no energy of a geometry.
_THERMAL = Composition(Kind.SUM, _GREEN_BOOK)
_GAP = Composition(
    Kind.UNKNOWN, "the gap of two molecules is that of the lowest LUMO and the highest HOMO, which no two gaps tell"
)
_EXTENT = Composition(Kind.UNKNOWN, "it grows with the square of the distance between two molecules")
_INERTIA = Composition(Kind.UNKNOWN, "it follows the moments of inertia, which depend on where the molecules are")

_KINDS: dict[str, Composition] = {
    **dict.fromkeys(("energy", "total_energy", "potential_energy", "u0", "u0_atomization", "energy_u0"), _TOTAL),
    **dict.fromkeys(("u", "h", "g", "u_atomization", "h_atomization", "g_atomization"), _THERMAL),
    **dict.fromkeys(("energy_u", "enthalpy_h", "free_energy", "zpve", "cv", "heat_capacity"), _THERMAL),
    **dict.fromkeys(("alpha", "polarizability", "isotropic_polarizability"), _THERMAL),
    "homo": Composition(Kind.LARGER, _ORBITALS),
    "lumo": Composition(Kind.SMALLER, _ORBITALS),
    "gap": _GAP,
    **dict.fromkeys(("dipole", "dipole_moment", "mu"), Composition(Kind.VECTOR, _VECTOR)),
    **dict.fromkeys(("r2", "electronic_spatial_extent"), _EXTENT),
    **dict.fromkeys(("rota", "rotb", "rotc", "rotational_constant_a"), _INERTIA),
}


# What data sets call their energies, and what a chemist calls them.
_ENERGIES = {
    "U0": "internal energy at 0 K",
    "U0_atomization": "atomisation energy",
    "U_atomization": "atomisation energy at 298 K",
    "H_atomization": "atomisation enthalpy",
    "G_atomization": "atomisation free energy",
}


def composition(name: str, has_forces: bool = False) -> Composition:
    """How a property composes, by its name in data sets (QM9's, SchNetPack's), whatever the case of its letters.

    Parameters
    ----------
    name
        Name of the property.
    has_forces
        Whether its gradient by the positions is a force: then it is an energy, where the name does not say.

    Examples
    --------
    >>> composition("HOMO").kind
    <Kind.LARGER: 'larger'>
    >>> composition("melting point").kind
    <Kind.UNKNOWN: 'unknown'>
    """
    unknown = Composition(Kind.UNKNOWN, f"how {name!r} composes is not in the table of properties")
    return _KINDS.get(name.lower(), _TOTAL if has_forces else unknown)


def composed(
    kind: Kind | str,
    first: Float[np.ndarray, " D"],
    second: Float[np.ndarray, " D"],
    n_first: Int[np.ndarray, " D"],
    n_second: Int[np.ndarray, " D"],
) -> Float[np.ndarray, " D"]:
    """Value of two systems without interaction, from the values of each.

    Parameters
    ----------
    kind
        A `Kind`, or ``mean``: weighted by the numbers of atoms, what a mean over atoms gives. For the vector sum the
        root of the mean square over all turns of one system against the other, :math:`(a^2 + b^2)^{1/2}`.
    first, second
        Values of the two systems.
    n_first, n_second
        Their numbers of atoms.

    Raises
    ------
    ValueError
        If the kind has no such rule.
    """
    match kind:
        case Kind.SUM:
            return first + second
        case Kind.LARGER:
            return np.maximum(first, second)
        case Kind.SMALLER:
            return np.minimum(first, second)
        case Kind.VECTOR:
            return np.hypot(first, second)
        case "mean":
            return (n_first * first + n_second * second) / (n_first + n_second)
    raise ValueError(f"no rule composes {kind!r}")


def property_words(name: str) -> str:
    """Readable name of a property.

    Examples
    --------
    >>> property_words("U0_atomization"), property_words("dipole_moment"), property_words("")
    ('atomisation energy', 'dipole moment', 'prediction')
    """
    return _ENERGIES.get(name) or name.replace("_", " ").strip() or "prediction"
