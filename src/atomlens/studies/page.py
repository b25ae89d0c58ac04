"""The page of a study: what goes with survival, and the table of all models."""

from __future__ import annotations

import math
from typing import Any

import jinja2
import polars as pl
from markupsafe import Markup
from matplotlib.figure import Figure

from atomlens.report import assets
from atomlens.report.chapters import svg_address
from atomlens.report.summary import package_version
from atomlens.studies.correlation import GIVEN, PREDICTORS, SURVIVAL, Association
from atomlens.studies.plan import StudyConfig

_COLOURS = ("#2765b0", "#d9730d", "#009e73", "#b5488d", "#8a6d00", "#5d666f")
_LABELS = {
    "deviation": "deviation score",
    "force_error": "force error, meV/Å",
    "energy_error": "energy error, meV",
    "roughness": "roughness of bond scans",
    "disagreement": "disagreement of forces, eV/Å",
}


def study_page(config: StudyConfig, table: pl.DataFrame, found: list[Association], command: str) -> str:
    """The page as text."""
    shown = [name for name in table.columns if "/" not in name]
    rows = [[_cell(row[name]) for name in shown] for row in table.to_dicts()]
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(assets.template_text), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("study.html.jinja").render(
        version=package_version(),
        name=config.name,
        n_models=table.height,
        n_replicas=config.simulation.replicas,
        time=config.simulation.time,
        temperature=config.simulation.temperature,
        sentence=sentence(found),
        picture=svg_address(survival_figure(table)),
        found=[(_LABELS[item.predictor], item) for item in found],
        columns=shown,
        rows=rows,
        command=command,
        style=Markup(assets.template_text("style.css")),
    )


def sentence(found: list[Association]) -> str:
    """What the study says of the deviation score, in one sentence."""
    score = next((item for item in found if item.predictor == "deviation"), None)
    if score is None or not score.spearman.has_interval:
        return "Too few models with a deviation score and a survival time: the study cannot tell."
    partial = f"; given the force error {score.partial}" if math.isfinite(score.partial.value) else ""
    if score.spearman.high < 0:
        told = "Models of higher deviation score break sooner"
    elif score.spearman.low > 0:
        told = "Against expectation, models of higher deviation score last longer"
    else:
        told = "The deviation score does not foretell survival here"
    return f"{told}: rank correlation {score.spearman} over {score.spearman.n} models{partial}."


def survival_figure(table: pl.DataFrame) -> Figure:
    """Mean sound time against every predictor, by architecture."""
    names = [name for name in PREDICTORS if name in table.columns and table[name].drop_nulls().len()]
    figure = Figure(figsize=(3.1 * max(len(names), 1), 3.2), layout="constrained")
    panels = figure.subplots(1, max(len(names), 1), squeeze=False, sharey=True)[0]
    group = "model.architecture"
    kinds = sorted(table[group].unique().to_list()) if group in table.columns else [None]
    for axes, name in zip(panels, names, strict=False):
        for kind, colour in zip(kinds, _COLOURS, strict=False):
            rows = table if kind is None else table.filter(pl.col(group) == kind)
            rows = rows.drop_nulls([name, SURVIVAL])
            axes.plot(rows[name], rows[SURVIVAL], "o", color=colour, alpha=0.8, label=kind)
        if name in (GIVEN, "energy_error", "disagreement"):
            axes.set_xscale("log")
        axes.set_xlabel(_LABELS[name])
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("mean sound time, ps")
    if kinds != [None]:
        panels[0].legend(frameon=False)
    return figure


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
