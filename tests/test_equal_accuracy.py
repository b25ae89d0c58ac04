"""The registered test of models of one accuracy: its penalty, its exact test and its training sets."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import ase.build
import numpy as np
import polars as pl
import pytest
import torch

from atomlens.reference import model_response
from atomlens.structures import perceive_bonds
from samples import small_model

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.append(str(BENCHMARKS))
import equal_accuracy as ea  # noqa: E402
from sitting import BENCHMARKS as SITTING  # noqa: E402


@pytest.fixture(scope="module")
def target() -> ea.Coupled:
    """Two frames of ethanol with made-up couplings."""
    atoms = ase.build.molecule("CH3CH2OH")
    frames = [atoms.copy() for _ in range(2)]
    for seed, frame in enumerate(frames):
        frame.rattle(0.03, seed=seed)
    free = np.argwhere(np.triu(perceive_bonds(atoms).topological_distances(2) == 0, 1))
    rng = np.random.default_rng(0)
    couplings = rng.uniform(0.1, 2.0, (2, len(atoms), len(atoms)))
    return ea.Coupled(frames, couplings + couplings.transpose(0, 2, 1), free)


@pytest.mark.parametrize("shuffled", [False, True])
def test_the_penalty_is_the_mean_squared_log_ratio_of_the_hessian(target, shuffled):
    model = small_model("painn")
    penalty = ea.CouplingPenalty(target, shuffled)
    distances = {}
    for number, atoms in enumerate(target.frames):
        own = model_response(model, atoms).couplings
        for atom in np.unique(target.free).tolist():
            others = [int(i + j) - atom for i, j in target.free.tolist() if atom in (i, j)]
            wanted = penalty.target[number, atom, others]
            distances[number, atom] = ea.WEIGHT * np.mean(np.log(own[atom, others] / wanted) ** 2)
    seen = [penalty(model, step).item() for step in range(12)]
    np.testing.assert_allclose([min(distances.values(), key=lambda v, s=s: abs(v - s)) for s in seen], seen, rtol=1e-9)
    assert len({round(value, 12) for value in seen}) > 4  # it goes over atoms and frames
    assert seen[7] == penalty(model, 7).item()  # and is a function of the step


def test_shuffled_couplings_are_the_same_values_elsewhere(target):
    right, wrong = (ea.CouplingPenalty(target, shuffled).target for shuffled in (False, True))
    i, j = target.free.T
    assert not np.array_equal(right[:, i, j], wrong[:, i, j])
    np.testing.assert_array_equal(np.sort(right[:, i, j]), np.sort(wrong[:, i, j]))
    np.testing.assert_array_equal(wrong, wrong.transpose(0, 2, 1))


def test_the_penalty_can_be_descended(target):
    model, penalty = small_model("painn"), ea.CouplingPenalty(target, False)
    parameters = [p.requires_grad_() for p in model.parameters()]
    gradients = torch.autograd.grad(penalty(model, 3), parameters, allow_unused=True)
    before = penalty(model, 3).item()
    norm = sum(float(g.square().sum()) for g in gradients if g is not None)
    step = 1e-4 * before / norm
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                parameter -= step * gradient
    assert penalty(model, 3).item() - before == pytest.approx(-step * norm, rel=1e-2)


def test_the_response_distance_of_a_model_to_itself_is_zero(target):
    model = small_model("painn")
    own = np.stack([model_response(model, atoms).couplings for atoms in target.frames])
    assert ea.response_distance(model, ea.Coupled(target.frames, own, target.free)) < 1e-12
    doubled = ea.Coupled(target.frames, 2.0 * own, target.free)
    assert ea.response_distance(model, doubled) == pytest.approx(np.log(2.0))


def test_sign_flips_are_exact():
    assert ea.sign_flips(-np.arange(1.0, 9.0)) == 1 / 256  # all signs as predicted: one way of 256
    assert ea.sign_flips(np.arange(1.0, 9.0)) == 1.0
    assert ea.sign_flips(np.array([-1.0, -1.0, 1.0])) == 0.5  # -3 once, -1 three times, of eight


def test_contrasts_are_paired_by_seed_and_leave_out_what_did_not_get_there():
    rows = [
        {"arm": arm, "seed": seed, "reached": (arm, seed) != ("shuffled", 3), "times_ps": [5.0, 1.0 * seed],
         "broke": [False, arm == "shuffled"], "force_error": 0.04}
        for seed in (1, 2, 3) for arm in ("plain", "couplings", "shuffled")
    ]  # fmt: skip
    found = {(row["arm"], row["beside"]): row for row in ea.contrasts(pl.DataFrame(rows)).to_dicts()}
    decisive = found["couplings", "shuffled"]
    assert decisive["pairs"] == 2
    assert decisive["ln_hazard_ratio"] == pytest.approx(np.log(0.5 / 1.5))
    assert found["couplings", "plain"]["ln_hazard_ratio"] == 0.0


@pytest.mark.parametrize("n", [1, 12])
def test_tables_hold_every_model_and_its_sound_times(tmp_path, n):
    rng, arms = np.random.default_rng(0), [*ea.ARMS, *ea.ARMS]
    rows = [
        {"arm": arms[k], "seed": k // 6, "reached": True, "response": rng.random(), "fsd": rng.random(),
         "exit": 1.0 - k % 2, "force_error": rng.random(), "times_ps": [1.0, 5.0], "broke": [k % 2 == 0, False]}
        for k in range(n)
    ]  # fmt: skip
    ea.write_tables(rows, tmp_path)
    stored = pl.read_csv(tmp_path / "models.csv")
    assert [json.loads(text) for text in stored["times_ps"]] == [[1.0, 5.0]] * n
    assert stored["arm"].to_list() == arms[:n]
    found = pl.read_csv(tmp_path / "predictions.csv").filter(predictor="exit", arm="all")
    assert found["models"].to_list() == [n]
    if n > 2:  # those that break have the larger value
        assert found["spearman"].item() == pytest.approx(1.0)
        assert 0.9 < found["low"].item() <= found["high"].item() <= 1.0 + 1e-12


def test_a_stretched_frame_has_one_longer_bond():
    atoms = ase.build.molecule("CH3CH2OH")
    bonds = perceive_bonds(atoms).pairs
    longer = ea.stretched(atoms, np.random.default_rng(0))
    change = [longer.get_distance(i, j) - atoms.get_distance(i, j) for i, j in bonds.tolist()]
    changed = [value for value in change if abs(value) > 1e-9]
    assert len(changed) == 1
    assert 0.0 < changed[0] <= 0.5


@pytest.mark.parametrize("one", SITTING, ids=lambda one: one.name)
def test_a_sitting_gives_scripts_options_that_they_know(one):
    script, *words = one.words.split()
    known = set(re.findall(r'add_argument\("(--[a-z0-9-]+)"', (BENCHMARKS / script).read_text("utf-8")))
    assert {word for word in words if word.startswith("--")} <= known
