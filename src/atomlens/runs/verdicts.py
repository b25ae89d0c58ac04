"""Finished analyses of several models, compared claim by claim, and written as one folder."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from atomlens.analyses import QUESTIONS, AnalysedRun, DecayRange, claims_of, is_analysis, questions_of, read_run
from atomlens.folders import MARK, PAGE, read_json
from atomlens.report import verdicts_html
from atomlens.structures import InputError, check_regular
from atomlens.surveys import run_names
from atomlens.tables import package_versions

# Raised whenever a key of this summary.json or a column of verdicts.parquet changes its meaning or goes away.
SCHEMA = 1
TABLE = "verdicts"
_COLUMNS = {
    "model": pl.String,
    "question": pl.String,
    "claim": pl.String,
    "outcome": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n": pl.Int64,
    "unit": pl.String,
    "threshold": pl.Float64,
    "sentence": pl.String,
}
_DECAY = next(question for question in QUESTIONS if question.slug == "decay")
# Two runs are of one structure if no coordinate differs by more (Å).
_SAME = 1e-4


@dataclass(frozen=True)
class VerdictComparison:
    """Analyses side by side.

    Attributes
    ----------
    runs
        The runs, each with a name of its own.
    differing
        Why the runs do not rest on the same structures, one sentence; empty where they do.
    ranges
        Why decay is not judged over one range of distances, one sentence; empty where it is.
    table
        One row per model and finding: ``model``, ``question``, ``claim``, ``outcome``, ``value``, ``low``, ``high``,
        ``n``, ``unit``, ``threshold``, ``sentence``; null where there is no number.
    """

    runs: tuple[AnalysedRun, ...]
    differing: str
    ranges: str
    table: pl.DataFrame


def all_analyses(folders: Sequence[Path]) -> bool:
    """Whether folders hold runs of ``atomlens analyze``: all of them, or none.

    Raises
    ------
    InputError
        If some do and others do not.
    """
    found = {folder: is_analysis(folder) for folder in folders}
    if len(set(found.values())) > 1:
        one, other = (next(folder for folder, kind in found.items() if kind is wanted) for wanted in (True, False))
        raise InputError(
            f"{one} is a run of atomlens analyze and {other} is not; compare runs of analyze, or runs of explain"
        )
    return all(found.values())


def compare_verdicts(folders: Sequence[Path]) -> VerdictComparison:
    """Read finished runs of ``atomlens analyze``.

    Raises
    ------
    InputError
        If there are fewer than two, or a folder holds no such run.
    """
    if len(folders) < 2:
        raise InputError("a comparison needs at least two runs; give two or more folders that atomlens analyze wrote")
    found = [read_run(Path(folder)) for folder in folders]
    names = run_names([run.summary["model"]["path"] for run in found], [f"({run.name})" for run in found])
    runs = tuple(replace(run, name=name) for run, name in zip(found, names, strict=True))
    rows = [row for run in runs for row in _rows(run)]
    return VerdictComparison(runs, _differing(runs), _ranges(runs), pl.DataFrame(rows, schema=_COLUMNS, orient="row"))


def write_verdicts(folder: Path, comparison: VerdictComparison, *, command: str = "") -> dict[str, Any]:
    """Write page, ``verdicts.parquet`` and summary; return the summary."""
    started = time.perf_counter()
    comparison.table.write_parquet(folder / f"{TABLE}.parquet")
    page = verdicts_html(
        comparison.runs,
        folder,
        differing=comparison.differing,
        ranges=comparison.ranges,
        command=command,
        tables=[TABLE],
    )
    (folder / PAGE).write_text(page, encoding="utf-8")
    summary = verdicts_summary(comparison) | {
        "command": command,
        "tables": [TABLE],
        "seconds": round(time.perf_counter() - started, 3),
    }
    text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / MARK).write_text(text + "\n", encoding="utf-8")
    return summary


def verdicts_summary(comparison: VerdictComparison) -> dict[str, Any]:
    """Every claim of every question with the findings of all models; null where a model was not asked."""
    runs = comparison.runs
    return {
        "schema": SCHEMA,
        "what": "verdicts of several models against known chemistry, side by side",
        "versions": package_versions(),
        "models": {
            run.name: run.summary["model"]
            | {key: run.summary[key] for key in ("property", "unit", "structures", "n_structures", "options")}
            | {"n_sampled": run.n_sampled, "folder": str(run.folder)}
            for run in runs
        },
        "same_structures": not comparison.differing,
        "structures_differ": comparison.differing or None,
        "distances_differ": comparison.ranges or None,
        "questions": {
            question.slug: {
                "outcomes": {run.name: (run.verdict(question.slug) or {}).get("outcome") for run in runs},
                "sentences": {run.name: (run.verdict(question.slug) or {}).get("sentence") for run in runs},
                "claims": [
                    {"claim": claim, "findings": {run.name: run.findings(question.slug).get(claim) for run in runs}}
                    for claim in claims_of(runs, question.slug)
                ],
            }
            for question in questions_of(runs)
        },
    }


def _rows(run: AnalysedRun) -> list[tuple[Any, ...]]:
    rows = []
    for question in questions_of([run]):
        for claim, finding in run.findings(question.slug).items():
            effect = finding["effect"] or {}
            numbers = [effect.get(key) for key in ("value", "low", "high", "n", "unit")]
            rows.append(
                (
                    run.name,
                    question.slug,
                    claim,
                    finding["outcome"],
                    *numbers,
                    finding["threshold"],
                    finding["sentence"],
                )
            )
    return rows


def _ranges(runs: Sequence[AnalysedRun]) -> str:
    """The first two runs whose decay is judged over different distances: one model scores differently on each."""
    found: list[tuple[str, DecayRange]] = []
    for run in runs:
        if run.verdict(_DECAY.slug) is None:
            continue
        try:
            result = run.result(_DECAY)
        except (InputError, OSError, pl.exceptions.PolarsError):
            continue  # the page says why its picture is missing
        if result is not None:
            found.append((run.name, result.range))
    for name, where in found[1:]:
        first, base = found[0]
        if (where.low, where.high) != (base.low, base.high):
            high = min(where.high, base.high)
            return (
                f"decay is judged from {base} for {first} and from {where} for {name}, so that its numbers cannot be "
                f"compared; analyze both with --distances {max(where.low, base.low):.4g}:{high:.4g}."
            )
    return ""


def _differing(runs: Sequence[AnalysedRun]) -> str:
    """The first difference between the structures of any run and those of the first one."""
    first = runs[0]
    for run in runs[1:]:
        one, other = (f"{r.name} ({r.summary['n_structures']}, {r.summary['structures']})" for r in (first, run))
        if reason := _unlike(first, run):
            return f"{one} and {other}: {reason}."
        if first.n_sampled != run.n_sampled:
            return f"{first.n_sampled} of them are judged for {first.name}, {run.n_sampled} for {run.name}."
    return ""


def _unlike(a: AnalysedRun, b: AnalysedRun) -> str:
    counts = [run.summary["n_structures"] for run in (a, b)]
    if counts[0] != counts[1]:
        return f"{counts[0]} structures were explained in one run, {counts[1]} in the other"
    marks = [_source_mark(run) for run in (a, b)]
    if marks[0] is not None and marks[0] == marks[1]:
        return ""
    # Read in another way, one set has another mark: then the atoms themselves decide.
    columns = ["frame", "element", "x", "y", "z"]
    try:
        for run in (a, b):
            check_regular(run.folder / "tables" / "atoms.parquet")
        atoms = [pl.scan_parquet(run.folder / "tables" / "atoms.parquet").select(columns) for run in (a, b)]
        if len({table.select(pl.len()).collect().item() for table in atoms}) > 1:
            return "they have different numbers of atoms"
        both = pl.concat([atoms[0], atoms[1].rename(lambda name: f"{name}_b")], how="horizontal")
        unlike = [(pl.col(name) != pl.col(f"{name}_b")).any().alias(name) for name in columns[:2]]
        gaps = [(pl.col(name) - pl.col(f"{name}_b")).abs().max().alias(name) for name in columns[2:]]
        found = both.select(*unlike, *gaps).collect(engine="streaming").row(0)
    except (pl.exceptions.PolarsError, OSError, InputError):
        return "whether they are the same is not known, since their tables cannot be read"
    if any(found[:2]):
        return "they are different molecules, or in another order"
    gap = max(found[2:])
    return "" if gap <= _SAME else f"atoms lie up to {gap:.1g} Å apart"


def _source_mark(run: AnalysedRun) -> str | None:
    try:
        mark = read_json(run.folder / "tables" / "survey.json").get("structures")
    except (OSError, ValueError):
        return None
    return mark if isinstance(mark, str) else None
