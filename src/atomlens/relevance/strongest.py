r"""The strongest walks, exactly, without looking at most of the others.

A walk that moves through the pair (a, b) of the middle layer is no stronger than

.. math:: |R| \le \|\hat u_h\| \; \|d_{ab}\| \; \max_s \|K_b x_s\|

(Cauchy-Schwarz; the edge's norm is the largest factor by which it lengthens a vector). Halves whose bound does not
reach the weakest walk kept so far are never joined. Meeting atoms come in the order of their bounds, so that what is
kept is soon strong.
"""

from __future__ import annotations

from numbers import Integral

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.chain import Chain
from atomlens.relevance import join
from atomlens.relevance.join import Joint, joints
from atomlens.relevance.steps import ragged_ranges
from atomlens.relevance.walks import Walks, all_walks


def strongest_walks(chain: Chain, k: int) -> Walks:
    """The k full walks of largest |R_w|, strongest first; exact, without a list of all walks.

    Raises
    ------
    ValueError
        If k is negative, or no whole number.
    """
    if not isinstance(k, Integral) or k < 0:
        raise ValueError(f"k is {k!r}; ask for zero or more walks, in whole numbers")
    kept = _Kept(chain, k)
    if k and chain.n_layers == 0:
        walks = all_walks(chain)
        kept.offer(torch.from_numpy(walks.relevance), torch.from_numpy(walks.atoms.T))
    for joint in joints(chain) if k and chain.n_layers else ():
        _search(joint, kept)
    return kept.walks()


class _Kept:
    """The strongest walks so far; what is offered is merged in once there are k of it."""

    def __init__(self, chain: Chain, k: int) -> None:
        self.k = k
        self.weakest = -1.0  # below that no walk can matter
        self.values = chain.embedding.new_empty(0)
        self.atoms = torch.empty((chain.n_layers + 1, 0), dtype=torch.int64, device=chain.embedding.device)
        self.offered: list[tuple[Tensor, Tensor]] = []

    def offer(self, values: Float[Tensor, " W"], atoms: Int[Tensor, "S W"]) -> None:
        """Take these walks into account."""
        self.offered.append((values, atoms))
        if sum(v.shape[0] for v, _ in self.offered) >= self.k:
            self._merge()

    def _merge(self) -> None:
        values = torch.cat([self.values, *(v for v, _ in self.offered)])
        atoms = torch.cat([self.atoms, *(a for _, a in self.offered)], dim=1)
        order = values.abs().argsort(descending=True, stable=True)[: self.k]
        self.values, self.atoms, self.offered = values[order], atoms[:, order], []
        if self.k and self.values.shape[0] == self.k:
            self.weakest = float(self.values[-1].abs())

    def walks(self) -> Walks:
        """What is kept, strongest first."""
        self._merge()
        return Walks(self.atoms.T.to(torch.int32).cpu().numpy(), self.values.cpu().numpy())


def _search(joint: Joint, kept: _Kept) -> None:
    """Offer all walks of a joint that may be among the strongest."""
    pairs, before, after = joint.pairs, joint.before, joint.after
    # Rounding may lift a product above its bound by C times the precision.
    slack = 1 + 8 * max(joint.sent.shape[1], before.vectors.shape[1]) * torch.finfo(joint.sent.dtype).eps
    rows, own_rows = joint.pulled.norm(dim=1), joint.stayed.norm(dim=1)
    sent = _largest(joint.sent.norm(dim=1), before.starts) * slack
    came = _largest(before.vectors.norm(dim=1), before.starts) * slack
    reach = joint.layer.edges.norms()[pairs.reverse] * sent[pairs.target]
    row_best = _largest(rows, after.starts)
    moving = reach * row_best[pairs.source]
    staying = came * _largest(own_rows, after.starts)
    best = staying.scatter_reduce(0, pairs.target, moving, "amax")

    starts, own_starts = before.starts.tolist(), after.starts.tolist()
    pair_stops = [0, *pairs.degrees.cumsum(0).tolist()]
    bounds = best.tolist()
    for b in np.argsort(-np.asarray(bounds), kind="stable").tolist():
        if bounds[b] <= kept.weakest:
            return  # nor can any later atom
        columns = slice(starts[b], starts[b + 1])
        if columns.start == columns.stop:
            continue
        own = own_starts[b] + (own_rows[own_starts[b] : own_starts[b + 1]] * came[b] > kept.weakest).nonzero()[:, 0]
        _offer(kept, joint, joint.stayed[own], own, before.vectors[columns], columns)

        here = slice(pair_stops[b], pair_stops[b + 1])
        near = here.start + (moving[here] > kept.weakest).nonzero()[:, 0]
        source = pairs.source[near]
        owner, index = ragged_ranges(after.starts[source], after.counts[source])
        bound = rows[index] * reach[near][owner]
        strong = (bound > kept.weakest).nonzero()[:, 0]
        strong = strong[bound[strong].argsort(descending=True)]
        step = max(1, min(joint.max_rows, join.MAX_WALKS // (columns.stop - columns.start)))
        for some in strong.split(step):
            if some.shape[0] and bound[some[0]] > kept.weakest:
                left = joint.carried(index[some], pairs.reverse[near[owner[some]]])
                _offer(kept, joint, left, index[some], joint.sent[columns], columns)


def _offer(kept: _Kept, joint: Joint, left: Tensor, rows: Tensor, right: Tensor, columns: slice) -> None:
    values = left @ right.T
    row, column = (values.abs() > kept.weakest).nonzero().unbind(1)
    if row.shape[0]:
        came, went = joint.before.atoms[:, columns], joint.after.atoms
        kept.offer(values[row, column], torch.cat([came[:, column], went[:, rows[row]]]))


def _largest(values: Float[Tensor, " H"], starts: Int[Tensor, " N1"]) -> Float[Tensor, " N"]:
    """Largest value of every atom's half-walks, zero for none."""
    atom = torch.repeat_interleave(starts.diff(), output_size=values.shape[0])
    return values.new_zeros(starts.shape[0] - 1).scatter_reduce(0, atom, values, "amax")
