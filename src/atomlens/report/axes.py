"""What all figures share: colours, plain axes, words in place of a picture."""

from __future__ import annotations

from textwrap import fill

from matplotlib.axes import Axes

# Distinct with every common colour vision (Okabe and Ito), from dark to light.
INK, QUIET, FAINT = "#1c2126", "#5d666f", "#c4cad0"
BLUE, ORANGE, GREEN, PINK = "#2765b0", "#d9730d", "#009e73", "#b5488d"
ORDER_COLOURS = (QUIET, BLUE, ORANGE, GREEN)
# Characters a line that fit into a third of a page's width.
_LINE = 40


def plain(axes: Axes, title: str = "", x: str = "", y: str = "") -> Axes:
    """Quiet frame, title on the left, labels with units."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=QUIET, labelsize=9, labelcolor=INK)
    axes.set_title(title, loc="left", fontsize=10.5, color=INK)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    return axes


def say(axes: Axes, text: str) -> None:
    """Words in place of a picture, where there is nothing to draw."""
    axes.axis("off")
    # Lines of our own: matplotlib wraps at the edge of the figure, and a long line takes the room of all other axes.
    lines = fill(text, _LINE)
    said = axes.text(0.5, 0.5, lines, ha="center", va="center", color=QUIET, fontsize=10, transform=axes.transAxes)
    said.set_in_layout(False)
