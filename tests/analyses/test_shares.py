"""Strength by order and range, against sums by hand; participation ratios of known shares."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from explained import tables_of
from hypothesis import given
from hypothesis import strategies as st

from atomlens.analyses.shares import molecule_strengths, participation_ratios, range_shares
from samples import branched, small_model


def test_strengths_and_remainder_make_up_the_prediction() -> None:
    tables = tables_of(small_model(), [branched(), branched()[[4]]])
    table = molecule_strengths(tables, "eV")
    for row in table.iter_rows(named=True):
        frame = pl.col("frame") == row["frame"]
        for order, level in enumerate(("atoms", "pairs", "triples"), start=1):
            terms = tables[level].filter(frame)["relevance_eV"].to_numpy()
            assert row[f"strength_{order}"] == pytest.approx(np.abs(terms).sum())
            assert row[f"terms_{order}"] == len(terms)
        whole = sum(tables[level].filter(frame)["relevance_eV"].sum() for level in ("atoms", "pairs", "triples"))
        remainder = tables["frames"].filter(frame)["remainder_eV"].item()
        assert row["change"] == pytest.approx(whole + remainder)
    assert table["range_2"].to_list()[1] is None
    ranges = range_shares(tables, "eV")
    assert ranges["share"].sum() == pytest.approx(1.0)
    for order in (1, 2, 3):
        whole = table[f"strength_{order}"].sum()
        assert ranges.filter(pl.col("order") == order)["strength"].sum() == pytest.approx(whole)
    assert (ranges.filter(pl.col("order") == 2)["high"] <= 3.0).all()  # the cutoff is 2.5 Å


@given(st.integers(1, 20), st.floats(0.01, 10), st.integers(0, 20))
def test_participation_counts_atoms_that_share_alike(n: int, share: float, n_idle: int) -> None:
    shares = np.concatenate([np.full(n, share) * (-1.0) ** np.arange(n), np.zeros(n_idle)])
    assert participation_ratios(shares, np.zeros(len(shares), int), 1) == pytest.approx([n])


def test_participation_of_no_shares_is_no_number() -> None:
    found = participation_ratios(np.array([0.0, 1.0]), np.array([0, 1]), 3)
    assert np.isnan(found[[0, 2]]).all()
    assert found[1] == 1.0
