r"""Sums over all walks that stay inside a set of atoms, without listing them.

.. math:: Z(U) = \sum_{w \subseteq U} R_w

A copy of the atoms of U and of the pairs between them is pushed through the chain; many sets are done at once, side by
side in one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.chain import Chain, RecordedSums
from atomlens.relevance.steps import ragged_arange, repeat_index

# Copies of atoms in one batch; a few arrays of so many rows are in memory at once.
_BATCH = 8192


@dataclass(frozen=True)
class AtomSets:
    """Sets of atoms of any sizes, flat.

    Attributes
    ----------
    atoms
        Members of all sets, one after the other, shape (M,).
    sizes
        Number of members of every set, shape (S,).
    """

    atoms: Int[Tensor, " M"]
    sizes: Int[Tensor, " S"]

    @classmethod
    def uniform(cls, members: Int[Tensor, "S n"]) -> AtomSets:
        """Sets of one size."""
        n_sets, size = members.shape
        return cls(members.flatten(), torch.full((n_sets,), size, dtype=torch.int64, device=members.device))

    @classmethod
    def of(cls, sets: Sequence[Sequence[int]]) -> AtomSets:
        """Sets from lists of atom indices."""
        return cls(
            torch.tensor([a for s in sets for a in s], dtype=torch.int64),
            torch.tensor([len(s) for s in sets], dtype=torch.int64),
        )

    def to(self, device: torch.device) -> AtomSets:
        """The same sets on a device."""
        return AtomSets(self.atoms.to(device=device), self.sizes.to(device=device))


def restricted_sums(chain: Chain | RecordedSums, sets: AtomSets) -> Float[Tensor, " S"]:
    """Z(U) for every set U: the sum of all walks inside it, those that biases start included.

    Use ``chain.without_bias()`` for full walks alone. Cost: one pass of the chain over the members of all sets.
    """
    if isinstance(chain, RecordedSums):
        return chain.sums(sets.atoms, sets.sizes)
    sets = sets.to(chain.embedding.device)
    sums = []
    stops = sets.sizes.cumsum(0)
    batch = torch.div(stops - sets.sizes, _BATCH, rounding_mode="floor")
    first_layer = _first_layer(chain)
    last_layer = _last_layer(chain)
    for number in range(int(batch[-1]) + 1 if len(batch) else 0):
        mine = (batch == number).nonzero()[:, 0]
        if len(mine):
            low, high = int(stops[mine[0]] - sets.sizes[mine[0]]), int(stops[mine[-1]])
            part = AtomSets(sets.atoms[low:high], sets.sizes[mine])
            sums.append(_batch_sums(chain, part, first_layer, last_layer))
    return torch.cat(sums) if sums else chain.embedding.new_zeros(0)


@dataclass(frozen=True)
class _Ends:
    """What the outermost layers do to every atom, whatever set it is in."""

    stay: Tensor
    move: Tensor


def _first_layer(chain: Chain) -> _Ends | None:
    if chain.n_layers < 2:
        return None
    layer = chain.layers[0]
    stay = chain.embedding if layer.stay is layer.target else layer.stay.apply(chain.embedding, None)
    return _Ends(stay, layer.source.apply(chain.embedding, None))


def _last_layer(chain: Chain) -> _Ends | None:
    if chain.n_layers < 1:
        return None
    layer = chain.layers[-1]
    return _Ends(layer.stay.pull(chain.readout, None), layer.target.pull(chain.readout, None))


def _batch_sums(chain: Chain, sets: AtomSets, first: _Ends | None, last: _Ends | None) -> Float[Tensor, " S"]:
    atoms = sets.atoms
    set_of = repeat_index(sets.sizes)
    target, source, pair = inner_pairs(chain, sets)
    x = chain.embedding.index_select(0, atoms)
    total = (chain.readout_bias + _readout_of_bias(chain)).index_select(0, atoms)
    if last is None:
        total = total + (chain.readout.index_select(0, atoms) * x).sum(dim=1)
        return total.new_zeros(len(sets.sizes)).index_add_(0, set_of, total)
    for t, layer in enumerate(chain.layers[:-1]):
        if t == 0 and first is not None:
            sent, x = first.move.index_select(0, atoms[source]), first.stay.index_select(0, atoms)
        else:
            sent = layer.source.apply(x, atoms).index_select(0, source)
            if layer.stay is not layer.target:
                x = layer.stay.apply(x, atoms)
        carried = layer.edges.apply(sent, pair)
        gathered = carried.new_zeros(len(atoms), carried.shape[1]).index_add_(0, target, carried)
        if layer.stay is layer.target:
            x = layer.target.apply(x + gathered, atoms)
        else:
            x = x + layer.target.apply(gathered, atoms)
        x = x + layer.bias.index_select(0, atoms)
    layer = chain.layers[-1]
    total = total + (last.stay.index_select(0, atoms) * x).sum(dim=1)
    carried = layer.edges.apply(layer.source.apply(x, atoms).index_select(0, source), pair)
    total = total.index_add(0, target, (last.move.index_select(0, atoms[target]) * carried).sum(dim=1))
    return total.new_zeros(len(sets.sizes)).index_add_(0, set_of, total)


def _readout_of_bias(chain: Chain) -> Float[Tensor, " N"]:
    """What the last layer's bias adds to the prediction, atom by atom."""
    if not chain.layers:
        return torch.zeros_like(chain.readout_bias)
    return (chain.readout * chain.layers[-1].bias).sum(dim=1)


def inner_pairs(chain: Chain, sets: AtomSets) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs between members of the same set.

    Returns
    -------
    target, source
        Positions in ``sets.atoms``, shape (Q,).
    pair
        Index of the pair in the chain, shape (Q,).
    """
    set_of = repeat_index(sets.sizes)
    sizes, degrees = sets.sizes.index_select(0, set_of), chain.pairs.degrees.index_select(0, sets.atoms)
    if int(sizes.sum()) <= int(degrees.sum()):  # small sets: look every two members up
        first = (sets.sizes.cumsum(0) - sets.sizes).index_select(0, set_of)
        target = repeat_index(sizes)
        source = first[target] + ragged_arange(sizes)
        pair, exists = chain.pairs.find(sets.atoms[target], sets.atoms[source])
    else:  # large sets: look every neighbour up among the members
        target = repeat_index(degrees)
        pair = chain.pairs.starts[sets.atoms[target]] + ragged_arange(degrees)
        keys, members = (set_of * chain.n_atoms + sets.atoms).sort()
        wanted = set_of[target] * chain.n_atoms + chain.pairs.source[pair]
        where = torch.searchsorted(keys, wanted).clamp_(max=len(keys) - 1)
        source, exists = members[where], keys[where] == wanted
    return target[exists], source[exists], pair[exists]
