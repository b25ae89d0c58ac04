"""Linear form of a readout at given atom features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from atomlens.chain.automatic import relevance_mode
from atomlens.chain.rules import Affine, Gradient, Rule
from atomlens.models import AtomFeatures
from atomlens.models.readouts import AtomNetwork, Atomwise, Dipole
from atomlens.structures import AtomGraph


@dataclass(frozen=True)
class LinearReadout:
    """A readout as Σ_i r_i·x_i + Σ_i ρ_i + constant; r (N, C), ρ (N,)."""

    weights: Float[Tensor, "N C"]
    bias: Float[Tensor, " N"]
    constant: float


def scalar_output(y: Tensor) -> Tensor:
    """The number (G,) that is explained: a scalar itself, the norm of a vector, the mean diagonal of a tensor."""
    if y.dim() == 1:
        return y
    if y.dim() == 2:
        return torch.linalg.vector_norm(y, dim=1)
    return torch.diagonal(y, dim1=-2, dim2=-1).mean(-1)


def holds_weights(rule: Rule) -> bool:
    """Whether weights that a softmax spreads over the atoms are held, as attention is in arXiv:2202.07304."""
    return not isinstance(rule, Gradient)


def linear_readout(
    readout: nn.Module, features: AtomFeatures, graph: AtomGraph, rule: Rule, product_rule: str
) -> LinearReadout:
    """Linearise a readout under a rule.

    Networks on scalars (`Atomwise`, `Dipole` without vectors) have a closed form: their hidden biases become ρ,
    the last bias is a constant. Any other readout is differentiated under the rule, and what its biases
    contribute is part of the constant. Softmax weights of the atoms are held, but differentiated by `Gradient`.
    """
    if isinstance(readout, Atomwise) and (readout.attention is None or holds_weights(rule)):
        return _network(readout.network, features, readout.weights(features, graph), rule)
    if isinstance(readout, Dipole) and isinstance(readout.network, AtomNetwork):
        return _network(readout.network, features, _dipole_weights(readout, readout.network, features, graph), rule)
    return _differentiated(readout, features, graph, rule, product_rule)


def _network(network: AtomNetwork, features: AtomFeatures, shares: Float[Tensor, " N"], rule: Rule) -> LinearReadout:
    """Σ_i share_i net(x_i), the shares held fixed."""
    x = features.scalars
    atoms = torch.arange(len(x), device=x.device)
    *hidden, last = network.layers
    affine: Affine | None = None
    for layer in hidden:
        y = layer(x)
        step = rule.linear(layer.weight, layer.bias, x).then(rule.activation(network.activation, y))
        affine = step if affine is None else affine.then(step)
        x = network.activation(y)
    final = rule.linear(last.weight, last.bias, x)
    whole = final if affine is None else affine.then(final)
    weights = whole.operator.pull(shares[:, None], atoms)
    # Under LRP-γ the held offset of the last layer varies with the surroundings; its bias itself does not.
    bias = shares * (whole.bias - last.bias)[:, 0]
    constant = float((shares * last.bias).sum())
    return LinearReadout(weights, bias, constant)


def _dipole_weights(
    readout: Dipole, network: AtomNetwork, features: AtomFeatures, graph: AtomGraph
) -> Float[Tensor, " N"]:
    """Weight of each latent charge in |μ|, the direction of μ held fixed."""
    charges = network(features.scalars)
    positions = graph.positions
    if readout.config.correct_charges:
        charges = charges - charges.mean(dim=0)
        positions = positions - positions.mean(dim=0)
    dipole = (charges * positions).sum(dim=0)
    norm = torch.linalg.vector_norm(dipole)
    return positions @ (dipole / torch.where(norm == 0, 1.0, norm))


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
    with torch.enable_grad(), relevance_mode(rule, *inputs):
        y = scalar_output(readout(AtomFeatures(scalars, vectors), graph))
        # A readout of scalars alone leaves the vectors unused.
        gradients = torch.autograd.grad(y.sum(), inputs, materialize_grads=True)
    weights = torch.cat([gradients[0], *(g.flatten(1) for g in gradients[1:])], dim=1)
    states = torch.cat([scalars, *(v.flatten(1) for v in inputs[1:])], dim=1).detach()
    return LinearReadout(weights, torch.zeros_like(weights[:, 0]), float(y.detach().sum() - (weights * states).sum()))
