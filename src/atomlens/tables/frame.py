"""One explained structure: everything that tables, page and figures show of it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace

import ase
import numpy as np

from atomlens.interactions import Explanation, Interactions, PairForces
from atomlens.models import implausible, impossible
from atomlens.relevance import AtomShares, Walks
from atomlens.structures import InputError
from atomlens.tables.cautions import cautions
from atomlens.tables.groups import AtomGroups
from atomlens.tables.surroundings import Surroundings, survey

# Names of energies that do not grow with the molecule.
_INTENSIVE = re.compile(r"homo|lumo|gap|orbital", re.IGNORECASE)

# Largest structure whose pair forces go with a frame.
_MAX_FORCES = 40


@dataclass(frozen=True)
class ExplainedFrame:
    """Results for one structure, computed once and read by every output.

    Attributes
    ----------
    index
        Number of the frame among the explained ones, counted from 0.
    name
        What the file calls the structure, else its formula.
    quantity, unit
        The predicted property and the unit of all relevances.
    prediction, constant, residual
        Prediction y and its constant part c in `unit`; residual y - c - (all walks) in `unit`.
    constant_meaning
        What the constant part holds, in words.
    rule, product_rule
        Rule of the explanation.
    n_layers, cutoff
        Message-passing layers T, and the model's cutoff in Å.
    surroundings
        Structure, bonds and groups.
    interactions
        Terms by order.
    walks
        The walks of largest absolute relevance.
    shares
        What each atom reads out, starts and passes on.
    group_terms
        Terms between groups, if there are groups.
    long_range
        Sums of the long-range energies by kind ("coulomb", "dispersion"), which pair terms hold; none for most models.
    seconds
        Time spent on explaining this frame.
    outside
        In what the structure differs from all that the model was trained on (`atomlens.models.outside`).
    no_walks
        Why the model has no walks; None if it has.
    warnings
        What makes the prediction suspicious, or terms mean something else than one would think, a sentence each.
    forces
        Pair forces, whose sums are the forces on the atoms; None if they were not asked for, or there are none.
    """

    index: int
    name: str
    quantity: str
    unit: str
    prediction: float
    constant: float
    residual: float
    constant_meaning: str
    rule: str
    product_rule: str | None
    n_layers: int
    cutoff: float
    surroundings: Surroundings
    interactions: Interactions
    walks: Walks
    shares: AtomShares
    group_terms: Interactions | None
    seconds: float
    long_range: tuple[tuple[str, float], ...] = ()
    outside: tuple[str, ...] = ()
    no_walks: str | None = None
    warnings: tuple[str, ...] = ()
    forces: PairForces | None = None

    @property
    def atoms(self) -> ase.Atoms:
        """The structure."""
        return self.surroundings.atoms

    @property
    def groups(self) -> AtomGroups | None:
        """Named sets of atoms, if any."""
        return self.surroundings.groups


def explained_frame(
    explanation: Explanation,
    *,
    index: int = 0,
    max_order: int = 3,
    top_walks: int = 50,
    groups: AtomGroups | None = None,
    surroundings: Surroundings | None = None,
    started: float | None = None,
    outside: tuple[str, ...] = (),
    with_forces: bool = False,
    as_read: bool = True,
) -> ExplainedFrame:
    """Ask an explanation for everything that a report shows.

    Parameters
    ----------
    explanation
        The explanation of one structure.
    index
        Number of the frame in its run.
    max_order
        Largest order of the terms that are listed one by one (1 to 3).
    top_walks
        How many walks to keep.
    groups
        Named sets of atoms whose terms are wanted as well.
    surroundings
        Bonds and distances, where they are known already.
    started
        ``time.perf_counter()`` when work on this structure began; now if None.
    outside
        In what the structure differs from all that the model was trained on.
    with_forces
        Whether pair forces are wanted, if the model has them and the structure at most 40 atoms: they are a matrix of
        vectors, and each atom costs a derivative.
    as_read
        Whether the structure is one that somebody gave, and not one that a simulation or a descent came to: only then
        may bonds that are missing mean a fault of the file.

    Raises
    ------
    InputError
        If the prediction, or what it is made of, is not finite: there is nothing to explain then.
    """
    start = time.perf_counter() if started is None else started
    atoms, unit = explanation.atoms, explanation.unit
    reason = impossible(
        explanation.prediction,
        len(atoms),
        unit,
        explanation.residual if explanation.conserves else 0.0,
        abs(explanation.prediction - explanation.constant),
        str(explanation.chain.embedding.dtype).removeprefix("torch."),
    )
    if reason:
        raise InputError(
            f"the model predicts for {frame_name(atoms)} what cannot be a result: {reason}; check the structure "
            "against what the model was trained on, and the model's unit"
        )
    surroundings = replace(surroundings or survey(explanation.atoms), groups=groups)
    interactions = explanation.interactions(max_order=max_order)
    group_terms = None
    if groups is not None:
        members = [list(atoms) for atoms in groups.members]
        group_terms = explanation.group_interactions(members, max_order=min(2, len(members)))
    return ExplainedFrame(
        index=index,
        name=frame_name(explanation.atoms),
        quantity=explanation.property,
        unit=explanation.unit,
        prediction=float(explanation.prediction),
        constant=float(explanation.constant),
        residual=float(explanation.residual),
        constant_meaning=explanation.constant_meaning,
        rule=explanation.rule,
        product_rule=explanation.product_rule,
        n_layers=explanation.n_layers,
        cutoff=explanation.cutoff,
        surroundings=surroundings,
        interactions=interactions,
        walks=_strongest(explanation, top_walks),
        shares=explanation.atom_shares(),
        group_terms=group_terms,
        seconds=time.perf_counter() - start,
        long_range=tuple(
            (kind, float(explanation.long_range_terms(kind).relevance.sum())) for kind in explanation.long_range_kinds
        ),
        outside=outside,
        no_walks=explanation.no_walks,
        warnings=(
            *filter(None, [_suspicion(explanation)]),
            *cautions(atoms, surroundings.bonds, explanation.cutoff, outside, as_read=as_read),
        ),
        forces=_forces(explanation) if with_forces and len(atoms) <= _MAX_FORCES else None,
    )


def _forces(explanation: Explanation) -> PairForces | None:
    try:
        return explanation.pair_forces()
    except InputError:  # no energy, or none of an atom
        return None


def _strongest(explanation: Explanation, count: int) -> Walks:
    if explanation.no_walks is None:
        return explanation.top_walks(count)
    return Walks(np.zeros((0, explanation.n_layers + 1), dtype=np.int32), np.zeros(0))


def _suspicion(explanation: Explanation) -> str:
    # A sum over atoms has atom references or a mean for each of them; orbital energies are the common other kind.
    extensive = not _INTENSIVE.search(explanation.property)
    return implausible(explanation.prediction, explanation.atoms.numbers, explanation.unit, extensive=extensive)


def frame_name(atoms: ase.Atoms) -> str:
    """Name of a structure: ``name``, ``title`` or ``comment`` of the file if it has one, else the formula."""
    for key in ("name", "title", "comment", "label"):
        value = atoms.info.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()[:200]
    return atoms.get_chemical_formula()
