"""`Explanation.plot`: one figure each, on axes of the caller or new ones, and the molecule in 3D in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from atomlens.interactions import Explanation
from atomlens.report.axes import BLUE, ORANGE
from atomlens.report.figures import draw_distances, draw_molecule, draw_orders
from atomlens.tables import ExplainedFrame, explained_frame

_Draw = Callable[[Axes, ExplainedFrame], None]


class Plots:
    """Figures of one explanation.

    Every method draws on the matplotlib axes that it is given, or on new ones, and returns them.

    Parameters
    ----------
    explanation
        From `atomlens.explain`.

    Examples
    --------
    >>> import ase, torch, atomlens
    >>> _ = torch.manual_seed(0)
    >>> model = atomlens.Potential(atomlens.ModelConfig())
    >>> ex = atomlens.explain(model, ase.Atoms("OH", positions=[[0, 0, 0], [0, 0, 0.97]]))
    >>> ex.plot.decay().get_xlabel()
    'distance, Å'
    """

    def __init__(self, explanation: Explanation) -> None:
        self._explanation = explanation

    @cached_property
    def _frame(self) -> ExplainedFrame:
        return explained_frame(self._explanation, top_walks=1)

    def pairs(self, axes: Axes | None = None) -> Axes:
        """The molecule with its stronger pair terms: blue lowers the prediction, orange raises it."""
        return self._drawn(draw_molecule, axes, (5.6, 4.8))

    def decay(self, axes: Axes | None = None) -> Axes:
        """Strength of every pair term against distance."""
        return self._drawn(draw_distances, axes, (5.6, 4.0))

    def orders(self, axes: Axes | None = None) -> Axes:
        """Sums of terms by the number of their atoms."""
        return self._drawn(draw_orders, axes, (5.6, 2.6))

    def _drawn(
        self, draw: Callable[[Axes, ExplainedFrame], None], axes: Axes | None, size: tuple[float, float]
    ) -> Axes:
        if axes is None:
            from matplotlib import pyplot  # figures of pyplot show themselves in a notebook

            axes = pyplot.subplots(figsize=size, layout="constrained")[1]
        draw(axes, self._frame)
        return axes

    def view(self, weakest: float = 0.02) -> Any:
        """The molecule in 3D with its pair terms as cylinders: a chemiscope widget, for a Jupyter notebook.

        Parameters
        ----------
        weakest
            Pair terms weaker than this share of the strongest one are left out.
        """
        import chemiscope

        return chemiscope.show(
            structures=[self._explanation.atoms],
            shapes={"pair terms": pair_cylinders(self._frame, weakest)},
            settings=chemiscope.quick_settings(structure_settings={"shape": ["pair terms"], "bonds": True}),
            mode="structure",
        )


def pair_cylinders(frame: ExplainedFrame, weakest: float = 0.02) -> dict[str, Any]:
    """Pair terms as a chemiscope shape: one cylinder per term, radius up to 0.2 Å in proportion to its strength."""
    terms = frame.interactions.order(2)
    strength = np.abs(terms.relevance)
    largest = strength.max() if len(strength) and strength.max() > 0 else 1.0
    kept = strength >= max(weakest * largest, np.finfo(float).tiny)
    (i, j), relevance = terms.atoms[kept].T, terms.relevance[kept]
    return {
        "kind": "cylinders",
        "parameters": {
            "global": {
                "vectors": frame.surroundings.vectors(i, j).tolist(),
                "bases": frame.atoms.positions[i].tolist(),
                "radii": np.maximum(0.02, 0.2 * strength[kept] / largest).tolist(),
                "colors": [BLUE if value < 0 else ORANGE for value in relevance.tolist()],
            }
        },
    }
