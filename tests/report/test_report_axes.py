"""What all figures share."""

from __future__ import annotations

from matplotlib.figure import Figure

from atomlens.report.axes import plain, say


def test_a_long_reason_stays_in_its_place() -> None:
    drawing = Figure(figsize=(12.6, 4.3), layout="constrained")
    axes = drawing.subplots(1, 3)
    plain(axes[0], "A picture", "x", "y").plot([0, 1], [0, 1])
    for part in axes[1:]:
        say(part, "a many-body expansion means nothing where parts do not add: " + "some reason of some length, " * 4)
    drawing.draw_without_rendering()
    widths = [part.get_window_extent().width for part in axes]
    assert min(widths) > 0.25 * drawing.bbox.width
    for part in axes[1:]:
        words, place = part.texts[0].get_window_extent(), part.get_window_extent()
        assert place.x0 <= words.x0 < words.x1 <= place.x1
        assert place.y0 <= words.y0 < words.y1 <= place.y1
