"""The page of a study: what goes with survival, and the table of all models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from atomlens.analyses import minus_signs
from atomlens.report import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PINK,
    QUIET,
    page_template,
    plain,
    plain_script,
    svg_address,
    template_text,
)
from atomlens.studies.correlation import ENSEMBLE, GIVEN, PREDICTORS, SURVIVAL, Association
from atomlens.studies.plan import StudyConfig
from atomlens.tables import package_version

_COLOURS = (BLUE, ORANGE, GREEN, PINK, "#8a6d00", QUIET)
LABELS = {
    "deviation": "deviation score",
    "force_error": "force error, meV/Å",
    "energy_error": "energy error, meV",
    "exit_barrier": "exit barrier, kT",
    "smoothness": "force smoothness deviation, 1/Å",
    "roughness": "roughness of bond scans",
    "disagreement": "disagreement of forces, eV/Å",
}


# What is averaged over seeds, and how it is called on the page.
_AVERAGED = {
    "n_parameters": "parameters",
    "force_error": "force error, meV/Å",
    "energy_error": "energy error, meV",
    "deviation": "deviation score",
    "score/decay/exponent": "exponent of pair terms",
    "score/decay/exponent_response": "response: exponent off by",
    "score/decay/dimer_exponent": "two molecules: exponent off by",
    "score/decay/s66x8": "S66x8 rank correlation",
    "size_error": "size error, eV",
    "exit_barrier": LABELS["exit_barrier"],
    "smoothness": LABELS["smoothness"],
    "roughness": "roughness",
    "sound_time_ps": "sound time, ps",
}


# Names of other columns; what is not here is shown as it is called in the tables.
_COLUMNS = {
    "n_parts": "parts of the score",
    "range_low": "distances from, Å",
    "range_high": "distances to, Å",
    "sound_share": "share of replicas sound at the end",
    "model.architecture": "architecture",
    "model.cutoff": "cutoff, Å",
    "data.n_train": "training structures",
    "n_replicas": "replicas",
    "n_broken": "replicas that broke",
    "training_hours": "training, h",
    "disagreement": LABELS["disagreement"],
} | _AVERAGED


def seed_means(table: pl.DataFrame) -> pl.DataFrame:
    """Mean and standard deviation over seeds of what models of the same settings give, as text, in the table's order.

    Parameters
    ----------
    table
        One row per model.
    """
    axes = setting_columns(table)
    names = [name for name in _AVERAGED if name in table.columns and table[name].drop_nulls().len()]
    rows = []
    for keys, part in table.group_by(axes, maintain_order=True):
        row: dict[str, Any] = dict(zip(axes, map(str, keys), strict=True)) | {"seeds": len(part)}
        for name in names:
            row[_AVERAGED[name]] = mean_and_spread(part[name], ".0f" if name == "n_parameters" else ".4g")
        rows.append(row)
    return pl.DataFrame(rows)


def mean_and_spread(column: pl.Series, form: str = ".4g") -> str:
    """Mean ± standard deviation of the numbers in a column; "" where there are none."""
    values = column.cast(pl.Float64).drop_nulls().drop_nans()
    if not len(values):
        return ""
    numbers = values.to_numpy()
    mean, spread = float(numbers.mean()), float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0
    if not spread:
        return minus_signs(f"{mean:{form}}")
    # Two figures of the spread, and the mean to the same decimal place.
    digits = 1 - math.floor(math.log10(spread))
    if digits > 5:
        return minus_signs(f"{mean:{form}} ± {spread:.2g}")
    return minus_signs(f"{round(mean, digits):.{max(digits, 0)}f} ± {round(spread, digits):.{max(digits, 0)}f}")


def setting_columns(table: pl.DataFrame) -> list[str]:
    """Columns of a study's table that are axes of its grid, seeds apart."""
    return [name for name in table.columns if name == "variant" or name.startswith(("model.", "data.", "fit."))]


def study_page(
    config: StudyConfig,
    table: pl.DataFrame,
    found: list[Association],
    failed: Mapping[str, str],
    command: str,
    common: Sequence[str] = (),
    doubts: Sequence[str] = (),
) -> str:
    """The page as text; `common` are the parts of the deviation score that all models have, `doubts` on simulations."""
    shown = [name for name in table.columns if "/" not in name and name != ENSEMBLE]
    means = seed_means(table) if "seed" in config.grid and setting_columns(table) else None
    rows = [[(_cell(row[name]), _sort_key(row[name])) for name in shown] for row in table.to_dicts()]
    return page_template("study.html.jinja").render(
        version=package_version(),
        name=config.name,
        n_models=table.height,
        n_replicas=config.simulation.replicas,
        time=config.simulation.time,
        temperature=config.simulation.temperature,
        sentence=sentence(found),
        picture=svg_address(survival_figure(table)),
        found=[(LABELS[item.predictor], item) for item in found],
        columns=[_COLUMNS.get(name, name) for name in shown],
        rows=rows,
        mean_columns=[] if means is None else [_COLUMNS.get(name, name) for name in means.columns],
        mean_rows=[] if means is None else means.rows(),
        failed=failed,
        doubts=doubts,
        common=common,
        command=command,
        style=Markup(template_text("style.css")),
        script=plain_script(),
    )


def sentence(found: list[Association]) -> str:
    """What the study says about the deviation score, in one sentence."""
    score = next((item for item in found if item.predictor == "deviation"), None)
    if score is None or not score.spearman.has_interval:
        return "Too few kinds of models with a deviation score and a survival time: the study cannot tell."
    partial = f"; given the force error {score.partial}" if math.isfinite(score.partial.value) else ""
    if score.spearman.high < 0:
        result = "Models of higher deviation score break sooner"
    elif score.spearman.low > 0:
        result = "Against expectation, models of higher deviation score last longer"
    else:
        result = "The deviation score does not predict survival here"
    return f"{result}: rank correlation {score.spearman} over {score.spearman.n} kinds of models{partial}."


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
            low, high = axes.get_xlim()
            # Within half a decade a logarithmic locator crowds the axis.
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > 4 * low else MaxNLocator(4))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        plain(axes, x=LABELS[name])
    panels[0].set_ylabel("mean sound time, ps", color=INK)
    if kinds != [None]:
        panels[0].legend(frameon=False)
    return figure


def _sort_key(value: Any) -> float | None:
    """What a numeric cell sorts by; None for words."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return minus_signs(f"{value:.4g}") if isinstance(value, float) else str(value)
