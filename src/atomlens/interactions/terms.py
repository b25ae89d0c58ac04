r"""Interaction terms: parts of the prediction that belong to exactly one set of atoms.

.. math::
    I(S) = \sum_{w:\ \mathrm{atoms}(w) = S} R_w = \sum_{U \subseteq S} (-1)^{|S| - |U|} Z(U), \qquad
    y = c + \sum_S I(S)

Definition: our choice (Möbius inversion over sets of atoms of the walk sums of GNN-LRP, arXiv:2006.03589). Long-range
energies of two atoms, which no walk carries, add to the terms of these two.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor

from atomlens.chain import Chain, RecordedSums
from atomlens.interactions.meeting import meeting_terms
from atomlens.interactions.subsets import connected_triples, undirected
from atomlens.relevance import AtomSets, restricted_sums

MAX_ORDER = 3


class Terms(NamedTuple):
    """Interaction terms of one order n.

    Attributes
    ----------
    atoms
        Members of every set in increasing order, (M, n).
    relevance
        I(S) in the unit of the prediction, (M,).
    """

    atoms: Int[np.ndarray, "M n"]
    relevance: Float[np.ndarray, " M"]


class Interactions:
    """Interaction terms up to some order.

    Sets that no walk can visit exactly (no pair within the cutoff joins them) are left out: their term is zero. A model
    with long-range energies has a term for every pair.

    Attributes
    ----------
    max_order
        Highest order listed.
    remainder
        What all higher orders add up to: prediction - constant - everything listed.
    symbols
        Chemical symbol of every atom; empty where the members of the sets are groups, or are not known by name.
    unit
        Unit of the terms; empty where it is not known.
    member
        What the members of the sets are: ``atom`` or ``group``.
    """

    def __init__(
        self,
        terms: tuple[Terms, ...],
        total: float,
        *,
        symbols: Sequence[str] = (),
        unit: str = "",
        member: Literal["atom", "group"] = "atom",
    ) -> None:
        self._terms = terms
        self._total = total
        self.max_order = len(terms)
        self.remainder = total - sum(float(t.relevance.sum()) for t in terms)
        self.symbols = tuple(symbols)
        self.unit = unit
        self.member: Literal["atom", "group"] = member

    def named(self, symbols: Sequence[str], unit: str) -> Interactions:
        """The same terms with the symbols of their atoms and their unit."""
        return Interactions(self._terms, self._total, symbols=symbols, unit=unit, member=self.member)

    def to_frame(self) -> pl.DataFrame:
        """All terms as one table, strongest first within each order; ``.to_pandas()`` of it gives a pandas table.

        Columns are ``order``, ``atom_1`` to ``atom_n`` (empty beyond the order; of groups ``group_1`` to ``group_n``,
        their places in the list that was given), ``elements`` ("C-O", empty without `symbols`; not of groups) and the
        term (``relevance_eV``, or ``relevance`` without a unit).

        Examples
        --------
        >>> pairs = Terms(np.array([[0, 1]]), np.array([-0.5]))
        >>> one = Terms(np.array([[0], [1]]), np.array([0.1, 0.2]))
        >>> Interactions((one, pairs), -0.2, symbols="OH", unit="eV").to_frame().rows()
        [(1, 1, None, 'H', 0.2), (1, 0, None, 'O', 0.1), (2, 0, 1, 'O-H', -0.5)]
        """
        parts = [self._order_frame(n) for n in range(1, self.max_order + 1)]
        return pl.concat(parts) if parts else pl.DataFrame()

    def _order_frame(self, n: int) -> pl.DataFrame:
        terms = self.order(n)
        best = np.argsort(-np.abs(terms.relevance), kind="stable")
        atoms, count = terms.atoms[best], len(best)
        names = ["-".join(self.symbols[k] for k in row) if self.symbols else None for row in atoms.tolist()]
        columns = {
            f"{self.member}_{k + 1}": pl.Series(atoms[:, k] if k < n else [None] * count, dtype=pl.Int32)
            for k in range(self.max_order)
        }
        elements = {"elements": pl.Series(names, dtype=pl.String)} if self.member == "atom" else {}
        return pl.DataFrame(
            {
                "order": pl.Series([n] * count, dtype=pl.Int8),
                **columns,
                **elements,
                f"relevance_{self.unit}" if self.unit else "relevance": terms.relevance[best].astype(np.float64),
            }
        )

    def _label(self, atoms: Sequence[int]) -> str:
        return "-".join(f"{self.symbols[k]}{k}" if self.symbols else str(k) for k in atoms)

    def order(self, n: int) -> Terms:
        """Terms of order n.

        Raises
        ------
        ValueError
            If that order was not computed.
        """
        if not 1 <= n <= self.max_order:
            raise ValueError(f"order {n} was not computed; orders 1 to {self.max_order} are here")
        return self._terms[n - 1]

    def __repr__(self) -> str:
        parts = []
        for n, terms in enumerate(self._terms, start=1):
            part = f"order {n}: {len(terms.relevance)}"
            if n > 1 and len(terms.relevance):
                k = int(np.abs(terms.relevance).argmax())
                part += f", strongest {self._label(terms.atoms[k].tolist())} {terms.relevance[k]:+.3g}"
            parts.append(part)
        unit = f" {self.unit}" if self.unit else ""
        return f"Interactions({'; '.join(parts)}; remainder={self.remainder:.3g}{unit})"


def check_order(max_order: int) -> None:
    """Raise `ValueError` unless terms of that order can be computed."""
    if not isinstance(max_order, int) or not 1 <= max_order <= MAX_ORDER:
        raise ValueError(f"max_order is {max_order!r}; it must be 1, 2 or 3 (the rest comes as one remainder)")


def interaction_terms(chain: Chain | RecordedSums, max_order: int = 3) -> Interactions:
    """Terms of order 1 to `max_order` of a chain; never through walks.

    Three layers of a chain have a closed form (`meeting`); any other number, and recordings, go through restricted sums
    and inclusion-exclusion.
    """
    check_order(max_order)
    each = undirected(chain.pairs)
    pairs = torch.stack([chain.pairs.target[each], chain.pairs.source[each]], dim=1)
    singles = chain.all_atoms()[:, None]
    triples = connected_triples(chain.pairs) if max_order == 3 else None
    members = [singles, pairs, triples.atoms if triples else pairs[:0]][:max_order]
    if isinstance(chain, Chain) and chain.n_layers == 3:
        values = meeting_terms(chain, max_order, triples)
    else:
        values = _by_inclusion_exclusion(chain, members)
    terms = [Terms(m.cpu().numpy(), v.cpu().numpy()) for m, v in zip(members, values, strict=True)]
    if max_order > 1:
        terms[1] = _merged(terms[1], long_range_terms(chain))
    return Interactions(tuple(terms), chain.prediction - chain.constant)


def long_range_terms(chain: Chain | RecordedSums, kind: str | None = None) -> Terms:
    """Long-range energies of all pairs: of one kind ("coulomb", "dispersion"), or of all kinds together.

    Raises
    ------
    ValueError
        If the model has none of that kind.
    """
    pairs = chain.long_range if isinstance(chain, Chain) else None
    kinds = () if pairs is None else pairs.kinds
    if kind is not None and kind not in kinds:
        raise ValueError(f"long-range kind {kind!r}: this model has {' and '.join(kinds) or 'no long-range energies'}")
    if pairs is None:
        return Terms(np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype=np.float64))
    values = pairs.energies if kind is None else pairs.parts[:, pairs.kinds.index(kind)]
    return Terms(pairs.atoms.cpu().numpy(), values.cpu().numpy())


def _merged(terms: Terms, more: Terms) -> Terms:
    """Sum of two lists of pair terms, each pair once, sorted."""
    if not len(more.relevance):
        return terms
    atoms, where = np.unique(np.concatenate([terms.atoms, more.atoms]), axis=0, return_inverse=True)
    values = np.concatenate([terms.relevance, more.relevance])
    return Terms(atoms, np.bincount(where.ravel(), values, minlength=len(atoms)).astype(values.dtype))


def _by_inclusion_exclusion(
    chain: Chain | RecordedSums, members: list[Int[Tensor, "_ _"]]
) -> list[Float[Tensor, " _"]]:
    values = [restricted_sums(chain, AtomSets.uniform(members[0]))]
    if len(members) > 1:
        pairs = members[1]
        values.append(restricted_sums(chain, AtomSets.uniform(pairs)) - values[0][pairs].sum(1))
    if len(members) > 2:
        triples, pairs = members[2], members[1]
        n = chain.n_atoms
        keys = pairs[:, 0] * n + pairs[:, 1]
        inner = values[0][triples].sum(1)
        for i, j in combinations(range(3), 2):
            wanted = triples[:, i] * n + triples[:, j]
            where = torch.searchsorted(keys, wanted).clamp_(max=max(len(keys) - 1, 0))
            inner = inner + torch.where(keys[where] == wanted, values[1][where], 0.0)
        values.append(restricted_sums(chain, AtomSets.uniform(triples)) - inner)
    return values


def group_terms(chain: Chain | RecordedSums, groups: list[list[int]], max_order: int = 2) -> Interactions:
    """Terms between groups of atoms: the same inversion with groups in place of atoms.

    ``I({A, B})`` collects all walks that visit groups A and B and no other, and the long-range energies between them.
    Atoms in no group take no part, and what involves them is in the remainder. Order 1 lists all groups, higher orders
    those whose members are connected.

    Parameters
    ----------
    groups
        Disjoint lists of atom indices.

    Raises
    ------
    ValueError
        If groups overlap, are empty, or name atoms that do not exist.
    """
    check_order(max_order)
    group_of = _group_of(chain, groups)
    z: dict[tuple[int, ...], float] = {}

    def add(sets: list[tuple[int, ...]]) -> None:
        unions = AtomSets.of([[a for g in s for a in groups[g]] for s in sets])
        z.update(zip(sets, restricted_sums(chain, unions).tolist(), strict=True))

    singles: list[tuple[int, ...]] = [(g,) for g in range(len(groups))]
    add(singles)
    members = [singles]
    a, b = group_of[chain.pairs.target], group_of[chain.pairs.source]
    touching = (a >= 0) & (b >= 0) & (a < b)
    joined: list[tuple[int, ...]] = sorted(
        {(i, j) for i, j in torch.stack([a, b], dim=1)[touching].unique(dim=0).tolist()}
    )
    if max_order >= 2:
        members.append(joined)
        add(joined)
    if max_order == 3:
        near: dict[int, set[int]] = {}
        for i, j in joined:
            near.setdefault(i, set()).add(j)
            near.setdefault(j, set()).add(i)
        triples = sorted({tuple(sorted((x, i, j))) for x, others in near.items() for i, j in combinations(others, 2)})
        members.append(triples)
        add(triples)
    terms: dict[tuple[int, ...], float] = {}
    for sets in members:
        for s in sets:
            inner = (u for n in range(1, len(s)) for u in combinations(s, n))
            terms[s] = z[s] - sum(terms.get(u, 0.0) for u in inner)
    listed = [
        Terms(
            np.array(sets, dtype=np.int64).reshape(-1, n),
            np.array([terms[s] for s in sets], dtype=np.float64),
        )
        for n, sets in enumerate(members, start=1)
    ]
    _add_long_range(listed, long_range_terms(chain), group_of.cpu().numpy())
    return Interactions(tuple(listed), chain.prediction - chain.constant, member="group")


def _add_long_range(listed: list[Terms], pairs: Terms, group_of: Int[np.ndarray, " N"]) -> None:
    """Add energies inside a group to its own term, those between two groups to their pair's."""
    groups = np.sort(group_of[pairs.atoms], axis=1)
    inside, between = (groups[:, 0] >= 0) & (groups[:, 0] == groups[:, 1]), (groups[:, 0] >= 0)
    own = np.bincount(groups[inside, 0], pairs.relevance[inside], minlength=len(listed[0].relevance))
    listed[0] = Terms(listed[0].atoms, listed[0].relevance + own)
    if len(listed) > 1:
        between &= ~inside
        listed[1] = _merged(listed[1], Terms(groups[between], pairs.relevance[between]))


def _group_of(chain: Chain | RecordedSums, groups: list[list[int]]) -> Int[Tensor, " N"]:
    group_of = torch.full((chain.n_atoms,), -1, dtype=torch.int64)
    for g, members in enumerate(groups):
        if isinstance(members, str) or not isinstance(members, Sequence | np.ndarray):
            raise TypeError(f"group {g} is {members!r}; give a list of atom indices for every group")
        if not len(members):
            raise ValueError(f"group {g} is empty; give at least one atom")
        for atom in members:
            if not isinstance(atom, int | np.integer) or isinstance(atom, bool):
                raise TypeError(f"group {g} names atom {atom!r}; give whole numbers, atoms are counted from 0")
            if not 0 <= atom < chain.n_atoms:
                raise ValueError(f"group {g} names atom {atom}; the structure has atoms 0 to {chain.n_atoms - 1}")
            if group_of[atom] >= 0:
                raise ValueError(f"atom {atom} is in groups {int(group_of[atom])} and {g}; groups must not overlap")
            group_of[atom] = g
    return group_of.to(chain.pairs.target.device)
