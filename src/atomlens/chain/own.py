"""Our own models without a closed form, by a recording of their module."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from weakref import WeakKeyDictionary

import ase
import torch
from torch import Tensor, nn

from atomlens.chain.chain import Chain
from atomlens.chain.readout import scalar_output
from atomlens.chain.recorded import RecordedSums, recorded_chain, recorded_sums
from atomlens.chain.rules import Published, Rule
from atomlens.models import PaiNN, Potential, SchNet, SO3net
from atomlens.recording import DEFAULT_PRODUCT_RULE, OpenModel, StructureInputs
from atomlens.structures import AtomGraph, InputError, build_graph


def has_closed_form(model: Potential, rule: Rule) -> bool:
    """Whether a model's chain is written down; else it comes from a recording, one structure at a time."""
    known = (PaiNN, SchNet, SO3net) if isinstance(rule, Published) else (PaiNN, SchNet)
    return isinstance(model.representation, known)


class RecordedPotential:
    """A `Potential` behind the protocol of recorded models, without its energies of pairs beyond the messages."""

    def __init__(self, model: Potential) -> None:
        # What is known of a model is kept as long as the model, and must not keep it alive.
        self._model = weakref.ref(model)
        facts = model.facts
        self.property, self.unit, self.cutoff = facts.quantity, facts.unit, facts.cutoff
        self.elements = facts.elements or ()
        self.dtype = model.dtype

    @property
    def model(self) -> Potential:
        """The model itself."""
        model = self._model()
        assert model is not None, "whoever explains a model holds it"
        return model

    @property
    def embedding(self) -> Sequence[nn.Module]:
        """The embedding of elements."""
        return [self.model.representation.embedding]

    def inputs(self, atoms: ase.Atoms) -> StructureInputs:
        """A structure as the model sees it."""
        return self.inputs_of(build_graph(atoms, self.cutoff, dtype=self.dtype).to(device=self.model.device))

    @staticmethod
    def inputs_of(graph: AtomGraph) -> StructureInputs:
        """A graph as the model sees it."""
        tensors = {f.name: getattr(graph, f.name) for f in fields(graph) if f.name != "cutoff"}
        return StructureInputs(tensors, graph.n_atoms, graph.source, graph.target, graph.offsets.double())

    def energy(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """The number that is explained, in the model's own unit."""
        model, graph = self.model, AtomGraph(**tensors, cutoff=self.cutoff)
        y = scalar_output(model.readout(model.representation(graph), graph))
        return (model.scale * y + model.offset(graph)).sum()


_OPENED: WeakKeyDictionary[Potential, OpenModel] = WeakKeyDictionary()


@torch.no_grad()
def recorded_potential(
    model: Potential, graph: AtomGraph, rule: Rule, product_rule: str = DEFAULT_PRODUCT_RULE
) -> Chain | RecordedSums:
    """Sums over sets of atoms of one structure, in the model's own unit; a chain where there are long-range energies.

    Parameters
    ----------
    model, graph
        Model and one structure, in one dtype.
    rule, product_rule
        How non-linear parts are frozen.

    Raises
    ------
    InputError
        If the model is not in float64, which recordings are checked in.
    ValueError
        If the graph holds several structures.
    """
    if graph.n_graphs != 1:
        raise ValueError(f"a recording describes one structure; the graph holds {graph.n_graphs}")
    if model.dtype != torch.float64:
        raise InputError(
            f"{model.facts.architecture} is explained by a recording, in float64; received {model.dtype}, leave out "
            "dtype or take model.converted(torch.float64)"
        )
    opened = _OPENED.get(model)
    if opened is None:
        opened = _OPENED[model] = OpenModel(RecordedPotential(model), graph.numbers.tolist())
    sums = recorded_sums(opened.record(RecordedPotential.inputs_of(graph)), rule, product_rule)
    if model.long_range is None:
        return sums
    pairs = model.pair_terms(model.representation(graph), graph)
    assert pairs is not None
    chain = recorded_chain(sums)
    return replace(chain, long_range=pairs, prediction=chain.prediction + float(pairs.parts.sum()))


def potential_chain(model: Potential, graph: AtomGraph, rule: Rule, product_rule: str = DEFAULT_PRODUCT_RULE) -> Chain:
    """The chain behind `recorded_potential`."""
    sums = recorded_potential(model, graph, rule, product_rule)
    return sums if isinstance(sums, Chain) else recorded_chain(sums)
