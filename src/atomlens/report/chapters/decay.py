"""Chapter on decay with distance."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atomlens.analyses import CUTOFF_ZONE, NEAREST, DecayResult
from atomlens.report.axes import BLUE, FAINT, GREEN, INK, ORANGE, PINK, QUIET, plain, say

HOW = f"""
<p>Pairs are non-bonded from three bonds apart on. A pair term holds the walks that visit both atoms and no other, so
it ends at the cutoff of one edge; longer walks reach <i>T</i> cutoffs. Laws are asked for only from {NEAREST:g}
&Aring; to {CUTOFF_ZONE:g} &Aring; before the cutoff, or to the largest distance in the structures (or the training
set's, if given), which is the only end for models with energies of all pairs. A coupling is a second derivative: 2 is
taken off the exponent of pair terms before the two are compared.</p>
<p>Power law ln|<i>v</i>| = <i>a</i><sub>g</sub> + <i>n</i> ln <i>r</i> against exponential ln|<i>v</i>| =
<i>a</i><sub>g</sub> &minus; <i>b r</i>: one constant per pair of elements, normal scatter of the logarithm (our
choice), fitted on four fifths of the molecules and scored by log-likelihood on the rest. Local exponents d
ln|<i>v</i>| / d ln <i>r</i> are least-squares slopes in windows of 0.5 &Aring;; intervals draw molecules.</p>
<p>References, on the same pairs: response couplings, the Frobenius norm of the 3 &times; 3 block
&part;<sup>2</sup><i>E</i>/&part;<b>r</b><sub><i>i</i></sub>&part;<b>r</b><sub><i>j</i></sub>, of the model by
automatic differentiation and of GFN2-xTB by central differences (about <i>R</i><sup>&minus;3</sup> between distant
polar molecules); D4 pair energies (<i>R</i><sup>&minus;6</sup> far away). At these distances asymptotic laws are not
reached yet, hence the comparison with the reference's exponent and not with &minus;3 or &minus;6. A coupling is a
curvature and a pair term an energy, so their exponents need not be equal for another law than the reference's; one
apart is tolerated.</p>
<p>Dimers: two molecules of the set, turned at random, pulled apart along the line of their centres from nearest atoms
at 2.0 &Aring;; the group term (walks that visit both) against the GFN2 interaction energy. A model trained on single
molecules never saw two. Tail: nearest atoms 3 &Aring; apart or more; a sign counts above 1 % of the largest value of
the scan. Thresholds are our choice.</p>
"""

_LOOKS = {
    "term": (INK, "o", "pair terms"),
    "untrained": (FAINT, "v", "pair terms, untrained"),
    "model_response": (ORANGE, "s", "couplings, model"),
    "gfn2_response": (BLUE, "^", "couplings, GFN2"),
    "d4": (GREEN, "D", "D4 pair energies"),
}
_ANCHOR = 3.0  # where curves of different units are made to meet, in Å
_DEEPEST = -20.0  # exponents below are drawn at the edge


def figure(result: DecayResult) -> Figure:
    """Strength against distance, local exponents, species, and dimers pulled apart."""
    if not result.range.has_terms:
        drawing = Figure(figsize=(10.5, 3.9), layout="constrained")
        both = drawing.subplots(1, 2)
        _draw_curves(both[0], result)
        _draw_dimers(both[1], result)
        return drawing
    drawing = Figure(figsize=(10.5, 7.8), layout="constrained")
    axes = drawing.subplots(2, 2)
    _draw_curves(axes[0, 0], result)
    _draw_exponents(axes[0, 1], result)
    _draw_species(axes[1, 0], result)
    _draw_dimers(axes[1, 1], result)
    return drawing


def _draw_curves(axes: Axes, result: DecayResult) -> None:
    """Medians over distance, elements levelled out, every source in units of its value at 3 Å."""
    plain(axes, "Non-bonded pairs", "distance, Å", f"median strength / value at {_ANCHOR:g} Å")
    drawn = False
    for source, (colour, mark, label) in _LOOKS.items():
        rows = result.bins.filter(source=source, species="all").filter(pl.col("pairs") >= 5)
        if not len(rows):
            continue
        drawn = True
        nearest = int(np.abs(rows["distance"].to_numpy() - _ANCHOR).argmin())
        scale = rows["q50"][nearest]
        axes.fill_between(rows["distance"], rows["q25"] / scale, rows["q75"] / scale, color=colour, alpha=0.12, lw=0)
        axes.plot(rows["distance"], rows["q50"] / scale, f"{mark}-", color=colour, ms=4, lw=1.2, label=label)
    if not drawn:
        say(axes, "no non-bonded pairs within the cutoff")
        return
    axes.set_xscale("log")
    axes.set_yscale("log")
    _mark_range(axes, result)
    ticks = [1.5, 2, 2.5, 3, 4, 5, 6, 8, 10]
    low, high = axes.get_xlim()
    axes.set_xticks([t for t in ticks if low <= t <= high], [f"{t:g}" for t in ticks if low <= t <= high])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="lower left")


def _draw_exponents(axes: Axes, result: DecayResult) -> None:
    """Local exponents with their intervals."""
    plain(axes, "Local exponents", "distance, Å", "d ln|v| / d ln r")
    rows = result.exponents.filter(pl.col("window"), species="all").filter(pl.col("exponent").is_finite())
    if not len(rows):
        say(axes, "too few pairs in every window of 0.5 Å")
        return
    for k, (source, (colour, mark, label)) in enumerate(_LOOKS.items()):
        own = rows.filter(source=source)
        for row in own.iter_rows(named=True):
            x, y = (row["low"] + row["high"]) / 2 + 0.05 * (k - 2), max(row["exponent"], _DEEPEST)
            ends = [max(row[f"exponent_{side}"], _DEEPEST) for side in ("low", "high")]
            if all(map(math.isfinite, ends)):
                axes.plot([x, x], ends, color=colour, lw=1.3)
            axes.plot(x, y, "v" if row["exponent"] < _DEEPEST else mark, color=colour, ms=5, mec=INK, mew=0.4)
        if len(own):
            axes.plot([], [], mark, color=colour, ms=5, label=label)
    for law in (-3, -6):
        axes.axhline(law, color=FAINT, lw=0.9, ls="--", zorder=0)
        axes.annotate(
            f"r$^{{{law}}}$",
            (1.005, law),
            xycoords=("axes fraction", "data"),
            fontsize=8,
            color=QUIET,
            va="center",
        )
    axes.set_ylim(_DEEPEST - 1, max(8.0, min(float(rows["exponent"].max()), 12.0)))  # pyright: ignore[reportArgumentType]
    _mark_range(axes, result)
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="lower left")


def _draw_species(axes: Axes, result: DecayResult) -> None:
    """Median strength of the commonest pairs of elements."""
    plain(axes, "Pair terms by elements", "distance, Å", f"median strength, {result.unit}")
    rows = result.bins.filter(pl.col("source") == "term", pl.col("species") != "all", pl.col("pairs") >= 5)
    names = rows["species"].unique(maintain_order=True).to_list()[:6]
    if not names:
        say(axes, "no pair of elements is common enough")
        return
    for name, colour, mark in zip(
        names, (INK, BLUE, ORANGE, GREEN, QUIET, PINK), ("o", "s", "^", "D", "v", "P"), strict=False
    ):
        own = rows.filter(species=name)
        axes.plot(own["distance"], own["q50"], f"{mark}-", color=colour, ms=4, lw=1.1, label=name)
    axes.set_yscale("log")
    _mark_range(axes, result)
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, ncols=2, loc="lower left")


def _draw_dimers(axes: Axes, result: DecayResult) -> None:
    """Group terms and reference interaction energies of every dimer."""
    plain(axes, "Two molecules pulled apart", "nearest atoms, Å", f"between the molecules, {result.unit}")
    if not len(result.scans):
        say(axes, "no two single molecules to pull apart")
        return
    own = "group_term" if result.range.has_terms else "interaction"
    for source, colour, label in (
        ("gfn2", BLUE, "GFN2 interaction energy"),
        (own, INK, "group term of the model" if result.range.has_terms else "interaction energy of the calculator"),
    ):
        for rows in result.scans.sort("dimer", "gap").partition_by("dimer", maintain_order=True):
            known = rows.filter(pl.col(source).is_not_null())
            axes.plot(known["gap"], known[source], color=colour, lw=0.9, alpha=0.65)
        if result.scans[source].null_count() < len(result.scans):
            axes.plot([], [], color=colour, lw=1.6, label=label)
    small = float(result.scans[own].abs().max() or 1.0) * 0.01  # pyright: ignore[reportArgumentType]
    # A power of ten, or labels within the linear part would lie on that of zero.
    axes.set_yscale("symlog", linthresh=10.0 ** math.ceil(math.log10(max(small, 1e-12))))
    axes.axhline(0, color=FAINT, lw=0.9, zorder=0)
    if math.isfinite(result.range.cutoff):
        axes.axvline(result.range.cutoff, color=QUIET, lw=0.9, ls=":")
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="upper right")


def _mark_range(axes: Axes, result: DecayResult) -> None:
    """The fitted range as a shade, the cutoff as a line."""
    where = result.range
    if where.high > where.low:
        axes.axvspan(where.low, where.high, color=FAINT, alpha=0.25, lw=0, zorder=0)
    if math.isfinite(where.cutoff):
        axes.axvline(where.cutoff, color=QUIET, lw=0.9, ls=":")
