r"""Deletion and insertion curves: what happens as pairs of edges go, or come, in the order of an attribution.

Of M pairs (i, j) in the order of :math:`|a_{ij}|`, strongest first, :math:`y_k` is the prediction without the messages
of the first k, and :math:`z_k` that with the first k of them alone; messages of pairs that are not asked about are
always there. With y the whole prediction, areas are

.. math:: \frac1M \sum_{k=1}^{M} |y - y_k| \quad\text{(deletion)}, \qquad \frac1M \sum_{k=0}^{M-1} |y - z_k|
    \quad\text{(insertion)}

each divided by that of random orders: an attribution that knows what matters has a deletion area above 1, as the
prediction changes early, and an insertion area below 1, as little is missing soon. Curves: Samek et al., IEEE Trans.
Neural Netw. 28, 2660 (2017); their use on edges, and \|y - y_k\| for what is no score of a class, are our choice.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from atomlens.analyses.faithfulness.deletion import changes, edges_of_pair
from atomlens.models import Potential
from atomlens.structures import AtomGraph

# Points of a curve, and random orders that it is compared with.
_POINTS, _ORDERS = 12, 8


def curve_areas(
    model: Potential,
    graph: AtomGraph,
    pairs: Int[np.ndarray, "M 2"],
    attributions: Mapping[str, Float[np.ndarray, " M"]],
    rng: np.random.Generator,
) -> dict[str, tuple[float, float]]:
    """Deletion and insertion area of every attribution, by those of random orders; NaN where nothing changes."""
    edges = torch.stack([edges_of_pair(graph, i, j) for i, j in pairs.tolist()])
    steps = np.unique(np.linspace(1, len(pairs), min(_POINTS, len(pairs))).round().astype(int))
    orders = {name: np.argsort(-np.abs(values), kind="stable") for name, values in attributions.items()}
    chance = [rng.permutation(len(pairs)) for _ in range(_ORDERS)]
    every = [*orders.values(), *chance]
    deleted = [part for order in every for part in _deleted(edges, order, steps)]
    size = np.abs(changes(model, graph, deleted)).reshape(len(every), 2, len(steps)).mean(axis=2)
    known, random = size[: len(orders)], size[len(orders) :].mean(axis=0)
    ratios = np.divide(known, random, out=np.full_like(known, np.nan), where=random > 0)
    return {name: (float(row[0]), float(row[1])) for name, row in zip(orders, ratios, strict=True)}


def _deleted(edges: Bool[Tensor, "M E"], order: Int[np.ndarray, " M"], steps: np.ndarray) -> list[Bool[Tensor, " E"]]:
    """Edges that are left out at every point of the deletion curve, then of the insertion curve."""
    ranked = edges[torch.from_numpy(order)]
    return [ranked[:k].any(dim=0) for k in steps] + [ranked[k - 1 :].any(dim=0) for k in steps]
