r"""Many-body expansion of a cluster, by really taking molecules away.

.. math::
    E_{i} = E(\{i\}), \qquad E_{ij} = E(\{i, j\}) - E_i - E_j, \qquad
    E_{ijk} = E(\{i, j, k\}) - E_{ij} - E_{ik} - E_{jk} - E_i - E_j - E_k

In general :math:`E_S = \sum_{U \subseteq S} (-1)^{|S| - |U|} E(U)`, so that :math:`E = \sum_S E_S`. Hankins, Moskowitz,
Stillinger, J. Chem. Phys. 53, 4544 (1970).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import ase
import numpy as np
from jaxtyping import Float, Int

from atomlens.structures import InputError, fragments


@dataclass(frozen=True)
class BodyTerms:
    """Terms of one order: molecules (M, n) and energies (M,) in the unit of the energy function."""

    molecules: Int[np.ndarray, "M n"]
    energy: Float[np.ndarray, " M"]


@dataclass(frozen=True)
class ManyBodyExpansion:
    """A cluster as a sum over sets of its molecules.

    Attributes
    ----------
    molecules
        Atoms of every molecule.
    orders
        Terms of one, two, ... molecules.
    energy
        Energy of the whole cluster.
    evaluations
        Energies computed: all sets up to the highest order, and the cluster.
    """

    molecules: tuple[tuple[int, ...], ...]
    orders: tuple[BodyTerms, ...]
    energy: float
    evaluations: int

    def order(self, n: int) -> BodyTerms:
        """Terms of sets of n molecules."""
        return self.orders[n - 1]

    @property
    def interaction(self) -> float:
        """Energy of the cluster less that of its molecules alone."""
        return self.energy - float(self.orders[0].energy.sum())

    @property
    def remainder(self) -> float:
        """What terms of higher order hold: energy less the sum of all terms."""
        return self.energy - float(sum(terms.energy.sum() for terms in self.orders))


def many_body_expansion(
    energy: Callable[[ase.Atoms], float],
    atoms: ase.Atoms,
    molecules: Sequence[Sequence[int]] | None = None,
    *,
    charges: Sequence[int] | None = None,
    max_order: int = 3,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ManyBodyExpansion:
    r"""Expand the energy of a cluster over its molecules.

    It takes :math:`\sum_{n \le m} \binom{M}{n}` energies, and one more if m is smaller than M.

    Parameters
    ----------
    energy
        Energy of a structure, for example ``lambda a: model.predict(a).energy`` or `gfn2_energy`.
    atoms
        The cluster.
    molecules
        Atoms of each molecule, every atom in exactly one; covalent fragments if None.
    charges
        Charge of each molecule in e, handed on as ``info["charge"]`` of the structures; all neutral if None.
    max_order
        Largest number of molecules in a term.
    progress
        Called with the number of energies done and in all.

    Raises
    ------
    InputError
        If the molecules do not make up the cluster, or the cluster is charged and `charges` do not say where.
    """
    parts = fragments(atoms) if molecules is None else [list(part) for part in molecules]
    if sorted(k for part in parts for k in part) != list(range(len(atoms))) or not all(parts):
        raise InputError(f"the molecules do not make up the cluster of {len(atoms)} atoms, each in exactly one of them")
    if max_order < 1:
        raise InputError(f"max_order is {max_order}; give 1 or more")
    if charges is None and atoms.info.get("charge", 0) != 0:
        raise InputError(f"the cluster has charge {atoms.info['charge']}; say which molecules carry it (charges=...)")
    charges = [0] * len(parts) if charges is None else list(charges)
    if len(charges) != len(parts):
        raise InputError(f"{len(charges)} charges for {len(parts)} molecules; give one a molecule")
    highest = min(max_order, len(parts))
    sets = [s for n in range(1, highest + 1) for s in combinations(range(len(parts)), n)]
    whole = tuple(range(len(parts)))
    wanted = sets if highest == len(parts) else [*sets, whole]
    found: dict[tuple[int, ...], float] = {}
    for done, chosen in enumerate(wanted):
        kept = atoms[sorted(k for m in chosen for k in parts[m])]
        kept.info["charge"] = sum(charges[m] for m in chosen)
        found[chosen] = float(energy(kept))
        progress(done + 1, len(wanted))
    terms: dict[tuple[int, ...], float] = {}
    for chosen in sets:  # smaller sets come first
        lower = (s for n in range(1, len(chosen)) for s in combinations(chosen, n))
        terms[chosen] = found[chosen] - sum(terms[s] for s in lower)
    return ManyBodyExpansion(
        molecules=tuple(tuple(part) for part in parts),
        orders=tuple(_of_order(terms, n) for n in range(1, highest + 1)),
        energy=found[whole],
        evaluations=len(wanted),
    )


def _of_order(terms: dict[tuple[int, ...], float], n: int) -> BodyTerms:
    chosen = [s for s in terms if len(s) == n]
    return BodyTerms(np.array(chosen, dtype=np.int64).reshape(-1, n), np.array([terms[s] for s in chosen]))
