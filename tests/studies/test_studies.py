"""Studies: plans, rivals, statistics, and a small study from training to table."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path

import ase.build
import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from atomlens import InputError, load_model

pytest.importorskip("torch_sim", exc_type=ImportError)
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("tblite", exc_type=ImportError)
from ase.calculators.morse import MorsePotential
from ase.io import write

from atomlens.studies import associations, read_study, run_study
from atomlens.studies.correlation import partial_rank_correlation
from atomlens.studies.member import restricted_mean
from atomlens.studies.page import sentence
from atomlens.studies.rivals import _excess, _side, disagreement, roughness

ETHANOL = ase.build.molecule("CH3CH2OH")

PLAN = """
name = "tiny"
[data]
path = "frames.xyz"
property = "energy"
forces = true
n_train = 12
n_val = 4
n_test = 4
check_forces = false
[model]
n_features = 16
n_layers = 1
cutoff = 3.0
[fit]
epochs = 1
batch_size = 6
energy_weight = 0.01
force_weight = 0.99
[grid]
"model.architecture" = ["schnet", "painn"]
seed = [1, 2]
[analysis]
path = "frames.xyz"
frames = ":6"
[simulation]
path = "frames.xyz"
time = 0.01
replicas = 2
interval = 5
"""


def planned(folder: Path, text: str = PLAN) -> Path:
    """A study's file beside frames of methanol whose energies are of a Morse potential."""
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(20):
        atoms = ase.build.molecule("CH3OH")
        atoms.positions += 0.05 * rng.standard_normal(atoms.positions.shape)
        atoms.calc = MorsePotential(epsilon=1.0, r0=1.2, rho0=3.0)
        atoms.get_forces()
        frames.append(atoms)
    write(folder / "frames.xyz", frames, format="extxyz")
    path = folder / "study.toml"
    path.write_text(text)
    return path


def test_members_are_all_combinations(tmp_path: Path) -> None:
    _, members = read_study(planned(tmp_path))
    assert [m.name for m in members] == ["schnet-seed1", "schnet-seed2", "painn-seed1", "painn-seed2"]
    assert [m.config["model"]["architecture"] for m in members] == ["schnet", "schnet", "painn", "painn"]
    for member in members:
        assert tomllib.loads(member.toml()) == member.config
        assert Path(member.config["data"]["path"]).is_file()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("seed = [1, 2]", "seed = []", "at least one value"),
        ("seed = [1, 2]", "seed = [1, 1]", "twice"),
        ("seed = [1, 2]", '"model.cutof" = [3.0]', "did you mean 'cutoff'"),
        ("seed = [1, 2]", '"colour" = [3.0]', "axis 'colour' is not known"),
        ('frames = ":6"', "frame = 1", "did you mean 'frames'"),
        ("epochs = 1", 'epochs = "many"', "epochs"),
        ('path = "frames.xyz"\ntime', 'path = "none.xyz"\ntime', "none.xyz does not exist"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in PLAN
    path = planned(tmp_path, PLAN.replace(old, new))
    with pytest.raises(InputError, match=says):
        read_study(path)


def test_a_smooth_well_is_not_rough() -> None:
    r = np.arange(-0.3, 0.701, 0.02)
    morse = 2 * 3.0 * (np.exp(-3 * r) - np.exp(-6 * r))
    assert _excess(morse) == pytest.approx(0, abs=1e-9)
    wiggly = morse + 0.5 * np.sin(60 * r)
    assert _excess(wiggly) > 0.3
    assert math.isnan(_excess(np.zeros(5)))


def test_what_hangs_on_a_bond_moves_with_it() -> None:
    chain = [[0, 1], [1, 2], [2, 3]]
    assert _side(0, 1, chain) == {1, 2, 3}
    assert _side(1, 0, chain) == {0}
    assert _side(0, 1, [[0, 1], [1, 2], [0, 2], [1, 3]]) == {1}  # a ring


def test_models_disagree_with_others_and_not_with_themselves() -> None:
    model, other = (
        load_model(f"zoo:qm9-u0-{name}", dtype=torch.float64).requires_grad_(False) for name in ("painn", "schnet")
    )
    assert disagreement([model, model], [ETHANOL]) == 0
    assert disagreement([model, other], [ETHANOL]) > 0.1
    assert math.isnan(disagreement([model], [ETHANOL]))
    assert 0 <= roughness(model, ETHANOL) < 20


@given(st.floats(-0.9, 0.9), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_partial_correlation_of_what_the_given_explains_is_small(share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(400)
    x, y = z + 0.3 * rng.standard_normal(400), z + 0.3 * rng.standard_normal(400)
    assert abs(partial_rank_correlation(x, y, z)) < 0.3
    direct = y + 2 * share * x
    expected = np.corrcoef(direct - np.polyval(np.polyfit(z, direct, 1), z), x - np.polyval(np.polyfit(z, x, 1), z))
    assert partial_rank_correlation(x, direct, z) == pytest.approx(expected[0, 1], abs=0.3)


def test_predictor_of_survival_is_found_and_told() -> None:
    rng = np.random.default_rng(0)
    score = rng.uniform(size=30)
    table = pl.DataFrame(
        {
            "model.architecture": ["schnet", "painn"] * 15,
            "deviation": score,
            "force_error": rng.uniform(size=30),
            "sound_time_ps": 10 - 9 * score + 0.1 * rng.standard_normal(30),
        }
    )
    by_name = {item.predictor: item for item in associations(table)}
    assert by_name["deviation"].spearman.high < -0.8
    assert by_name["deviation"].partial.value < -0.8
    assert set(by_name["deviation"].left_out) == {"schnet", "painn"}
    assert by_name["force_error"].spearman.low < 0 < by_name["force_error"].spearman.high
    assert "break sooner" in sentence(list(by_name.values()))
    flipped = associations(table.with_columns(-pl.col("sound_time_ps")))
    assert "Against expectation" in sentence(flipped)
    unrelated = associations(table.with_columns(sound_time_ps=pl.Series(rng.permutation(30.0 + np.arange(30)))))
    assert "does not foretell" in sentence(unrelated)
    assert "cannot tell" in sentence(associations(table.head(3)))


def test_sound_replicas_count_with_the_whole_time() -> None:
    assert restricted_mean([{"time_ps": 2.0}, {"time_ps": 10.0}, {"time_ps": 10.0}], 10.0) == pytest.approx(22 / 3)


def test_a_study_goes_on_and_repeats_nothing(tmp_path: Path) -> None:
    path, out = planned(tmp_path, PLAN.replace('["schnet", "painn"]', '["schnet"]')), tmp_path / "out"

    class Stopped(Exception):
        pass

    def stop(line: str) -> None:
        if line.startswith("schnet-seed2: analyse"):
            raise Stopped

    with pytest.raises(Stopped):
        run_study(path, out, report=stop)
    before = (out / "models" / "schnet-seed1" / "row.json").stat().st_mtime_ns
    trained = (out / "models" / "schnet-seed2" / "train" / "model.safetensors").stat().st_mtime_ns
    found = run_study(path, out)
    assert (out / "models" / "schnet-seed1" / "row.json").stat().st_mtime_ns == before
    assert (out / "models" / "schnet-seed2" / "train" / "model.safetensors").stat().st_mtime_ns == trained
    assert found.table["model"].to_list() == ["schnet-seed1", "schnet-seed2"]
    assert found.table["disagreement"].n_unique() == 1
    assert found.table["n_replicas"].to_list() == [2] * 2
    summary = json.loads((out / "summary.json").read_text())
    assert len(summary["models"]) == 2
    page = (out / "report.html").read_text()
    assert "schnet-seed2" in page
    assert "http" not in page.replace("http-equiv", "").split("<body>")[1]
    with pytest.raises(InputError, match="finished run"):
        run_study(path, out)
