"""Copies of a structure's rows for many sets of atoms side by side: the atoms of a set and all edges inside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

from atomlens.recording.rows import ATOMS, EDGES
from atomlens.recording.source import StructureInputs


@dataclass(frozen=True)
class SetRows:
    """Rows of many sets.

    Attributes
    ----------
    picks
        Recorded row of every local row, by kind.
    owners
        Set of every local row, by kind.
    indices
        Local form of the structure's indices, by name.
    """

    picks: dict[str, Tensor]
    owners: dict[str, Tensor]
    indices: dict[str, Tensor]

    def shuffled(self, generator: torch.Generator) -> SetRows:
        """The same rows in another order, all sets mixed."""
        orders = {kind: torch.randperm(len(pick), generator=generator) for kind, pick in self.picks.items()}
        places = {kind: torch.argsort(order) for kind, order in orders.items()}
        indices = {}
        for name, index in self.indices.items():
            rows, onto = index_kinds(name)
            indices[name] = places[onto][index[orders[rows]]]
        return SetRows(
            {kind: pick[orders[kind]] for kind, pick in self.picks.items()},
            {kind: owner[orders[kind]] for kind, owner in self.owners.items()},
            indices,
        )


def index_kinds(name: str) -> tuple[str, str]:
    """Kind of rows that an index of this name has an entry for, and the kind that it points to."""
    if name in ("source", "target"):
        return EDGES, ATOMS
    rows, onto, _ = name.rsplit(".", 2)
    return rows, onto


class RowFinder:
    """Finds the edges (and further rows) that lie inside sets of atoms."""

    def __init__(self, inputs: StructureInputs) -> None:
        self.inputs = inputs
        self.n_atoms = inputs.n_atoms
        keys = inputs.target * self.n_atoms + inputs.source
        self.keys, self.order = keys.sort(stable=True)
        self.degrees = torch.bincount(inputs.target, minlength=self.n_atoms)
        self.starts = self.degrees.cumsum(0) - self.degrees

    @cached_property
    def _by_first_atom(self) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
        found = {}
        for name, further in self.inputs.rows.items():
            first = further.atoms[:, 0]
            counts = torch.bincount(first, minlength=self.n_atoms)
            found[name] = (torch.argsort(first, stable=True), counts.cumsum(0) - counts, counts)
        return found

    def find(self, atoms: Int[Tensor, " M"], sizes: Int[Tensor, " S"]) -> SetRows:
        """Rows of sets given one after the other."""
        n = self.n_atoms
        owner = torch.repeat_interleave(sizes)
        first = (sizes.cumsum(0) - sizes)[owner]
        per_atom, degrees = sizes[owner], self.degrees[atoms]
        set_keys, set_order = (owner * n + atoms).sort()

        def members(sets: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
            keys = sets * n + wanted
            where = torch.searchsorted(set_keys, keys).clamp_(max=max(len(set_keys) - 1, 0))
            return set_order[where], set_keys[where] == keys

        if int(per_atom.sum()) <= int(degrees.sum()):  # small sets: look every two members up
            target = torch.repeat_interleave(per_atom)
            source = first[target] + _count_up(per_atom)
            keys = atoms[target] * n + atoms[source]
            low, high = torch.searchsorted(self.keys, keys), torch.searchsorted(self.keys, keys, right=True)
            images = high - low
            each = torch.repeat_interleave(images)
            target, source = target[each], source[each]
            edge = self.order[low[each] + _count_up(images)]
        else:
            target = torch.repeat_interleave(degrees)
            edge = self.order[self.starts[atoms[target]] + _count_up(degrees)]
            source, inside = members(owner[target], self.inputs.source[edge])
            target, source, edge = target[inside], source[inside], edge[inside]
        picks = {ATOMS: atoms, EDGES: edge}
        owners = {ATOMS: owner, EDGES: owner[target]}
        indices = {"source": source, "target": target}
        for name, further in self.inputs.rows.items():
            order, starts, counts = self._by_first_atom[name]
            here = torch.repeat_interleave(counts[atoms])
            row = order[starts[atoms[here]] + _count_up(counts[atoms])]
            places, inside = members(owner[here][:, None], further.atoms[row])
            keep = inside.all(dim=1)
            row, places, mine = row[keep], places[keep], owner[here][keep]
            picks[name], owners[name] = row, mine
            indices |= {f"{name}.{ATOMS}.{k}": column for k, column in enumerate(places.unbind(1))}
            edge_keys, edge_order = (owners[EDGES] * self.inputs.n_edges + edge).sort()
            for k, column in enumerate(further.edges[row].unbind(1)):
                wanted = mine * self.inputs.n_edges + column
                indices[f"{name}.{EDGES}.{k}"] = edge_order[torch.searchsorted(edge_keys, wanted)]
        return SetRows(picks, owners, indices)


def _count_up(counts: Int[Tensor, " B"]) -> Int[Tensor, " S"]:
    """0, 1, ..., counts[0] - 1, 0, 1, ..., counts[1] - 1, ... in one vector."""
    owner = torch.repeat_interleave(counts)
    return torch.arange(len(owner), device=counts.device) - (counts.cumsum(0) - counts)[owner]
