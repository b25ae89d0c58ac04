"""Neighbour lists of a whole data set, found once and kept flat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from atomlens.data.dataset import Dataset
from atomlens.structures import InputError, build_graph

# Pairs whose distances are held at once while neighbours of molecules are found.
_PAIRS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class EdgeTable:
    """Edges of every structure, sorted by target, then source.

    Attributes
    ----------
    cutoff
        Distance in Å up to which edges were made.
    target, source
        Atom indices within their structure, shape (E,).
    offsets
        Translation in Å of the source's image, shape (E, 3); None where no structure is periodic.
    starts
        Structure k owns edges ``starts[k]`` to ``starts[k + 1]``, shape (S + 1,).
    """

    cutoff: float
    target: Int[np.ndarray, " E"]
    source: Int[np.ndarray, " E"]
    offsets: Float[np.ndarray, "E 3"] | None
    starts: Int[np.ndarray, " S1"]


def find_edges(dataset: Dataset, cutoff: float) -> EdgeTable:
    """Neighbour lists of all structures.

    Molecules of equal size are treated together by their distance matrices; anything periodic, or large,
    goes through `atomlens.structures.build_graph`.

    Raises
    ------
    InputError
        If two atoms of a structure lie on one spot, or a structure is unusable.
    """
    sizes = dataset.sizes
    if len(dataset) and sizes.min() < 1:
        raise InputError(f"{dataset.name}: structure {int(sizes.argmin())} has no atoms")
    if dataset.periodic.any() or sizes.max(initial=0) > 400:
        return _edges_one_by_one(dataset, cutoff)

    counts = np.zeros(len(dataset), dtype=np.int64)
    pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for size in np.unique(sizes):
        members = np.flatnonzero(sizes == size)
        step = max(1, _PAIRS_AT_ONCE // int(size) ** 2)
        for first in range(0, len(members), step):
            part = members[first : first + step]
            rows = dataset.starts[part][:, None] + np.arange(size)
            x = np.asarray(dataset.positions[rows], dtype=np.float64)
            squared = ((x[:, :, None] - x[:, None]) ** 2).sum(-1)
            diagonal = np.arange(size)
            squared[:, diagonal, diagonal] = np.inf
            if size > 1 and not squared.min() >= 1e-2:
                k, i, j = np.unravel_index(np.argmin(np.nan_to_num(squared, nan=0.0)), squared.shape)
                raise InputError(
                    f"{dataset.name}, structure {int(part[k])}: atoms {int(i)} and {int(j)} lie within 0.1 Å of "
                    "each other, or coordinates are not finite; check that positions are in Å"
                )
            which, i, j = np.nonzero(squared < cutoff**2)
            counts[part] = np.bincount(which, minlength=len(part))
            pieces.append((part[which], i.astype(np.int16), j.astype(np.int16)))
    starts = np.concatenate([[0], np.cumsum(counts)])
    target = np.empty(starts[-1], dtype=np.int16)
    source = np.empty(starts[-1], dtype=np.int16)
    for owner, i, j in pieces:
        # Within a piece edges stand structure by structure; shift each run to its place.
        first = np.flatnonzero(np.diff(owner, prepend=-1))
        run = np.diff(first, append=len(owner))
        place = np.arange(len(owner)) + np.repeat(starts[owner[first]] - first, run)
        target[place], source[place] = i, j
    return EdgeTable(float(cutoff), target, source, None, starts)


def _edges_one_by_one(dataset: Dataset, cutoff: float) -> EdgeTable:
    graphs = []
    for k in range(len(dataset)):
        try:
            graphs.append(build_graph(dataset.atoms(k), cutoff, dtype=torch.float64))
        except InputError as error:
            raise InputError(f"{dataset.name}, structure {k}: {error}") from error
    return EdgeTable(
        cutoff=float(cutoff),
        target=np.concatenate([g.target.numpy() for g in graphs]).astype(np.int32),
        source=np.concatenate([g.source.numpy() for g in graphs]).astype(np.int32),
        offsets=np.concatenate([g.offsets.numpy() for g in graphs]) if dataset.periodic.any() else None,
        starts=np.concatenate([[0], np.cumsum([g.n_edges for g in graphs])]),
    )
