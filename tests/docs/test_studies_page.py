"""docs/studies.md says what its stored tables give."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scripts import ROOT, load_script

from atomlens.structures import InputError

studies = load_script(ROOT / "docs" / "studies.py", "studies_page")


def test_the_page_is_made_of_the_stored_tables() -> None:
    page = studies.PAGE.read_text("utf-8")
    assert studies.filled(page, studies.parts_of(studies.stored_tables())) == page


def test_ranks_are_taken_within_each_study() -> None:
    one = pl.DataFrame(
        {"model.architecture": ["schnet"] * 4, "ensemble": [0, 1, 2, 2], "sound_time_ps": [1.0, 2, 3, 4]}
    )
    other = one.with_columns(pl.col("sound_time_ps") * 1000)
    ranked = studies.together({"one": one, "other": other})
    times = ranked["sound_time_ps"].to_numpy().reshape(2, 4)
    np.testing.assert_array_equal(times[0], times[1])
    np.testing.assert_allclose(times[0], [0.125, 0.375, 0.625, 0.875])
    assert ranked["ensemble"].to_list() == [0, 1, 2, 2, 3, 4, 5, 5]


def test_a_folder_without_a_finished_study_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="holds no finished study"):
        studies.store(tmp_path)
