"""Fill the tables and figures of studies.md from stored tables, so that every number has the command that makes it.

Usage: python docs/studies.py [STUDY ...]

Each STUDY is a folder that ``atomlens study`` wrote for configs/studies/NAME.toml; its table goes to
docs/studies/NAME.csv first. Then everything between the marks ``<!-- NAME -->`` and ``<!-- /NAME -->`` is made anew
from the stored tables, those of docs/forecast.md among them in what all studies say together.
"""

from __future__ import annotations

import json
import math
import sys
import tomllib
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib import rc_context
from pages import filled, signed
from pages import table as markdown
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
FORECAST = Path(__file__).parent / "forecast"
CONFIGS = Path(__file__).parents[1] / "configs" / "studies"
# Studies of forecast.md, whose models differ in cutoff.
MOLECULES = ("sulfoxide", "chloroethanol", "toluene", "dipeptide")


def store(folder: Path) -> None:
    """Keep the table of a finished study.

    Raises
    ------
    InputError
        If the folder holds none, or models of it failed.
    """
    try:
        summary = json.loads((folder / "summary.json").read_text("utf-8"))
        table = pl.read_parquet(folder / "models.parquet")
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: holds no finished study; make one with atomlens study") from error
    if summary.get("failed"):
        raise InputError(f"{folder}: models failed ({', '.join(summary['failed'])}); the same command makes them")
    FILES.mkdir(exist_ok=True)
    table.write_csv(FILES / f"{summary['settings']['study']}.csv", float_precision=6)


def section(name: str, table: pl.DataFrame) -> str:
    """Command, sentence, means over seeds, correlations and figure of one study."""
    with (CONFIGS / f"{name}.toml").open("rb") as file:
        simulation = tomllib.load(file)["simulation"]
    means = seed_means(table)
    found = associations(table)
    return "\n".join(
        [
            "```bash",
            f"atomlens study configs/studies/{name}.toml --out runs/study-{name}",
            "```",
            "",
            f"{table.height} models; {simulation['replicas']} replicas of {simulation['time']:g} ps at "
            f"{simulation['temperature']:g} K each ([all numbers](studies/{name}.csv)). {sentence(found)}",
            "",
            markdown(means.columns, [[str(cell) for cell in row] for row in means.rows()]),
            "",
            "*Mean ± standard deviation over seeds.*",
            "",
            correlations(found),
            "",
            f"![mean sound time against predictors, {name}](studies/{name}.svg)",
        ]
    )


def correlations(found: list[Association]) -> str:
    """One row per predictor."""
    rows = []
    for item in found:
        left = "; ".join(f"without {kind} {signed(value)}" for kind, value in item.left_out.items())
        partial = str(item.partial) if math.isfinite(item.partial.value) else ""
        rows.append([LABELS[item.predictor], str(item.spearman), partial, left])
    return markdown(["predictor", "rank correlation with sound time", "given the force error", "one left out"], rows)


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


def stored_tables() -> dict[str, pl.DataFrame]:
    """Tables of all studies, by name."""
    own = {path.stem: pl.read_csv(path) for path in sorted(FILES.glob("*.csv"))}
    return own | {name: pl.read_csv(FORECAST / f"{name}.csv") for name in MOLECULES}


def within_cutoffs(tables: dict[str, pl.DataFrame]) -> str:
    """Correlations of the deviation score among models of one cutoff, over four molecules."""
    rows = []
    for kind in ("all", *sorted(tables[MOLECULES[0]]["variant"].unique())):
        chosen = {m: tables[m].filter((kind == "all") | (pl.col("variant") == kind)) for m in MOLECULES}
        ranked = together(chosen)
        score, time, error = (ranked[name].to_numpy() for name in ("deviation", SURVIVAL, GIVEN))
        response = pl.concat([table["deviation/decay/exponent_response"] for table in chosen.values()])
        found = (rank_correlation(score, time), partial_rank_correlation(score, time, error))
        span = f"{response.min():.2f} to {response.max():.2f}"
        rows.append([kind, str(len(ranked)), span, *map(signed, found)])
    return markdown(
        ["cutoff", "models", "response part of the score", "rank correlation", "given the force error"], rows
    )


def _ranks(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    result = np.full(len(values), math.nan)
    result[known] = (rankdata(values[known]) - 0.5) / max(known.sum(), 1)
    return result


def parts_of(tables: dict[str, pl.DataFrame]) -> dict[str, str]:
    """What stands between the marks of the page, by their names."""
    parts = {name: section(name, table) for name, table in tables.items() if name not in MOLECULES}
    found = associations(together(tables), group="study")
    told = f"{sum(map(len, tables.values()))} models. {sentence(found)}"
    parts["all"] = "\n\n".join([told, correlations(found)])
    parts["within"] = within_cutoffs(tables)
    return parts


def draw(name: str, table: pl.DataFrame) -> None:
    """Sound time against predictors, as a file beside the table."""
    with rc_context({"svg.hashsalt": "atomlens"}):
        survival_figure(table).savefig(FILES / f"{name}.svg", format="svg", metadata={"Date": None})


def main(folders: list[str]) -> None:
    """Store, draw, fill."""
    for folder in map(Path, folders):
        store(folder)
    tables = stored_tables()
    for name in tables.keys() - set(MOLECULES):
        draw(name, tables[name])
    PAGE.write_text(filled(PAGE.read_text("utf-8"), parts_of(tables)), encoding="utf-8")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except InputError as error:
        sys.exit(str(error))
