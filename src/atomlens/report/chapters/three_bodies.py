"""Chapter on rings of three molecules: three-body energies next to GFN2's."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atomlens.analyses import ThreeBodiesResult
from atomlens.report.axes import BLUE, FAINT, GREEN, INK, ORANGE, plain, say

HOW = """
<p>Rings of three molecules of water and ammonia, every mixture, heavy atoms 0.95, 1.05 and 1.2 times a usual hydrogen
bond apart. Of each bond of a ring either molecule is the donor, drawn at random, and each molecule is turned by some
15&deg; about every axis; the rings are the same for every model. <i>Three-body energy</i>: <i>E(ABC) &minus; E(AB)
&minus; E(AC) &minus; E(BC) + E(A) + E(B) + E(C)</i> (Hankins, Moskowitz, Stillinger, J. Chem. Phys. 53, 4544, 1970), of
the model and of GFN2-xTB. <i>Terms</i>: the group term <i>I({A, B, C})</i>, the sum of all terms of three and more
atoms that reach over all three molecules. A term is part of one prediction, a removal compares predictions.</p>
<p>Scores: Spearman's rank correlation with GFN2 among rings of one size, mean over the sizes; and the mean size of
three-body energies over that of GFN2's, geometric mean over the sizes. Intervals are bootstrapped over rings. Null
controls: numbers of other rings of the same molecules and size; untrained models on twelve of the rings, at the middle
size. GFN2-xTB is a
witness and not the truth, which is why a factor of two is allowed. Thresholds are our choice.</p>
"""
_COLOURS = (ORANGE, BLUE, GREEN)


def figure(result: ThreeBodiesResult) -> Figure:
    """Energies and terms against GFN2, and how large they are at each size."""
    if result.inapplicable or not len(result.points.filter(pl.col("xtb").is_not_null())):
        drawing = Figure(figsize=(5.6, 2.4), layout="constrained")
        say(drawing.subplots(), result.inapplicable or result.missing)
        return drawing
    drawing = Figure(figsize=(12.6, 4.3), layout="constrained")
    axes = drawing.subplots(1, 3)
    _draw_against(axes[0], result, "energy", "Three-body energies", "three-body energy of the model")
    if result.no_terms:
        say(axes[1], f"Terms: {result.no_terms}")
    else:
        _draw_against(axes[1], result, "term", "Terms over three molecules", "terms of the model")
    _draw_sizes(axes[2], result)
    return drawing


def _draw_against(axes: Axes, result: ThreeBodiesResult, column: str, title: str, y: str) -> None:
    plain(axes, title, "three-body energy of GFN2, meV", f"{y}, meV")
    table = result.points.filter(pl.col("xtb").is_not_null())
    for (size,), part in sorted(table.group_by("size"), key=lambda group: group[0]):
        at = result.points["size"].unique().sort().index_of(size) or 0
        known, own = (1000.0 * part[name].to_numpy() for name in ("xtb", column))
        style = {"color": _COLOURS[at % len(_COLOURS)], "alpha": 0.75, "mec": "none"}
        axes.plot(known, own, "o^s"[at % 3], ms=5, label=f"{size:g} hydrogen bonds", **style)
    ends = [1000.0 * float(np.abs(table[name].to_numpy()).max()) for name in ("xtb", column)]
    axes.plot([-ends[0], ends[0]], [-ends[0], ends[0]], color=FAINT, lw=1, zorder=0)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)


def _draw_sizes(axes: Axes, result: ThreeBodiesResult) -> None:
    plain(axes, "How large", "heavy atoms apart, in hydrogen bonds", "mean size, meV")
    table = result.points.filter(pl.col("xtb").is_not_null())
    shown = [("xtb", INK, "o", "GFN2"), ("energy", ORANGE, "^", "model, by removal")]
    shown += [] if result.no_terms else [("term", BLUE, "s", "terms of the model")]
    for column, colour, mark, label in shown:
        means = table.group_by("size").agg(pl.col(column).abs().mean() * 1000.0).sort("size")
        axes.plot(means["size"], means[column], f"{mark}-", color=colour, ms=5, lw=1.3, label=label)
    axes.set_yscale("log")
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)
