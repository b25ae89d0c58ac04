"""Linear form of a readout at given atom features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from atomlens.chain.rules import Affine, Gradient, Rule
from atomlens.models import AtomFeatures, AtomNetwork, Atomwise, Dipole, sum_edges
from atomlens.recording import under_rule
from atomlens.structures import AtomGraph


@dataclass(frozen=True)
class LinearReadout:
    """A readout as Σ_i r_i·x_i + Σ_i ρ_i + constant, structure by structure; r (N, C), ρ (N,), constants (G,)."""

    weights: Float[Tensor, "N C"]
    bias: Float[Tensor, " N"]
    constants: Float[Tensor, " G"]


def scalar_output(y: Tensor) -> Tensor:
    """The number (G,) that is explained: a scalar itself, the norm of a vector, the mean diagonal of a tensor."""
    if y.dim() == 1:
        return y
    if y.dim() == 2:
        return torch.linalg.vector_norm(y, dim=1)
    return torch.diagonal(y, dim1=-2, dim2=-1).mean(-1)


def freezes_weights(rule: Rule) -> bool:
    """Whether weights that a softmax spreads over the atoms are frozen, as attention is in arXiv:2202.07304."""
    return not isinstance(rule, Gradient)


def _has_closed_form(readout: nn.Module, rule: Rule) -> bool:
    if isinstance(readout, Atomwise):
        return readout.attention is None or freezes_weights(rule)
    return isinstance(readout, Dipole) and isinstance(readout.network, AtomNetwork)


def constant_meaning(readout: nn.Module, rule: Rule, product_rule: str) -> str:
    """What the constant part of an explanation holds; for readouts without a closed form it is more than references."""
    always = "reference values, shift, "
    if _has_closed_form(readout, rule):
        return always + "and the last bias of the readout"
    if isinstance(readout, Atomwise):
        return always + "and what the tangents of the readout leave over"
    if product_rule == "full":
        return always + "and what the biases of the readout add"
    return (
        always + "what the biases of the readout add, and all that vector features bring into the readout, which the "
        "product rule scalar holds fixed (full assigns it to atoms)"
    )


def linear_readout(
    readout: nn.Module, features: AtomFeatures, graph: AtomGraph, rule: Rule, product_rule: str
) -> LinearReadout:
    """Linearise a readout under a rule.

    Networks on scalars (`Atomwise`, `Dipole` without vectors) have a closed form: their hidden biases become ρ,
    the last bias is a constant. Any other readout is differentiated under the rule; the constant then holds what
    `constant_meaning` says. Softmax weights of the atoms are frozen, but differentiated by `Gradient`.
    """
    if not _has_closed_form(readout, rule):
        return _differentiated(readout, features, graph, rule, product_rule)
    if isinstance(readout, Atomwise):
        return _network(readout.network, features, graph, readout.weights(features, graph), rule)
    if isinstance(readout, Dipole) and isinstance(readout.network, AtomNetwork):
        shares = _dipole_weights(readout, readout.network, features, graph)
        return _network(readout.network, features, graph, shares, rule)
    raise TypeError(f"no closed form for {type(readout).__name__}")


def _network(
    network: AtomNetwork, features: AtomFeatures, graph: AtomGraph, shares: Float[Tensor, " N"], rule: Rule
) -> LinearReadout:
    """Σ_i share_i net(x_i), the shares frozen."""
    x = features.scalars
    atoms = torch.arange(len(x), device=x.device)
    *hidden, last = network.layers
    affine: Affine | None = None
    for layer in hidden:
        step, x = rule.dense(layer, network.activation, x)
        affine = step if affine is None else affine.then(step)
    final = rule.linear(last.weight, last.bias, x)
    whole = final if affine is None else affine.then(final)
    weights = whole.operator.pull(shares[:, None], atoms)
    # Under LRP-γ the frozen offset of the last layer varies with the surroundings; its bias itself does not.
    bias = shares * (whole.bias - last.bias)[:, 0]
    return LinearReadout(weights, bias, sum_edges(shares * last.bias, graph.batch, graph.n_graphs))


def _dipole_weights(
    readout: Dipole, network: AtomNetwork, features: AtomFeatures, graph: AtomGraph
) -> Float[Tensor, " N"]:
    """Weight of each latent charge in |μ|, the direction of μ frozen."""
    charges = network(features.scalars)
    positions = graph.positions
    if readout.config.correct_charges:
        charges = charges - _means(charges, graph)
        positions = positions - _means(positions, graph)
    dipoles = sum_edges(charges * positions, graph.batch, graph.n_graphs)
    norms = torch.linalg.vector_norm(dipoles, dim=1, keepdim=True)
    # Where charges cancel by symmetry, what is left is rounding and has no direction.
    largest = sum_edges((charges * positions).abs(), graph.batch, graph.n_graphs).amax(1, keepdim=True)
    nothing = norms <= 16 * torch.finfo(norms.dtype).eps * largest
    directions = torch.where(nothing, 0.0, dipoles / torch.where(norms == 0, 1.0, norms))
    return (positions * directions[graph.batch]).sum(dim=1)


def _means(per_atom: Float[Tensor, "N k"], graph: AtomGraph) -> Float[Tensor, "N k"]:
    """Mean over each atom's structure."""
    return (sum_edges(per_atom, graph.batch, graph.n_graphs) / graph.sizes[:, None])[graph.batch]


def _differentiated(
    readout: nn.Module, features: AtomFeatures, graph: AtomGraph, rule: Rule, product_rule: str
) -> LinearReadout:
    scalars = features.scalars.detach().clone().requires_grad_()
    vectors = features.vectors
    inputs = [scalars]
    if vectors is not None:
        vectors = vectors.detach().clone()
        if product_rule == "full":
            inputs.append(vectors.requires_grad_())

    def output(*signals: Tensor) -> Tensor:
        return scalar_output(readout(AtomFeatures(signals[0], signals[1] if len(signals) > 1 else vectors), graph))

    with torch.enable_grad():
        y = under_rule(rule, output, *inputs)
        # A readout of scalars alone leaves the vectors unused.
        gradients = torch.autograd.grad(y.sum(), inputs, materialize_grads=True)
    weights = torch.cat([gradients[0], *(g.flatten(1) for g in gradients[1:])], dim=1)
    states = torch.cat([scalars, *(v.flatten(1) for v in inputs[1:])], dim=1).detach()
    constants = y.detach() - sum_edges((weights * states).sum(1), graph.batch, graph.n_graphs)
    return LinearReadout(weights, torch.zeros_like(weights[:, 0]), constants)
