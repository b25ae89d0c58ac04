"""Fill the tables and figures of studies.md from finished studies, so that every number has the command that makes it.

Usage: python docs/studies.py STUDY [STUDY ...]
       python docs/studies.py --within

With ``--within`` the correlations of the stored tables (docs/studies/NAME.csv) are made again within each cutoff, which
needs no study: what differs between cutoffs only is no association. Otherwise each STUDY is a folder that ``atomlens
study`` wrote; its table goes to docs/studies/NAME.csv. Between the marks ``<!-- NAME -->`` and ``<!-- /NAME -->``
everything is replaced, and between those of ``all`` what they say together.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib import rc_context
from pages import filled
from scipy.stats import rankdata

from atomlens.analyses import rank_correlation
from atomlens.structures import InputError
from atomlens.studies.correlation import (
    ENSEMBLE,
    GIVEN,
    PREDICTORS,
    SURVIVAL,
    Association,
    associations,
    partial_rank_correlation,
)
from atomlens.studies.page import LABELS, seed_means, sentence, survival_figure

PAGE = Path(__file__).parent / "studies.md"
FILES = Path(__file__).parent / "studies"


def read_study_run(folder: Path) -> tuple[dict[str, Any], pl.DataFrame]:
    """Summary and table of a finished study.

    Raises
    ------
    InputError
        If the folder holds none.
    """
    try:
        summary = json.loads((folder / "summary.json").read_text("utf-8"))
        return summary, pl.read_parquet(folder / "models.parquet")
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: holds no finished study; make one with atomlens study") from error


def section(summary: dict[str, Any], table: pl.DataFrame, name: str) -> str:
    """Command, sentence, means over seeds, correlations and figure of one study."""
    means = seed_means(table)
    found = associations(table)
    failed = [f"- {model} failed: {reason}" for model, reason in summary.get("failed", {}).items()]
    survival = summary["settings"]["simulation"]
    return "\n".join(
        [
            "```bash",
            summary["command"],
            "```",
            "",
            f"{table.height} models; {survival['replicas']} replicas of {survival['time']:g} ps at "
            f"{survival['temperature']:g} K each ([all numbers](studies/{name}.csv)). {sentence(found)}",
            "",
            *failed,
            *markdown(means.columns, [[str(cell) for cell in row] for row in means.rows()]),
            "",
            "*Mean ± standard deviation over seeds.*",
            "",
            *correlations(found),
            "",
            f"![mean sound time against predictors, {name}](studies/{name}.svg)",
        ]
    )


def correlations(found: list[Association]) -> list[str]:
    """One row per predictor."""
    rows = []
    for item in found:
        left = "; ".join(f"without {kind} {value:.2f}" for kind, value in item.left_out.items())
        partial = str(item.partial) if math.isfinite(item.partial.value) else ""
        rows.append([LABELS[item.predictor], str(item.spearman), partial, left])
    return markdown(["predictor", "rank correlation with sound time", "given the force error", "one left out"], rows)


def markdown(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a table."""
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


def together(tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """All studies in one table, every number replaced by its rank within its study, from 0 to 1."""
    parts, first = [], 0
    for name, table in tables.items():
        columns = [column for column in (*PREDICTORS, SURVIVAL) if column in table.columns]
        ranked = [pl.Series(column, _ranks(table[column].cast(pl.Float64).to_numpy())) for column in columns]
        numbers = table[ENSEMBLE] + first
        first = int(numbers.max() or 0) + 1  # pyright: ignore[reportArgumentType]
        labels = [
            pl.Series("study", [name] * len(table)),
            table["model.architecture"],
            numbers.cast(pl.Int64).alias(ENSEMBLE),
        ]
        parts.append(pl.DataFrame([*labels, *ranked]).with_columns(pl.col(columns).fill_nan(None)))
    return pl.concat(parts, how="diagonal")


def within_cutoffs() -> str:
    """Correlations of the deviation score among models of one cutoff, from the stored tables."""
    rows = []
    for path in sorted(FILES.glob("*.csv")):
        table = pl.read_csv(path)
        if "model.cutoff" not in table.columns:
            continue
        parts = [("all", table), *((f"{c:g} Å", table.filter(pl.col("model.cutoff") == c)) for c in _cutoffs(table))]
        for label, part in parts:
            score, time, error = (part[name].cast(pl.Float64).to_numpy() for name in ("deviation", SURVIVAL, GIVEN))
            response = part["deviation/decay/exponent_response"]
            given = partial_rank_correlation(score, time, error)
            cells = [f"{rank_correlation(score, time):.2f}", f"{given:.2f}"]
            rows.append([path.stem, label, str(len(part)), f"{response.min():.2f} to {response.max():.2f}", *cells])
    header = ["study", "cutoff", "models", "response part of the score", "rank correlation", "given the force error"]
    return "\n".join(["```bash", "python docs/studies.py --within", "```", "", *markdown(header, rows)])


def _cutoffs(table: pl.DataFrame) -> list[float]:
    return sorted(table["model.cutoff"].unique().to_list())


def _ranks(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    result = np.full(len(values), math.nan)
    result[known] = (rankdata(values[known]) - 0.5) / max(known.sum(), 1)
    return result


def main(folders: list[str]) -> None:
    """Read, draw, fill."""
    parts, tables = {}, {}
    FILES.mkdir(exist_ok=True)
    for folder in map(Path, folders):
        summary, table = read_study_run(folder)
        name = summary["settings"]["study"]
        tables[name] = table
        table.write_csv(FILES / f"{name}.csv", float_precision=6)
        with rc_context({"svg.hashsalt": "atomlens"}):
            survival_figure(table).savefig(FILES / f"{name}.svg", format="svg", metadata={"Date": None})
        parts[name] = section(summary, table, name)
    found = associations(together(tables), group="study")
    command = ["```bash", f"python docs/studies.py {' '.join(folders)}", "```", ""]
    told = f"{sum(map(len, tables.values()))} models. {sentence(found)}"
    parts["all"] = "\n".join([*command, told, "", *correlations(found)])
    PAGE.write_text(filled(PAGE.read_text("utf-8"), parts), encoding="utf-8")


if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["--within"]:
            PAGE.write_text(filled(PAGE.read_text("utf-8"), {"within": within_cutoffs()}), encoding="utf-8")
        else:
            main(sys.argv[1:] or sys.exit(__doc__))
    except InputError as error:
        sys.exit(str(error))
