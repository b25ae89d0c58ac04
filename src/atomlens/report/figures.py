"""Static figures of an explanation, for papers and README files."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from atomlens.interactions import Explanation
from atomlens.report.axes import BLUE, FAINT, GREEN, INK, ORANGE, PINK, QUIET, plain
from atomlens.report.projection import viewing_rotation
from atomlens.tables import RELATIONS, ExplainedFrame, explained_frame, order_totals

# Blue lowers, orange raises; distinct with every common colour vision. The others name bonds between atoms.
DOWN, UP = BLUE, ORANGE
_RELATION_COLOURS = (INK, GREEN, PINK, "#8d97a1", "#8a6d00")
_ORDER_NAMES = ("single atoms", "pairs", "triples")
# Pairs below this share of the strongest one would only blur the drawing.
_DRAWN_FROM = 0.06


def overview_figure(explanation: Explanation | ExplainedFrame, *, title: str | None = None) -> Figure:
    """Three views of one explained structure side by side.

    Left the molecule in the plane that hides fewest atoms, with pair terms as lines (blue lowers the prediction,
    orange raises it, width by strength); right strength against distance, and the sum of terms by order.

    Parameters
    ----------
    explanation
        From `atomlens.explain`, or a frame that was made from it.
    title
        Line above the figure; the formula and the prediction if None.
    """
    frame = explanation if isinstance(explanation, ExplainedFrame) else explained_frame(explanation, top_walks=1)
    figure = Figure(figsize=(11.0, 4.8), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=[1.15, 1.0], height_ratios=[1.45, 1.0])
    draw_molecule(figure.add_subplot(grid[:, 0]), frame)
    draw_distances(figure.add_subplot(grid[0, 1]), frame)
    draw_orders(figure.add_subplot(grid[1, 1]), frame)
    if title is None:
        value = f"{frame.prediction:.3f}".replace("-", "\u2212")
        title = f"{_formula(frame)}: {frame.quantity} {value} {frame.unit}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12.5, color=INK, parse_math=True)
    return figure


def draw_molecule(axes: Axes, frame: ExplainedFrame) -> None:
    """Atoms, bonds, and the stronger pair terms in a plane."""
    plane = viewing_rotation(frame.atoms.positions)[:2].T
    flat = frame.atoms.positions @ plane
    axes.set_aspect("equal")
    axes.axis("off")
    # Widths follow the length that an Å has on paper.
    extent = max(np.ptp(flat[:, 0]) / 5.2, np.ptp(flat[:, 1]) / 4.0, 1.0) + 0.3
    points = 72 / extent
    for line in _lines(frame, frame.surroundings.bonds.pairs):
        axes.plot(*(line @ plane).T, color=FAINT, lw=0.06 * points, solid_capstyle="round", zorder=1)
    if frame.interactions.max_order >= 2 and len(frame.interactions.order(2).relevance):
        terms = frame.interactions.order(2)
        largest = np.abs(terms.relevance).max()
        lines = _lines(frame, terms.atoms)
        for k in np.argsort(np.abs(terms.relevance)):
            share = abs(terms.relevance[k]) / largest if largest > 0 else 0.0
            if share < _DRAWN_FROM:
                continue
            colour = DOWN if terms.relevance[k] < 0 else UP
            width = 0.42 * points * share + 0.5
            axes.plot(*(lines[k] @ plane).T, color=colour, lw=width, alpha=0.8, solid_capstyle="round", zorder=2)
    for k, (symbol, place) in enumerate(zip(frame.surroundings.symbols, flat, strict=True)):
        radius = (0.24 if symbol == "H" else 0.3) * points
        axes.plot(*place, "o", ms=2 * radius * 0.8, mfc="white", mec=QUIET, mew=0.8, zorder=3)
        axes.annotate(
            symbol, place, ha="center", va="center_baseline", fontsize=max(5.0, 0.62 * radius), color=INK, zorder=4
        )
        if len(flat) <= 30:
            axes.annotate(
                str(k),
                place,
                xytext=(0.62 * radius, -0.85 * radius),
                textcoords="offset points",
                fontsize=max(4.0, 0.4 * radius),
                color=QUIET,
                zorder=4,
                path_effects=[withStroke(linewidth=1.5, foreground="white")],
            )
    axes.margins(0.1)
    axes.plot([], [], color=DOWN, lw=4, label=f"lowers the {frame.quantity}")
    axes.plot([], [], color=UP, lw=4, label="raises it")
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        ncols=2,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        borderaxespad=0,
    )


def _lines(frame: ExplainedFrame, pairs: Int[np.ndarray, "M 2"]) -> Float[np.ndarray, "M K 3"]:
    """Points of the line of every pair; through a face of the cell it goes halfway from either atom, with a gap."""
    around, positions = frame.surroundings, frame.atoms.positions
    (i, j) = pairs.T
    start, end, half = positions[i], positions[j], around.vectors(i, j) / 2
    gap = np.where(around.beside(i, j)[:, None], start + half, np.nan)
    return np.stack([start, start + half, gap, end - half, end], axis=1)


def draw_distances(axes: Axes, frame: ExplainedFrame) -> None:
    """Strength of every pair term against distance, coloured by the bonds between the atoms."""
    plain(axes, x="distance, Å", y=f"pair strength, {frame.unit}")
    if frame.interactions.max_order < 2:
        return
    terms = frame.interactions.order(2)
    kept = terms.relevance != 0
    (i, j), relevance = terms.atoms[kept].T, terms.relevance[kept]
    distance = frame.surroundings.distances(i, j)
    relation = frame.surroundings.relations(i, j)
    for number, (name, colour) in enumerate(zip(RELATIONS, _RELATION_COLOURS, strict=True)):
        for sign, face in ((-1, colour), (1, "white")):
            chosen = (relation == number) & (np.sign(relevance) == sign)
            axes.plot(distance[chosen], np.abs(relevance[chosen]), "o", ms=5, mec=colour, mfc=face, mew=1.1)
        if (relation == number).any():
            axes.plot([], [], "o", ms=5, color=colour, label="1-2 (bonded)" if number == 0 else name)
    if len(relevance):
        axes.set_yscale("log")
        axes.set_ylim(bottom=max(np.abs(relevance).min(), 1e-5 * np.abs(relevance).max()) * 0.6)
        axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="lower left", handletextpad=0.2, borderpad=0.1)
        axes.annotate(
            "filled: lowers, open: raises",
            (1, 1),
            xycoords="axes fraction",
            ha="right",
            va="top",
            fontsize=8.5,
            color=QUIET,
        )


def draw_orders(axes: Axes, frame: ExplainedFrame) -> None:
    """Terms by order: what lowers to the left, what raises to the right, their net sum as a tick."""
    plain(axes, x=f"sum of terms, {frame.unit} (tick: net)")
    totals = order_totals(frame)
    names = [*_ORDER_NAMES[: len(totals)], f"{len(totals) + 1} or more"]
    for row, total in enumerate(totals):
        low, high = (total.total - total.strength) / 2, (total.total + total.strength) / 2
        axes.barh(row, low, color=DOWN, height=0.62)
        axes.barh(row, high, color=UP, height=0.62)
        axes.plot([total.total] * 2, [row - 0.42, row + 0.42], color=INK, lw=1.8)
    rest = float(frame.interactions.remainder)
    axes.barh(len(totals), rest, color=DOWN if rest < 0 else UP, height=0.62)
    axes.axvline(0, color=QUIET, lw=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()


def _formula(frame: ExplainedFrame) -> str:
    name = frame.atoms.get_chemical_formula()
    digits = "".join(c if c.isalpha() else f"$_{c}$" for c in name)
    return digits.replace("$$", "")
