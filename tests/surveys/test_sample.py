"""Which structures are judged: all of few, some of many, and tables that count them from 0."""

from __future__ import annotations

from pathlib import Path

import ase
import ase.build
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from atomlens.structures import InputError
from atomlens.surveys import stream, survey_structures
from atomlens.surveys.sample import read_sample, read_tables, renumbered
from samples import small_model

pytestmark = pytest.mark.smoke
NAMES = ("H2O", "CH4", "CH3OH", "C2H4", "CH3CH2OH", "C2H6", "C2H2", "H2CO")


def surveyed(folder: Path, structures: list) -> Path:
    return survey_structures(small_model(), structures, folder, max_order=3, shard_size=3).folder


def molecules() -> list[ase.Atoms]:
    return [ase.build.molecule(name) for name in NAMES]


def test_of_few_structures_all_are_judged_and_tables_are_as_they_are(tmp_path):
    folder = surveyed(tmp_path / "run", molecules())
    sample = read_sample(molecules(), folder, 8)
    assert sample.structures == molecules()
    assert set(sample.tables) == {"frames", "atoms", "pairs", "triples"}
    for name, table in sample.tables.items():
        assert_frame_equal(table, pl.read_parquet(folder / f"{name}.parquet"))
    assert sample.table.equals(pl.DataFrame({"sample": range(8), "frame": range(8)}).cast(pl.Int32))


@pytest.mark.parametrize("rows", [200_000, 7])
def test_of_many_some_are_judged_and_counted_anew(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(stream, "_ROWS", rows)  # in one row group, and in many
    folder = surveyed(tmp_path / "run", molecules())
    sample = read_sample(molecules(), folder, 3)
    assert (sample.frames, sample.n_explained) == ([0, 4, 7], 8)
    assert sample.structures == [molecules()[k] for k in (0, 4, 7)]
    whole = read_tables(folder)
    for name, table in sample.tables.items():
        assert table.schema == whole[name].schema
        for place, frame in enumerate(sample.frames):
            assert_frame_equal(
                table.filter(pl.col("frame") == place).drop("frame"),
                whole[name].filter(pl.col("frame") == frame).drop("frame"),
            )
        assert set(table["frame"]) == {0, 1, 2}


def test_structures_that_could_not_be_explained_are_not_judged(tmp_path):
    structures = [InputError("torn"), *molecules(), ase.Atoms("U")]
    sample = read_sample(structures, surveyed(tmp_path / "run", structures), 100)
    assert sample.frames == list(range(1, 9))
    assert sample.structures == molecules()
    for k, formula in enumerate(sample.tables["frames"]["formula"]):
        assert sample.structures[k].get_chemical_formula() == formula
    assert sample.tables["frames"]["frame"].to_list() == list(range(8))


def test_tables_of_some_structures_are_numbered_as_the_whole_list() -> None:
    table = pl.DataFrame({"frame": [0, 0, 2, 1], "x": [1.0, 2.0, 3.0, 4.0]}, schema_overrides={"frame": pl.Int32})
    found = renumbered({"pairs": table}, [3, 7, 9])["pairs"]
    assert found["frame"].to_list() == [3, 3, 9, 7]
    assert found.schema == table.schema
    assert found["x"].to_list() == table["x"].to_list()
