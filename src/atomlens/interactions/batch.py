"""`explain_batch`: many structures side by side, in few large operations instead of many small ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import ase
import numpy as np
import torch
from jaxtyping import Float, Int

from atomlens.chain import Rule, has_closed_form, make_chain_batch, make_rule, recorded_potential
from atomlens.interactions.explaining import explain
from atomlens.interactions.explanation import Explanation
from atomlens.interactions.terms import Interactions, Terms, check_order, interaction_terms
from atomlens.models import Potential, to_internal
from atomlens.potentials import AnyModel, OpenedModel
from atomlens.recording import DEFAULT_PRODUCT_RULE
from atomlens.relevance import AtomShares, atom_shares
from atomlens.structures import AtomGraph, Precision, as_dtype, collate

# Directed edges side by side: their vectors in all layers still fit into a processor's cache.
_EDGES = 4_096


@dataclass(frozen=True)
class BatchExplanation:
    r"""Terms and shares of several predictions, flat: :math:`y_g = c_g + \sum_{S \subseteq g} I(S)`.

    Atoms are counted through: structure g owns atoms ``starts[g]`` to ``starts[g + 1]``.

    Attributes
    ----------
    starts
        First atom of every structure and, last, the number of all atoms, shape (G + 1,).
    terms
        Terms of order 1, 2, ...: each order sorted by structure.
    shares
        Shares of every atom in its structure's prediction.
    predictions, constants
        y_g and c_g in `unit`, shape (G,).
    residuals
        y_g - c_g - (all walks): rounding, shape (G,).
    remainders
        What all orders that are not listed add up to, shape (G,).
    quantity, unit
        What the model predicts.
    """

    starts: Int[np.ndarray, " G1"]
    terms: tuple[Terms, ...]
    shares: AtomShares
    predictions: Float[np.ndarray, " G"]
    constants: Float[np.ndarray, " G"]
    residuals: Float[np.ndarray, " G"]
    remainders: Float[np.ndarray, " G"]
    quantity: str
    unit: str

    def __len__(self) -> int:
        return len(self.predictions)

    @property
    def max_order(self) -> int:
        """Highest order listed."""
        return len(self.terms)

    def owners(self, order: int) -> Int[np.ndarray, " M"]:
        """Structure of every term of an order."""
        return np.searchsorted(self.starts, self.terms[order - 1].atoms[:, 0], side="right") - 1

    def interactions(self, structure: int) -> Interactions:
        """Terms of one structure, its atoms counted from 0, as `Explanation.interactions` gives them."""
        first = self.starts[structure]
        mine = []
        for terms in self.terms:
            low, high = np.searchsorted(terms.atoms[:, 0], self.starts[structure : structure + 2])
            mine.append(Terms(terms.atoms[low:high] - first, terms.relevance[low:high]))
        return Interactions(tuple(mine), float(self.predictions[structure] - self.constants[structure]))

    def atom_shares(self, structure: int) -> AtomShares:
        """Shares of the atoms of one structure."""
        mine = slice(int(self.starts[structure]), int(self.starts[structure + 1]))
        return AtomShares(*(share[mine] for share in self.shares))


def explain_batch(
    model: AnyModel,
    structures: Sequence[ase.Atoms],
    rule: str = "gate",
    product_rule: str = DEFAULT_PRODUCT_RULE,
    *,
    max_order: int = 2,
    gamma: float = 0.25,
    dtype: Precision = torch.float64,
    device: str | torch.device | None = None,
) -> BatchExplanation:
    """Explain many predictions exactly: the same numbers as `explain` gives one by one, to rounding.

    Structures go through the model some thousand edges at a time, so memory beyond the result is bounded.

    Parameters
    ----------
    model, rule, product_rule, gamma, dtype, device
        As for `explain`.
    structures
        At least one.
    max_order
        Highest order of terms, 1 to 3.

    Raises
    ------
    InputError
        If a structure is unusable.
    ValueError
        If there is no structure, or a rule or order is not known.

    Examples
    --------
    >>> import ase, torch, atomlens
    >>> _ = torch.manual_seed(0)
    >>> model = atomlens.Potential(atomlens.ModelConfig())
    >>> molecules = [ase.Atoms("OH", positions=[[0, 0, 0], [0, 0, d]]) for d in (0.9, 1.0, 1.1)]
    >>> batch = explain_batch(model, molecules)
    >>> batch.terms[1].atoms.tolist()
    [[0, 1], [2, 3], [4, 5]]
    >>> batch.interactions(2).order(2).atoms
    array([[0, 1]])
    """
    if isinstance(structures, ase.Atoms | str):
        kind = type(structures).__name__
        raise TypeError(f"explain_batch takes a list of structures and received one {kind}; give a list of ase.Atoms")
    if not structures:
        raise ValueError("explain_batch received no structure; give at least one")
    if isinstance(model, OpenedModel):  # recorded one by one
        settings = {"gamma": gamma, "dtype": dtype, "device": device}
        found = (explain(model, atoms, rule, product_rule, **settings) for atoms in structures)
        return _joined([_alone(explanation, max_order) for explanation in found])
    working = model.converted(as_dtype(dtype), device)
    graphs = (working.graph(atoms) for atoms in structures)
    return explain_graphs(working, graphs, rule, product_rule, max_order=max_order, gamma=gamma)


def explain_graphs(
    working: Potential,
    graphs: Iterable[AtomGraph],
    rule: str = "gate",
    product_rule: str = DEFAULT_PRODUCT_RULE,
    *,
    max_order: int = 2,
    gamma: float = 0.25,
) -> BatchExplanation:
    """`explain_batch` of graphs that the model has made already (`Potential.graph`), at least one."""
    check_order(max_order)
    used = make_rule(rule, gamma)
    largest = _EDGES if has_closed_form(working, used) else 0  # recordings are of one structure
    parts = [_explained(working, part, used, product_rule, max_order) for part in _in_parts(graphs, largest)]
    return _joined(parts)


def _in_parts(graphs: Iterable[AtomGraph], largest: int) -> Iterator[AtomGraph]:
    part: list[AtomGraph] = []
    edges = 0
    for graph in graphs:
        if part and (largest == 0 or edges + graph.n_edges > largest):
            yield collate(part)
            part, edges = [], 0
        part.append(graph)
        edges += graph.n_edges
    yield collate(part)


def _explained(model: Potential, graph: AtomGraph, rule: Rule, product_rule: str, max_order: int) -> BatchExplanation:
    factor, unit = to_internal(model.facts.unit)
    if has_closed_form(model, rule):
        batch = make_chain_batch(model, graph, rule, product_rule).scaled(factor)
        sums = batch.chain
        constants, predictions = batch.constants.cpu().numpy(), batch.predictions.cpu().numpy()
    else:
        sums = recorded_potential(model, graph, rule, product_rule).scaled(factor)
        constants, predictions = np.array([sums.constant]), np.array([sums.prediction])
    terms = interaction_terms(sums, max_order)
    listed = tuple(terms.order(n) for n in range(1, max_order + 1))
    shares = atom_shares(sums)
    n = graph.n_graphs
    owner = graph.batch.cpu().numpy()
    of_terms = sum(np.bincount(owner[t.atoms[:, 0]], t.relevance, minlength=n) for t in listed)
    return BatchExplanation(
        starts=np.concatenate([[0], graph.sizes.cumsum(0).cpu().numpy()]),
        terms=listed,
        shares=shares,
        predictions=predictions,
        constants=constants,
        residuals=predictions - constants - np.bincount(owner, shares.readout, minlength=n),
        remainders=predictions - constants - of_terms,
        quantity=model.facts.quantity,
        unit=unit,
    )


def _alone(explanation: Explanation, max_order: int) -> BatchExplanation:
    terms = explanation.interactions(max_order)
    return BatchExplanation(
        starts=np.array([0, len(explanation.atoms)]),
        terms=tuple(terms.order(n) for n in range(1, max_order + 1)),
        shares=explanation.atom_shares(),
        predictions=np.array([explanation.prediction]),
        constants=np.array([explanation.constant]),
        residuals=np.array([explanation.residual]),
        remainders=np.array([terms.remainder]),
        quantity=explanation.property,
        unit=explanation.unit,
    )


def _joined(parts: list[BatchExplanation]) -> BatchExplanation:
    first_atoms = np.cumsum([0] + [int(part.starts[-1]) for part in parts])
    shifted = list(zip(parts, first_atoms.tolist(), strict=False))
    terms = tuple(
        Terms(
            np.concatenate([part.terms[n].atoms + first for part, first in shifted]),
            np.concatenate([part.terms[n].relevance for part in parts]),
        )
        for n in range(parts[0].max_order)
    )
    return BatchExplanation(
        starts=np.concatenate([part.starts[:-1] + first for part, first in shifted] + [first_atoms[-1:]]),
        terms=terms,
        shares=AtomShares(*(np.concatenate(share) for share in zip(*(part.shares for part in parts), strict=True))),
        predictions=np.concatenate([part.predictions for part in parts]),
        constants=np.concatenate([part.constants for part in parts]),
        residuals=np.concatenate([part.residuals for part in parts]),
        remainders=np.concatenate([part.remainders for part in parts]),
        quantity=parts[0].quantity,
        unit=parts[0].unit,
    )
