"""A real Chromium opens the page: no error, no request, and the molecule is really drawn."""

import io

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from PIL import Image
from report_samples import HOSTILE, cell_of_waters, ethanol, explanation, frame, info, two_waters

from atomlens.report import page_html
from atomlens.report.page import Page
from atomlens.tables import explained_frame, fragment_groups

pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"), pytest.mark.slow]

# The colours of a term that lowers and of one that raises, as lit surfaces: which channel leads.
BLUE, ORANGE = (lambda r, g, b: b - r > 60), (lambda r, g, b: r - b > 60)


@pytest.fixture
def browse(browser, tmp_path):
    """Opens a page in the browser, and is that browser."""

    def browse(html, size=(500, 400)):
        """In a small window at half of the pixels, since every frame is drawn by the processor."""
        width, height = size
        browser.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=0.5, mobile=False
        )
        page = tmp_path / "page.html"
        page.write_text(html, encoding="utf-8")
        browser.errors, browser.requests = [], []
        browser.load(page, settle=0.3)
        return browser

    return browse


def pixels(browser, selector):
    image = Image.open(io.BytesIO(browser.screenshot(selector))).convert("RGB")
    return np.asarray(image).astype(int)


def count(image, kind):
    return int(kind(*np.moveaxis(image, -1, 0)).sum())


def test_the_page_opens_quietly_and_draws_the_molecule_and_the_slider_changes_it(browse):
    browser = browse(page_html(frame(), info()), size=(1000, 800))
    assert browser.errors == []
    assert browser.requests == []
    assert browser.run("document.getElementById('viewer').dataset.ready") == "yes"
    view = pixels(browser, "#viewer")
    assert count(view, BLUE) > 300
    assert count(view, ORANGE) > 300
    assert len(np.unique(view.reshape(-1, 3), axis=0)) > 100
    shown = "document.querySelectorAll('#pair-rows tr').length"
    choose(browser, "threshold", 0, "input")
    everything = browser.run(shown)
    assert everything == len(frame().interactions.order(2).relevance)
    full = wait_for_drawing(browser)
    choose(browser, "threshold", 1000, "input")
    assert browser.run(shown) == 1
    sparse = wait_for_drawing(browser)
    assert count(sparse, BLUE) + count(sparse, ORANGE) < 0.7 * (count(full, BLUE) + count(full, ORANGE))


def choose(browser, control, value, event="change"):
    browser.run(
        f"(() => {{ const control = document.getElementById('{control}'); control.value = '{value}'; "
        f"control.dispatchEvent(new Event('{event}')); }})()"
    )


def wait_for_drawing(browser):
    browser.run(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 300))))"
    )
    return pixels(browser, "#viewer")


def test_hostile_text_is_shown_and_not_run(browse):
    browser = browse(page_html(frame(ethanol(name=HOSTILE)), info(model_path=HOSTILE, structures_path=HOSTILE)))
    assert browser.errors == []
    assert browser.requests == []
    assert browser.run("document.images.length") == 0
    assert HOSTILE.strip().split()[0] in browser.run("document.querySelector('h1').textContent")


def test_every_chart_is_there(browse):
    atoms = two_waters()
    browser = browse(page_html(frame(atoms, groups=fragment_groups(atoms)), info()))
    for place in (
        "waterfall",
        "matrix",
        "distance",
        "by-order",
        "by-relation",
        "by-range",
        "group-matrix",
        "walk-drawing",
        "atom-shares",
    ):
        assert browser.run(f"document.querySelectorAll('#{place} svg *').length") > 5, place
    attributes = "[...document.querySelectorAll('svg *')].flatMap((e) => [...e.attributes])"
    assert browser.run(f"{attributes}.filter((a) => /NaN|undefined/.test(a.value)).length") == 0
    assert browser.errors == []


def test_units_and_frames_can_be_chosen(browse):
    page = Page(info(), n_frames=3)
    for index in range(3):
        atoms = ethanol()
        atoms.rattle(0.05, seed=index)
        page.add(explained_frame(explanation(atoms), index=index))
    browser = browse(page.html())
    value = "document.querySelector('#equation .whole .value').textContent"
    first = browser.run(value)
    choose(browser, "frame-choice", 2)
    third = browser.run(value)
    assert third != first
    choose(browser, "unit-choice", "kcal/mol")
    number = float(browser.run(value).replace("\u2212", "-"))
    assert number == pytest.approx(23.0605 * float(third.replace("\u2212", "-")), rel=1e-4)
    assert "kcal/mol" in browser.run("document.querySelector('#equation').textContent")
    assert browser.errors == []


def test_lower_orders_single_atoms_and_cells_open_too(browse):
    import ase

    for shown in (frame(max_order=1), frame(max_order=2), frame(ase.Atoms("O")), frame(cell_of_waters())):
        browser = browse(page_html(shown, info()))
        assert browser.errors == []


def test_without_webgl_the_pairs_are_drawn_flat(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(page_html(frame(), info()), encoding="utf-8")
    with Browser(tmp_path / "profile", flags=("--disable-3d-apis",)) as browser:
        browser.load(page, settle=0.5)
        assert browser.run("document.getElementById('viewer').dataset.ready") == "flat"
        assert browser.run("document.querySelectorAll('#flat .term').length") > 5
        assert browser.requests == []
