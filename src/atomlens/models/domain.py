"""What a model was trained on, as its card says, and whether a structure lies outside of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ase
import numpy as np
from ase.data import chemical_symbols

from atomlens.models.facts import ModelFacts
from atomlens.structures import InputError, charge_or_zero, near_pairs, unpaired_electrons

# Entry of a card.
DOMAIN = "trained on"
# Distances in Å by which a structure may pass the training structures' extremes before it is said to.
TOLERANCE = 0.1
# More formulas than these are not listed.
_FORMULAS = 8


@dataclass(frozen=True)
class Domain:
    """Extremes of a set of training structures.

    Attributes
    ----------
    sizes
        Smallest and largest number of atoms; None where not known.
    formulas
        Chemical formulas, if they are few; empty otherwise.
    charges
        Total charges in e; empty where not known.
    odd_electrons
        Whether some structures of more than one atom had an odd number of electrons; None where not known.
    periodic
        Whether some structures were periodic; None where not known.
    within
        Cutoff in Å up to which `distances` were looked at.
    distances
        Shortest and longest distance in Å between atoms of two elements ("C-H", lighter element first), below `within`;
        empty where not known.
    """

    sizes: tuple[int, int] | None = None
    formulas: tuple[str, ...] = ()
    charges: tuple[int, ...] = ()
    odd_electrons: bool | None = None
    periodic: bool | None = None
    within: float = 0.0
    distances: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        structures: Iterable[ase.Atoms],
        within: float,
        charges: tuple[int, ...] = (),
        odd_electrons: bool | None = None,
    ) -> Domain:
        """Extremes of some structures; `charges` and `odd_electrons` are what is known of their electrons.

        Raises
        ------
        InputError
            If there is no structure.
        """
        sizes: set[int] = set()
        formulas: set[str] = set()
        periodic = False
        shortest: dict[tuple[int, int], float] = {}
        longest: dict[tuple[int, int], float] = {}
        for atoms in structures:
            sizes.add(len(atoms))
            periodic = periodic or bool(atoms.pbc.any())
            if len(formulas) <= _FORMULAS:
                formulas.add(atoms.get_chemical_formula())
            for pair, distances in _distances(atoms, within).items():
                shortest[pair] = min(shortest.get(pair, np.inf), float(distances.min()))
                longest[pair] = max(longest.get(pair, 0.0), float(distances.max()))
        if not sizes:
            raise InputError("no training structure; give at least one")
        return cls(
            sizes=(min(sizes), max(sizes)),
            formulas=tuple(sorted(formulas)) if len(formulas) <= _FORMULAS else (),
            charges=charges,
            odd_electrons=odd_electrons,
            periodic=periodic,
            within=within,
            distances={_name(pair): (round(shortest[pair], 3), round(longest[pair], 3)) for pair in sorted(shortest)},
        )

    def to_card(self) -> dict[str, Any]:
        """The entry of a card, in plain JSON; what is not known is left out."""
        card: dict[str, Any] = {}
        if self.sizes is not None:
            card["atoms"] = list(self.sizes)
        if self.formulas:
            card["formulas"] = list(self.formulas)
        if self.charges:
            card["charges"] = list(self.charges)
        if self.odd_electrons is not None:
            card["odd electrons"] = self.odd_electrons
        if self.periodic is not None:
            card["periodic"] = self.periodic
        if self.distances:
            card["distances within"] = self.within
            card["distances"] = {name: list(ends) for name, ends in self.distances.items()}
        return card

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Domain | None:
        """What a card says; None where it says nothing, or nothing that can be understood."""
        told = card.get(DOMAIN)
        if not isinstance(told, Mapping):
            return None
        try:
            sizes = told.get("atoms")
            return cls(
                sizes=None if sizes is None else (int(sizes[0]), int(sizes[1])),
                formulas=tuple(str(name)[:100] for name in told.get("formulas", ())),
                charges=tuple(int(charge) for charge in told.get("charges", ())),
                odd_electrons=_yes_or_no(told.get("odd electrons")),
                periodic=_yes_or_no(told.get("periodic")),
                within=float(told.get("distances within", 0.0)),
                distances={str(n): (float(e[0]), float(e[1])) for n, e in dict(told.get("distances", {})).items()},
            )
        except (TypeError, ValueError, LookupError, OverflowError):
            return None


def _yes_or_no(told: object) -> bool | None:
    return None if told is None else bool(told)


def outside(model: ModelFacts, atoms: ase.Atoms) -> tuple[str, ...]:
    """In what a structure differs from everything that a model was trained on, sentence by sentence.

    Elements, numbers of atoms, formulas, total charge (``info["charge"]``), whether electrons are odd in number,
    periodicity, and distances between atoms of two elements are compared, as far as the model's card knows them.
    Distances may pass the extremes by 0.1 Å. Nothing found does not mean that the model knows the structure.
    """
    found = []
    if model.elements is not None and (unseen := sorted(set(atoms.numbers.tolist()) - set(model.elements))):
        found.append(f"elements {_listed(unseen)}: trained on {_listed(model.elements)}")
    domain = Domain.from_card(model.card)
    if domain is None:
        return tuple(found)
    if domain.formulas:
        if (formula := atoms.get_chemical_formula()) not in domain.formulas:
            found.append(f"formula {formula}: trained on {', '.join(domain.formulas)} alone")
    elif domain.sizes is not None and not domain.sizes[0] <= len(atoms) <= domain.sizes[1]:
        found.append(f"{len(atoms)} atoms: trained on structures of {domain.sizes[0]} to {domain.sizes[1]}")
    charge = atoms.info.get("charge", 0)
    if domain.charges and isinstance(charge, int | float | np.number) and charge not in domain.charges:
        told = ", ".join(f"{value:+d}" if value else "0" for value in domain.charges)
        found.append(f"total charge {charge:+g} e: trained on {told} e, and the model does not see the charge")
    if domain.odd_electrons is False and (radical := _radical(atoms)):
        found.append(f"{radical}: no radical was trained on, and the model does not see the electrons")
    if domain.periodic is False and atoms.pbc.any():
        found.append("a periodic structure: trained on molecules without a cell")
    return (*found, *_odd_distances(domain, atoms))


def _radical(atoms: ase.Atoms) -> str:
    """What makes a structure a radical, in words; empty where nothing does."""
    if len(atoms) > 1 and (atoms.numbers.sum() - charge_or_zero(atoms)) % 2:
        return "an odd number of electrons"
    with suppress(InputError):  # a file may state anything
        if unpaired := unpaired_electrons(atoms):
            return f"{unpaired} unpaired electron{'s' if unpaired > 1 else ''}"
    return ""


def _odd_distances(domain: Domain, atoms: ase.Atoms) -> list[str]:
    if not domain.distances:
        return []
    found = []
    for pair, distances in sorted(_distances(atoms, domain.within).items()):
        low, high = domain.distances.get(_name(pair), (np.inf, -np.inf))
        high = np.inf if high > domain.within - TOLERANCE else high  # the cutoff ended it, not the data
        odd = distances[(distances < low - TOLERANCE) | (distances > high + TOLERANCE)]
        if not len(odd):
            continue
        where = f"{odd.min():.2f} Å" if np.ptp(odd) < 0.005 else f"{odd.min():.2f} to {odd.max():.2f} Å"
        name = _name(pair)
        if not np.isfinite(low):
            found.append(f"{name} within {domain.within:g} Å: no such pair in training")
        else:
            known = f"{low:.2f} Å up" if not np.isfinite(high) else f"{low:.2f} to {high:.2f} Å"
            found.append(f"{name} distances of {where}: trained on {known}")
    return found


def _distances(atoms: ase.Atoms, within: float) -> dict[tuple[int, int], np.ndarray]:
    """Distances below `within` by atomic numbers, lighter first; those of periodic images too."""
    i, j, offsets = near_pairs(atoms, within)
    length = np.linalg.norm(atoms.positions[j] - atoms.positions[i] + offsets, axis=1)
    low, high = np.minimum(atoms.numbers[i], atoms.numbers[j]), np.maximum(atoms.numbers[i], atoms.numbers[j])
    code = low * 1000 + high
    return {(int(c) // 1000, int(c) % 1000): length[code == c] for c in np.unique(code)}


def _name(pair: tuple[int, int]) -> str:
    return f"{chemical_symbols[pair[0]]}-{chemical_symbols[pair[1]]}"


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(chemical_symbols[z] for z in numbers)
