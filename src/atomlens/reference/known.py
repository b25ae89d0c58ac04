r"""Potentials whose terms are known exactly, to hold learned terms against.

.. math:: E = \sum_{i<j} u_{Z_i Z_j}(r_{ij}) + \sum_{i<j<k} v(\mathbf r_i, \mathbf r_j, \mathbf r_k)

There are no one-body terms, and every term goes to zero, with its first two derivatives, at a cutoff that a
message-passing model can see. Elements are labels of species: parameters are chosen so that random clusters visit the
well and the tail of every term, not to describe those elements (`stillinger-weber` alone is a published potential).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import ase
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.structures import InputError

# e^2 / (4 pi eps_0) in eV Å (CODATA 2018).
_COULOMB = 14.399645

# Pair function (numbers of both atoms, distances) and triple function (vectors 1-2, 1-3, 2-3), in eV.
PairFunction = Callable[[Int[Tensor, "P 2"], Float[Tensor, " P"]], Float[Tensor, " P"]]
TripleFunction = Callable[[Float[Tensor, "M 3"], Float[Tensor, "M 3"], Float[Tensor, "M 3"]], Float[Tensor, " M"]]


@dataclass(frozen=True)
class KnownTerms:
    """Everything about one structure under a known potential.

    Attributes
    ----------
    energy, forces
        In eV and eV/Å.
    pairs, pair_terms
        All pairs i < j and their terms in eV, (P, 2) and (P,).
    triples, triple_terms
        All triples i < j < k and their terms in eV, (M, 3) and (M,); zero for a pair potential.
    """

    energy: float
    forces: Float[np.ndarray, "N 3"]
    pairs: Int[np.ndarray, "P 2"]
    pair_terms: Float[np.ndarray, " P"]
    triples: Int[np.ndarray, "M 3"]
    triple_terms: Float[np.ndarray, " M"]


@dataclass(frozen=True)
class KnownPotential:
    """A sum of known terms.

    Attributes
    ----------
    name
        As in `known_names`.
    elements
        Atomic numbers of its species.
    cutoff
        Distance in Å from which on every pair term is zero, and every triple with a side as long that it needs.
    pair, triple
        The functions; `triple` is None for a pair potential.
    spacing
        Usual distance of neighbours in Å, for `cluster`.
    """

    name: str
    elements: tuple[int, ...]
    cutoff: float
    pair: PairFunction
    triple: TripleFunction | None
    spacing: float

    def terms(self, atoms: ase.Atoms) -> KnownTerms:
        """Energy, forces and all terms of an open (not periodic) structure.

        Raises
        ------
        InputError
            If the structure is periodic, or has an element that the potential does not know.
        """
        if atoms.pbc.any():
            raise InputError(f"{self.name}: terms of periodic structures are not known; give a cluster")
        if unknown := sorted(set(atoms.numbers.tolist()) - set(self.elements)):
            raise InputError(f"{self.name}: no parameters for atomic number {unknown[0]}; it knows {self.elements}")
        n = len(atoms)
        positions = torch.tensor(atoms.positions, dtype=torch.float64, requires_grad=True)
        pairs = torch.tensor(list(combinations(range(n), 2)), dtype=torch.int64).reshape(-1, 2)
        triples = torch.tensor(list(combinations(range(n), 3)), dtype=torch.int64).reshape(-1, 3)
        numbers = torch.tensor(atoms.numbers, dtype=torch.int64)
        u = self.pair(numbers[pairs], torch.linalg.vector_norm(_between(positions, pairs, 0, 1), dim=1))
        v = positions.new_zeros(len(triples))
        if self.triple is not None:
            v = self.triple(*(_between(positions, triples, a, b) for a, b in combinations(range(3), 2)))
        energy = u.sum() + v.sum()
        forces = np.zeros((n, 3))
        if len(pairs):
            forces = -torch.autograd.grad(energy, positions)[0].numpy()
        values = (u.detach().numpy(), v.detach().numpy())
        return KnownTerms(float(energy.detach()), forces, pairs.numpy(), values[0], triples.numpy(), values[1])

    def cluster(self, rng: np.random.Generator, n_atoms: int | None = None) -> ase.Atoms:
        """A random cluster of 6 to 12 atoms (or `n_atoms`), elements drawn at random.

        Atoms are added one by one at 0.88 to 1.5 spacings from one that is there, and no nearer than 0.88 to any.
        """
        n = int(rng.integers(6, 13)) if n_atoms is None else n_atoms
        places = np.zeros((1, 3))
        while len(places) < n:
            step = rng.standard_normal(3)
            step *= rng.uniform(0.88, 1.5) * self.spacing / np.linalg.norm(step)
            candidate = places[rng.integers(len(places))] + step
            if np.linalg.norm(places - candidate, axis=1).min() >= 0.88 * self.spacing:
                places = np.concatenate([places, candidate[None]])
        return ase.Atoms(rng.choice(self.elements, size=n), positions=places - places.mean(axis=0))


def _between(positions: Tensor, sets: Tensor, a: int, b: int) -> Tensor:
    return positions[sets[:, b]] - positions[sets[:, a]]


def smooth_cutoff(r: Float[Tensor, " _"], start: float, end: float) -> Float[Tensor, " _"]:
    """1 up to `start`, 0 from `end` on, between them 1 - 10 x³ + 15 x⁴ - 6 x⁵: two continuous derivatives."""
    x = ((r - start) / (end - start)).clamp(0.0, 1.0)
    return 1.0 - x**3 * (10.0 - 15.0 * x + 6.0 * x**2)


def _table(elements: tuple[int, ...], values: dict[tuple[int, int], float]) -> Tensor:
    """Symmetric table by atomic numbers."""
    table = torch.zeros(max(elements) + 1, max(elements) + 1, dtype=torch.float64)
    for (a, b), value in values.items():
        table[a, b] = table[b, a] = value
    return table


def _lennard_jones(depth: float, minimum: float, cutoff: float) -> PairFunction:
    def pair(numbers: Int[Tensor, "P 2"], r: Float[Tensor, " P"]) -> Float[Tensor, " P"]:
        x = (minimum / r) ** 6
        return depth * (x * x - 2.0 * x) * smooth_cutoff(r, 0.7 * cutoff, cutoff)

    return pair


def _morse(
    elements: tuple[int, ...], depths: dict[tuple[int, int], float], minima: dict[tuple[int, int], float], cutoff: float
) -> PairFunction:
    depth, minimum = _table(elements, depths), _table(elements, minima)

    def pair(numbers: Int[Tensor, "P 2"], r: Float[Tensor, " P"]) -> Float[Tensor, " P"]:
        a, b = numbers.T
        x = torch.exp(-1.4 * (r - minimum[a, b]))
        return depth[a, b] * (x * x - 2.0 * x) * smooth_cutoff(r, 0.7 * cutoff, cutoff)

    return pair


def _screened_coulomb(charges: dict[int, float], length: float, cutoff: float) -> PairFunction:
    charge = torch.zeros(max(charges) + 1, dtype=torch.float64)
    for number, value in charges.items():
        charge[number] = value

    def pair(numbers: Int[Tensor, "P 2"], r: Float[Tensor, " P"]) -> Float[Tensor, " P"]:
        q = charge[numbers].prod(dim=1)
        return _COULOMB * q * torch.exp(-r / length) / r * smooth_cutoff(r, 0.7 * cutoff, cutoff)

    return pair


def _axilrod_teller(strength: float, cutoff: float) -> TripleFunction:
    def triple(ab: Tensor, ac: Tensor, bc: Tensor) -> Tensor:
        r = [torch.linalg.vector_norm(v, dim=1) for v in (ab, ac, bc)]
        cosines = (
            (ab * ac).sum(1) / (r[0] * r[1]),
            -(ab * bc).sum(1) / (r[0] * r[2]),
            (ac * bc).sum(1) / (r[1] * r[2]),
        )
        product = cosines[0] * cosines[1] * cosines[2]
        fade = math.prod((smooth_cutoff(x, 0.7 * cutoff, cutoff) for x in r), start=torch.ones_like(r[0]))
        return strength * (1.0 + 3.0 * product) / (r[0] * r[1] * r[2]) ** 3 * fade

    return triple


# Silicon, Stillinger and Weber, Phys. Rev. B 31, 5262 (1985): energies in units of eps, lengths of sigma.
_SW_EPS, _SW_SIGMA, _SW_RANGE = 2.16826, 2.0951, 1.80
_SW_A, _SW_B, _SW_LAMBDA, _SW_GAMMA = 7.049556277, 0.6022245584, 21.0, 1.20


def _decay(r: Tensor, rate: float) -> Tensor:
    """exp(rate / (r - a)) inside the range a, 0 outside, without the pole's NaN in derivatives."""
    inside = r < _SW_RANGE - 1e-3
    return torch.where(inside, torch.exp(rate / torch.where(inside, r - _SW_RANGE, -1.0)), 0.0)


def _stillinger_weber_pair(numbers: Int[Tensor, "P 2"], r: Float[Tensor, " P"]) -> Float[Tensor, " P"]:
    r = r / _SW_SIGMA
    return _SW_EPS * _SW_A * (_SW_B / r**4 - 1.0) * _decay(r, 1.0)


def _stillinger_weber_triple(ab: Tensor, ac: Tensor, bc: Tensor) -> Tensor:
    """Sum over the three atoms as the centre of the angle."""
    total = ab.new_zeros(len(ab))
    for left, right in ((ab, ac), (-ab, bc), (-ac, -bc)):
        x, y = torch.linalg.vector_norm(left, dim=1), torch.linalg.vector_norm(right, dim=1)
        bend = (left * right).sum(1) / (x * y) + 1.0 / 3.0
        total = total + bend**2 * _decay(x / _SW_SIGMA, _SW_GAMMA) * _decay(y / _SW_SIGMA, _SW_GAMMA)
    return _SW_EPS * _SW_LAMBDA * total


def _catalogue() -> dict[str, KnownPotential]:
    ar, ne, kr, na, mg, cl, si = 18, 10, 36, 11, 12, 17, 14
    mixed = (ne, ar)
    depths = {(ne, ne): 0.15, (ne, ar): 0.45, (ar, ar): 0.30}
    minima = {(ne, ne): 2.2, (ne, ar): 2.5, (ar, ar): 2.8}
    charges = {na: 1.0, mg: 2.0, cl: -1.5}
    return {
        p.name: p
        for p in (
            KnownPotential("lennard-jones", (ar,), 5.0, _lennard_jones(0.2, 2.4, 5.0), None, 2.4),
            KnownPotential("morse", mixed, 5.0, _morse(mixed, depths, minima, 5.0), None, 2.5),
            KnownPotential("screened-coulomb", tuple(charges), 5.0, _screened_coulomb(charges, 2.5, 5.0), None, 2.3),
            KnownPotential(
                "axilrod-teller", (kr,), 5.0, _lennard_jones(0.2, 2.4, 5.0), _axilrod_teller(150.0, 5.0), 2.4
            ),
            KnownPotential(
                "stillinger-weber",
                (si,),
                _SW_RANGE * _SW_SIGMA,
                _stillinger_weber_pair,
                _stillinger_weber_triple,
                2.4,
            ),
        )
    }


_POTENTIALS = _catalogue()


def known_names() -> tuple[str, ...]:
    """Names of the potentials: three of pairs, two of pairs and triples."""
    return tuple(_POTENTIALS)


def known_potential(name: str) -> KnownPotential:
    """Potential by its name.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> terms = known_potential("lennard-jones").terms(ase.Atoms("Ar2", positions=[[0, 0, 0], [0, 0, 2.4]]))
    >>> round(terms.energy, 6), terms.pair_terms.round(6).tolist()
    (-0.2, [-0.2])
    """
    if name not in _POTENTIALS:
        raise InputError(f"known potential {name!r} does not exist; choose {', '.join(_POTENTIALS)}")
    return _POTENTIALS[name]
