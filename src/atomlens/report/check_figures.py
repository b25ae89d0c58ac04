"""Pictures of a check: ways out of a molecule as bars, walls as curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from atomlens.analyses import HIGH, Wall
from atomlens.dynamics import BREAKS, HOLDS, barrier_at
from atomlens.report.amounts import height_text, in_eV
from atomlens.report.axes import BLUE, FAINT, GREEN, INK, ORANGE, PINK, QUIET, plain
from atomlens.report.figures import DOWN

# More bars than this cannot be read.
_MAX_BARS = 14
# Energies of walls are drawn up to this, in eV, and at least to that: what happens below 3 eV has to be seen.
_HIGHEST, _LEAST = 30.0, 1.0
_COLOURS = (PINK, GREEN, INK, BLUE, ORANGE)


def check_figure(ways: pl.DataFrame, walls: Sequence[Wall], thermal: float, barrier: float) -> Figure:
    """Left the lowest ways out, of the model and of GFN2 at the same geometries; right the walls.

    The thermal exit barrier has a bar of its own above those of single ways, with the two limits that the outlook
    compares it with.

    Parameters
    ----------
    ways
        Columns ``name``, ``energy_eV``, ``reference_eV``, lowest first.
    walls
        Walls of all pairs of elements.
    thermal
        k_B T in eV.
    barrier
        Thermal exit barrier in eV; not finite where there is no way out.
    """
    figure = Figure(figsize=(10.0, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    shown = ways.head(_MAX_BARS).reverse()
    place = np.arange(len(shown))
    left.barh(place, shown["energy_eV"].to_numpy(), height=0.55, color=DOWN, label="model")
    reference = shown["reference_eV"].cast(pl.Float64).to_numpy()
    # What lies beyond the edge stands on it, bars with their number: those that decide must stay readable.
    limits = {"breaks below": thermal * barrier_at(BREAKS), "holds from": thermal * barrier_at(HOLDS)}
    lowest = float(ways["energy_eV"][0]) if len(ways) else 0.0
    edge = 2.0 * max(1.5 * lowest, barrier if np.isfinite(barrier) else 0.0, *limits.values())
    within, beyond = reference <= edge, reference > edge
    if np.isfinite(reference).any():
        left.plot(reference[within], place[within], "|", color=INK, ms=13, mew=2, label="GFN2, same geometry")
        left.plot(np.full(beyond.sum(), edge), place[beyond], ">", color=INK, ms=6, label="GFN2, further right")
    for row, energy in enumerate(shown["energy_eV"].to_list()):
        if energy > edge:
            label = f"{in_eV(energy)} "
            left.annotate(label, (0.96 * edge, row), ha="right", va="center", fontsize=7.5, color="white")
    names = shown["name"].to_list()
    if np.isfinite(barrier):
        left.barh(len(shown), barrier, height=0.55, color=INK, label="model, all ways together")
        names.append("thermal exit barrier")
    for (word, limit), style in zip(limits.items(), (":", "--"), strict=True):
        left.axvline(limit, color=QUIET, linewidth=1.0, linestyle=style, label=f"{word} {limit / thermal:.1f} kT")
    left.set_yticks(np.arange(len(names)), names, fontsize=8.5)
    left.set_xlim(right=1.03 * edge)
    # Below the axes: bars fill them.
    figure.legend(*left.get_legend_handles_labels(), frameon=False, fontsize=8.5, loc="outside lower left", ncols=5)
    some = f"Lowest {len(shown)} of {len(ways)} ways out" if len(shown) < len(ways) else "Ways out"
    plain(left, some, "energy above the relaxed structure, eV")
    # Walls that give way have colours of their own, lowest first; walls that hold are grey.
    fallen = sorted((wall for wall in walls if np.isfinite(wall.gives_way)), key=lambda wall: wall.height)
    # A wall that gives way at once has no height, and its fall has to be seen.
    top = max(min(2.0 * max((wall.height for wall in fallen), default=_HIGHEST), _HIGHEST), _LEAST)
    for wall in walls:
        if not np.isfinite(wall.gives_way):
            right.plot(wall.distances, wall.energies, color=FAINT, linewidth=1.2)
    for k, wall in enumerate(fallen):
        pair = "-".join(wall.elements) + ("" if wall.bonded else ", not bonded")
        name = f"{pair}: {wall.gives_way:.2f} Å, {height_text(wall.height, HIGH)}"
        style = {"color": _COLOURS[k % len(_COLOURS)], "linewidth": 1.6, "linestyle": "-" if wall.bonded else "--"}
        right.plot(wall.distances, wall.energies, label=name, **style)
    if fallen:
        right.legend(frameon=False, fontsize=7.5, loc="lower right", title="gives way at, after", title_fontsize=8)
    right.set_ylim(-top, top)
    plain(right, "Walls", x="distance of the two atoms, Å", y="energy, eV")
    return figure
