"""Chapter on intensive and extensive properties."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atomlens.analyses import ExtensivityResult
from atomlens.reference import Kind, composed, property_words
from atomlens.report.axes import BLUE, FAINT, GREEN, INK, ORANGE, QUIET, plain, say

HOW = """
<p>Pairs of molecules of the set, each molecule in one pair, are turned at random and moved apart along a line; the
gap is the distance of their nearest atoms. Without interaction, an extensive property of both is the <em>sum</em>
(IUPAC Green Book, 3rd ed., section 1.4), the highest occupied orbital the <em>larger</em> of two, the lowest
unoccupied the <em>smaller</em>, and a dipole moment the norm of a vector sum: the root mean square over four half
turns of one molecule is <i>(a<sup>2</sup> + b<sup>2</sup>)<sup>1/2</sup></i>. The score is log<sub>10</sub> of the
smallest root mean square error of any other of these rules, or of the mean over atoms, over that of the expected
rule: positive where the expected rule is nearest, about 15 where it is exact. Terms between the molecules are all
walks that visit both.</p>
<p>Growth: slope of log &Sigma;|terms| against log N by least squares. Spread: slope of log participation ratio
<i>(&Sigma;|s<sub>i</sub>|)<sup>2</sup> / &Sigma;s<sub>i</sub><sup>2</sup></i> of the shares s<sub>i</sub> that atoms
read out (Bell and Dean, Discuss. Faraday Soc. 50, 55, 1970; weights |s| in place of squared amplitudes are our
choice): 1 where shares follow the size of the molecule, 0 where they stay on few atoms; 0.5 lies half-way.</p>
<p>For a HOMO, |s<sub>i</sub>| is ranked against the Mulliken population of the GFN2-xTB orbital within each molecule.
Rules, thresholds and controls are our choice. Intervals are bootstrapped over molecules or pairs. What the readout
fixes for any weights is marked as such; it describes the architecture, and no training.</p>
"""


def figure(result: ExtensivityResult) -> Figure:
    """Molecules apart, the rule that their prediction follows, growth of terms, and spread of shares."""
    if not result.has_terms:
        drawing = Figure(figsize=(10.5, 3.9), layout="constrained")
        both = drawing.subplots(1, 2)
        _draw_scan(both[0], result)
        _draw_rule(both[1], result)
        return drawing
    drawing = Figure(figsize=(10.5, 7.4), layout="constrained")
    axes = drawing.subplots(2, 2)
    _draw_scan(axes[0, 0], result)
    _draw_rule(axes[0, 1], result)
    _draw_growth(axes[1, 0], result)
    _draw_spread(axes[1, 1], result)
    return drawing


def _draw_scan(axes: Axes, result: ExtensivityResult) -> None:
    if not len(result.scan):
        return say(axes, "no two molecules could be moved apart")
    plain(axes, "Two molecules moved apart", "distance of their nearest atoms, Å", f"change, {result.unit}")
    wide = result.scan.pivot(on="gap", index="dimer", values="together").sort("dimer").drop("dimer")
    gaps, y = np.array([float(name) for name in wide.columns]), wide.to_numpy()
    change = y - y[:, -1:]
    axes.plot(gaps, change.T, color=FAINT, lw=0.8, zorder=1)
    axes.plot(gaps, np.median(change, axis=0), color=BLUE, lw=2, label="prediction, less that far apart (median)")
    if result.has_terms:
        between = result.scan.pivot(on="gap", index="dimer", values="between").drop("dimer").to_numpy()
        axes.plot(gaps, np.median(between, axis=0), color=ORANGE, lw=2, ls="--", label="terms between them (median)")
        axes.axvline(result.cutoff, color=QUIET, lw=0.9, ls=":", label="cutoff")
    # Few pairs that collide at the smallest gap would flatten all others.
    limit = max(float(np.quantile(np.abs(change), 0.97)), 1e-12)
    axes.set_ylim(-1.25 * limit, 1.25 * limit)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)


def _draw_rule(axes: Axes, result: ExtensivityResult) -> None:
    if not len(result.dimers) or result.kind == Kind.UNKNOWN:
        return say(axes, result.reason if result.kind == Kind.UNKNOWN else "no two molecules could be moved apart")
    kind = Kind(result.kind)
    d = {name: result.dimers[name].to_numpy() for name in result.dimers.columns}
    if kind in (Kind.LARGER, Kind.SMALLER):
        low, high = np.minimum(d["alone_1"], d["alone_2"]), np.maximum(d["alone_1"], d["alone_2"])
        span = high - low
        plain(
            axes,
            f"Far apart: {property_words(result.property)} of both together",
            f"difference of the two alone, {result.unit}",
            "0: the smaller one, 1: the larger one",
        )
        kept = span > 0.02 * span.max()
        axes.plot(span[kept], ((d["together"] - low)[kept] / span[kept]), "o", ms=5, color=BLUE, mec="white")
        axes.axhline(1.0 if kind is Kind.LARGER else 0.0, color=GREEN, lw=1.4, label=f"expected: the {kind.value} one")
        axes.axhline(0.5, color=QUIET, lw=0.9, ls=":", label="mean of two of one size")
        axes.set_ylim(-0.15, 1.15)
    else:
        expected = composed(kind, d["alone_1"], d["alone_2"], d["n_1"], d["n_2"])
        found = d["turned" if kind is Kind.VECTOR else "together"]
        of_turns = ", root mean square of four turns" if kind is Kind.VECTOR else ""
        plain(
            axes,
            f"Far apart: {property_words(result.property)} of both together",
            f"{kind.value} of the two alone, {result.unit}",
            f"prediction{of_turns}, {result.unit}",
        )
        ends = [min(expected.min(), found.min()), max(expected.max(), found.max())]
        axes.plot(ends, ends, color=GREEN, lw=1.4, label=f"expected: the {kind.value}")
        axes.plot(expected, found, "o", ms=5, color=BLUE, mec="white")
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)


def _draw_growth(axes: Axes, result: ExtensivityResult) -> None:
    plain(axes, "Growth of terms", "atoms N", f"Σ|terms|, {result.unit}")
    sizes = result.molecules["n_atoms"].to_numpy()
    strength = result.molecules.select("^strength_\\d$").to_numpy().sum(axis=1)
    _draw_power(axes, sizes, strength, BLUE, "molecules")


def _draw_spread(axes: Axes, result: ExtensivityResult) -> None:
    plain(axes, "Spread of atomic shares", "atoms N", "participation ratio, atoms")
    sizes = result.molecules["n_atoms"].to_numpy()
    _draw_power(axes, sizes, result.molecules["participation"].to_numpy(), BLUE, "shares")
    if len(result.orbitals):
        table = result.orbitals
        values = table["orbital_participation"].to_numpy()
        _draw_power(axes, table["n_atoms"].to_numpy(), values, ORANGE, "GFN2 orbital")
    ends = np.array([sizes.min(), sizes.max()])
    axes.plot(ends, ends, color=QUIET, lw=0.9, ls=":", label="all atoms alike")
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)


def _draw_power(axes: Axes, sizes: np.ndarray, values: np.ndarray, colour: str, name: str) -> None:
    kept = np.isfinite(values) & (values > 0)
    if not kept.any():
        return
    axes.set_xscale("log")
    axes.set_yscale("log")
    label = name
    if np.ptp(sizes[kept]) > 0:
        slope, start = np.polyfit(np.log(sizes[kept]), np.log(values[kept]), 1)
        ends = np.array([sizes[kept].min(), sizes[kept].max()])
        axes.plot(ends, np.exp(start) * ends**slope, color=colour, lw=1.6, zorder=3)
        label = f"{name}: N to the {slope:.2f}".replace("-", "\u2212")
    axes.plot(sizes[kept], values[kept], "o", ms=3.5, color=colour, alpha=0.5, mec="none", label=label)
    axes.minorticks_off()
    for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        ticks = _round_numbers(*limits)
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)


def _round_numbers(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic axis, also where it spans no power of ten."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    fine = (1, 1.5, 2, 3, 5, 7) if high / low < 30 else (1, 3) if high / low < 1e3 else (1,)
    return [tick for decade in decades for step in fine if low <= (tick := step * 10.0**decade) <= high]
