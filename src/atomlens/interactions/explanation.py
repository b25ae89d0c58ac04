"""Everything that adds up to one prediction, computed when it is asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from importlib import import_module
from typing import Any, Literal

import ase
import torch

from atomlens.chain import (
    Chain,
    Published,
    RecordedSums,
    recorded_chain,
)
from atomlens.interactions.pair_forces import AtomEnergies, PairForces, pair_forces
from atomlens.interactions.terms import Interactions, Terms, group_terms, interaction_terms, long_range_terms
from atomlens.relevance import AtomShares, Walks, all_walks, atom_shares, strongest_walks
from atomlens.structures import InputError, fragments


class Explanation:
    r"""Everything that adds up to one prediction.

    .. math:: y = c + \sum_{\text{full walks}} R_w + \sum_{\text{bias walks}} R_w + \sum_{i<j} V_{ij} = c + \sum_S I(S)

    V are the long-range energies of pairs (`long_range_terms`), if a model has such; walks are message passing only.
    Energies are in eV; other properties keep the model's unit (`unit`). Nothing is computed before it is asked for.

    Attributes
    ----------
    atoms
        The structure, a copy of what was handed in.
    sums
        The prediction as sums over sets of atoms, in `unit`: a chain, or the recording of a model of any library.
    property, unit
        What the model predicts.
    rule, product_rule
        Names of the rules by which non-linear parts were made linear.
    cutoff
        Cutoff radius in Å.
    constant_meaning
        What `constant` holds, in words.
    """

    def __init__(
        self,
        atoms: ase.Atoms,
        chain: Chain | RecordedSums,
        *,
        property: str,
        unit: str,
        rule: str,
        product_rule: str,
        cutoff: float,
        constant_meaning: str = "what no walk carries",
        atom_energies: AtomEnergies | None = None,
    ) -> None:
        self.atoms = atoms
        self.sums = chain
        self.property = property
        self.unit = unit
        self.rule = rule
        self.product_rule = product_rule
        self.cutoff = cutoff
        self.constant_meaning = constant_meaning
        self._atom_energies = atom_energies

    @cached_property
    def chain(self) -> Chain:
        """The prediction as a linear chain, in `unit`; a recording's chain is made when it is first asked for.

        Raises
        ------
        InputError
            If the model has none, with the reason: walks do not exist then, while terms, groups and shares do.
        """
        return self.sums if isinstance(self.sums, Chain) else recorded_chain(self.sums)

    @property
    def no_walks(self) -> str | None:
        """Why the model has no walks; None if it has."""
        return None if isinstance(self.sums, Chain) else self.sums.refusal()

    @property
    def prediction(self) -> float:
        """What the model predicts."""
        return self.sums.prediction

    @property
    def constant(self) -> float:
        """c: what no walk carries. `constant_meaning` says what that is for this model.

        For sums and means over atoms: atom references, mean, and the last bias of the readout. Readouts of vectors
        (dipole moments with atomic dipoles, polarizabilities) add what their biases bring and, under the product rule
        ``scalar``, all that vector features bring into the readout: that rule freezes them, so no walk carries it.
        """
        return self.sums.constant

    @cached_property
    def residual(self) -> float:
        """Prediction minus the sum of everything: rounding, about 1e-16 max(1, |y - c|) in float64.

        Under the rule ``published`` it is what that rule leaves unexplained.
        """
        pairs = self.sums.sum_of_pairs() if isinstance(self.sums, Chain) else 0.0
        return self.prediction - self.constant - self.sums.sum_of_walks() - pairs

    @property
    def bias_share(self) -> float:
        """What operators that were treated as biases on request add to the prediction; zero without such."""
        return 0.0 if isinstance(self.sums, Chain) else self.sums.layers.bias_share() * self.sums.factor

    @property
    def conserves(self) -> bool:
        """Whether everything adds up to the prediction, to rounding; under the rule ``published`` it does not."""
        return self.rule != Published.name

    @property
    def n_layers(self) -> int:
        """Number T of layers: walks have T + 1 atoms."""
        return self.sums.n_layers

    def walks(self) -> Walks:
        """All full walks, from the first layer to the last.

        Raises
        ------
        MemoryError
            If the list would not fit in memory.
        """
        return self._named(all_walks(self.chain))

    def bias_walks(self) -> list[Walks]:
        """Walks that biases start: one `Walks` for each entry layer t = 1..T, of T - t + 1 atoms."""
        return [self._named(all_walks(self.chain.entering_at(t))) for t in range(1, self.n_layers + 1)]

    def top_walks(self, k: int) -> Walks:
        """The k full walks of largest absolute relevance, strongest first; exact, without the full list."""
        return self._named(strongest_walks(self.chain, k))

    def _named(self, walks: Walks) -> Walks:
        return walks.named(self.atoms.get_chemical_symbols(), self.unit)

    def interactions(self, max_order: int = 3, *, walks: str = "all") -> Interactions:
        """Interaction terms of order 1 to `max_order`, without listing walks.

        Parameters
        ----------
        max_order
            1, 2 or 3.
        walks
            Which walks count: ``all`` (terms and remainder add up to prediction - constant, long-range energies
            included), ``full`` (only those from the embedding) or ``bias``.
        """
        if walks == "all":
            return interaction_terms(self.sums, max_order).named(self.atoms.get_chemical_symbols(), self.unit)
        if walks == "full":
            chain = self.chain.without_bias()
        elif walks == "bias":
            chain = replace(self.chain, embedding=torch.zeros_like(self.chain.embedding), long_range=None)
        else:
            raise ValueError(f"walks={walks!r} is not known; choose all, full or bias")
        terms = interaction_terms(replace(chain, prediction=chain.constant + chain.sum_of_walks()), max_order)
        return terms.named(self.atoms.get_chemical_symbols(), self.unit)

    @property
    def plot(self) -> Any:
        """Figures, as an `atomlens.report.Plots`: ``plot.pairs()``, ``decay()``, ``orders()``, ``view()``."""
        # Figures are drawn in the folder report, which builds on this one: looked up when one is asked for.
        return import_module("atomlens.report").Plots(self)

    @property
    def long_range_kinds(self) -> tuple[str, ...]:
        """Which long-range energies the model has: "coulomb", "dispersion", both or none."""
        pairs = self.sums.long_range if isinstance(self.sums, Chain) else None
        return () if pairs is None else pairs.kinds

    def long_range_terms(self, kind: str | None = None) -> Terms:
        """Long-range energies V of all pairs, which `interactions` has in its terms of order 2 and no walk carries.

        Charges and coefficients are frozen at their values: V is an exact part of the prediction, but does not show
        that charges depend on the surroundings.

        Parameters
        ----------
        kind
            One of `long_range_kinds`; all together if None.

        Raises
        ------
        ValueError
            If the model has none of that kind.
        """
        return long_range_terms(self.sums, kind)

    def group_interactions(self, groups: list[list[int]] | Literal["fragments"], max_order: int = 2) -> Interactions:
        """Terms between disjoint groups of atoms (functional groups, residues, molecules); see `group_terms`.

        Parameters
        ----------
        groups
            Lists of atom indices; or ``"fragments"``, for what bonds hold together.
        max_order
            1, 2 or 3.

        Raises
        ------
        ValueError
            If groups overlap, are empty, or name atoms that do not exist, or another word is given.
        """
        if isinstance(groups, str):
            if groups != "fragments":
                raise ValueError(f"groups {groups!r} are not known; give fragments, or a list of atoms for every group")
            groups = fragments(self.atoms)
        return group_terms(self.sums, groups, max_order).named((), self.unit)

    def pair_forces(self) -> PairForces:
        r"""Force on every atom i from the energy of every atom j.

        .. math:: \mathbf F_{ij} = -\partial E_j / \partial \mathbf R_i, \qquad \sum_j \mathbf F_{ij} = \mathbf F_i

        They follow from the model alone, whatever the rule. A term says how much of the prediction two atoms make
        together; a pair force how one atom's energy changes as another moves; a response coupling how one atom's force
        does.

        Raises
        ------
        InputError
            If the model predicts no energy, or its read-out gives none to an atom.
        """
        if self._atom_energies is None:
            raise InputError(
                f"no pair forces: this model of {self.property} gives no energy to an atom that could be asked for; "
                "models whose energy is a sum over atoms do"
            )
        lines = self.atoms.get_all_distances(mic=bool(self.atoms.pbc.any()), vector=True)
        return pair_forces(self._atom_energies, torch.tensor(self.atoms.positions), lines)

    def atom_shares(self) -> AtomShares:
        """Shares of every atom in the prediction."""
        return atom_shares(self.sums)

    def __repr__(self) -> str:
        return (
            f"Explanation({self.atoms.get_chemical_formula()}, {self.property} = {self.prediction:.6g} {self.unit}, "
            f"rule={self.rule}/{self.product_rule}, residual={self.residual:.1e})"
        )
