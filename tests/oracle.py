r"""Walk relevances by brute force, as the literature does it: one masked forward and one backward pass per walk.

Nothing here uses `atomlens.chain`. Two oracles, from the letter to the whole:

- `published_walk` runs the model's own modules with their activations replaced by the quotient trick,
  act(y) = y (act(y)/y).detach(), and vectors detached after every interaction: the program of Schnake et al.
  (arXiv:2006.03589) as used on PaiNN. Rule ``gate``, product rule ``scalar``, full walks only.
- `Oracle` writes the forward pass out, with every rule of atomlens in it, and multiplies what no signal carries
  (biases, offsets, remainders) by a leaf of value one, so that the same backward pass gives bias walks. That its
  forward pass is the model's is checked, not assumed.

A walk keeps, after every layer, the signal of its own atom and detaches all others: x*mask + (1 - mask)*x.detach().
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from atomlens.models import Potential, SchNet
from atomlens.models.features import edge_features
from atomlens.structures import AtomGraph


def keep(x: Tensor, atom: int | None) -> Tensor:
    """Let the signal of one atom through; of all where `atom` is None."""
    if atom is None:
        return x
    mask = torch.zeros(len(x), *[1] * (x.dim() - 1), dtype=x.dtype)
    mask[atom] = 1.0
    return x * mask + (1 - mask) * x.detach()


def all_sequences(graph: AtomGraph, n_atoms: int) -> list[tuple[int, ...]]:
    """Every walk of so many atoms that stays or follows an edge."""
    near = [{i} for i in range(graph.n_atoms)]
    for i, j in zip(graph.target.tolist(), graph.source.tolist(), strict=True):
        near[j].add(i)
    walks = [(i,) for i in range(graph.n_atoms)]
    for _ in range(n_atoms - 1):
        walks = [(*walk, there) for walk in walks for there in sorted(near[walk[-1]])]
    return walks


@contextmanager
def held_activations(model: nn.Module) -> Iterator[None]:
    """Replace every activation by the quotient trick; put back on leaving."""
    found = [(m, m.activation) for m in model.modules() if callable(getattr(m, "activation", None))]

    def held(act: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda y: y * (act(y) / y).detach()

    try:
        for module, act in found:
            module.activation = held(act)
        yield
    finally:
        for module, act in found:
            module.activation = act


def published_walk(model: Potential, graph: AtomGraph, walk: tuple[int, ...]) -> float:
    """R of one full walk, rule gate, vectors detached, in the model's own unit."""
    representation = model.representation
    with held_activations(model):
        with torch.no_grad():
            edges = edge_features(graph, representation.basis, representation.cutoff)
        x = leaf = representation.embedding(graph.numbers).detach().requires_grad_()
        if isinstance(representation, SchNet):
            for layer, atom in zip(representation.layers, walk[1:], strict=True):
                x = keep(layer(x, edges), atom)
        else:
            mu = x.new_zeros(len(x), 3, x.shape[1])
            for t, atom in enumerate(walk[1:]):
                x, mu = representation.interactions[t](x, mu, representation.filters(t, edges), edges)
                x, mu = representation.mixings[t](x, mu.detach())
                x = keep(x, atom)
        y = model.scale * model.readout.network(x).sum()
        (gradient,) = torch.autograd.grad(y, leaf)
    return float((gradient[walk[0]] * leaf[walk[0]].detach()).sum())


@dataclass(frozen=True)
class Held:
    """The rules of `atomlens.chain.rules`, from their formulas; `s` multiplies what no signal carries."""

    rule: str
    gamma: float = 0.25

    def activation(self, f: Callable[[Tensor], Tensor], y: Tensor, s: Tensor) -> Tensor:
        if self.rule == "gradient":
            at = y.detach().requires_grad_()
            (slope,) = torch.autograd.grad(f(at).sum(), at)
            return slope * y + (f(y) - slope * y).detach() * s
        zero = f(torch.zeros((), dtype=y.dtype))
        return y * ((f(y) - zero) / y).detach() + zero * s

    def linear(self, layer: nn.Linear, x: Tensor, s: Tensor) -> Tensor:
        bias = torch.zeros(layer.out_features, dtype=x.dtype) if layer.bias is None else layer.bias
        if self.rule != "gamma":
            return x @ layer.weight.T + bias * s
        terms = torch.cat([x[..., None, :] * layer.weight, (bias * s)[None, :, None].expand(len(x), -1, 1)], dim=-1)
        z = terms.sum(-1, keepdim=True).detach()
        strengthened = terms * (1 + self.gamma * (terms.detach() * z > 0).to(x.dtype))
        p = strengthened.sum(-1)
        return p * (z[..., 0] / p).detach()

    def product(self, a: Tensor, b: Tensor, s: Tensor) -> Tensor:
        if self.rule == "gradient":
            return a.detach() * b + a * b.detach() - (a * b).detach() * s
        return 0.5 * (a.detach() * b + a * b.detach())


class Oracle:
    """Masked forward passes of one model on one structure under one rule."""

    def __init__(self, model: Potential, graph: AtomGraph, rule: str, product_rule: str, gamma: float = 0.25) -> None:
        self.model, self.graph, self.held = model, graph, Held(rule, gamma)
        self.full = product_rule == "full"
        self.representation = model.representation
        self.n_layers = model.config.representation.n_layers
        self.edges = edge_features(graph, self.representation.basis, self.representation.cutoff)
        self._arrived: dict[tuple[int, ...], Tensor] = {}

    def value(self, x: Tensor, atoms: dict[int, int], leaves: dict[int, Tensor]) -> Tensor:
        """Output before scale and references; state t keeps ``atoms[t]``, offsets of layer t-1 carry ``leaves[t]``."""
        one = torch.ones((), dtype=x.dtype)
        mu = x.new_zeros(len(x), 3, x.shape[1])
        step = self._schnet if isinstance(self.representation, SchNet) else self._painn
        for t in range(self.n_layers):
            x, mu = step(t, x, mu, leaves.get(t + 1, one))
            x, mu = keep(x, atoms.get(t + 1)), keep(mu, atoms.get(t + 1))
        y = self._readout(x, leaves.get(self.n_layers, one))
        return y.sum() if self.n_layers not in atoms else keep(y, atoms[self.n_layers]).sum()

    def _schnet(self, t: int, x: Tensor, mu: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        layer, h, e = self.representation.layers[t], self.held, self.edges
        sent = h.linear(layer.source, x, s)[e.source] * layer.filters(e)
        gathered = sent.new_zeros(len(x), sent.shape[1]).index_add(0, e.target, sent)
        y = h.linear(layer.update_in, gathered, s)
        return x + h.linear(layer.update_out, h.activation(layer.activation, y, s), s), mu

    def _painn(self, t: int, q: Tensor, mu: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        inter, mixing = self.representation.interactions[t], self.representation.mixings[t]
        h, e = self.held, self.edges
        c = h.linear(inter.context_out, h.activation(inter.activation, h.linear(inter.context_in, q, s), s), s)
        w_s, w_r, w_v = self.representation.filters(t, e).chunk(3, dim=-1)
        c_s, c_r, c_v = c.chunk(3, dim=-1)
        q = q.index_add(0, e.target, w_s * c_s[e.source])
        carried = h.product(c_v[:, None], mu, s)[e.source] * w_v[:, None]
        mu = mu.index_add(0, e.target, (w_r * c_r[e.source])[:, None] * e.directions[:, :, None] + carried)
        if not self.full:
            mu = mu.detach()
        v, w = (mu @ mixing.vector_mix.weight.T).chunk(2, dim=-1)
        if self.full:
            norm = h.activation(torch.sqrt, h.product(v, v, s).sum(1) + mixing.epsilon * s, s)
            dot = h.product(v, w, s).sum(1)
        else:
            norm, dot = torch.sqrt((v * v).sum(1) + mixing.epsilon) * s, (v * w).sum(1)
        y = h.linear(mixing.context_in, torch.cat([q, norm], dim=1), s)
        a, b, e_gate = h.linear(mixing.context_out, h.activation(mixing.activation, y, s), s).chunk(3, dim=-1)
        if self.full:
            return q + a + h.product(e_gate, dot, s), mu + h.product(b[:, None], w, s)
        return q + a + e_gate * dot, mu + b[:, None] * w

    def _readout(self, x: Tensor, s: Tensor) -> Tensor:
        network = self.model.readout.network
        for layer in network.layers[:-1]:
            x = self.held.activation(network.activation, self.held.linear(layer, x, s), s)
        y = self.held.linear(network.layers[-1], x, s)[:, 0]
        return y / len(y) if self.model.config.readout.aggregation == "avg" else y

    def embedding(self) -> Tensor:
        return self.representation.embedding(self.graph.numbers).detach()

    def full_walk(self, walk: tuple[int, ...]) -> float:
        """R of (w_0, ..., w_T). Nothing is masked before the first layer, so one pass serves walks from all atoms."""
        if walk[1:] not in self._arrived:
            x = self.embedding().requires_grad_()
            y = self.value(x, dict(enumerate(walk[1:], start=1)), {})
            (gradient,) = torch.autograd.grad(self.model.scale * y, x)
            self._arrived[walk[1:]] = (gradient * x.detach()).sum(1)
        return float(self._arrived[walk[1:]][walk[0]])

    def bias_walk(self, walk: tuple[int, ...]) -> float:
        """R of (w_t, ..., w_T): what offsets of layer t-1 bring to atom w_t, and that atom passes on along the walk.

        With t = T the readout's offsets at that atom belong to it too, except its last bias, which is a constant.
        """
        entry = self.n_layers + 1 - len(walk)
        s = torch.ones((), dtype=torch.float64, requires_grad=True)
        y = self.value(self.embedding(), dict(enumerate(walk, start=entry)), {entry: s})
        (gradient,) = torch.autograd.grad(self.model.scale * y, s)
        return float(gradient - (self.constant() / self.graph.n_atoms if entry == self.n_layers else 0.0))

    def constant(self) -> float:
        """What the readout's last bias adds, all atoms together."""
        bias = float(self.model.scale * self.model.readout.network.layers[-1].bias[0])
        return bias if self.model.config.readout.aggregation == "avg" else bias * self.graph.n_atoms
