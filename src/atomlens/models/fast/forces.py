r"""Gradients of a model's output by positions without autograd, where the model is one whose way back is written out.

PaiNN and SchNet with SiLU or (shifted) softplus, read out as a sum or mean over atoms. Everything else, and
derivatives by weights, cells or of second order, is autograd's.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from atomlens.models.activations import activation_by_name
from atomlens.models.fast.painn_reverse import painn_pass
from atomlens.models.fast.pairs import PairFeatures, pair_ends
from atomlens.models.fast.reverse import has_slope, network, of_distances
from atomlens.models.fast.schnet_reverse import schnet_pass
from atomlens.models.painn import PaiNN
from atomlens.models.readouts import Atomwise
from atomlens.models.schnet import SchNet
from atomlens.structures import AtomGraph


def is_written_out(representation: nn.Module, readout: nn.Module) -> bool:
    """Whether `energy_gradient` knows the way back of a model."""
    # Exactly these: what is derived from them may do something else.
    if type(representation) not in (PaiNN, SchNet) or type(readout) is not Atomwise:
        return False
    assert isinstance(representation, PaiNN | SchNet)
    inner = activation_by_name(representation.config.activation)
    return readout.attention is None and has_slope(inner) and has_slope(readout.network.activation)


def energy_gradient(
    representation: nn.Module, readout: nn.Module, graph: AtomGraph
) -> tuple[Float[Tensor, " G"], Float[Tensor, "N 3"]]:
    r"""Output of a model and the gradient of its sum by positions.

    With :math:`d = |r|,\ \hat r = r/d` of a pair, and derivatives of the output by basis functions, cutoff function and
    directions,

    .. math:: \frac{\partial E}{\partial r} = \Big(\sum_k \frac{\partial E}{\partial e_k} e_k'(d)
        + \frac{\partial E}{\partial f_c} f_c'(d)\Big)\,\hat r
        + \frac1d\,\big(1 - \hat r \hat r^T\big)\,\frac{\partial E}{\partial \hat r}

    is added to the source and taken from the target. Two ways of a pair have opposite directions.
    """
    assert isinstance(representation, PaiNN | SchNet), "ask is_written_out first"
    assert isinstance(readout, Atomwise), "ask is_written_out first"
    with torch.no_grad():
        target, source, vectors = pair_ends(graph)
        distances = torch.linalg.vector_norm(vectors, dim=1)
        units = vectors / distances[:, None]
        directions = units[None] if len(target) == 1 else torch.stack([units, -units])
    radial, pull_radial = of_distances(representation.basis, distances)
    envelope, pull_envelope = of_distances(representation.cutoff, distances)
    pairs = PairFeatures(target, source, radial, envelope, directions)

    def read(q: Tensor) -> tuple[Tensor, Tensor]:
        layers = tuple(readout.network.layers)
        y, pull = network(layers, readout.network.activation, q)
        total = y.new_zeros(graph.n_graphs).index_add_(0, graph.batch, y[:, 0])
        seed = torch.zeros_like(y)
        seed[:, 0] = 1.0
        if readout.config.aggregation == "avg":
            sizes = graph.sizes
            total = total / sizes
            seed[:, 0] /= sizes[graph.batch]
        return total, pull(seed)

    with torch.inference_mode():
        if isinstance(representation, PaiNN):
            y, found = painn_pass(representation, graph.numbers, pairs, read)
        else:
            y, found = schnet_pass(representation, graph.numbers, pairs, read)
    with torch.no_grad():
        slope = pull_radial(found.radial) + pull_envelope(found.envelope)
        gradient = units * slope[:, None]
        if found.directions is not None:
            turn = found.directions[0] if len(target) == 1 else found.directions[0] - found.directions[1]
            across = turn - units * (units * turn).sum(1, keepdim=True)
            gradient.addcdiv_(across, distances[:, None])
        by_positions = torch.zeros_like(graph.positions)
        by_positions.index_add_(0, source[0], gradient).index_add_(0, target[0], gradient, alpha=-1)
    # A copy: what inference mode made could take no part in autograd later.
    return y.clone(), by_positions
