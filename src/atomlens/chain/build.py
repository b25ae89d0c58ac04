"""From a model and a graph to its chain."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.chain.automatic import StateFunction, automatic_chain
from atomlens.chain.chain import Chain
from atomlens.chain.edges import merge_images
from atomlens.chain.geometry import EdgeBlocks
from atomlens.chain.own import has_closed_form, potential_chain
from atomlens.chain.painn import painn_layers
from atomlens.chain.readout import freezes_weights, linear_readout, scalar_output
from atomlens.chain.rules import Published, Rule
from atomlens.chain.schnet import schnet_layers
from atomlens.chain.so3net import so3net_layers
from atomlens.models import AtomFeatures, Atomwise, EdgeFeatures, PaiNN, Potential, SchNet, edge_features
from atomlens.recording import DEFAULT_PRODUCT_RULE, check_product_rule
from atomlens.structures import AtomGraph, InputError


def _published(model: Potential) -> str:
    """Product rule that belongs to the published rule, after a check that the readout is one it knows."""
    if not isinstance(model.readout, Atomwise) or model.readout.attention is not None:
        raise InputError(
            "the rule published is for sums and means over atoms; this model's readout is "
            f"{model.config.readout.kind} ({model.config.readout.aggregation}), take gate"
        )
    return "scalar"


@dataclass(frozen=True)
class ChainBatch:
    r"""Chains of several structures side by side: the chain of :math:`\sum_g y_g`, and what belongs to which y_g.

    No pair joins two structures, so every walk, and every part of the sum but the constant, has one owner.

    Attributes
    ----------
    chain
        Its constant and prediction are the sums of those below.
    batch
        The structure g that each atom belongs to, shape (N,), in increasing order.
    constants, predictions
        c_g and y_g in the unit of the chain, float64, shape (G,).
    """

    chain: Chain
    batch: Int[Tensor, " N"]
    constants: Float[Tensor, " G"]
    predictions: Float[Tensor, " G"]

    def scaled(self, factor: float) -> ChainBatch:
        """The same chains in another unit."""
        return ChainBatch(self.chain.scaled(factor), self.batch, self.constants * factor, self.predictions * factor)


def make_chain(model: Potential, graph: AtomGraph, rule: Rule, product_rule: str = DEFAULT_PRODUCT_RULE) -> Chain:
    """Closed form of a model's chain on one structure, in the model's own unit.

    Parameters
    ----------
    model
        SchNet or PaiNN with any readout; others of ours by a recording.
    graph
        One structure (several: `make_chain_batch`), in the model's dtype.
    rule, product_rule
        How non-linear parts are made linear; SchNet has no products of signals, so both product rules agree there.

    Raises
    ------
    ValueError
        If the graph holds several structures, or the product rule is unknown.
    """
    if graph.n_graphs != 1:
        raise ValueError(f"a chain describes one structure; the graph holds {graph.n_graphs}, see make_chain_batch")
    return make_chain_batch(model, graph, rule, product_rule).chain


@torch.no_grad()
def make_chain_batch(
    model: Potential, graph: AtomGraph, rule: Rule, product_rule: str = DEFAULT_PRODUCT_RULE
) -> ChainBatch:
    """Closed forms of a model's chains on the structures of a graph (`atomlens.structures.collate`), as `make_chain`.

    Raises
    ------
    ValueError
        If the product rule is unknown, or the graph holds several structures and the model has no closed form.
    """
    check_product_rule(product_rule)
    if isinstance(rule, Published):
        product_rule = _published(model)
    if not has_closed_form(model, rule):
        chain = potential_chain(model, graph, rule, product_rule)
        constants, predictions = (graph.cells.new_tensor([v]).double() for v in (chain.constant, chain.prediction))
        return ChainBatch(chain, graph.batch, constants, predictions)
    representation = model.representation
    images = merge_images(graph.target, graph.source, graph.n_atoms)
    edges = EdgeBlocks(graph, representation.basis, representation.cutoff)
    if isinstance(representation, PaiNN) and product_rule == "full":
        edges = replace(edges, block=edges.block // 8)  # two messages of 5F channels go along every edge
    if isinstance(representation, SchNet):
        layers, features = schnet_layers(representation, edges, images, rule)
    elif isinstance(representation, PaiNN):
        layers, features = painn_layers(representation, edges, images, rule, product_rule)
    else:
        layers, features = so3net_layers(representation, edges, images)
    embedding = representation.embedding(graph.numbers).detach()
    width = layers[-1].bias.shape[1] if layers else embedding.shape[1]

    linear = linear_readout(model.readout, features, graph, rule, product_rule)
    weights = linear.weights
    if weights.shape[1] != width:  # the readout takes no vectors
        weights = torch.nn.functional.pad(weights, (0, width - weights.shape[1]))
    scale, offsets = float(model.scale), model.offset(graph).double()
    constants = scale * linear.constants.double() + offsets
    if not rule.keeps_values:
        features = representation(graph)
    predictions = scale * scalar_output(model.readout(features, graph)).double() + offsets
    long_range = model.pair_terms(features, graph)
    if long_range is not None:
        predictions = predictions + long_range.sums(graph.batch, graph.n_graphs).double()
    chain = Chain(
        pairs=images.pairs,
        embedding=embedding,
        layers=tuple(layers),
        readout=scale * weights,
        readout_bias=scale * linear.bias,
        constant=float(constants.sum()),
        prediction=float(predictions.sum()),
        long_range=long_range,
    )
    return ChainBatch(chain, graph.batch, constants, predictions)


def layer_functions(model: Potential, graph: AtomGraph, product_rule: str) -> tuple[list[StateFunction], Tensor]:
    """A model's layers as functions of atom states, for `automatic_chain`, and the states before the first."""
    representation = model.representation
    with torch.no_grad():
        edges = edge_features(graph, representation.basis, representation.cutoff)
        x = representation.embedding(graph.numbers)
    if isinstance(representation, SchNet):
        return [lambda s, layer=layer: layer(s, edges) for layer in representation.layers], x
    if not isinstance(representation, PaiNN):
        raise TypeError(f"layers of {type(representation).__name__} are no functions of one tensor")
    functions: list[StateFunction] = []
    if product_rule == "full":
        functions += [
            lambda s, t=t: _vector_step(representation, t, s, edges) for t in range(len(representation.mixings))
        ]
        return functions, x
    q, mu = x, x.new_zeros(len(x), 3, x.shape[1])
    with torch.no_grad():
        for t, (interaction, mixing) in enumerate(
            zip(representation.interactions, representation.mixings, strict=True)
        ):
            filters = representation.filters(t, edges)
            after_q, after_mu = interaction(q, mu, filters, edges)
            functions.append(
                lambda s, i=interaction, m=mixing, before=mu, after=after_mu, w=filters: m(
                    i(s, before, w, edges)[0], after
                )[0]
            )
            q, mu = mixing(after_q, after_mu)
    return functions, x


def _vector_step(model: PaiNN, t: int, state: Tensor, edges: EdgeFeatures) -> Tensor:
    if t == 0:  # vectors start at zero
        state = torch.cat([state, *[torch.zeros_like(state)] * 3], dim=1)
    q, mu = state.unflatten(1, (4, -1)).split([1, 3], dim=1)
    q, mu = model.interactions[t](q[:, 0], mu, model.filters(t, edges), edges)
    q, mu = model.mixings[t](q, mu)
    return torch.cat([q[:, None], mu], dim=1).flatten(1)


def make_automatic_chain(
    model: Potential, graph: AtomGraph, rule: Rule, product_rule: str = DEFAULT_PRODUCT_RULE
) -> Chain:
    """The same chain as `make_chain`, by automatic differentiation; the check of the closed forms.

    Readout biases are part of its constant.
    """
    check_product_rule(product_rule)
    if not rule.keeps_values:
        raise ValueError(f"the rule {rule.name} changes values; automatic differentiation knows rules that keep them")
    functions, embedding = layer_functions(model, graph, product_rule)
    with torch.no_grad():
        features = model.representation(graph)
    width = features.scalars.shape[1]
    scale, offset = float(model.scale), float(model.offset(graph)[0])

    weights = None
    if isinstance(model.readout, Atomwise) and model.readout.attention is not None and freezes_weights(rule):
        with torch.no_grad():
            weights = model.readout.weights(features, graph)

    def readout(state: Tensor) -> Tensor:
        if isinstance(model.readout, Atomwise) and weights is not None:
            return scale * (weights * model.readout.network(state[:, :width])[:, 0]).sum()
        vectors = features.vectors
        if product_rule == "full" and vectors is not None:
            vectors = state[:, width:].unflatten(1, (3, -1))
        return scale * scalar_output(model.readout(AtomFeatures(state[:, :width], vectors), graph)).sum()

    pairs = merge_images(graph.target, graph.source, graph.n_atoms).pairs
    chain = automatic_chain(functions, embedding, readout, pairs, rule, constant=offset)
    with torch.no_grad():
        chain = replace(chain, long_range=model.pair_terms(features, graph))
    return replace(chain, prediction=chain.prediction + chain.sum_of_pairs())
