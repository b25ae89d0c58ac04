"""The contract between a model and everything after it: a prediction as a linear chain of atom states."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.chain.edges import EdgeOperator, PairIndex
from atomlens.chain.operators import AtomOperator
from atomlens.models import PairTerms


@dataclass(frozen=True)
class Layer:
    r"""One step of the chain.

    .. math:: x'_i = A_i x_i + B_i \sum_{j \in N(i)} d_{ij} K_j x_j + b_i

    Attributes
    ----------
    stay
        A_i (C to C), edges to the atom's own periodic images included.
    source
        K_j (C to M).
    edges
        d_ij (M to M').
    target
        B_i (M' to C). May be the same object as `stay`, which then costs nothing extra.
    bias
        b_i, shape (N, C).
    """

    stay: AtomOperator
    source: AtomOperator
    edges: EdgeOperator
    target: AtomOperator
    bias: Float[Tensor, "N C"]


@dataclass(frozen=True)
class Chain:
    r"""A prediction for one structure, under a rule, as a linear chain.

    .. math:: y = \sum_i r_i \cdot x^{(T)}_i + \sum_i \rho_i + \sum_{i<j} V_{ij} + c

    Attributes
    ----------
    pairs
        Directed pairs of atoms that exchange messages.
    embedding
        x[0], shape (N, C); a first layer may change the width, as PaiNN's does where vectors carry relevance.
    layers
        The T steps.
    readout
        r, shape (N, D); D is C unless layers change the width.
    readout_bias
        ρ, shape (N,): what biases inside the readout's network contribute through atom i. It depends on the
        surroundings of the atom, so it counts as relevance that enters at the last layer, not as a constant.
    constant
        c: atom references, mean, last bias of the readout.
    prediction
        y as the model itself computes it.
    long_range
        V: energies of pairs that no walk carries, for models with long-range energies. What they depend on besides the
        distance (charges, coefficients) is frozen, under every rule.
    """

    pairs: PairIndex
    embedding: Float[Tensor, "N C"]
    layers: tuple[Layer, ...]
    readout: Float[Tensor, "N D"]
    readout_bias: Float[Tensor, " N"]
    constant: float
    prediction: float
    long_range: PairTerms | None = None

    @property
    def n_atoms(self) -> int:
        """Number of atoms N."""
        return self.embedding.shape[0]

    @property
    def n_layers(self) -> int:
        """Number of layers T."""
        return len(self.layers)

    def all_atoms(self) -> Tensor:
        """Indices 0..N-1."""
        return torch.arange(self.n_atoms, device=self.embedding.device)

    def pair_blocks(self) -> tuple[Tensor, ...]:
        """Indices of all directed pairs, in blocks that bound memory."""
        return torch.arange(self.pairs.n_pairs, device=self.embedding.device).split(_PAIR_BLOCK)

    def _some(self, block: Int[Tensor, " B"]) -> Int[Tensor, " B"] | None:
        """The block, or None if it is all pairs: nothing of theirs has to be gathered then."""
        return None if len(block) == self.pairs.n_pairs else block

    def step(self, t: int, x: Float[Tensor, "N ... C"]) -> Float[Tensor, "N ... D"]:
        """Apply J[t] (all atoms, no bias): stay, plus what neighbours send. Streams over blocks of pairs.

        Several states of every atom (N, k, C) share what is gathered for them.
        """
        layer = self.layers[t]
        sent = layer.source.apply(x, None)
        gathered = None
        for pairs in self.pair_blocks():
            carried = layer.edges.apply(sent.index_select(0, self.pairs.source[pairs]), self._some(pairs))
            if gathered is None:
                gathered = carried.new_zeros(self.n_atoms, *carried.shape[1:])
            gathered.index_add_(0, self.pairs.target[pairs], carried)
        if gathered is None:
            return layer.stay.apply(x, None)
        if layer.stay is layer.target:
            return layer.stay.apply(x + gathered, None)
        return layer.stay.apply(x, None) + layer.target.apply(gathered, None)

    def step_back(self, t: int, u: Float[Tensor, "N D"]) -> Float[Tensor, "N C"]:
        """Apply J[t] transposed (all atoms)."""
        layer = self.layers[t]
        pulled = layer.target.pull(u, None)
        stay = pulled if layer.stay is layer.target else layer.stay.pull(u, None)
        gathered = None
        for pairs in self.pair_blocks():
            carried = layer.edges.pull(pulled.index_select(0, self.pairs.target[pairs]), self._some(pairs))
            if gathered is None:
                gathered = carried.new_zeros(self.n_atoms, carried.shape[1])
            gathered.index_add_(0, self.pairs.source[pairs], carried)
        return stay if gathered is None else stay + layer.source.pull(gathered, None)

    def states(self) -> list[Float[Tensor, "N _"]]:
        """States x[0], ..., x[T] of all atoms."""
        states = [self.embedding]
        for t, layer in enumerate(self.layers):
            states.append(self.step(t, states[-1]) + layer.bias)
        return states

    def sum_of_walks(self) -> float:
        """Sum over all walks, those that biases start included; costs no more than one pass."""
        return float((self.readout * self.states()[-1]).sum() + self.readout_bias.sum())

    def sum_of_pairs(self) -> float:
        """Sum over the long-range energies of all pairs, which no walk carries."""
        return 0.0 if self.long_range is None else float(self.long_range.parts.sum())

    def scaled(self, factor: float) -> Chain:
        """The same chain in another unit: everything that adds up to the prediction times `factor`."""
        return replace(
            self,
            readout=self.readout * factor,
            readout_bias=self.readout_bias * factor,
            constant=self.constant * factor,
            prediction=self.prediction * factor,
            long_range=None if self.long_range is None else self.long_range.scaled(factor),
        )

    def entering_at(self, t: int) -> Chain:
        """The chain of the walks that biases start at layer t = 1..T: (w_t, ..., w_T), no constant.

        Its embedding is b[t-1]. The readout's own bias enters with t = T.
        """
        zero = torch.zeros_like(self.readout_bias)
        return replace(
            self.without_bias(),
            embedding=self.layers[t - 1].bias,
            layers=self.without_bias().layers[t:],
            readout_bias=self.readout_bias if t == self.n_layers else zero,
            constant=0.0,
        )

    def without_bias(self) -> Chain:
        """The same chain with all biases zero and no long-range energies: only full walks remain."""
        layers = tuple(replace(layer, bias=torch.zeros_like(layer.bias)) for layer in self.layers)
        return replace(self, layers=layers, readout_bias=torch.zeros_like(self.readout_bias), long_range=None)


# Pairs per block: 1024 rows of 128 float64 channels are 1 MB and stay in cache.
_PAIR_BLOCK = 1024
