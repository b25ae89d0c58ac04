"""The page of several analyses: one table per question, claim by model, and the pictures of all models side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup

from atomlens.analyses import NOT_ASKED, AnalysedRun, Question, claims_of, finding_lines, questions_of, without_question
from atomlens.folders import PAGE
from atomlens.models import written
from atomlens.reference import property_words
from atomlens.report import assets
from atomlens.report.chapters import make_chapter
from atomlens.structures import InputError
from atomlens.tables import package_version


def verdicts_html(
    runs: Sequence[AnalysedRun],
    out: Path,
    *,
    differing: str = "",
    ranges: str = "",
    command: str = "",
    tables: Sequence[str] = (),
) -> str:
    """The page as text.

    Parameters
    ----------
    runs
        The runs, each with a name of its own.
    out
        Folder that the page will lie in: links to the runs' own pages start there.
    differing
        Why the runs do not rest on the same structures; empty where they do.
    ranges
        Why decay is not judged over one range of distances; empty where it is.
    command
        The command line.
    tables
        Names of the tables beside the page.
    """
    properties = {run.summary["property"] for run in runs}
    questions = [_question(question, runs) for question in questions_of(runs)]
    return assets.page_template("verdicts.html.jinja").render(
        version=package_version(),
        models=[_facts(run, out) for run in runs],
        questions=questions,
        answers=_answers(questions, [run.name for run in runs]),
        one_property=len(properties) == 1,
        one_rule=_one_rule(runs),
        differing=differing,
        ranges=ranges,
        partly=[question["title"] for question in questions if None in question["outcomes"]],
        not_asked=NOT_ASKED,
        command=command,
        tables=list(tables),
        style=Markup(assets.template_text("style.css") + assets.template_text("verdicts.css")),
        script=assets.plain_script(),
    )


def _answers(questions: Sequence[dict[str, Any]], names: Sequence[str]) -> list[str]:
    """What came out, in a sentence or two: how models do by themselves, and where their verdicts differ."""
    kinds = ("agrees", "deviates")
    of = [
        {kind: sum(question["outcomes"][k] == kind for question in questions) for kind in kinds}
        for k in range(len(names))
    ]
    alone = [
        f"{name} agrees in {n['agrees']} and deviates in {n['deviates']}" for name, n in zip(names, of, strict=True)
    ]
    differ = [question["title"] for question in questions if len(set(question["outcomes"])) > 1]
    asked = f"{len(questions)} question{'s' if len(questions) != 1 else ''}"
    said = f"Verdicts differ in: {', '.join(differ)}." if differ else "All models have the same verdicts."
    return [f"Of {asked}, {'; '.join(alone)}.", said]


def _question(question: Question, runs: Sequence[AnalysedRun]) -> dict[str, Any]:
    verdicts = [run.verdict(question.slug) for run in runs]
    asked = [run.findings(question.slug) for run in runs]
    pictures = [
        _picture(question, run)
        for run, verdict in zip(runs, verdicts, strict=True)
        # What means nothing for a model was not computed, and has no picture.
        if verdict is not None and (verdict["outcome"] != "not applicable" or run.has_result(question))
    ]
    return {
        "slug": question.slug,
        "title": question.title,
        "asks": question.asks,
        "outcomes": [None if verdict is None else verdict["outcome"] for verdict in verdicts],
        "sentences": [None if verdict is None else verdict["sentence"] for verdict in verdicts],
        "claims": [
            {
                "claim": claim,
                "reference": next(found[claim]["reference"] for found in asked if claim in found),
                "cells": [_cell(found.get(claim)) for found in asked],
            }
            for claim in claims_of(runs, question.slug)
        ],
        "pictures": pictures,
        "how": next((picture["how"] for picture in pictures if picture["how"]), ""),
    }


def _cell(finding: dict[str, Any] | None) -> dict[str, Any] | None:
    if finding is None:
        return None
    # Where nothing could be measured, the sentence says why.
    effect, *others = finding_lines(finding) or ["", without_question(finding["sentence"])]
    return {"outcome": finding["outcome"], "effect": effect, "others": others, "sentence": finding["sentence"]}


def _picture(question: Question, run: AnalysedRun) -> dict[str, Any]:
    """The figure of a run, drawn again from what it stored; and why not, where that cannot be read."""
    try:
        result = run.result(question)
        if result is None:
            raise InputError("the run has no stored result of this question")
        chapter = make_chapter(question, result, question.judge(result))
    except (InputError, OSError, pl.exceptions.PolarsError) as error:
        return {"name": run.name, "address": "", "missing": str(error).splitlines()[0], "how": ""}
    return {"name": run.name, "address": chapter.picture, "missing": "", "how": chapter.how}


def _facts(run: AnalysedRun, out: Path) -> dict[str, Any]:
    summary, model = run.summary, run.summary["model"]
    page = run.folder / PAGE
    return {
        "name": run.name,
        "path": model["path"],
        "architecture": written(model["architecture"]),
        "layers": model["n_layers"],
        "cutoff": model["cutoff_angstrom"],
        "property": property_words(summary["property"]),
        "unit": summary["unit"],
        "rule": _rule(run),
        "structures": summary["structures"],
        "n_structures": summary["n_structures"],
        "n_sampled": run.n_sampled,
        "page": os.path.relpath(page, out) if page.is_file() else None,
    }


def _one_rule(runs: Sequence[AnalysedRun]) -> bool:
    """Whether models are explained alike; the rule of products is asked of those that have any."""
    products = {run.summary["options"]["product_rule"] for run in runs if _has_products(run)}
    explained = [run for run in runs if run.summary["model"].get("has_terms", True)]
    return len({run.summary["options"]["rule"] for run in explained}) <= 1 and len(products) <= 1


def _has_products(run: AnalysedRun) -> bool:
    # SchNet multiplies no two signals.
    return run.summary["model"]["has_products"]


def _rule(run: AnalysedRun) -> str:
    options = run.summary["options"]
    if not run.summary["model"].get("has_terms", True):
        return "none: it has no terms"
    return options["rule"] + (f", products: {options['product_rule']}" if _has_products(run) else "")
