"""`explain`: from a trained model and a structure to its exact interactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from typing import Any

import ase
import torch

from atomlens.chain import (
    Chain,
    Published,
    RecordedSums,
    check_product_rule,
    constant_meaning,
    has_closed_form,
    make_chain,
    make_rule,
    recorded_chain,
    recorded_potential,
    recorded_sums,
)
from atomlens.interactions.pair_forces import AtomEnergies, PairForces, pair_forces
from atomlens.interactions.terms import Interactions, Terms, group_terms, interaction_terms, long_range_terms
from atomlens.models import Atomwise, Potential, to_internal
from atomlens.potentials import AnyModel, OpenedModel
from atomlens.recording import RecordedModel, record
from atomlens.relevance import AtomShares, Walks, all_walks, atom_shares, strongest_walks
from atomlens.structures import AtomGraph, InputError


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
        return all_walks(self.chain)

    def bias_walks(self) -> list[Walks]:
        """Walks that biases start: one `Walks` for each entry layer t = 1..T, of T - t + 1 atoms."""
        return [all_walks(self.chain.entering_at(t)) for t in range(1, self.n_layers + 1)]

    def top_walks(self, k: int) -> Walks:
        """The k full walks of largest absolute relevance, strongest first; exact, without the full list."""
        return strongest_walks(self.chain, k)

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

    def group_interactions(self, groups: list[list[int]], max_order: int = 2) -> Interactions:
        """Terms between disjoint groups of atoms (functional groups, residues, molecules); see `group_terms`."""
        return group_terms(self.sums, groups, max_order)

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
                "SchNet and PaiNN models of energies do"
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


def explain(
    model: AnyModel,
    atoms: ase.Atoms,
    rule: str = "gate",
    product_rule: str = "scalar",
    *,
    gamma: float = 0.25,
    dtype: torch.dtype = torch.float64,
    device: str | torch.device | None = None,
) -> Explanation:
    """Explain one prediction exactly.

    Parameters
    ----------
    model
        From `load_model`. It is not changed; its weights are referred to, so explain a copy of a model in training.
    atoms
        One structure.
    rule
        ``gate`` (default), ``gamma``, ``gradient``, or ``published`` (which conserves nothing, and has product rule
        ``scalar`` whatever is asked for); see `atomlens.chain.rules`.
    product_rule
        For products of two signals: ``full`` (each factor carries half) or ``scalar`` (vectors only gate).
    gamma
        Strength of the ``gamma`` rule.
    dtype, device
        Where and how precisely to compute; by default float64 on the model's device.

    Raises
    ------
    InputError
        If the structure is unusable, or has elements that the model was not trained on.
    ValueError
        If a rule is not known.

    Examples
    --------
    >>> import ase, torch, atomlens
    >>> _ = torch.manual_seed(0)
    >>> model = atomlens.Potential(atomlens.ModelConfig())
    >>> ex = atomlens.explain(model, ase.Atoms("OH", positions=[[0, 0, 0], [0, 0, 0.97]]))
    >>> abs(ex.residual) < 1e-12
    True
    >>> ex.interactions(max_order=2).order(2).atoms
    array([[0, 1]])
    """
    if not isinstance(atoms, ase.Atoms):
        raise TypeError(_not_a_structure(atoms))
    if isinstance(model, OpenedModel):
        model.check_elements(atoms)
        if dtype != torch.float64:
            raise InputError(f"models of other libraries are explained in float64, not in {dtype}")
        if device is not None and torch.device(device).type != "cpu":
            raise InputError(f"models of other libraries are explained on the CPU; leave out device {device}")
        return explain_module(model.recorded, atoms, rule, product_rule, gamma=gamma)
    if not isinstance(model, Potential):
        raise TypeError(
            f"explain received a {type(model).__name__} as model; load one first, with atomlens.load_model(path), or "
            "explain a module of your own with atomlens.explain_module"
        )
    used = make_rule(rule, gamma)
    check_product_rule(product_rule)
    product_rule = product_rule if used.keeps_values else "scalar"
    working = model.converted(dtype, device)
    graph = working.graph(atoms)
    make = make_chain if has_closed_form(working, used) else recorded_potential
    chain = make(working, graph, used, product_rule)
    factor, unit = to_internal(model.facts.unit)
    return Explanation(
        atoms.copy(),  # a simulation moves its atoms on
        chain.scaled(factor),
        property=model.facts.quantity,
        unit=unit,
        rule=used.name,
        product_rule=product_rule,
        cutoff=model.cutoff,
        constant_meaning=constant_meaning(model.readout, used, product_rule),
        atom_energies=_atom_energies(working, graph, factor)
        if unit == "eV" and model.config.output.extensive
        else None,
    )


def _not_a_structure(atoms: Any) -> str:
    """What to do about something that is no structure."""
    if isinstance(atoms, list | tuple):
        return (
            f"explain takes one structure and received a {type(atoms).__name__} of {len(atoms)}; "
            "give one of them, or all to atomlens.explain_batch"
        )
    return (
        f"explain received a {type(atoms).__name__} as structure; give an ase.Atoms, for example from "
        "ase.io.read(path) or atomlens.read_structures(path)[0]"
    )


def _atom_energies(model: Potential, graph: AtomGraph, factor: float) -> AtomEnergies | None:
    """Energies of the atoms in eV over positions; None where the read-out gives none to an atom."""
    if not isinstance(model.readout, Atomwise):
        return None
    return lambda positions: factor * model.atom_parts(replace(graph, positions=positions.to(graph.positions)))


def explain_chain(
    chain: Chain | RecordedSums,
    atoms: ase.Atoms,
    *,
    property: str = "energy",
    unit: str = "eV",
    rule: str = "gate",
    product_rule: str = "full",
    cutoff: float,
    constant_meaning: str = "what no walk carries",
) -> Explanation:
    """Explanation that rests on a chain made by hand, or on sums of a recording; both in `unit` already.

    Parameters
    ----------
    chain
        From `atomlens.chain.automatic_chain`, `recorded_sums`, or put together of its parts.
    atoms
        The structure that it describes.
    property, unit, rule, product_rule, cutoff, constant_meaning
        As the attributes of `Explanation`, for labels.
    """
    return Explanation(
        atoms.copy(),
        chain,
        property=property,
        unit=unit,
        rule=rule,
        product_rule=product_rule,
        cutoff=cutoff,
        constant_meaning=constant_meaning,
    )


def explain_module(
    model: RecordedModel,
    atoms: ase.Atoms,
    rule: str = "gate",
    product_rule: str = "full",
    *,
    gamma: float = 0.25,
    as_bias: Sequence[str] = (),
) -> Explanation:
    """Explain one prediction of any PyTorch model exactly, by recording it.

    Parameters
    ----------
    model
        The model behind the protocol `atomlens.recording.RecordedModel`. Its first structure costs three runs more: its
        rows are learned and its linear program is checked.
    atoms
        One structure.
    rule, product_rule, gamma
        As for `explain`; ``scalar`` freezes what turns with the structure.
    as_bias
        Names of operators without a rule whose output is to count as a bias, such as ``aten.amax``.

    Returns
    -------
    Explanation
        Terms, groups and shares exist for every model, walks where messages carry the state of their source alone
        (`Explanation.no_walks`).

    Raises
    ------
    InputError
        If the structure is unusable, the model does something that no rule covers, or a check fails.
    ValueError
        If a rule is not known.
    """
    used = make_rule(rule, gamma)
    check_product_rule(product_rule)
    sums = recorded_sums(record(model, atoms), used, product_rule, as_bias)
    factor, unit = to_internal(model.unit)
    meaning = "reference values, shifts, energies that depend on the geometry alone, and the last biases of read-outs"
    if as_bias:
        meaning += f"; {', '.join(as_bias)} counts as a bias"
    return explain_chain(
        sums.scaled(factor),
        atoms,
        property=model.property,
        unit=unit,
        rule=used.name,
        product_rule=product_rule,
        cutoff=model.cutoff,
        constant_meaning=meaning,
    )
