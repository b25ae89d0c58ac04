"""Pieces of a recording as the operators of a chain's layer: executed on rows, and pulled back by autograd."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.chain.edges import EdgeOperator, Images
from atomlens.chain.operators import AtomOperator, Atoms
from atomlens.recording import Layers, LocalRows
from atomlens.structures import InputError


@dataclass(frozen=True)
class Packing:
    """Values of several nodes side by side as one vector per row; frozen entries are left out.

    Attributes
    ----------
    nodes, shapes
        The nodes, and the shape of one row of each.
    columns
        Entries of the whole vector that carry relevance; None for all.
    """

    nodes: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    columns: Int[Tensor, " C"] | None

    @classmethod
    def of(cls, layers: Layers, nodes: Sequence[int]) -> Packing:
        """Packing of nodes whose rows come first."""
        shapes, masks, any_frozen = [], [], False
        for node in nodes:
            layout, value = layers.rows.nodes[node], layers.trace.nodes[node].value
            if layout is None or layout.dim != 0:
                raise InputError(
                    f"this model has no walks: its states have shape {tuple(value.shape)}, the rows not first"
                )
            shape = (layout.width, *value.shape[1:])
            mask = layers.linear.masks.get(node)
            ones = torch.ones(shape, dtype=torch.bool, device=layers.trace.value.device)
            masks.append((ones if mask is None else ones & (mask != 0)).flatten())
            any_frozen |= mask is not None
            shapes.append(shape)
        columns = torch.cat(masks).nonzero()[:, 0] if any_frozen else None
        return cls(tuple(nodes), tuple(shapes), columns)

    @property
    def full_width(self) -> int:
        """Entries with the frozen ones."""
        return sum(math.prod(shape) for shape in self.shapes)

    @property
    def width(self) -> int:
        """Entries that carry relevance."""
        return self.full_width if self.columns is None else len(self.columns)

    def pack(self, values: dict[int, Tensor]) -> Float[Tensor, "B C"]:
        """Values by node as vectors."""
        parts = [values[n].reshape(-1, math.prod(shape)) for n, shape in zip(self.nodes, self.shapes, strict=True)]
        whole = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        return whole if self.columns is None else whole.index_select(1, self.columns)

    def unpack(self, x: Float[Tensor, "B C"]) -> dict[int, Tensor]:
        """Vectors as values by node."""
        if self.columns is not None:
            x = x.new_zeros(x.shape[0], self.full_width).index_copy(1, self.columns, x)
        parts = x.split([math.prod(shape) for shape in self.shapes], dim=1)
        return {
            node: part.reshape(x.shape[0] * shape[0], *shape[1:])
            for node, shape, part in zip(self.nodes, self.shapes, parts, strict=True)
        }


def _pulled(operator: AtomOperator | EdgeOperator, n_inputs: int, u: Tensor, rows: Tensor | None) -> Tensor:
    """Transposed map, by the derivative of the map."""
    with torch.enable_grad():
        x = u.new_zeros(*u.shape[:-1], n_inputs).requires_grad_()
        y = operator.apply(x, rows)
        (pulled,) = torch.autograd.grad(y, x, u, materialize_grads=True) if y.requires_grad else (torch.zeros_like(x),)
    return pulled


def _flat(x: Tensor, rows: Tensor | None, n_rows: int) -> tuple[Tensor, Tensor]:
    """Vectors (B, ..., C) as (B', C), with the row of each."""
    if rows is None:
        rows = torch.arange(n_rows, device=x.device)
    if x.dim() > 2:
        rows = rows.repeat_interleave(x[0, ..., 0].numel())
    return x.reshape(-1, x.shape[-1]), rows


class Piece(AtomOperator):
    """A part of the recording that stays on one atom."""

    def __init__(self, layers: Layers, inputs: Packing, outputs: Packing, schedule: list[int]) -> None:
        self.layers, self.inputs, self.outputs, self.schedule = layers, inputs, outputs, schedule

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Execute on the rows of the atoms."""
        flat, rows = _flat(x, atoms, self.layers.inputs.n_atoms)
        local = LocalRows(self.layers.trace, self.layers.rows, {"atoms": rows}, {})
        images = self.layers.linear.run(self.inputs.unpack(flat), self.outputs.nodes, local, self.schedule)
        packed = self.outputs.pack(dict(zip(self.outputs.nodes, images, strict=True)))
        return packed.reshape(*x.shape[:-1], packed.shape[-1])

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Derivative of what `apply` does."""
        return _pulled(self, self.inputs.width, u, atoms)


class SentBack(AtomOperator):
    """From what arrived at an atom to its next state.

    Parameters
    ----------
    summands
        For every sum of messages the node whose rows it adds up.
    """

    def __init__(
        self, layers: Layers, inputs: Packing, outputs: Packing, summands: dict[int, int], schedule: list[int]
    ) -> None:
        self.layers, self.inputs, self.outputs, self.schedule = layers, inputs, outputs, schedule
        self.summands = summands

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Execute on the rows of the atoms."""
        flat, rows = _flat(x, atoms, self.layers.inputs.n_atoms)
        local = LocalRows(self.layers.trace, self.layers.rows, {"atoms": rows}, {})
        arrived = self.inputs.unpack(flat)
        added = {}
        for n, summand in self.summands.items():
            alpha = self.layers.trace.nodes[n].kwargs.get("alpha", 1)
            added[n] = arrived[summand].reshape(tuple(local.shape(n))) * alpha
        images = self.layers.linear.run({}, self.outputs.nodes, local, self.schedule, added)
        packed = self.outputs.pack(dict(zip(self.outputs.nodes, images, strict=True)))
        return packed.reshape(*x.shape[:-1], packed.shape[-1])

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Derivative of what `apply` does."""
        return _pulled(self, self.inputs.width, u, atoms)


class EdgePiece(EdgeOperator):
    """The part of the recording that runs along edges; images of one pair of atoms add up.

    Parameters
    ----------
    readers
        Nodes that copy states of atoms to edges, and the node that each copies.
    """

    def __init__(
        self,
        layers: Layers,
        inputs: Packing,
        outputs: Packing,
        readers: dict[int, int],
        schedule: list[int],
        images: Images,
    ) -> None:
        self.layers, self.inputs, self.outputs, self.schedule = layers, inputs, outputs, schedule
        self.readers, self.images = readers, images

    def along(self, m: Float[Tensor, "B M"], edges: Int[Tensor, " B"]) -> Float[Tensor, "B O"]:
        """Carry messages along single edges."""
        local = LocalRows(self.layers.trace, self.layers.rows, {"edges": edges}, {})
        sent = self.inputs.unpack(m)
        given = {reader: sent[node] for reader, node in self.readers.items()}
        images = self.layers.linear.run(given, self.outputs.nodes, local, self.schedule)
        return self.outputs.pack(dict(zip(self.outputs.nodes, images, strict=True)))

    @cached_property
    def _edges_of_pairs(self) -> tuple[Tensor, Tensor, Tensor]:
        """Edges sorted by pair, first edge of every pair, and their number."""
        pair_of_edge = self.images.pair_of_edge
        assert pair_of_edge is not None
        counts = torch.bincount(pair_of_edge[pair_of_edge >= 0], minlength=self.images.pairs.n_pairs)
        order = torch.argsort(pair_of_edge, stable=True)[int((pair_of_edge < 0).sum()) :]
        return order, counts.cumsum(0) - counts, counts

    def _spread(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Every edge of the pairs, and which of the given pairs it belongs to."""
        order, starts, counts = self._edges_of_pairs
        counts = counts[pairs]
        owner = torch.repeat_interleave(counts)
        first = (starts[pairs] - (counts.cumsum(0) - counts))[owner]
        return order[first + torch.arange(len(owner), device=pairs.device)], owner

    def apply(self, m: Tensor, edges: Atoms) -> Tensor:
        """Carry messages from source to target, along all images of a pair."""
        flat, pairs = _flat(m, edges, self.images.pairs.n_pairs)
        if self.images.pair_of_edge is None:
            carried = self.along(flat, pairs)
        else:
            each, owner = self._spread(pairs)
            along = self.along(flat.index_select(0, owner), each)
            carried = along.new_zeros(len(flat), along.shape[1]).index_add(0, owner, along)
        return carried.reshape(*m.shape[:-1], carried.shape[-1])

    def pull(self, u: Tensor, edges: Atoms) -> Tensor:
        """Derivative of what `apply` does."""
        return _pulled(self, self.inputs.width, u, edges)

    @torch.no_grad()
    def norms(self) -> Float[Tensor, " E"]:
        """Bound of the spectral norm: Frobenius norm of the strongest block of channels that mix with no others.

        Which channels mix is seen on a few edges. All blocks are probed at once, one channel of each at a time, and a
        random vector checks that nothing else mixes; if it does, every channel is probed alone.
        """
        # Only recordings need them, and all of SciPy takes half a second to load.
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        n_pairs, width = self.images.pairs.n_pairs, self.inputs.width
        like = self.layers.trace.value
        if not n_pairs:
            return like.new_zeros(0)
        generator = torch.Generator().manual_seed(0)
        some = torch.randperm(n_pairs, generator=generator)[:3].to(device=like.device)
        eye = torch.eye(width, dtype=like.dtype, device=like.device)
        mixing = sum(self.apply(eye, pair.expand(width)).abs() for pair in some.split(1)).T != 0  # type: ignore[union-attr]
        row, column = mixing.nonzero().unbind(1)
        n_out = mixing.shape[0]
        ends = row.cpu().numpy(), (column + n_out).cpu().numpy()
        graph = coo_array((np.ones(len(row)), ends), (n_out + width,) * 2)
        n_blocks, block = connected_components(graph, directed=False)
        blocks = torch.from_numpy(block).to(dtype=torch.int64, device=like.device)
        of_output, of_input = blocks[:n_out], blocks[n_out:]
        order = torch.argsort(of_input, stable=True)
        counts = torch.bincount(of_input, minlength=n_blocks)
        rank = torch.empty_like(order)
        starts = counts.cumsum(0) - counts
        rank[order] = torch.arange(width, device=like.device) - starts[of_input[order]]
        random = torch.randn(width, generator=generator, dtype=like.dtype).to(device=like.device)
        found = like.new_empty(n_pairs)
        for pairs in torch.arange(n_pairs, device=like.device).split(max(1, 2**22 // max(n_out, width))):
            squares = like.new_zeros(len(pairs), n_blocks)
            again = like.new_zeros(len(pairs), n_out)
            for colour in range(int(counts.max())):
                probe = (rank == colour).to(like.dtype)
                image = self.apply(probe.expand(len(pairs), -1), pairs)
                squares.index_add_(1, of_output, image.square())
                weight = like.new_zeros(n_blocks).index_add_(0, of_input, probe * random)
                again += image * weight[of_output]
            expected = self.apply(random.expand(len(pairs), -1), pairs)
            error = float((again - expected).abs().max())
            if error > 1e-6 * float(expected.abs().max() + again.abs().max() + 1e-300):
                return self._whole_norms()
            found[pairs] = squares.amax(dim=1).sqrt()
        return found

    def _whole_norms(self) -> Float[Tensor, " E"]:
        """Frobenius norms, channel by channel."""
        n_pairs = self.images.pairs.n_pairs
        squares = self.layers.trace.value.new_zeros(n_pairs)
        pairs = torch.arange(n_pairs, device=squares.device)
        for probe in torch.eye(self.inputs.width, dtype=squares.dtype, device=squares.device):
            squares += self.apply(probe.expand(n_pairs, -1), pairs).square().sum(dim=1)
        return squares.sqrt()


class OwnEdges(AtomOperator):
    """What stays on an atom, and what it sends itself along edges to its own periodic images."""

    def __init__(
        self, stay: Piece, source: Piece, edges: EdgePiece, target: SentBack, own_edges: Tensor, own_atoms: Tensor
    ) -> None:
        self.stay, self.source, self.edges, self.target = stay, source, edges, target
        order = torch.argsort(own_atoms, stable=True)
        self.own_edges = own_edges[order]
        self.counts = torch.bincount(own_atoms, minlength=stay.layers.inputs.n_atoms)
        self.starts = self.counts.cumsum(0) - self.counts

    def apply(self, x: Tensor, atoms: Atoms) -> Tensor:
        """Stay, plus the messages to oneself."""
        flat, rows = _flat(x, atoms, self.stay.layers.inputs.n_atoms)
        counts = self.counts[rows]
        owner = torch.repeat_interleave(counts)
        first = (self.starts[rows] - (counts.cumsum(0) - counts))[owner]
        each = self.own_edges[first + torch.arange(len(owner), device=rows.device)]
        along = self.edges.along(self.source.apply(flat, rows).index_select(0, owner), each)
        gathered = along.new_zeros(len(flat), along.shape[1]).index_add(0, owner, along)
        result = self.stay.apply(flat, rows) + self.target.apply(gathered, rows)
        return result.reshape(*x.shape[:-1], result.shape[-1])

    def pull(self, u: Tensor, atoms: Atoms) -> Tensor:
        """Derivative of what `apply` does."""
        return _pulled(self, self.stay.inputs.width, u, atoms)
