"""Chapter on strength per atomic species."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atomlens.analyses import MIN_CLASSES, MIN_COMMON, SpeciesResult
from atomlens.report.axes import BLUE, FAINT, GREEN, INK, ORANGE, PINK, QUIET, plain, say

HOW = f"""
<p>Every pair term <i>I</i> is sorted by its two elements, its bond class (RDKit) and the number of bonds between the
atoms. Two readings: strength |<i>I</i>| and, for energies, stabilisation &minus;<i>I</i>. A hydrogen bond
D&minus;H&middot;&middot;&middot;A has D and A among N, O, F, H&middot;&middot;&middot;A below 2.5 &Aring;, an angle
at H above 120&deg; (Baker and Hubbard, Prog. Biophys. Mol. Biol. 44, 97, 1984; fluorine is our addition) and at least
three bonds between H and A.</p>
<p>Bond energies: rank correlation of the mean reading of a class (two elements with bond order, in {MIN_COMMON}
structures or more; {MIN_CLASSES} classes at least) with the mean bond energy of OpenStax, Chemistry 2e. Bond orders:
rank correlation over pairs with GFN2-xTB (Bannwarth, Ehlert, Grimme 2019). Order at the same elements: the probability
<i>P</i>(<i>x</i><sub>high</sub> &gt; <i>x</i><sub>low</sub>) of the Mann-Whitney test, averaged over all comparisons
of two bond orders; 0.5 is chance. Thresholds are our choice.</p>
<p>Terms are relative to the constant part of the prediction. Where atom references were fitted, they hold what an
atom binds on average, so that a positive bond term says "binds less than its atoms' references", not "repels".
Controls: terms shuffled within a molecule, a model of the same shape with fresh weights, and the term
&minus;1/<i>r</i> (distance alone). Intervals draw structures.</p>
"""

_RELATIONS = ("1-2", "1-3", "1-4", "further", "other molecule")
_COLOURS = {"single": QUIET, "aromatic": GREEN, "double": PINK, "triple": INK, "unknown": "#8d97a1"}
_MARKS = {"single": "o", "aromatic": "s", "double": "D", "triple": "^", "unknown": "x"}
_MOST = 16  # bars that still read


def figure(result: SpeciesResult) -> Figure:
    """Terms of bonds, terms by number of bonds between, and mean terms against bond energies."""
    drawing = Figure(figsize=(10.5, 7.6), layout="constrained")
    grid = drawing.add_gridspec(2, 2, width_ratios=[1.25, 1.0])
    _draw_bonds(drawing.add_subplot(grid[:, 0]), result)
    _draw_energies(drawing.add_subplot(grid[0, 1]), result)
    _draw_relations(drawing.add_subplot(grid[1, 1]), result)
    return drawing


def _draw_bonds(axes: Axes, result: SpeciesResult) -> None:
    """Quantiles of the term for every class of bonds, and of hydrogen bonds."""
    label = f"pair term, {result.unit} (mark: median, bar: half of them, line: nine in ten)"
    plain(axes, "Terms of bonds (number of pairs)", label)
    rows = result.classes.filter((pl.col("relation") == "1-2") | (pl.col("class") == "hydrogen bond"))
    rows = rows.sort("pairs", descending=True).head(_MOST).sort("q50", descending=True)
    if not len(rows):
        say(axes, "no bonds")
        return
    names = []
    for place, row in enumerate(rows.iter_rows(named=True)):
        colour = _COLOURS.get(row["class"], INK)
        axes.plot([row["q05"], row["q95"]], [place] * 2, color=colour, lw=1.2)
        axes.plot([row["q25"], row["q75"]], [place] * 2, color=colour, lw=6, alpha=0.45, solid_capstyle="butt")
        axes.plot(row["q50"], place, _MARKS.get(row["class"], "o"), color=colour, ms=6, mec="white", mew=0.6)
        names.append(f"{row['species']} {row['class']} ({row['pairs']:,})")
    axes.axvline(0, color=FAINT, lw=0.9, zorder=0)
    axes.set_yticks(range(len(names)), names)


def _draw_energies(axes: Axes, result: SpeciesResult) -> None:
    """Mean term of a class against its mean bond energy."""
    plain(axes, "Against bond energies", "mean bond energy, eV", f"mean pair term, {result.unit}")
    rows = result.classes.filter(pl.col("relation") == "1-2", pl.col("bond_energy").is_not_null())
    if not len(rows):
        say(axes, "no class of bonds with a known bond energy")
        return
    for row in rows.iter_rows(named=True):
        colour = _COLOURS.get(row["class"], INK)
        axes.plot(row["bond_energy"], row["mean"], _MARKS.get(row["class"], "o"), color=colour, ms=6)
        sign = {"double": "=", "triple": "≡"}.get(row["class"], "–")
        axes.annotate(
            row["species"].replace("-", sign),
            (row["bond_energy"], row["mean"]),
            xytext=(5, 3),
            textcoords="offset points",
            fontsize=7.5,
            color=QUIET,
        )
    axes.axhline(0, color=FAINT, lw=0.9, zorder=0)
    axes.margins(0.12)


def _draw_relations(axes: Axes, result: SpeciesResult) -> None:
    """Strength by the number of bonds between the atoms, one line per species."""
    plain(axes, "By bonds between the atoms", y=f"median strength, {result.unit}")
    weight = pl.col("pairs")
    rows = result.classes.group_by("species", "relation").agg(
        weight.sum(), (pl.col("median_strength") * weight).sum() / weight.sum()
    )
    rows = rows.filter(pl.col("pairs") >= 5, pl.col("median_strength") > 0)
    common = rows.group_by("species").agg(weight.sum()).sort("pairs", "species", descending=True).head(6)
    if not len(common):
        say(axes, "no pairs")
        return
    colours, marks = (INK, BLUE, ORANGE, GREEN, QUIET, PINK), ("o", "s", "^", "D", "v", "P")
    for species, colour, mark in zip(common["species"], colours, marks, strict=False):
        own = dict(rows.filter(pl.col("species") == species).select("relation", "median_strength").iter_rows())
        places = [k for k, relation in enumerate(_RELATIONS) if relation in own]
        heights = np.array([own[_RELATIONS[k]] for k in places])
        axes.plot(places, heights, f"{mark}-", color=colour, lw=1.1, ms=4.5, label=species)
    axes.set_yscale("log")
    there = [k for k, relation in enumerate(_RELATIONS) if (rows["relation"] == relation).any()]
    axes.set_xticks(there, [_RELATIONS[k] for k in there])
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, ncols=2)
