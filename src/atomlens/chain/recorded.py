"""The chain of a recorded model, and its sums over sets of atoms, which exist where no chain does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.chain.chain import Chain, Layer
from atomlens.chain.edges import Images, PairIndex, merge_images
from atomlens.chain.pieces import EdgePiece, OwnEdges, Packing, Piece, SentBack
from atomlens.chain.rules import Rule
from atomlens.recording import DEFAULT_PRODUCT_RULE, Layers, Recording, Union
from atomlens.structures import InputError


@dataclass(frozen=True)
class RecordedSums:
    r"""Sums of all relevance inside sets of atoms, by executing a recording; what terms, groups and shares need.

    .. math:: y = c + Z(\text{all atoms})

    Attributes
    ----------
    layers
        The recorded structure under a rule.
    factor
        From the model's unit to this one.
    """

    layers: Layers
    factor: float = 1.0

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return self.layers.inputs.n_atoms

    @property
    def n_layers(self) -> int:
        """Number of times that messages are added up, one after the other."""
        return self.layers.n_layers

    @property
    def constant(self) -> float:
        """c: what no signal carries."""
        return self.layers.constant * self.factor

    @property
    def prediction(self) -> float:
        """The prediction y, as the model itself computes it."""
        return self.layers.prediction * self.factor

    @cached_property
    def pairs(self) -> PairIndex:
        """Directed pairs of atoms that an edge joins, either way."""
        inputs = self.layers.inputs
        target, source = torch.cat([inputs.target, inputs.source]), torch.cat([inputs.source, inputs.target])
        return merge_images(target, source, self.n_atoms).pairs

    @cached_property
    def union(self) -> Union:
        """The recording, executed on sets."""
        return Union(self.layers)

    def sums(self, atoms: Int[Tensor, " M"], sizes: Int[Tensor, " S"]) -> Float[Tensor, " S"]:
        """Z(U) of sets given one after the other."""
        device = self.layers.inputs.source.device
        return self.union.sums(atoms.to(device=device), sizes.to(device=device)) * self.factor

    def all_atoms(self) -> Tensor:
        """Indices 0..N-1."""
        return torch.arange(self.n_atoms, device=self.layers.inputs.source.device)

    def sum_of_walks(self) -> float:
        """Z of all atoms."""
        return float(self.sums(self.all_atoms(), torch.tensor([self.n_atoms])))

    def refusal(self) -> str | None:
        """Why there is no chain; None if there is one."""
        return chain_refusal(self.layers)

    def scaled(self, factor: float) -> RecordedSums:
        """The same in another unit."""
        return replace(self, factor=self.factor * factor)


def recorded_sums(
    recording: Recording, rule: Rule, product_rule: str = DEFAULT_PRODUCT_RULE, as_bias: Sequence[str] = ()
) -> RecordedSums:
    """Sums over sets of atoms of a recorded structure, in the model's own unit: exists for every recorded model.

    Raises
    ------
    InputError
        If the linear program fails its checks, or the rule changes values.
    """
    if not rule.keeps_values:
        raise InputError(f"the rule {rule.name} changes values, which a recording cannot follow; take gate")
    return RecordedSums(recording.layers(rule, product_rule, as_bias))


def chain_refusal(layers: Layers) -> str | None:
    """Why a recorded model has no chain; None if it has one."""
    reason = layers.refusal()
    if reason is not None:
        return reason
    inputs = layers.inputs
    keys = (inputs.target * inputs.n_atoms + inputs.source).unique()
    if not torch.equal(keys, (inputs.source * inputs.n_atoms + inputs.target).unique()):
        return "an atom receives messages from one that it sends none to (a limited number of neighbours)"
    return None


@torch.no_grad()
def recorded_chain(sums: RecordedSums) -> Chain:
    """Chain of a recorded model, read off its recording between minimum cuts.

    Raises
    ------
    InputError
        If there is none, with the reason; terms, groups and shares exist all the same.
    """
    layers = sums.layers
    reason = chain_refusal(layers)
    if reason is not None:
        raise InputError(f"this model has no walks: {reason}")
    inputs = layers.inputs
    # One index sends, the other receives; which is which is the model's matter.
    images = merge_images(inputs.target, inputs.source, inputs.n_atoms)
    if _sends_along_target(layers):
        images = merge_images(inputs.source, inputs.target, inputs.n_atoms)
    states = [Packing.of(layers, nodes) for nodes in layers.cuts.states]
    made = [_layer(layers, t, states[t], states[t + 1], images) for t in range(layers.n_layers)]
    return Chain(
        pairs=images.pairs,
        embedding=states[0].pack(layers.state(0)),
        layers=tuple(made),
        readout=states[-1].pack(layers.readout) * sums.factor,
        readout_bias=layers.trace.value.new_zeros(inputs.n_atoms),
        constant=sums.constant,
        prediction=sums.prediction,
    )


def _sends_along_target(layers: Layers) -> bool:
    rows = layers.rows
    return any(rows.gathers[n].name == "target" for s in layers.schedules for n in s if n in rows.gathers)


def _layer(layers: Layers, t: int, before: Packing, after: Packing, images: Images) -> Layer:
    linear, rows, schedule = layers.linear, layers.rows, layers.schedules[t]
    gathers = [n for n in schedule if n in rows.gathers]
    sums = [n for n in schedule if n in rows.scatters]
    sent = Packing.of(layers, sorted({layers.trace.nodes[n].args[0].node for n in gathers}))
    place = {n: layers.summand(n) for n in sums}
    carried = Packing.of(layers, list(dict.fromkeys(place.values())))
    source = Piece(layers, before, sent, linear.schedule(before.nodes, sent.nodes))
    edges = EdgePiece(
        layers,
        sent,
        carried,
        {n: layers.trace.nodes[n].args[0].node for n in gathers},
        linear.schedule(gathers, carried.nodes),
        images,
    )
    target = SentBack(layers, carried, after, place, linear.schedule_behind(sums, after.nodes))
    stay = Piece(layers, before, after, linear.schedule(before.nodes, after.nodes, frozenset(gathers)))
    if images.own is not None:
        stay = OwnEdges(stay, source, edges, target, *images.own)
    return Layer(stay, source, edges, target, after.pack(layers.biases[t + 1]))
