"""Tables of many structures: the rows that each structure would have alone."""

from __future__ import annotations

import ase
import numpy as np
import polars as pl
import pytest
from ase.build import molecule
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import atomlens
from atomlens.interactions import explain_batch
from atomlens.tables import batch_rows, batch_tables, batch_walks, explained_frame, frame_tables
from samples import branched, crowded_cell, crystals, molecules, small_model

pytestmark = pytest.mark.smoke
RADICAL = molecule("CH3")  # no bond orders
MIXED = [molecule("CH3CONH2"), molecule("HCN"), ase.Atoms("H"), branched(), crowded_cell(), RADICAL, molecule("C6H6")]


def assert_as_alone(structures, max_order):
    model = small_model()
    rows = batch_rows(structures)
    tables = batch_tables(rows, explain_batch(model, structures, max_order=max_order))
    tables["walks"] = batch_walks(rows, model, "eV", count=7)
    alone = [
        frame_tables(explained_frame(atomlens.explain(model, atoms), index=k, max_order=max_order, top_walks=7))
        for k, atoms in enumerate(structures)
    ]
    assert set(tables) == {"frames", *alone[0]}
    for name in alone[0]:
        expected = pl.concat([t[name] for t in alone])
        assert_frame_equal(tables[name], expected, check_exact=False, abs_tol=1e-11, rel_tol=1e-11)
    return tables


def test_all_kinds_together():
    tables = assert_as_alone(MIXED, 3)
    classes = set(tables["pairs"]["bond"])
    assert {"single", "aromatic", "double", "triple", "unknown", "none"} == classes
    assert tables["frames"]["n_atoms"].to_list() == [len(atoms) for atoms in MIXED]
    assert tables["frames"]["formula"].to_list()[1] == "CHN"


@settings(max_examples=10)
@given(structures=st.lists(molecules() | crystals(), min_size=1, max_size=4), max_order=st.integers(1, 3))
def test_any_structures(structures, max_order):
    assert_as_alone(structures, max_order)


def test_terms_add_up_by_frame():
    structures = [branched(), crowded_cell()]
    rows = batch_rows(structures, np.array([5, 9]))
    tables = batch_tables(rows, explain_batch(small_model(), structures, max_order=3))
    sums = (
        pl.concat([tables[name].select("frame", "relevance_eV") for name in ("atoms", "pairs", "triples")])
        .group_by("frame")
        .sum()
        .sort("frame")
    )
    frames = tables["frames"]
    assert frames["frame"].to_list() == sums["frame"].to_list() == [5, 9]
    total = frames["constant_eV"] + sums["relevance_eV"] + frames["remainder_eV"]
    np.testing.assert_allclose(total, frames["prediction_eV"], rtol=1e-12)


def test_without_any_pair():
    tables = batch_tables(batch_rows([ase.Atoms("H")]), explain_batch(small_model(), [ase.Atoms("H")], max_order=3))
    full = batch_tables(batch_rows([branched()]), explain_batch(small_model(), [branched()], max_order=3))
    for name, table in tables.items():
        assert table.schema == full[name].schema
    assert tables["pairs"].height == tables["triples"].height == 0
