"""The page as text: it holds what it must, and nothing that comes from a file is markup."""

import json
import re
from dataclasses import replace

import pytest
from report_samples import HOSTILE, ethanol, explanation, frame, info, two_waters

from atomlens.report import page_html
from atomlens.report.assets import json_text, script_text, viewer_script
from atomlens.report.page import Page, frames_on_page
from atomlens.tables import AtomGroups, explained_frame, fragment_groups


def data_of(page):
    return json.loads(page.split('id="atomlens-data">')[1].split("</script>")[0])


def test_hostile_names_stay_text():
    atoms = ethanol(name=HOSTILE)
    groups = AtomGroups((HOSTILE, "rest"), ((0, 1), tuple(range(2, 9))))
    where = info(model_path=f"{HOSTILE}.pt", structures_path=f"{HOSTILE}.xyz", command=f"atomlens explain {HOSTILE}")
    where = replace(where, model=replace(where.model, card={**where.model.card, "note": HOSTILE}))
    page = page_html(frame(atoms, groups=groups), where)
    assert "<img src=x" not in page
    assert "onerror=alert(1)&gt;" in page
    assert len(re.findall(r"<script\b", page)) == len(re.findall(r"</script>", page)) == 3
    data = data_of(page)
    assert data["frames"][0]["name"] == HOSTILE.strip()
    assert data["frames"][0]["groups"]["names"][0] == HOSTILE


def test_the_page_asks_for_nothing():
    page = page_html(frame(), info())
    head = page.split("<header>")[0]
    assert "default-src 'none'" in head
    ours = page.replace(str(viewer_script()), "")
    assert not re.findall(r"<(?:link|script|img|iframe)[^>]*(?:src|href)=[\"'](?!data:)", ours)
    assert "@import" not in ours
    assert len(page.encode()) < 10e6


def test_records_give_the_engine_s_numbers():
    shown = frame()
    record = data_of(page_html(shown, info()))["frames"][0]
    pairs = shown.interactions.order(2)
    by_atoms = dict(zip(map(tuple, pairs.atoms.tolist()), pairs.relevance, strict=True))
    for i, j, r in zip(record["pairs"]["i"], record["pairs"]["j"], record["pairs"]["r"], strict=True):
        assert r == pytest.approx(by_atoms[i, j], rel=1e-5)
    sizes = [abs(r) for r in record["pairs"]["r"]]
    assert sizes == sorted(sizes, reverse=True)
    assert record["prediction"] == shown.prediction
    assert record["remainder"] == shown.interactions.remainder


def test_pairs_are_left_out_beyond_the_limit_and_counted(monkeypatch):
    from atomlens.report.records import Orientation, frame_record

    shown = frame()
    record = frame_record(shown, Orientation(), max_pairs=5)
    everything = abs(shown.interactions.order(2).relevance).sum()
    assert len(record["pairs"]["r"]) == 5
    assert record["pairs"]["total"] == len(shown.interactions.order(2).relevance)
    assert record["pairs"]["leftOut"] + sum(map(abs, record["pairs"]["r"])) == pytest.approx(everything, rel=1e-5)


def test_sources_and_definitions_are_there():
    page = page_html(frame(), info())
    for number in ("2006.03589", "2410.13833", "1706.08566", "2102.03150", "2407.04526"):
        assert f"arXiv:{number}" in page
    assert "own choice" in page
    assert page.count("<math") >= 6


@pytest.mark.parametrize("settings", [{"rule": "gradient"}, {"rule": "gamma"}, {"product_rule": "full"}])
def test_the_rule_is_named(settings):
    page = page_html(explained_frame(explanation(**settings)), info(options={"gamma": 0.25}))
    for name in settings.values():
        assert name in page
    assert ("γ = 0.25" in page) == (settings.get("rule") == "gamma")


def test_a_property_that_is_no_energy_is_not_called_stabilising():
    shown = frame()
    other = type(shown)(**{**vars(shown), "quantity": "dipole_moment", "unit": "D"})
    page = page_html(other, info())
    assert "stabilising" not in page
    assert "dipole moment in D" in page


def test_a_page_without_frames_is_refused():
    with pytest.raises(ValueError, match="no frame"):
        Page(info()).html()


def test_frames_are_spread_evenly():
    assert frames_on_page(1) == [0]
    assert frames_on_page(20) == list(range(20))
    spread = frames_on_page(1000)
    assert len(spread) == 20
    assert (spread[0], spread[-1]) == (0, 999)


def test_later_frames_are_turned_like_the_first():
    page = Page(info(), n_frames=2)
    atoms = ethanol()
    turned = atoms.copy()
    turned.rotate(70, (1, 2, 3))
    page.add(explained_frame(explanation(atoms)))
    page.add(explained_frame(explanation(turned), index=1))
    first, second = (record["positions"] for record in data_of(page.html())["frames"])
    for a, b in zip(first, second, strict=True):
        assert a == pytest.approx(b, abs=2e-3)


def test_groups_reach_the_page():
    atoms = two_waters()
    record = data_of(page_html(frame(atoms, groups=fragment_groups(atoms)), info()))["frames"][0]
    assert record["groups"]["names"] == ["H2O #1", "H2O #2"]
    matrix = record["groups"]["matrix"]
    assert matrix[0][1] == matrix[1][0] != 0


@pytest.mark.parametrize("text", ["</script>", "</SCRIPT>", "<!-- x", "a\u2028b", "&lt;"])
def test_script_data_cannot_end_its_element(text):
    inert = json_text({"x": text})
    assert json.loads(inert) == {"x": text}
    assert not set("<>&\u2028") & set(inert)
    assert "</script" not in script_text(text).lower()


def test_no_number_on_the_page_is_nan():
    with pytest.raises(ValueError, match="JSON"):
        json_text({"x": float("nan")})
