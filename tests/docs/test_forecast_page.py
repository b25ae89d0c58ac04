"""The page of the forecast judges by its criteria: made-up models with known verdicts."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts import ROOT, load_script

from atomlens.dynamics.outlook import HOW_SURE, INTERCEPT, SLOPE


@pytest.fixture(scope="module")
def page() -> ModuleType:
    made = load_script(ROOT / "docs" / "forecast.py", "forecast_page")
    made.DRAWS = 200
    return made


def judged(page: ModuleType, folder, *, barrier: float, error: float, level: float = 0.0) -> dict[str, str]:
    """Verdicts on models whose breaks go with the barrier and the force error as strongly as given."""
    rng = np.random.default_rng(5)
    for name in page.MOLECULES:
        rows = []
        for number in range(12):
            height, mistake = rng.normal(), rng.normal()
            broken = int(np.clip(round(8 + level + 5 * (error * mistake - barrier * height) + rng.normal()), 0, 16))
            rows.append(
                {
                    "model": f"{name}-{number}",
                    "exit_barrier": 8 + height,
                    "force_error": 60 * np.exp(0.3 * mistake),
                    "smoothness": 20 + rng.normal(),
                    "n_broken": broken,
                    "n_replicas": 16,
                    "sound_time_ps": 5 - 2.5 * broken / 16,
                }
            )
        pl.DataFrame(rows).write_csv(folder / f"{name}.csv")
    models = page.read_models(folder)
    text = page.verdicts(models, page.areas(models))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]
    return {name: verdict for name, _, verdict in cells}


def test_a_barrier_that_decides_earns_the_forecast(page, tmp_path):
    found = judged(page, tmp_path, barrier=1.0, error=0.0)
    assert found["a forecast"] == "earned"


def test_where_the_force_error_decides_the_barrier_earns_none(page, tmp_path):
    found = judged(page, tmp_path, barrier=0.0, error=1.0)
    assert found["a forecast"] == "not earned"
    assert found["(2) larger than that of force error and of FSD"] == "not met"


def test_where_every_model_breaks_nothing_was_tested(page, tmp_path):
    found = judged(page, tmp_path, barrier=1.0, error=0.0, level=40.0)
    assert found["a forecast"] == "not tested"


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 2)), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_the_area_counts_pairs(rows):
    page = load_script(ROOT / "docs" / "forecast.py", "forecast_page")
    value, fragile, group = (np.array(column) for column in zip(*rows, strict=True))
    for groups in (None, group):
        wins = pairs = 0.0
        for x, broke, a in rows:
            for y, other, b in rows:
                if broke and not other and (groups is None or a == b):
                    pairs, wins = pairs + 1, wins + (x > y) + 0.5 * (x == y)
        expected = wins / pairs if pairs else np.nan
        assert page.area(value, fragile, groups) == pytest.approx(expected, nan_ok=True)


def test_the_page_is_what_its_tables_say(page):
    models, text = page.read_models(), page.PAGE.read_text("utf-8")
    assert len(models) == 48
    assert page.word_table(models) in text
    assert page.model_table(models) in text
    assert f"| exit barrier | {page.signed(page.told_apart(models, 'exit_barrier'))} [" in text
    verdict = page.verdicts(models, page.areas(models)).splitlines()[-1]
    assert verdict == "| a forecast |  | earned |"
    # What `check` says of itself.
    interval = "97 % of pairs (95 % interval 91 to 100 %)"
    assert f"| exit barrier | {page.signed(page.told_apart(models, 'exit_barrier'))} [0.91, 1.00] |" in text
    assert interval in HOW_SURE["breaks"]
    assert f"the force error in {100 * page.told_apart(models, 'force_error'):.0f} %." in HOW_SURE["breaks"]
    assert not (models["exit_barrier"] > 12.7).any()  # as is said of molecules that hold
    assert (INTERCEPT, -SLOPE) == (page.INTERCEPT, page.SLOPE)


def test_ethanol_s_line_is_the_registered_one(page):
    known = pl.read_csv(page.ETHANOL)
    slope, intercept = np.polyfit(known["barrier"], known["log_hazard"], 1)
    assert (round(intercept, 3), round(slope, 3)) == (page.INTERCEPT, page.SLOPE)
    fragile = (2 * known["breaks"] >= known["replicas"]).to_numpy()
    assert round(page.area(-known["barrier"].to_numpy(), fragile), 2) == 0.83
    assert round(page.area(-known["lowest"].to_numpy(), fragile), 2) == 0.78
