"""Long-range energies on page, in summary, tables and terminal."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from report_samples import ethanol, info, two_waters
from rich.console import Console
from test_report_page import data_of

from atomlens import explain
from atomlens.cli.show import _sums
from atomlens.interactions import explain_batch
from atomlens.report import page_html
from atomlens.tables import explained_frame
from atomlens.tables.batch import batch_rows, batch_tables
from atomlens.tables.summary import frame_summary, model_summary
from samples import long_range_model, small_model


@pytest.fixture(scope="module")
def explanation():
    return explain(long_range_model("painn", "coulomb+dispersion"), two_waters())


def test_page_and_summary_tell_the_part_of_the_pairs(explanation):
    frame = explained_frame(explanation)
    where = replace(info(), model=replace(info().model, long_range="coulomb"))
    sums = {kind: float(explanation.long_range_terms(kind).relevance.sum()) for kind in ("coulomb", "dispersion")}
    summary = frame_summary(frame)
    assert summary["long_range"] == sums
    assert summary["orders"][1]["count"] == 15
    assert model_summary(where)["long_range"] == "coulomb"
    page = page_html(frame, where)
    assert data_of(page)["frames"][0]["longRange"] == [list(part) for part in sums.items()]
    assert "energies of all pairs: coulomb, dispersion" in page
    assert "beyond it, long-range energies alone" in page
    assert "atoms further apart interact only in triples" not in page
    text = StringIO()
    Console(file=text, width=120).print(_sums(frame, conserves=True))
    assert f"of the pairs: coulomb, long range {sums['coulomb']:+.4f}" in " ".join(text.getvalue().split())


def test_pages_of_plain_models_are_as_before():
    frame = explained_frame(explain(small_model("painn"), ethanol()))
    page = page_html(frame, info())
    assert frame.long_range == ()
    assert frame_summary(frame)["long_range"] == {}
    assert "atoms further apart interact only in triples" in page
    assert "energies of all pairs" not in page


def test_tables_have_a_row_for_every_pair(explanation):
    model, structures = long_range_model("painn", "coulomb+dispersion"), [two_waters(), ethanol()]
    batch = explain_batch(model, structures, max_order=2)
    tables = batch_tables(batch_rows(structures), batch)
    assert tables["pairs"].group_by("frame", maintain_order=True).len()["len"].to_list() == [15, 36]
    for k, atoms in enumerate(structures):
        parts = [tables[name].filter(frame=k)["relevance_eV"].sum() for name in ("atoms", "pairs")]
        row = tables["frames"].row(k, named=True)
        total = row["constant_eV"] + sum(parts) + row["remainder_eV"]
        assert total == pytest.approx(model.predict(atoms).energy, abs=1e-10)
