"""The page of `atomlens response`: which atoms answer to each other, how far, and how exact the derivatives are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from markupsafe import Markup
from matplotlib.figure import Figure

from atomlens.report import assets
from atomlens.report.chapters import svg_address
from atomlens.tables import package_version

N_STRONGEST = 25


def couplings_html(summary: Mapping[str, Any], first: pl.DataFrame, drawn: pl.DataFrame, figure: Figure) -> str:
    """The page as text.

    Parameters
    ----------
    summary
        Content of ``summary.json``.
    first
        Couplings of the first structure that has any; one row per pair.
    drawn
        Columns distance, coupling and relation of all structures.
    figure
        Coupling against distance.
    """
    strongest = first.sort("coupling", descending=True).head(N_STRONGEST)
    rows = [
        {**row, "pair": f"{row['element_1']}{row['atom_1']}\u2013{row['element_2']}{row['atom_2']}"}
        for row in strongest.iter_rows(named=True)
    ]
    return assets.page_template("response.html.jinja").render(
        version=package_version(),
        calculator=summary["calculator"],
        how=summary["how"],
        structures=summary["structures"],
        command=summary["command"],
        frames=[{"unavailable": None, **frame} for frame in summary["frames"]],
        answers=sentences(rows, drawn, summary["frames"]),
        strongest=rows,
        picture=svg_address(figure),
        style=Markup(assets.template_text("style.css")),
        script=assets.plain_script(),
    )


def sentences(
    strongest: Sequence[Mapping[str, Any]], drawn: pl.DataFrame, frames: Sequence[Mapping[str, Any]]
) -> list[str]:
    """What came out, in up to three sentences.

    Parameters
    ----------
    strongest
        Pairs of the first structure, strongest first, with ``pair``, ``coupling`` and ``distance``.
    drawn
        Columns distance and coupling of all structures.
    frames
        Entries of the summary.
    """
    found = []
    if strongest:
        best = strongest[0]
        found.append(
            f"The strongest response is that of {best['pair']}: {best['coupling']:.3g} eV/Å² at "
            f"{best['distance']:.2f} Å."
        )
    total = float(drawn["coupling"].sum()) if len(drawn) else 0.0
    if total > 0:
        ordered = drawn.sort("distance")
        reach = float(ordered.filter(pl.col("coupling").cum_sum() >= 0.95 * total)["distance"][0])
        found.append(f"Pairs closer than {reach:.1f} Å carry 95 % of the summed coupling.")
    done = [frame for frame in frames if "asymmetry" in frame]
    if done:
        largest = max(frame["largest"] for frame in done)
        worst = max(max(frame["asymmetry"], frame["sum_rule"]) for frame in done)
        relation = worst / largest if largest else 0.0
        found.append(
            "The derivatives are exact to rounding."
            if relation < 1e-6
            else f"The derivatives are accurate to {worst:.1e} eV/Å², {relation:.1e} of the largest coupling."
        )
    return found
