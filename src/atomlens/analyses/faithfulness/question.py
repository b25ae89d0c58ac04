"""Do the terms predict what the model does? Deleted messages, and models fitted to potentials with known terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from atomlens.analyses.claims import Claim, judge_claim
from atomlens.analyses.faithfulness.deletion_table import (
    KINDS,
    controls_of,
    delete_in,
    deletion_scores,
    deletions_table,
    effect_of,
    empty_table,
)
from atomlens.analyses.faithfulness.known_terms import UNTRAINED, rule_names, stored_known_scores
from atomlens.analyses.inputs import AnalysisInputs, untrained_model
from atomlens.analyses.statistics import MIN_MOLECULES
from atomlens.analyses.verdict import Control, Effect, Finding, Verdict, cannot_tell, conclude
from atomlens.models import Potential, to_internal
from atomlens.potentials import AnyPotential
from atomlens.recording import DEFAULT_PRODUCT_RULE
from atomlens.surveys import Progress, no_progress

SLUG = "faithfulness"
TITLE = "Faithfulness"
# Our choices; 0.8 is about two thirds of the variance.
KNOWN_THRESHOLD = 0.95
DELETION_THRESHOLD = 0.8
PAIR_POTENTIALS = ("lennard-jones", "morse", "screened-coulomb")


@dataclass(frozen=True)
class FaithfulnessResult:
    """Changes by deletion against what was predicted, and the stored scores on known potentials.

    Attributes
    ----------
    deletions
        One row per deletion and method: ``frame``, ``kind`` (pair, atom), ``atom_1``, ``atom_2`` (null for atoms),
        ``distance`` in Å (null for atoms), ``element_1``, ``element_2`` (atomic numbers), ``method``, ``predicted`` and
        ``change``: prediction minus prediction without the messages.
    scores
        One row per kind and method: correlation, slope (of the change on what was predicted) with limits, rank, and
        areas of deletion and insertion curves by those of random orders (`deletion_scores`).
    known
        `stored_known_scores`.
    effects
        Correlation of the default rule, by kind.
    controls
        Controls of these, by kind.
    method, architecture, unit
        The rule asked about (``gate/full``), the model's architecture, the unit of changes.
    n_structures
        Structures with at least one deletion.
    """

    deletions: pl.DataFrame
    scores: pl.DataFrame
    known: pl.DataFrame
    effects: dict[str, Effect]
    controls: dict[str, list[Control]]
    method: str
    architecture: str
    unit: str
    n_structures: int


def compute(
    inputs: AnalysisInputs, *, progress: Progress = no_progress, n_structures: int = 20, n_deletions: int = 24
) -> FaithfulnessResult:
    """Delete pairs of edges and atoms from the messages of the model, and hold the changes against the predicted ones.

    Parameters
    ----------
    inputs
        Model, structures, settings; its tables are not needed.
    progress
        Called after every structure.
    n_structures
        Structures to ask about, spread evenly over the inputs'.
    n_deletions
        Pairs, and atoms, a structure; drawn at random where there are more.
    """
    if not isinstance(inputs.model, Potential):
        raise TypeError(why_not(inputs.model))
    model = inputs.model.converted(torch.float64, "cpu")  # of a few small graphs, cut and gated in NumPy
    default = _default_method(inputs)
    total = min(n_structures, len(inputs.structures))
    chosen = np.unique(np.linspace(0, max(len(inputs.structures) - 1, 0), total).astype(int)) if total else []
    fresh, fresh_parts = untrained_model(model, inputs.settings.seed), []
    tables, n_used, parts = [], 0, []
    for done, frame in enumerate(chosen):
        progress("deleting messages", done, len(chosen))
        graph = model.graph(inputs.structures[int(frame)])
        rng = np.random.default_rng([inputs.settings.seed, int(frame)])
        found = delete_in(model, graph, rng, n_deletions, rule_names(model))
        if found is None:
            continue
        tables.append(deletions_table(int(frame), graph, found, to_internal(model.facts.unit)[0]))
        parts.append(found)
        n_used += 1
        if len(fresh_parts) < MIN_MOLECULES:
            only = [(inputs.settings.rule, default.partition("/")[2])]
            fresh_parts.append(delete_in(fresh, graph, np.random.default_rng(0), n_deletions, only))
    progress("deleting messages", len(chosen), len(chosen))
    deletions = pl.concat(tables) if tables else empty_table()
    return FaithfulnessResult(
        deletions=deletions,
        scores=deletion_scores(deletions, [found["pair"].areas for found in parts]),
        known=stored_known_scores(),
        effects={kind: effect_of(deletions, kind, default) for kind in KINDS},
        controls={kind: controls_of(deletions, kind, default, fresh_parts) for kind in KINDS},
        method=default,
        architecture=model.facts.architecture,
        unit=inputs.unit,
        n_structures=n_used,
    )


def _default_method(inputs: AnalysisInputs) -> str:
    product = inputs.settings.product_rule
    if not inputs.model.facts.has_products:
        product = DEFAULT_PRODUCT_RULE  # both product rules are one there
    return f"{inputs.settings.rule}/{product}"


def why_not(model: AnyPotential) -> str:
    """Messages are deleted inside of our own networks only."""
    if not model.facts.has_terms:
        return "It is about terms, and an ASE calculator has energies and forces only."
    if isinstance(model, Potential):
        return ""
    return f"Messages are deleted inside of atomlens' own networks, not inside of a {model.facts.name}."


def judge(result: FaithfulnessResult) -> Verdict:
    """Compared with deletions in this model; what is known of its rule from other models is shown next to it."""
    findings = tuple(_deletion_finding(result, kind) for kind in reversed(KINDS))
    return conclude(SLUG, findings, beside=(_known_finding(result),))


def _deletion_finding(result: FaithfulnessResult, kind: str) -> Finding:
    text, asked = {
        "pair": (
            "Stopping the messages between two atoms changes the prediction as the walks along them predict.",
            "Do walks between two atoms predict what changes when their messages stop?",
        ),
        "atom": (
            "Stopping all messages of an atom changes the prediction as the walks through it predict.",
            "Do walks through an atom predict what changes when its messages stop?",
        ),
    }[kind]
    claim = Claim(
        text,
        asked,
        "Terms show what this model really uses.",
        "Terms under this rule do not show what this model really uses: try another rule.",
        "the model itself, with these edges left out of its graph",
        DELETION_THRESHOLD,
    )
    if result.n_structures < MIN_MOLECULES:
        reason = f"{result.n_structures} structures in which atoms see each other; at least {MIN_MOLECULES} are needed"
        return cannot_tell(text, reason, claim.reference)
    effect, controls = result.effects[kind], tuple(result.controls[kind])
    if not effect.has_interval:
        return cannot_tell(text, "what is predicted, or what changes, does not vary", claim.reference)
    row = result.scores.filter((pl.col("kind") == kind) & (pl.col("method") == result.method)).to_dicts()[0]
    more = (
        f"of {'pairs of edges' if kind == 'pair' else 'atoms'}, a predicted {result.unit} is {row['slope']:.2f} "
        f"{result.unit} ({result.method})"
    )
    return judge_claim(claim, effect, controls, more=more)


def _known_finding(result: FaithfulnessResult) -> Finding:
    claim = Claim(
        "Pair terms of models fitted to known pair potentials are the pair terms of these potentials.",
        "Does the rule give back known pair potentials?",
        "The rule reads such models rightly. It concerns the rule, not this model, and does not enter the verdict.",
        "The rule misreads such models. It concerns the rule, not this model, and does not enter the verdict.",
        "stored scores of models of this architecture (benchmarks/faithfulness.py)",
        KNOWN_THRESHOLD,
        counted="clusters",
    )
    if not len(result.known):
        return cannot_tell(claim.text, "no stored scores", claim.reference)
    pairs = result.known.filter(
        (pl.col("architecture") == result.architecture)
        & (pl.col("order") == 2)
        & pl.col("potential").is_in(PAIR_POTENTIALS)
    )
    rows = pairs.filter(pl.col("method") == f"terms {result.method}")
    if not len(rows):
        return cannot_tell(
            claim.text, f"no stored scores of {result.architecture} under {result.method}", claim.reference
        )
    worst = rows.sort("correlation").to_dicts()[0]
    effect = Effect(
        f"correlation with the true pair terms, {worst['potential']}",
        worst["correlation"],
        worst["correlation_low"],
        worst["correlation_high"],
        worst["n"],
    )
    more = (
        f"the lowest of {rows['potential'].n_unique()} known pair potentials, {rows['seed'].n_unique()} trainings of "
        f"{result.architecture} each, under {result.method}; slope {worst['slope']:.2f}"
    )
    same = (pl.col("potential") == worst["potential"]) & (pl.col("seed") == worst["seed"])
    fresh = pairs.filter((pl.col("method") == UNTRAINED) & same)
    # The sign of an untrained model's terms is that of its random readout.
    controls = tuple(Control("untrained model, without sign", abs(value)) for value in fresh["correlation"])
    return judge_claim(claim, effect, controls, more=more)
