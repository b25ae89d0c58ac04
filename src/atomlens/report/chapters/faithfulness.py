"""Chapter on faithfulness: what terms predict, and what happens."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atomlens.analyses import PAIR_POTENTIALS, FaithfulnessResult
from atomlens.report.axes import BLUE, FAINT, GREEN, INK, ORANGE, QUIET, plain, say

HOW = """
<p>Deletions (our choice): all messages between two atoms, or between one atom and all others, are left out of the
graph; the structure stays. The true change is <i>y &minus; y(without them)</i>. It is predicted by the relevance of
all walks that use the deleted edges, under the chain of the whole structure: for an atom k this is
<i>&Sigma;<sub>S &ni; k, |S| &gt; 1</sub> I(S)</i>, for a pair the sum over all walks along it. Both are exact sums.
Pearson correlation and least-squares slope over deletions drawn at random, with 95&nbsp;% bootstrap intervals over
structures. Null control: what was predicted for another deletion of the same molecule. Next to it: the mean change
of the same elements at the same distance in the other structures, and an untrained model, whose terms may well be
faithful to it.</p>
<p>Known potentials: models of the same architecture were fitted to potentials that are sums of known pair terms, and
their learned pair terms are compared with the true ones on unseen clusters. These scores are stored with atomlens, by
<code>python benchmarks/faithfulness.py</code>; they concern the rules, not your model, and do not enter the verdict.
Baselines: gradient &times; edge weight is the first-order change; integrated edges are the same integrated over weights
from 0 to 1 (arXiv:1703.01365).
Terms: GNN-LRP (arXiv:2006.03589) with inclusion-exclusion over sets of atoms.</p>
"""

_MARKS = (("pair", "pairs deleted", BLUE, "o"), ("atom", "atoms deleted", ORANGE, "s"))


def figure(result: FaithfulnessResult) -> Figure:
    """Predicted against true changes of pairs and atoms, and the scores of all rules."""
    drawing = Figure(figsize=(11.5, 4.2), layout="constrained")
    axes = drawing.subplots(1, 3, width_ratios=(1, 1, 1.25))
    _draw_changes(axes[0], result, "pair", "Messages between two atoms stopped")
    _draw_changes(axes[1], result, "atom", "All messages of an atom stopped")
    _draw_scores(axes[2], result)
    return drawing


def _draw_changes(axes: Axes, result: FaithfulnessResult, kind: str, title: str) -> None:
    rows = result.deletions.filter((pl.col("kind") == kind) & (pl.col("method") == result.method))
    if not len(rows):
        return say(axes, "no two atoms within the cutoff")
    title += f"\ncorrelation {result.effects[kind]}".replace("-", "\u2212")
    plain(axes, title, f"predicted change, {result.unit}", f"true change, {result.unit}")
    predicted, change = rows["predicted"].to_numpy(), rows["change"].to_numpy()
    ends = np.array([min(predicted.min(), change.min(), 0.0), max(predicted.max(), change.max(), 0.0)])
    axes.plot(ends, ends, color=QUIET, lw=0.9, ls=":", label="as predicted")
    axes.plot(predicted, change, "o", ms=3.5, color=BLUE if kind == "pair" else ORANGE, alpha=0.55, mec="none")
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="upper left")


def _draw_scores(axes: Axes, result: FaithfulnessResult) -> None:
    methods = [m for m in result.scores["method"].unique(maintain_order=True) if m.count("/") == 1 and "," not in m]
    if not methods:
        return say(axes, "no scores")
    plain(axes, "Correlation under every rule", "correlation (95 % interval)")
    rows = np.arange(len(methods))
    for offset, (kind, name, colour, mark) in zip((-0.2, 0.0), _MARKS, strict=True):
        table = {r["method"]: r for r in result.scores.filter(pl.col("kind") == kind).to_dicts()}
        _draw_intervals(axes, [table.get(m) for m in methods], rows + offset, colour, mark, name)
    known = [_worst(result, method) for method in methods]
    _draw_intervals(axes, known, rows + 0.2, GREEN, "D", "worst known pair potential")
    axes.set_yticks(rows, [f"{m} (asked)" if m == result.method else m for m in methods])
    axes.invert_yaxis()
    axes.axvline(1.0, color=FAINT, lw=0.9)
    axes.axvline(0.0, color=FAINT, lw=0.9)
    axes.set_xlim(right=1.05)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="upper center", bbox_to_anchor=(0.3, -0.14), ncols=3)


def _draw_intervals(
    axes: Axes, rows: list[dict[str, Any] | None], heights: np.ndarray, colour: str, mark: str, name: str
) -> None:
    found = [(row, height) for row, height in zip(rows, heights, strict=True) if row is not None]
    for row, height in found:
        axes.plot([row["correlation_low"], row["correlation_high"]], [height] * 2, color=colour, lw=1.6)
    if found:
        x = [row["correlation"] for row, _ in found]
        axes.plot(x, [height for _, height in found], mark, ms=5, color=colour, mec="white", label=name)


def _worst(result: FaithfulnessResult, method: str) -> dict[str, Any] | None:
    if not len(result.known):
        return None
    rows = result.known.filter(
        (pl.col("architecture") == result.architecture)
        & (pl.col("method") == f"terms {method}")
        & (pl.col("order") == 2)
        & pl.col("potential").is_in(PAIR_POTENTIALS)
    )
    return rows.sort("correlation").to_dicts()[0] if len(rows) else None
