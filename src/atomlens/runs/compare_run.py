"""A comparison as a folder: page, tables with a column for the model, summary."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from atomlens.folders import MARK, PAGE
from atomlens.report import compare_html
from atomlens.surveys import Comparison, correlation, kind_strengths, order_shares
from atomlens.tables import SCHEMA, package_versions

_TABLES = ("atoms", "pairs", "triples", "walks", "groups")


def write_comparison(
    folder: Path,
    comparison: Comparison,
    *,
    command: str = "",
    links: Sequence[tuple[str, str]] = (),
    started: float | None = None,
) -> dict[str, Any]:
    """Write page, tables and summary of a comparison; return the summary.

    Every table that all runs have is written once, with the model's name in the column ``model``; the rows are those
    of the runs, and are never all in memory.

    Parameters
    ----------
    folder
        Where to write; it exists.
    comparison
        What was compared.
    command
        The command line.
    links
        More pages to name on the page, as text and address.
    started
        ``time.perf_counter()`` when the work began; now if None.
    """
    started = time.perf_counter() if started is None else started
    tables = []
    for name in _TABLES:
        files = [run.folder / f"{name}.parquet" for run in comparison.runs]
        if all(file.is_file() for file in files):
            parts = [
                pl.scan_parquet(file).select(pl.lit(run.name).alias("model"), pl.all())
                for run, file in zip(comparison.runs, files, strict=True)
            ]
            # Models of different depth have walks of different length.
            pl.concat(parts, how="diagonal").sink_parquet(folder / f"{name}.parquet", compression="zstd")
            tables.append(name)
    page = compare_html(comparison, folder, command=command, links=links, tables=tables)
    (folder / PAGE).write_text(page, encoding="utf-8")
    summary = comparison_summary(comparison) | {
        "command": command,
        "tables": tables,
        "seconds": round(time.perf_counter() - started, 3),
    }
    (folder / MARK).write_text(json.dumps(summary, indent=1, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
    return summary


def comparison_summary(comparison: Comparison) -> dict[str, Any]:
    """Numbers of a comparison: predictions, agreement, strength by kind of pair, shares by order."""
    runs, terms = comparison.runs, comparison.terms()
    names = [run.name for run in runs]
    frames = []
    for number, entry in enumerate(runs[0].summary["frames"]):
        here = comparison.terms(comparison.pairs.filter(pl.col("frame") == entry["frame"]))
        frames.append(
            {
                "frame": entry["frame"],
                "name": entry["name"],
                "formula": entry["formula"],
                "geometry": entry.get("geometry"),
                "prediction": {run.name: run.summary["frames"][number]["prediction"] for run in runs},
                "constant": {run.name: run.summary["frames"][number]["constant"] for run in runs},
                "pairs_correlation": {n: correlation(here[:, 0], here[:, k]) for k, n in enumerate(names) if k},
            }
        )
    return {
        "schema": SCHEMA,
        "what": "explanations of several models on the same structures; terms include walks that biases start; "
        f"correlations are Pearson's, of pair terms with those of {names[0]}",
        "versions": package_versions(),
        "models": {run.name: run.summary["model"] | {"property": run.summary["property"]} for run in runs},
        "rules": {run.name: [run.summary["rule"], run.summary.get("product_rule")] for run in runs},
        "structures": runs[0].summary["structures"],
        "unit": comparison.unit,
        "pairs_correlation": {n: correlation(terms[:, 0], terms[:, k]) for k, n in enumerate(names) if k},
        "strength_by_kind": [
            {"kind": row["kind"], "count": row["count"]}
            | {key: dict(zip(names, row[key], strict=True)) for key in ("strength", "net")}
            for row in kind_strengths(comparison)
        ],
        "orders": {run.name: order_shares(run) for run in runs},
        "frames": frames,
    }
