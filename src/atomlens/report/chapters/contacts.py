"""Chapter on contacts of two molecules: curves of benchmark dimers."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atomlens.analyses import ContactsResult, curve_ranks, far_ionic
from atomlens.report.axes import BLUE, FAINT, GREEN, INK, ORANGE, QUIET, plain, say

HOW = """
<p>Dimers are those of NCIAtlas in the files that were given: two molecules at ten distances, 0.8 to 2.0 times that at
equilibrium, and their interaction energies by CCSD(T)/CBS. <i>Pair terms</i>: &Sigma; <i>I({i, j})</i> over atoms i of
the one and j of the other molecule. <i>Interaction energy</i>: <i>E(AB) &minus; E(A) &minus; E(B)</i> of the model,
each molecule as it is in the dimer. <i>All walks</i>: the group term <i>I({A, B})</i>. No dimer need be in the training
set; what a model has not seen it is asked about all the same.</p>
<p>Score: Spearman's rank correlation with CCSD(T) along each curve, zero where nothing changes along it; its median
over curves, with the exact interval between two of the sorted values. A rank correlation needs the wall, the place of
the strongest binding and the tail in their order, and says nothing of the depth. Null controls: terms shuffled along
each curve, untrained models on twelve of the curves, and an attraction that only falls with distance.</p>
<p>Charges: Coulomb energy of the model's learned charges between the two molecules, and electrostatics of DFT-SAPT, for
dimers with an ion at 1.5 equilibrium distances or more, where charge clouds no longer overlap; Pearson correlation, its
interval over curves. GFN2-xTB is another reference and is not judged by. Thresholds (0.5; 0.9 for charges) are our
choice. Molecules occur in several dimers, so that curves are not quite independent.</p>
"""

_SOURCES = (
    ("benchmark", INK, "o", "CCSD(T)"),
    ("pair_terms", BLUE, "s", "pair terms"),
    ("interaction", ORANGE, "^", "interaction energy"),
    ("gfn2", GREEN, "D", "GFN2"),
)
_BINS = np.linspace(-1.0, 1.0, 21)


def figure(result: ContactsResult) -> Figure:
    """Curves, how well their order is met, and charges next to electrostatics."""
    drawing = Figure(figsize=(12.6, 4.3), layout="constrained")
    axes = drawing.subplots(1, 3)
    _draw_curves(axes[0], result)
    _draw_ranks(axes[1], result)
    _draw_charges(axes[2], result)
    return drawing


def _draw_curves(axes: Axes, result: ContactsResult) -> None:
    """Median over dimers at each distance, in units of the benchmark's depth, with quartiles."""
    if not len(result.points):
        return say(axes, result.scores["terms"].missing)
    plain(axes, "Along the curves", "distance / distance at equilibrium", "energy / depth of the CCSD(T) curve")
    depth = -pl.col("benchmark").min().over("curve")
    bound = result.points.with_columns(depth=depth).filter(pl.col("depth") > 0)
    for source, colour, mark, label in _SOURCES:
        rows = bound.filter(pl.col(source).is_not_null()).with_columns(value=pl.col(source) / pl.col("depth"))
        if not len(rows):
            continue
        quartiles = [pl.col("value").quantile(q).alias(f"q{q:g}") for q in (0.25, 0.5, 0.75)]
        table = rows.group_by("factor").agg(quartiles).sort("factor")
        axes.fill_between(table["factor"], table["q0.25"], table["q0.75"], color=colour, alpha=0.12, lw=0)
        axes.plot(table["factor"], table["q0.5"], f"{mark}-", color=colour, ms=4, lw=1.2, label=label)
    axes.set_ylim(-3.0, 3.0)
    axes.axhline(0, color=FAINT, lw=0.9, zorder=0)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="upper right")


def _draw_ranks(axes: Axes, result: ContactsResult) -> None:
    """How many curves have which rank correlation."""
    if not len(result.points):
        return say(axes, result.scores["energy"].missing)
    plain(axes, "Order met along each curve", "rank correlation with CCSD(T)", "share of curves")
    for source, colour, _, label in _SOURCES[1:]:
        ranks = curve_ranks(result.points, source, "benchmark")
        if len(ranks):
            share = np.full(len(ranks), 1.0 / len(ranks))
            text = f"{label}: median {np.median(ranks):.2f}".replace("-", "\N{MINUS SIGN}")
            axes.hist(ranks, _BINS.tolist(), weights=share, histtype="step", color=colour, lw=1.6, label=text)
            axes.axvline(float(np.median(ranks)), color=colour, lw=0.9, ls=":")
    axes.set_xlim(-1.02, 1.02)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="upper left")


def _draw_charges(axes: Axes, result: ContactsResult) -> None:
    """Electrostatics of DFT-SAPT against the energy of learned charges, ions from 1.5 equilibrium distances on."""
    rows = far_ionic(result.points)
    if not len(rows):
        return say(axes, result.scores["charges"].missing)
    plain(axes, "Ions from 1.5 equilibrium distances on", "energy of learned charges, eV", "electrostatics, eV")
    for sign, colour, mark, label in ((1, BLUE, "o", "cations"), (-1, ORANGE, "s", "anions")):
        part = rows.filter((pl.col("charge_1") + pl.col("charge_2")).sign() == sign)
        if len(part):
            axes.plot(part["charges"], part["electrostatics"], mark, color=colour, ms=4, mec="none", label=label)
    ends = [float(rows["electrostatics"].min()), float(rows["electrostatics"].max())]  # pyright: ignore[reportArgumentType]
    axes.plot(ends, ends, color=QUIET, lw=0.9, ls=":", zorder=0)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)
