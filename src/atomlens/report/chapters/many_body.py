"""Chapter on many-body character."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atomlens.analyses import MIN_MOLECULES, WATER, ManyBodyResult
from atomlens.report.axes import FAINT, INK, ORDER_COLOURS, plain, say

HOW = f"""
<p>The term of a set S of atoms is the sum of all walks that visit exactly these atoms, so that all terms and the
constant add up to the prediction (our choice: inclusion and exclusion over the walk sums of arXiv:2006.03589).
Strength of an order is &Sigma;|I(S)| over its sets; range is the largest distance within a set. Of orders above three
only the sum is known.</p>
<p>Clusters are structures of the set that hold two to six molecules; where there are fewer than {MIN_MOLECULES}, three
molecules of the set are turned at random and brought into contact at 0.8 to 1.1 times the sum of their van der Waals
radii, seeded, each molecule in one cluster where there are enough. Clusters of three water molecules are separate. The
term of two molecules, <i>I({{A, B}})</i>, sums all walks that visit both and no third; it is shown next to <i>E(AB)
&minus; E(A) &minus; E(B)</i> of the many-body expansion (Hankins, Moskowitz, Stillinger, J. Chem. Phys. 53, 4544,
1970), of the model itself and of GFN2-xTB, and likewise for three. A term is part of one prediction, a removal
compares predictions: how the molecules change each other's own terms is in the second only.</p>
<p>Thresholds: correlation above 0.71 (half of the variance), slope between 0.5 and 2, rank correlation with GFN2
above 0.5, ratio of three-body to two-body strength within about a factor of three of GFN2. All of these are our choice.
Intervals are bootstrapped over clusters. A model trained on single molecules has seen none of these contacts.</p>
"""
_NAMES = ("single atoms", "pairs", "triples")


def figure(result: ManyBodyResult) -> Figure:
    """Strength by range and order, terms against removal, terms against GFN2."""
    if not result.has_terms:
        drawing = Figure(figsize=(5.6, 4.3), layout="constrained")
        _draw_against(drawing.subplots(), result, "xtb", "The calculator's own removals and GFN2", "GFN2, eV")
        return drawing
    drawing = Figure(figsize=(12.6, 4.3), layout="constrained")
    axes = drawing.subplots(1, 3)
    _draw_ranges(axes[0], result)
    _draw_against(axes[1], result, "removal", "Terms and the model's own removals", f"many-body energy, {result.unit}")
    _draw_against(axes[2], result, "xtb", "Terms and GFN2", "many-body energy of GFN2, eV")
    return drawing


def _draw_ranges(axes: Axes, result: ManyBodyResult) -> None:
    plain(axes, "Strength by range and order", "largest distance within the set of atoms, Å", "share of all strength")
    table = result.ranges
    edges = sorted(set(table["low"].to_list()))
    base = np.zeros(len(edges))
    for order in sorted(set(table["order"].to_list())):
        part = dict(table.filter(pl.col("order") == order).select("low", "share").iter_rows())
        height = np.array([part.get(low, 0.0) for low in edges])
        total = f"{height.sum():.0%}"
        name = f"{_NAMES[order - 1]}: {total}"
        axes.bar(np.arange(len(edges)), height, 0.8, bottom=base, color=ORDER_COLOURS[order - 1], label=name)
        base += height
    high = dict(table.select("low", "high").iter_rows())
    labels = [f"{low:g}\u2013{high[low]:g}" if np.isfinite(high[low]) else f"over {low:g}" for low in edges]
    axes.set_xticks(np.arange(len(edges)), labels, fontsize=8)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)


def _draw_against(axes: Axes, result: ManyBodyResult, column: str, title: str, y: str) -> None:
    if column not in result.terms.columns or result.terms[column].null_count() == len(result.terms):
        reason = result.terms_missing if column == "removal" or result.terms_missing else result.reference_missing
        return say(axes, reason)
    own = "term" if result.has_terms else "removal"
    x = "term of the molecules" if result.has_terms else "many-body energy of the calculator"
    plain(axes, title, f"{x}, {result.unit}", y)
    table = result.terms.filter(pl.col(column).is_not_null())
    for water, marker in ((False, "o"), (True, "^")):
        for order in (2, 3):
            part = table.filter((pl.col("family") == WATER) == water, pl.col("order") == order)
            if len(part):
                name = f"{('two', 'three')[order - 2]} molecules" + (" of water" if water else "")
                style = {"color": ORDER_COLOURS[order - 1], "alpha": 0.65, "mec": "none"}
                axes.plot(part[own], part[column], marker, ms=5, label=name, **style)
    # Single clashing contacts would squeeze all others into one point.
    limits = [1.15 * max(float(np.quantile(np.abs(table[name].to_numpy()), 0.98)), 1e-9) for name in (own, column)]
    axes.set_xlim(-limits[0], limits[0])
    axes.set_ylim(-limits[1], limits[1])
    end = max(limits)
    axes.plot([-end, end], [-end, end], color=FAINT, lw=1, zorder=0)
    if column == "removal" or not result.has_terms:
        axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)
