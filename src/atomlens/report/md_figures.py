"""Pictures of a simulation: survival, temperatures and energies, and the pair that gave way."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from atomlens.dynamics import Failure, MDOptions, Simulation, Survival
from atomlens.report.axes import FAINT, QUIET, plain
from atomlens.report.figures import DOWN, UP

# More lines than this hide each other.
_MAX_TRACES = 16


def stability_figure(simulation: Simulation, curve: Survival, options: MDOptions) -> Figure:
    """Left the survival curve with its interval, right what every replica does: temperature, or total energy in NVE."""
    figure = Figure(figsize=(10.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_survival(left, curve)
    _draw_traces(right, simulation, options)
    return figure


def draw_survival(axes: Axes, curve: Survival, label: str | None = None, colour: str = DOWN) -> None:
    """Kaplan-Meier curve with its 95 % band."""
    end = max(curve.simulated, 1e-9)
    times = np.append(curve.times, end)
    bands = {"step": "post", "color": colour, "alpha": 0.15, "linewidth": 0}
    axes.fill_between(times, np.append(curve.low, curve.low[-1]), np.append(curve.high, curve.high[-1]), **bands)
    axes.step(times, np.append(curve.alive, curve.alive[-1]), where="post", color=colour, linewidth=1.8, label=label)
    plain(axes, x="time, ps", y="share of sound replicas").set(ylim=(-0.03, 1.05), xlim=(0, end))


def _draw_traces(axes: Axes, simulation: Simulation, options: MDOptions) -> None:
    table = simulation.observables
    conserved = options.ensemble == "nve"
    for fate in simulation.fates[:_MAX_TRACES]:
        mine = table.filter(table["replica"] == fate.replica)
        times, sound = mine["time_ps"].to_numpy(), mine["sound"].to_numpy()
        if conserved:
            total = (mine["potential_eV"] + mine["kinetic_eV"]).to_numpy()
            values = 1000.0 * (total - total[0])
        else:
            values = mine["temperature_K"].to_numpy()
        colour = DOWN if fate.kind is None else UP
        axes.plot(times[sound], values[sound], color=colour, linewidth=0.7, alpha=0.6)
        if fate.kind is not None:
            axes.plot(times[sound][-1:], values[sound][-1:], "x", color=UP, markersize=6)
    if not conserved:
        axes.axhline(options.temperature, color=QUIET, linewidth=0.8, linestyle="--")
    plain(axes, x="time, ps", y="total energy, meV from the start" if conserved else "temperature, K")


def failure_figure(failure: Failure) -> Figure:
    """Length, term and response couplings of the watched bonds on the way to the break; one stands out."""
    figure = Figure(figsize=(10.0, 3.4), layout="constrained")
    length, term, coupling = figure.subplots(1, 3)
    table = failure.terms
    femtoseconds = 1000.0 * (table["time_ps"] - failure.times[-1])
    table = table.with_columns(femtoseconds.alias("fs"))
    for (i, j), bond in table.group_by("atom_1", "atom_2", maintain_order=True):
        gave_way = (i, j) == failure.pair
        style = {
            "color": UP if gave_way else FAINT,
            "linewidth": 2.0 if gave_way else 0.9,
            "zorder": 3 if gave_way else 1,
            # Frames are too far apart to join X-H vibrations: the points are what is known.
            "marker": ".",
        }
        length.plot(bond["fs"], bond["distance"], **style)
        term.plot(bond["fs"], bond["term_eV"], **style)
        if gave_way:
            coupling.plot(bond["fs"], bond["model_coupling"], color=UP, linewidth=2.0, label="model")
            if bond["reference_coupling"].null_count() == 0:
                coupling.plot(
                    bond["fs"], bond["reference_coupling"], color=DOWN, linewidth=2.0, label=failure.reference
                )
    symbols = failure.frames[0].symbols
    i, j = failure.pair
    when = "time from the break, fs"
    plain(length, f"{symbols[i]}{i}\u2013{symbols[j]}{j} gave way", when, "bond length, Å")
    plain(term, x=when, y="pair term of the model, eV")
    plain(coupling, x=when, y="response coupling, eV/Å²")
    coupling.legend(frameon=False)
    return figure
