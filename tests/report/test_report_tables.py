"""Tables agree with the engine, row by row, and add up to the prediction."""

import numpy as np
import polars as pl
import pytest
from report_samples import brute_distance, cell_of_waters, ethanol, explanation, frame, two_waters

from atomlens.tables import (
    atoms_table,
    fragment_groups,
    frame_tables,
    groups_table,
    pairs_table,
    survey,
    triples_table,
    walks_table,
)
from atomlens.tables.levels import COLUMNS
from atomlens.tables.summary import frame_summary


@pytest.mark.parametrize("atoms", [ethanol(), two_waters(), cell_of_waters()], ids=["ethanol", "dimer", "cell"])
def test_terms_of_all_tables_add_up_to_the_prediction(atoms):
    shown = frame(atoms)
    tables = [table["relevance_eV"].sum() for table in (atoms_table(shown), pairs_table(shown), triples_table(shown))]
    total = shown.constant + sum(tables) + shown.interactions.remainder
    assert total == pytest.approx(shown.prediction, rel=1e-12)
    for share in ("readout_eV", "start_eV", "passage_eV"):
        assert shown.constant + atoms_table(shown)[share].sum() == pytest.approx(shown.prediction, rel=1e-10)


@pytest.mark.parametrize("atoms", [ethanol(), cell_of_waters()], ids=["ethanol", "cell"])
def test_pair_rows_carry_the_engine_s_terms_and_nearest_image_distances(atoms):
    table = pairs_table(frame(atoms))
    terms = explanation(atoms).interactions(max_order=2).order(2)
    assert table["atom_1"].to_list() == terms.atoms[:, 0].tolist()
    np.testing.assert_allclose(table["relevance_eV"], terms.relevance, rtol=1e-12, atol=1e-13)
    for row in table.iter_rows(named=True):
        assert row["distance"] == pytest.approx(brute_distance(atoms, row["atom_1"], row["atom_2"]), abs=1e-9)
        assert row["element_1"] == atoms.symbols[row["atom_1"]]


def test_relations_count_the_bonds_between_two_atoms():
    atoms = ethanol()  # C C O H H H H H H: methyl carbon bears three hydrogens, the oxygen one
    around = survey(atoms)
    n = len(atoms)
    i, j = np.triu_indices(n, 1)
    bonded = around.bonds.order_matrix() > 0
    steps = np.full((n, n), 99)
    steps[bonded] = 1
    np.fill_diagonal(steps, 0)
    for k in range(n):  # Floyd and Warshall, as an independent count
        steps = np.minimum(steps, steps[:, [k]] + steps[[k], :])
    np.testing.assert_array_equal(around.relations(i, j), np.minimum(steps[i, j], 4) - 1)


def test_atoms_of_two_molecules_are_told_apart():
    table = pairs_table(frame(two_waters()))
    across = table.filter((pl.col("atom_1") < 3) & (pl.col("atom_2") >= 3))
    assert set(across["relation"]) == {"other molecule"}
    assert set(across["bond"]) == {"none"}
    assert set(table.filter(pl.col("bond") == "single")["relation"]) == {"1-2"}


def test_triples_tell_range_bonds_and_span():
    table = triples_table(frame())
    sides = table.select("distance_12", "distance_13", "distance_23").to_numpy()
    np.testing.assert_allclose(table["range"], sides.max(axis=1))
    angles = table.filter(pl.col("bonds") == 2)
    assert set(angles["span"]) == {"1-3"}
    assert table["bonds"].max() == 2


def test_walks_come_strongest_first_with_elements_along_the_way():
    table = walks_table(frame(top_walks=30))
    assert table["rank"].to_list() == list(range(1, 31))
    sizes = table["relevance_eV"].abs().to_numpy()
    assert (np.diff(sizes) <= 1e-12).all()
    symbols = ethanol().symbols
    for row in table.iter_rows(named=True):
        walk = [row[f"atom_{step}"] for step in range(4)]
        assert row["elements"] == "-".join(symbols[k] for k in walk)
        assert row["order"] == len(set(walk))


def test_groups_cover_the_prediction():
    atoms = two_waters()
    shown = frame(atoms, groups=fragment_groups(atoms))
    table = groups_table(shown)
    assert table["group_1"].to_list() == ["H2O #1", "H2O #2", "H2O #1"]
    assert table["group_2"].to_list() == [None, None, "H2O #2"]
    total = shown.constant + table["relevance_eV"].sum() + shown.group_terms.remainder
    assert total == pytest.approx(shown.prediction, rel=1e-12)
    told = frame_summary(shown)["groups"]
    assert told["count"] == 2
    assert shown.constant + sum(told["totals"]) + told["remainder"] == pytest.approx(shown.prediction, rel=1e-12)
    assert frame_summary(frame(atoms))["groups"] is None
    assert pairs_table(shown).filter(pl.col("group_1") != pl.col("group_2")).height > 0


def test_one_group_alone_has_no_pairs_of_groups():
    atoms = ethanol()
    assert groups_table(frame(atoms, groups=fragment_groups(atoms))).height == 1


def test_groups_table_needs_groups():
    with pytest.raises(ValueError, match="no groups"):
        groups_table(frame())


def test_lower_orders_leave_tables_out():
    assert set(frame_tables(frame(max_order=1))) == {"atoms", "walks"}
    assert set(frame_tables(frame(max_order=2))) == {"atoms", "walks", "pairs"}


def test_every_column_is_explained():
    atoms = two_waters()
    for table in frame_tables(frame(atoms, groups=fragment_groups(atoms))).values():
        for column in table.columns:
            stem, _, last = column.rpartition("_")
            generic = f"{stem}_k" if last.isdigit() and len(last) == 1 else f"{stem}_ij" if last.isdigit() else column
            assert generic.replace("_eV", "_UNIT") in COLUMNS, column


def test_one_atom_alone_gives_tables_too():
    import ase

    tables = frame_tables(frame(ase.Atoms("O", positions=[[0, 0, 0]])))
    assert tables["pairs"].height == tables["triples"].height == 0
    assert tables["walks"].height == 1
    assert tables["pairs"].schema == pairs_table(frame()).schema
