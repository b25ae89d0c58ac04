"""Chapter on smoothness."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atomlens.analyses import DEVIATION, HIGH, SmoothnessResult
from atomlens.report.axes import BLUE, FAINT, GREEN, INK, ORANGE, PINK, QUIET, plain, say

HOW = f"""
<p>Bonds that are part of no ring are stretched and compressed from half to twice the sum of the covalent radii of their
atoms, both sides of the molecule as they are (BSCT, <a href="https://arxiv.org/abs/2602.04861">arXiv:2602.04861</a>).
With <i>&Delta;F</i> the change of all forces from the length of lowest reference energy, the force smoothness
deviation is the largest
<i>|d/d&alpha; ln(|&Delta;F<sub>model</sub>|<sup>2</sup> / |&Delta;F<sub>reference</sub>|<sup>2</sup>)|</i> along the
way, by central differences. A constant factor between the two costs nothing; kinks, forces that vanish and walls that
end do. The reference is GFN2-xTB, computed for the same geometries, or a set of scans in files. On 38 scans of
BSCT-SPICE, GFN2-xTB itself has 1.0 &Aring;<sup>&minus;1</sup> in the mean against &omega;B97M-D3(BJ) (at most 2.8), a
harmonic spring 8.7 (at least 7.6): the limit of {DEVIATION:g} is half-way on a logarithmic scale. A minimum counts if
it is 0.1 eV deep and no minimum of the reference lies within 0.3 &Aring;.</p>
<p>Walls: in every structure the closest bonded and the closest other pair of each two elements, and every two elements
as two atoms alone; one atom moves towards the other down to 0.5 &Aring;, all others stay. A wall gives way where the
energy, on the way in, falls more than 0.1 eV below the highest value passed. It fails if that happens below {HIGH:g} eV
(70 kT at 500 K) and GFN2-xTB's own wall does not.</p>
<p>Steps: sixteen pairs of molecules, turned at random, part from 3 &Aring; between their nearest atoms to 0.5 &Aring;
beyond the cutoff (12 &Aring; where no cutoff is known). Where energies and forces of two neighbouring points do not
match, the interval is halved fourteen times: what is left of the mismatch is a step.</p>
<p>Limits are our choice. Intervals are bootstrapped over bonds and pairs of molecules; shares have exact intervals of
Clopper and Pearson. Null controls of the deviation are a harmonic spring and untrained models.</p>
"""
_COLOURS = (ORANGE, BLUE, GREEN, PINK, INK)
_SHOWN = 3


def figure(result: SmoothnessResult) -> Figure:
    """The worst bonds beside the reference, deviations by kind of bond, and walls."""
    drawing = Figure(figsize=(12.6, 4.3), layout="constrained")
    axes = drawing.subplots(1, 3)
    _draw_bonds(axes[0], result)
    _draw_deviations(axes[1], result)
    _draw_walls(axes[2], result)
    return drawing


def _known(result: SmoothnessResult) -> pl.DataFrame:
    if "fsd" not in result.scans.columns:
        return pl.DataFrame()
    return result.scans.filter(pl.col("fsd").is_not_null() & pl.col("fsd").is_finite()).sort("fsd", descending=True)


def _nothing(result: SmoothnessResult, reason: str) -> str:
    return reason if result.is_energy else f"{result.property} is no energy of a geometry"


def _draw_bonds(axes: Axes, result: SmoothnessResult) -> None:
    table = _known(result)
    if not len(table):
        return say(axes, _nothing(result, result.scans_missing or "no scan of a bond"))
    plain(
        axes, "Bonds of largest deviation", "length of the bond, Å", "energy above that of the reference's minimum, eV"
    )
    # One bond of each kind: three alike would say less.
    worst = table.unique("kind", keep="first", maintain_order=True).head(_SHOWN)
    top = 0.0
    for row, colour in zip(worst.iter_rows(named=True), _COLOURS, strict=False):
        curve = result.curves.filter(pl.col("scan") == row["scan"])
        axes.plot(curve["length"], curve["energy"], color=colour, lw=1.8, label=row["name"])
        axes.plot(curve["length"], curve["reference"], color=colour, lw=1.1, ls="--")
        # The stretched half sets the scale: walls go up without end.
        stretched = curve["reference"].to_numpy()[len(curve) // 3 :]
        top = max(top, float(np.nanmax(stretched, initial=0.0)))
    axes.plot([], [], color=QUIET, lw=1.1, ls="--", label=result.reference)
    axes.set_ylim(-0.5 * top - 0.5, 2.2 * top + 1.0)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)


def _draw_deviations(axes: Axes, result: SmoothnessResult) -> None:
    table = _known(result)
    if not len(table):
        return say(axes, "no deviation without a reference scan" if result.is_energy else _nothing(result, ""))
    plain(axes, "Force smoothness deviation", "", "FSD, 1/Å")
    kinds = table.group_by("kind").agg(pl.col("fsd").median()).sort("fsd")["kind"].to_list()
    rng = np.random.default_rng(0)
    for place, kind in enumerate(kinds):
        values = table.filter(pl.col("kind") == kind)["fsd"].to_numpy()
        axes.plot(place + rng.uniform(-0.15, 0.15, len(values)), values, "o", ms=5, color=BLUE, alpha=0.7, mec="none")
    axes.set_yscale("log")
    axes.axhline(DEVIATION, color=QUIET, lw=1.0, ls="--", label="limit")
    axes.axhline(
        float(np.exp(np.log(table["spring"].to_numpy()).mean())), color=ORANGE, lw=1.0, label="harmonic spring"
    )
    axes.set_xticks(range(len(kinds)), kinds, fontsize=9)
    axes.set_xlim(-0.6, len(kinds) - 0.4)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.tick_params(which="minor", labelsize=7)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)


def _draw_walls(axes: Axes, result: SmoothnessResult) -> None:
    walls = result.walls.drop_nulls("fails")
    if not len(walls):
        return say(axes, _nothing(result, "no wall could be scanned"))
    failing = walls.filter(pl.col("fails")).sort("height")
    named = {
        row["wall"]: row for row in failing.unique("elements", keep="first", maintain_order=True).head(5).to_dicts()
    }
    plain(axes, f"Walls: {len(failing)} of {len(walls)} give way below {HIGH:g} eV", "distance, Å", "energy, eV")
    colours = iter(_COLOURS)
    for (number,), curve in result.wall_curves.partition_by("wall", as_dict=True, maintain_order=True).items():
        if number not in named:
            axes.plot(curve["distance"], curve["energy"], color=FAINT, lw=0.8, zorder=1)
    for number, row in named.items():
        curve = result.wall_curves.filter(pl.col("wall") == number)
        label = f"{row['elements']}: {row['gives_way']:.2f} Å, {max(row['height'], 0.0):.2g} eV"
        axes.plot(curve["distance"], curve["energy"], color=next(colours), lw=1.8, label=label, zorder=2)
    axes.set_ylim(-4.0 * HIGH, 4.0 * HIGH)
    axes.set_xlim(0.4, 3.6)
    if named:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK, title="gives way at, after", title_fontsize=8)
