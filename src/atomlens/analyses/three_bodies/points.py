"""What a model says of rings of three molecules, next to GFN2-xTB."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import ase
import polars as pl

from atomlens.analyses.assemblies import predictions
from atomlens.analyses.inputs import AnalysisInputs
from atomlens.analyses.three_bodies.trimers import SIZES, Trimer
from atomlens.reference import ManyBodyExpansion, ReferenceUnavailable, many_body_expansion
from atomlens.surveys import Progress, no_progress

POINTS = {
    "trimer": pl.Int64,
    "mixture": pl.String,
    "size": pl.Float64,
    "gap": pl.Float64,
    "energy": pl.Float64,
    "pairs": pl.Float64,
    "term": pl.Float64,
    "xtb": pl.Float64,
}


def trimer_points(
    inputs: AnalysisInputs,
    trimers: Sequence[Trimer],
    energy: Callable[[ase.Atoms], float] | None = None,
    progress: Progress = no_progress,
    *,
    sizes: Sequence[int] = range(len(SIZES)),
) -> tuple[pl.DataFrame, str]:
    r"""One row per ring and size, energies in eV.

    ``energy`` is the model's three-body energy, by removing molecules,

    .. math:: E_3 = E_{ABC} - E_{AB} - E_{AC} - E_{BC} + E_A + E_B + E_C

    ``pairs`` the sum of its three two-body energies, ``term`` the group term :math:`I(\{A, B, C\})`: the sum of all
    terms of three and more atoms that reach over all three molecules; null where the model has no terms. ``xtb`` is
    :math:`E_3` by `energy`, null where there is none. ``gap`` is the smallest distance between two molecules in Å.

    `sizes` are the numbers of those of `SIZES` that are asked about. Rings at which an ASE calculator fails, whatever
    their size, are left out.

    Returns
    -------
    The table (`POINTS`), and why `energy` failed somewhere ("" where it did not).
    """
    rings = [(n, k, trimer) for n, trimer in enumerate(trimers) for k in sizes]
    own = _expansions(inputs, [(trimer.structures[k], trimer.molecules) for _, k, trimer in rings])
    # A ring is compared with itself at other sizes: where the calculator fails at one, all of it goes.
    failed = {
        number for (number, _, _), expansion in zip(rings, own, strict=True) if not math.isfinite(_three(expansion))
    }
    rows: list[tuple[object, ...]] = []
    reason = ""
    for done, ((number, k, trimer), expansion) in enumerate(zip(rings, own, strict=True)):
        progress("rings of three molecules", done, len(rings))
        if number in failed:
            continue
        known = None
        if energy is not None:
            try:
                known = _three(many_body_expansion(energy, trimer.structures[k], trimer.molecules))
            except ReferenceUnavailable as error:
                reason = str(error)
        pairs = float(expansion.order(2).energy.sum())
        term = _term(inputs, trimer, k)
        rows.append((number, trimer.mixture, SIZES[k], trimer.gap(k), _three(expansion), pairs, term, known))
    progress("rings of three molecules", len(rings), len(rings))
    return pl.DataFrame(rows, schema=POINTS, orient="row"), reason


def _term(inputs: AnalysisInputs, trimer: Trimer, k: int) -> float | None:
    if not inputs.model.facts.has_terms:
        return None
    groups = [list(part) for part in trimer.molecules]
    return float(
        inputs.explained(trimer.structures[k]).group_interactions(groups, max_order=3).order(3).relevance.sum()
    )


def _expansions(
    inputs: AnalysisInputs, rings: Sequence[tuple[ase.Atoms, tuple[tuple[int, ...], ...]]]
) -> list[ManyBodyExpansion]:
    """All rings expanded, the structures of all expansions predicted in batches: asked for first, answered in order."""
    asked: list[ase.Atoms] = []

    def ask(atoms: ase.Atoms) -> float:
        asked.append(atoms)
        return 0.0

    for atoms, molecules in rings:
        many_body_expansion(ask, atoms, molecules)
    answers = iter(predictions(inputs.model, asked).tolist())
    return [many_body_expansion(lambda _: next(answers), atoms, molecules) for atoms, molecules in rings]


def _three(expansion: ManyBodyExpansion) -> float:
    return float(expansion.order(3).energy[0])
