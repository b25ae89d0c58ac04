"""Views, static figures, and the display in notebooks."""

import base64
import io
import re

import ase
import numpy as np
import pytest
from matplotlib import rc_context
from report_samples import HOSTILE, cell_of_waters, ethanol, explanation, frame, two_waters

from atomlens.report import figures, jupyter, overview_figure, projection, svg_address
from atomlens.report.projection import aligned_rotation, viewing_rotation
from atomlens.report.records import Orientation, frame_record
from atomlens.structures import BOND_CLASSES


@pytest.mark.parametrize(
    "atoms", [ethanol(), two_waters(), ase.Atoms("O"), ase.Atoms("OH", positions=[[0, 0, 0], [0, 0, 1]])]
)
def test_views_are_rotations(atoms):
    rotation = viewing_rotation(atoms.positions)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_no_atom_of_ethanol_hides_another():
    flat = ethanol().positions @ viewing_rotation(ethanol().positions)[:2].T
    distances = np.linalg.norm(flat[:, None] - flat[None], axis=-1)
    assert distances[np.triu_indices(len(flat), 1)].min() > 0.35
    assert np.ptp(flat[:, 0]) >= np.ptp(flat[:, 1])  # the page is wider than high


def test_alignment_undoes_a_rotation():
    atoms = ethanol()
    turned = atoms.copy()
    turned.rotate(123, (1, -2, 0.5))
    rotation = aligned_rotation(turned.positions, atoms.positions)
    back = (turned.positions - turned.positions.mean(axis=0)) @ rotation.T
    np.testing.assert_allclose(back, atoms.positions - atoms.positions.mean(axis=0), atol=1e-10)
    assert np.linalg.det(rotation) == pytest.approx(1)


@pytest.mark.parametrize(
    "atoms", [ethanol(), two_waters(), cell_of_waters(), ase.Atoms("O")], ids=["ethanol", "dimer", "cell", "atom"]
)
def test_the_overview_can_be_drawn(atoms):
    figure = overview_figure(explanation(atoms))
    assert len(figure.axes) == 3
    figure.savefig(io.BytesIO(), format="svg")


def test_bonds_through_a_face_are_bonds_and_are_not_drawn_across_the_cell():
    atoms = two_waters()
    atoms.set_cell([7.0, 7.0, 7.0])
    atoms.pbc = True
    atoms.translate([0, 0, 0.6])
    atoms.wrap()  # one hydrogen atom of each molecule comes in on the other side
    shown = frame(atoms)
    record = frame_record(shown, Orientation())
    places = np.array(record["positions"])
    assert {shown.surroundings.molecule.tolist()[k] for k in range(6)} == {0, 1}
    assert len(record["bonds"]) == 2
    assert all(np.linalg.norm(places[i] - places[j]) < 1.1 for i, j, _ in record["bonds"])
    singles = sum(name == BOND_CLASSES.index("single") for name in record["pairs"]["bond"])
    assert singles == 4
    longest = max(shown.surroundings.distances(*shown.interactions.order(2).atoms.T))
    for line in overview_figure(shown).axes[0].lines:
        steps = np.hypot(*np.diff(line.get_xydata().astype(float), axis=0).T)
        assert not (steps > longest + 1e-9).any()


def test_the_overview_draws_every_pair_term_once():
    shown = frame()
    figure = overview_figure(shown)
    points = sum(len(line.get_xdata()) for line in figure.axes[1].lines)
    assert points == len(shown.interactions.order(2).relevance)
    drawn = {line.get_color() for line in figure.axes[0].lines}
    assert {figures.DOWN, figures.UP} <= drawn


def test_pictures_of_pages_are_those_that_matplotlib_saves():
    plain = io.BytesIO()
    with rc_context({"svg.hashsalt": "atomlens"}):
        overview_figure(frame()).savefig(plain, format="svg", metadata={"Date": None})
    kind, _, data = svg_address(overview_figure(frame())).partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(data) == plain.getvalue()


def test_lower_orders_can_be_drawn():
    overview_figure(frame(max_order=1)).savefig(io.BytesIO())


def test_a_notebook_shows_an_explanation_without_script_or_network():
    html = jupyter.explanation_html(explanation(ethanol(name=HOSTILE)))
    assert "<img src=x" not in html
    assert "<script" not in html
    assert not re.search(r'src="(?!data:)', html)
    assert "strongest pairs" in html


def test_ipython_learns_of_the_class():
    shell = pytest.importorskip("IPython.core.interactiveshell", reason="needs IPython").InteractiveShell.instance()
    try:
        assert jupyter.register(shell)
        data, _ = shell.display_formatter.format(explanation())
        assert "data:image/svg+xml" in data["text/html"]
        assert "Explanation(" in data["text/plain"]
    finally:
        type(shell).clear_instance()


def test_without_a_shell_nothing_is_registered(monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not jupyter.register()


def test_directions_are_scored_by_what_is_seen_along_them():
    """From the plane of the page itself: each pair of atoms that falls together counts, a wide view is preferred."""
    centred = ethanol().positions - ethanol().positions.mean(axis=0)
    directions = np.random.default_rng(0).normal(size=(7, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    scores = projection._clutter(centred, directions)
    for direction, score in zip(directions, scores, strict=True):
        plane = np.linalg.svd(direction[None])[2][1:]
        flat = centred @ plane.T
        overlap = sum(np.exp(-4.0 * np.sum((a - b) ** 2)) for k, a in enumerate(flat) for b in flat[:k])
        assert score == pytest.approx(6.0 * overlap - np.sqrt(np.mean(np.sum(flat**2, axis=1))))
