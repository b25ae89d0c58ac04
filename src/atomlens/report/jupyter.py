"""How an explanation shows itself in a notebook: a line of numbers, a figure, and the strongest pairs.

``interactions`` knows nothing of reports, so the display is registered here, by the name of the class: nothing
heavy is imported before an explanation is shown.
"""

from __future__ import annotations

import base64
import io
import sys
from html import escape
from typing import Any

import numpy as np

_CLASS = ("atomlens.interactions.explanation", "Explanation")


def register(shell: Any = None) -> bool:
    """Let IPython show explanations as HTML.

    Parameters
    ----------
    shell
        An IPython shell; the running one if None.

    Returns
    -------
    Whether there was a shell.
    """
    if shell is None:
        if "IPython" not in sys.modules:
            return False
        shell = sys.modules["IPython"].get_ipython()
    if shell is None:
        return False
    shell.display_formatter.formatters["text/html"].for_type_by_name(*_CLASS, explanation_html)
    return True


def explanation_html(explanation: Any) -> str:
    """HTML of an explanation that needs no script and no network."""
    from atomlens.report.figures import overview_figure
    from atomlens.tables import explained_frame, order_totals

    frame = explained_frame(explanation, top_walks=1)
    image = io.BytesIO()
    overview_figure(frame).savefig(image, format="svg")
    source = base64.b64encode(image.getvalue()).decode()
    names = ["single atoms", "pairs", "triples"]
    parts = [f"{total.total:+.4f} ({name})" for total, name in zip(order_totals(frame), names, strict=False)]
    line = (
        f"{frame.quantity} {frame.prediction:.4f} {frame.unit} = {frame.constant:.4f} (constant) "
        f"{' '.join(parts)} {frame.interactions.remainder:+.4f} (larger sets); "
        f"residual {frame.residual:.0e} {frame.unit}"
    )
    return (
        f"<div><p><b>{escape(frame.name)}</b>, rule {escape(frame.rule)}</p><p>{escape(line)}</p>"
        f'<img alt="pair terms on the molecule, strength against distance, sums by order" '
        f'style="max-width:100%;background:white" src="data:image/svg+xml;base64,{source}">{_pair_rows(frame)}</div>'
    )


def _pair_rows(frame: Any, limit: int = 8) -> str:
    terms, around = frame.interactions.order(2), frame.surroundings
    best = np.argsort(-np.abs(terms.relevance), kind="stable")[:limit]
    (i, j), relevance = terms.atoms[best].T, terms.relevance[best]
    rows = "".join(
        f"<tr><td>{around.labels[a]}–{around.labels[b]}</td><td>{d:.2f}</td><td>{escape(bond)}</td><td>{r:+.4f}</td></tr>"
        for a, b, d, bond, r in zip(
            i.tolist(), j.tolist(), around.distances(i, j), around.bond_classes(i, j), relevance, strict=True
        )
    )
    head = f"<tr><th>pair</th><th>Å</th><th>bond</th><th>term, {escape(frame.unit)}</th></tr>"
    return f"<details><summary>strongest pairs (bias walks included)</summary><table>{head}{rows}</table></details>"
