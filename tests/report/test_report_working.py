"""The page as a tool: choosing, sorting, saving, addresses that bring a view back, and access for everybody."""

import csv
import io
import json

import numpy as np
import polars as pl
import pytest
from audit import complaints
from browser import CHROMIUM
from matplotlib.figure import Figure
from PIL import Image
from report_samples import ethanol, explanation, frame, info, two_waters

from atomlens import explain, load_model
from atomlens.report import couplings_html, page_html
from atomlens.report.page import Page
from atomlens.tables import explained_frame, fragment_groups

pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"), pytest.mark.slow]

# Every save goes through a link with an address of its own; the test reads the content instead of writing a file.
_CATCH_SAVES = """
(() => { window.saved = []; const make = URL.createObjectURL;
URL.createObjectURL = (blob) => { window.saved.push(blob); return make(blob); };
window.exporter = (name) => [...document.querySelectorAll('button.export')].find((button) => button.ariaLabel === name);
HTMLAnchorElement.prototype.click = function () { window.savedName = this.download; }; })()
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """One structure; three frames of two molecules with groups; and two structures that differ."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "one.html").write_text(page_html(frame(), info()), encoding="utf-8")
    unlike = Page(info(), n_frames=2)
    for index, atoms in enumerate((two_waters(), ethanol())):
        unlike.add(explained_frame(explanation(atoms), index=index))
    (folder / "unlike.html").write_text(unlike.html(), encoding="utf-8")
    page = Page(info(), n_frames=3)
    for index in range(3):
        atoms = two_waters()
        atoms.rattle(0.05, seed=index)
        page.add(explained_frame(explanation(atoms), index=index, groups=fragment_groups(atoms)))
    (folder / "frames.html").write_text(page.html(), encoding="utf-8")
    return folder


def resize(browser, width, height):
    """At half of the pixels, since every frame is drawn by the processor."""
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=0.5, mobile=False)


def open_page(browser, path, fragment="", size=(500, 400)):
    """In a small window; the tests of the layout say which size."""
    resize(browser, *size)
    browser.errors = []
    browser.call("Page.navigate", url="about:blank")
    browser.load(path, settle=0.3, fragment=fragment)
    browser.run(_CATCH_SAVES)
    assert browser.errors == []
    return browser


@pytest.fixture
def unchanged(chromium, pages):
    """Opens a page of `pages` as it is without any choice, for tests that make none.

    One load takes seconds where WebGL is computed by the processor, so the page that the test before left is taken as
    it is. Where other tests used the browser meanwhile, the page is gone, and loaded anew.
    """

    def show(name, width=1400):
        size = (width, 900)
        resize(chromium, *size)
        if chromium.run("location.href") == (pages / name).as_uri():
            chromium.run("saved.length = 0")
            chromium.run("new Promise((done) => setTimeout(done, 500))")  # charts are drawn again for another width
        else:
            open_page(chromium, pages / name, size=size)
        return chromium

    return show


def mouse(browser, x, y):
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        button, clicks = ("none", 0) if kind == "mouseMoved" else ("left", 1)
        browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, clickCount=clicks)
    browser.run("new Promise((done) => setTimeout(done, 150))")


def text(browser, selector):
    return browser.run(f"document.querySelector('{selector}').textContent")


def saved(browser):
    return browser.run("saved.at(-1).text()")


def click(browser, selector):
    browser.run(f"document.querySelector('{selector}').click()")


def test_tables_are_saved_whole_as_csv(unchanged):
    browser = unchanged("one.html")
    browser.run(
        "[...document.querySelectorAll('button.export')].find((b) => b.ariaLabel === 'Save pairs as CSV').click()"
    )
    rows = list(csv.DictReader(io.StringIO(saved(browser))))
    terms = frame().interactions.order(2)
    assert len(rows) == len(terms.relevance)
    found = {(int(row["atom_1"]), int(row["atom_2"])): float(row["term_eV"]) for row in rows}
    for (i, j), value in zip(terms.atoms.tolist(), terms.relevance, strict=True):
        assert found[i, j] == pytest.approx(value, rel=1e-5)
    assert browser.run("savedName").endswith("pairs.csv")


def test_charts_are_saved_as_pictures_that_stand_alone(unchanged):
    browser = unchanged("one.html")
    save = "exporter('Save matrix as {}').click()"
    browser.run(save.format("SVG"))
    drawing = saved(browser)
    assert drawing.startswith("<svg")
    assert "class=" not in drawing
    assert "rgb(" in drawing
    browser.run(save.format("PNG"))
    browser.run("new Promise((done) => setTimeout(done, 1500))")
    data = browser.run("saved.at(-1).arrayBuffer().then((b) => [...new Uint8Array(b)])")
    image = np.asarray(Image.open(io.BytesIO(bytes(data))).convert("RGB")).astype(int)
    assert image.shape[1] > 1000
    assert (image[..., 2] - image[..., 0] > 60).sum() > 1000  # the blue cells are there
    assert browser.errors == []


def test_the_view_is_saved_as_a_picture(unchanged):
    browser = unchanged("one.html")
    browser.run("exporter('Save the view as PNG').click()")
    data = browser.run("saved.at(-1).arrayBuffer().then((b) => [...new Uint8Array(b)])")
    image = np.asarray(Image.open(io.BytesIO(bytes(data))).convert("RGB")).astype(int)
    assert (image[..., 2] - image[..., 0] > 60).sum() > 300  # the blue cylinders are there
    assert browser.errors == []


def test_pages_without_forces_offer_no_arrows(unchanged):
    browser = unchanged("one.html")
    assert browser.run("document.getElementById('arrows-line').hidden") is True


# This page is opened wide and made narrow; that of the frames the other way round.
@pytest.mark.parametrize("width", [1400, 400])
def test_everybody_can_read_the_page(unchanged, width):
    assert complaints(unchanged("one.html", width)) == []


def test_a_click_in_the_view_marks_an_atom_or_a_pair_everywhere(unchanged):
    browser = unchanged("one.html")
    browser.run("document.getElementById('viewer').scrollIntoView({ block: 'center' })")
    box = browser.run("JSON.parse(JSON.stringify(document.getElementById('viewer').getBoundingClientRect()))")
    places = json.loads(text(browser, "#atomlens-data"))["frames"][0]["positions"]
    pairs = frame().interactions.order(2)

    def click_at(place):
        """Where the view shows it: seen from 150 Å, with the structure filling the view, at most 90 pixels for 1 Å."""
        click(browser, "#clear-selection")
        width, height, _ = np.abs(places).max(axis=0) + 0.9
        scale = min(box["width"] / (2 * width), box["height"] / (2 * height), 90)
        distance = 1.7667 * box["height"] / scale
        x, y = np.array(place[:2]) * 1.7667 * box["height"] / (distance - place[2])
        mouse(browser, box["x"] + box["width"] / 2 + x, box["y"] + box["height"] / 2 - y)
        assert browser.run("document.getElementById('tip').hidden") is False

    nearest = int(np.argmax(np.array(places)[:, 2]))
    click_at(places[nearest])
    assert browser.run("document.getElementById('atom-choice').value") == str(nearest)
    assert f"atom={nearest}" in browser.run("location.hash")
    assert browser.run("document.querySelectorAll('#matrix .frame:not([hidden])').length") == 2
    mine = [nearest in pair for pair in pairs.atoms.tolist()]
    assert browser.run("document.querySelectorAll('#distance .mark-dot.lit').length") == sum(mine)

    # The thickest cylinder is that of the strongest pair.
    strongest = pairs.atoms.tolist()[int(np.argmax(np.abs(pairs.relevance)))]
    click_at(np.mean([places[k] for k in strongest], axis=0))
    assert browser.run("document.getElementById('atom-choice').value") == ""
    assert "pair={}-{}".format(*strongest) in browser.run("location.hash")
    assert browser.run("document.querySelectorAll('#matrix .cell.lit').length") == 2
    assert browser.run("document.querySelectorAll('#distance .mark-dot.lit').length") == 1
    assert browser.run("document.querySelectorAll('#pair-rows tr[aria-current]').length") <= 1
    assert browser.errors == []


def test_the_list_has_the_pairs_of_one_atom_or_all_and_obeys_the_keyboard(browser, pages):
    open_page(browser, pages / "one.html", "view?from=0&atom=2&only=1")
    names = browser.run("[...document.querySelectorAll('#pair-rows tr td:first-child')].map((c) => c.textContent)")
    terms = frame().interactions.order(2)
    expected = {f"{i}-{j}" for i, j in terms.atoms.tolist() if 2 in (i, j)}
    assert {
        "-".join("".join(c for c in part if c.isdigit()) for part in name.split("\u2013")) for name in names
    } == expected
    click(browser, "#only-atom")
    assert browser.run("document.querySelectorAll('#pair-rows tr').length") == len(terms.relevance)
    assert text(browser, "#selection").startswith("O2")
    # Rows are chosen and sorted by keyboard.
    click(browser, "#clear-selection")
    browser.run("document.querySelector('#pair-rows tr').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter' }))")
    assert browser.run("document.querySelectorAll('#pair-rows tr[aria-current]').length") == 1
    heading = "#view th:nth-child(3) button"
    column = "[...document.querySelectorAll('#pair-rows tr')].map((row) => Number(row.cells[2].dataset.value))"
    click(browser, heading)
    assert browser.run("document.querySelector('#view th:nth-child(3)').ariaSort") == "descending"
    longest_first = browser.run(column)
    assert longest_first == sorted(longest_first, reverse=True)
    click(browser, heading)
    assert browser.run(column) == longest_first[::-1]
    # The order stays when the list changes.
    browser.run(
        "(() => { const slider = document.getElementById('threshold'); slider.value = 300; "
        "slider.dispatchEvent(new Event('input')); })()"
    )
    fewer = browser.run(column)
    assert fewer == sorted(fewer)
    assert len(fewer) < len(longest_first)


def test_every_chart_fits_a_narrow_window(unchanged):
    browser = unchanged("frames.html", 400)
    charts = "[...document.querySelectorAll('.chart')]"
    wide = f"{charts}.filter((chart) => chart.scrollWidth > chart.clientWidth + 1).map((chart) => chart.id)"
    assert browser.run(wide) == []
    # No word runs out of its drawing.
    outside = """[...document.querySelectorAll('.chart svg')].flatMap((svg) => {
      const box = svg.getBoundingClientRect();
      const isOut = (b) => b.width && (b.right > box.right + 2 || b.left < box.left - 2);
      return [...svg.querySelectorAll('text')].filter((t) => isOut(t.getBoundingClientRect()))
        .map((t) => `${svg.parentElement.id}: ${t.textContent}`); })"""
    assert browser.run(outside) == []


@pytest.mark.parametrize("width", [400, 1400])
def test_everybody_can_read_a_page_of_frames(unchanged, width):
    assert complaints(unchanged("frames.html", width)) == []


def test_frames_by_slider_keys_and_player_and_the_address_brings_them_back(unchanged, pages):
    browser = unchanged("frames.html")
    resize(browser, 500, 400)
    value = "#equation .whole .value"
    first = text(browser, value)
    browser.run("document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }))")
    second = text(browser, value)
    assert second != first
    assert "frame=1" in browser.run("location.hash")
    click(browser, "#frame-play")
    assert browser.run("document.getElementById('frame-play').ariaPressed") == "true"
    browser.run("new Promise((done) => setTimeout(done, 1000))")
    assert text(browser, value) != second
    click(browser, "#frame-play")
    fragment = "walks?frame=1&unit=meV&walk=3&colour=elements&pair=0-1"
    open_page(browser, pages / "frames.html", fragment)
    shown = float(text(browser, value).replace("\u2212", "-"))
    assert shown == pytest.approx(1000 * float(second.replace("\u2212", "-")), rel=1e-3)
    assert browser.run("Number(document.querySelector('#walk-rows tr[aria-current]').dataset.walk)") == 3
    assert browser.run("location.hash.slice(1)") == fragment
    assert browser.errors == []


def test_lines_join_frames_of_one_molecule_alone(browser, pages):
    for name, joined in (("frames.html", True), ("unlike.html", False)):
        open_page(browser, pages / name)
        lines, spots = (
            browser.run(f"document.querySelectorAll('#frames-chart {kind}').length") for kind in ("path.line", ".spot")
        )
        assert (lines > 0, spots > 0) == (joined, not joined)


def test_the_view_starts_with_all_bonds(browser, tmp_path):
    model = load_model("zoo:organic-painn")
    (tmp_path / "page.html").write_text(page_html(explained_frame(explain(model, ethanol())), info()), "utf-8")
    open_page(browser, tmp_path / "page.html")
    rows = "[...document.querySelectorAll('#pair-rows tr')].map((row) => row.lastElementChild.textContent)"
    assert browser.run(rows) == ["1-2"] * 8


def test_the_chemiscope_file_opens_in_chemiscope(browser, pages):
    open_page(browser, pages / "frames.html", "?frame=2")
    browser.run("exporter('Save all structures as chemiscope').click()")
    content = json.loads(saved(browser))
    assert [s["size"] for s in content["structures"]] == [6, 6, 6]
    assert len(content["shapes"]["pair terms"]["parameters"]["structure"]) == 3
    browser.run(
        "for (const id of ['again', 'info', 'meta']) { const place = document.createElement('div'); place.id = id; "
        "place.style.height = '300px'; document.body.append(place); }"
    )
    loaded = browser.run(
        "saved.at(-1).text().then((text) => Chemiscope.StructureVisualizer.load({ structure: 'again', info: 'info', "
        "meta: 'meta' }, JSON.parse(text), new Chemiscope.Warnings())).then(() => 'loaded')"
    )
    assert loaded == "loaded"
    # The page is where it was.
    assert "frame 2" in text(browser, "#frame-place")


def test_pictures_and_plain_tables_are_saved(browser, tmp_path):
    rows = [(0, 1, "O", "H", 0.97, 40.1234567, "single", "1-2"), (1, 2, "H", "H", 1.5, 2.5, "none", "1-3")]
    names = ("atom_1", "atom_2", "element_1", "element_2", "distance", "coupling", "bond", "relation")
    table = pl.DataFrame(rows, schema=names, orient="row")
    found = {"frame": 0, "formula": "H2O", "n_atoms": 3, "largest": 40.1, "asymmetry": 1e-9, "sum_rule": 1e-9}
    failed = {"frame": 1, "formula": "Xe", "n_atoms": 1, "unavailable": 'no "Xe", alas'}
    summary = {"calculator": "a/b", "how": "exact", "structures": "x.xyz", "command": "", "frames": [found, failed]}
    drawing = Figure(figsize=(4, 3))
    drawing.add_subplot().fill_between([0, 1], [0, 1], color="#0000ff")
    (tmp_path / "page.html").write_text(couplings_html(summary, table, table, drawing), encoding="utf-8")
    open_page(browser, tmp_path / "page.html")

    browser.run("exporter('Save couplings as SVG').click()")
    assert "</svg>" in saved(browser)
    assert browser.run("savedName") == "Response_couplings_of_a_b-couplings.svg"
    browser.run("exporter('Save couplings as PNG').click()")
    browser.run("new Promise((done) => setTimeout(done, 500))")
    data = browser.run("saved.at(-1).arrayBuffer().then((b) => [...new Uint8Array(b)])")
    image = np.asarray(Image.open(io.BytesIO(bytes(data))).convert("RGB")).astype(int)
    assert image.shape[1] > 800
    assert (image[..., 2] - image[..., 0] > 200).mean() > 0.2

    browser.run("exporter('Save strongest couplings as CSV').click()")
    read = list(csv.DictReader(io.StringIO(saved(browser))))
    assert [float(row["coupling, eV/Å²"]) for row in read] == [40.1234567, 2.5]
    assert read[0]["pair"] == "O0\u2013H1"
    browser.run("exporter('Save structures as CSV').click()")
    head, *rest = csv.reader(io.StringIO(saved(browser)))
    assert {len(row) for row in rest} == {len(head)}
    assert rest[1][3:] == ['not available: no "Xe", alas', "", ""]
    assert browser.errors == []


def test_arrows_are_forces_and_those_of_an_atom_add_up(browser, tmp_path):
    explained = explanation()
    (tmp_path / "arrows.html").write_text(
        page_html(explained_frame(explained, with_forces=True), info()), encoding="utf-8"
    )
    open_page(browser, tmp_path / "arrows.html", fragment="view?arrows=pairs&atom=2")
    sent = json.loads(browser.run("document.getElementById('atomlens-data').textContent"))["frames"][0]
    forces = explained.pair_forces().forces
    assert np.linalg.norm(sent["forces"], axis=1) == pytest.approx(np.linalg.norm(forces, axis=1), abs=1e-4)
    np.testing.assert_allclose(np.sum(sent["pairForces"], axis=1), sent["forces"], atol=2e-4)
    assert "pulls at O2" in text(browser, "#arrow-note")
    assert browser.run("document.getElementById('arrow-choice').value") == "pairs"
    browser.run(
        "(() => { const choice = document.getElementById('arrow-choice'); choice.value = 'forces';"
        " choice.dispatchEvent(new Event('change')); })()"
    )
    assert "Force on each atom" in text(browser, "#arrow-note")
    assert f"{np.linalg.norm(forces, axis=1).max():.1f}" in text(browser, "#arrow-note")
    assert "arrows=forces" in browser.run("location.hash")
    assert browser.errors == []


def test_the_centre_of_a_triple_stands_in_its_middle(unchanged):
    browser, around = unchanged("one.html"), frame().surroundings
    bonded = {frozenset(pair) for pair in around.bonds.pairs.tolist()}
    names = browser.run("[...document.querySelectorAll('#triple-rows tr')].map((row) => row.cells[0].textContent)")
    paths = 0
    for name in names:
        atoms = [around.labels.index(label) for label in name.split("\N{EN DASH}")]
        centres = [a for a in atoms if all(a == b or frozenset((a, b)) in bonded for b in atoms)]
        assert len(centres) != 1 or atoms[1] == centres[0], name
        paths += len(centres) == 1 and sorted(atoms) != atoms
    assert paths  # of some, the centre is not the second by number
