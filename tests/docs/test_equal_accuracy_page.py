"""The page of the registered test judges by its criteria: made-up models with known verdicts, and the stored ones."""

from __future__ import annotations

import json
import shutil
from types import ModuleType

import numpy as np
import polars as pl
import pytest
from scripts import ROOT, load_script


@pytest.fixture(scope="module")
def page() -> ModuleType:
    return load_script(ROOT / "docs" / "equal_accuracy.py", "equal_accuracy_page")


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return load_script(ROOT / "benchmarks" / "equal_accuracy.py", "equal_accuracy_benchmark")


def made_up(page, benchmark, *, physics: float, barrier: float, pulled: float = 0.4) -> dict[str, tuple[str, str]]:
    """Verdicts on models in which physics shifts the hazard, and barriers go with it."""
    rng = np.random.default_rng(3)
    rows = []
    for seed in range(1, 9):
        for arm in page.COLOURS:
            exit_barrier = 9.0 + rng.normal()
            shift = physics * (arm == "shuffled") - barrier * (exit_barrier - 9.0) + 0.3 * rng.normal()
            broken = int(np.clip(round(8 * np.exp(0.5 * shift)), 0, 16))
            rows.append(
                {
                    "arm": arm,
                    "seed": seed,
                    "epochs": 50,
                    "reached": True,
                    "force_error": 0.041 + 0.001 * rng.normal(),
                    "energy_error": 0.01,
                    "response": (pulled if arm == "couplings" else 0.85) + 0.01 * rng.normal(),
                    "fsd": 18.0 + rng.normal(),
                    "exit": exit_barrier,
                    "times_ps": [2.5] * broken + [5.0] * (16 - broken),
                    "broke": [True] * broken + [False] * (16 - broken),
                }
            )
    raw = pl.DataFrame(rows)
    texts = {name: [json.dumps(row[name]) for row in rows] for name in ("times_ps", "broke")}
    models = page.with_hazards(raw.with_columns(pl.Series(name, text) for name, text in texts.items()).to_dicts())
    text = page.verdict_table(models, benchmark.contrasts(raw), benchmark.predictions(raw, draws=200))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]
    return {name: (seen, verdict) for name, seen, verdict in cells}


def test_a_difference_between_right_and_wrong_couplings_is_found(page, benchmark):
    found = made_up(page, benchmark, physics=1.5, barrier=0.0)
    assert found["manipulation check"][1] == "passed"
    assert found["hypothesis 1"][1] == "supported"
    assert found["hypothesis 3 (exit barrier)"][1] == "not supported"


def test_without_one_the_hypothesis_is_refuted_and_barriers_are_found(page, benchmark):
    found = made_up(page, benchmark, physics=0.0, barrier=1.0)
    assert found["hypothesis 1"][1] == "refuted here"
    assert found["hypothesis 3 (exit barrier)"][1] == "supported"
    assert found["hypothesis 4 (FSD)"][1] == "not supported"


def test_couplings_that_were_not_learned_test_nothing(page, benchmark):
    found = made_up(page, benchmark, physics=1.5, barrier=0.0, pulled=0.85)
    assert found["manipulation check"][1].startswith("failed")
    assert found["hypothesis 1"][1] == "not tested"


def test_the_page_is_what_its_tables_say(page, monkeypatch, tmp_path):
    written = tmp_path / "page.md"
    written.write_text(page.PAGE.read_text("utf-8"), "utf-8")
    before = written.read_text("utf-8")
    tables = shutil.copytree(page.FILES, tmp_path / "tables")
    monkeypatch.setattr(page, "PAGE", written)
    monkeypatch.setattr(page, "FILES", tables)
    page.main([])
    assert written.read_text("utf-8") == before
    models = page.read_models(tables / "models.csv")
    assert len(models) == 48
    assert set(models["replicas"]) == {16}
