"""Studies: plans, rivals, statistics, and a small study from training to table."""

from __future__ import annotations

import math
import tomllib
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import ase.build
import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from atomlens import InputError, ModelConfig, Potential, load_model

pytest.importorskip("torch_sim", exc_type=ImportError)
pytest.importorskip("tblite", exc_type=ImportError)

from study_plans import PLAN, VARIANTS, planned

from atomlens.models import LongRangeConfig, ReadoutConfig, RepresentationConfig
from atomlens.potentials import CalculatorModel
from atomlens.potentials.calculated import CalculatorOrigin
from atomlens.reference import Gfn2Calculator
from atomlens.studies import associations, read_study
from atomlens.studies import run as study_run
from atomlens.studies.correlation import partial_rank_correlation
from atomlens.studies.member import restricted_mean
from atomlens.studies.page import sentence, study_page
from atomlens.studies.plan import settings_of, with_product_rule
from atomlens.studies.rivals import _excess, disagreement, exit_barrier, roughness, size_error, smoothness

ETHANOL = ase.build.molecule("CH3CH2OH")


def test_members_are_all_combinations(tmp_path: Path) -> None:
    _, members = read_study(planned(tmp_path))
    assert [m.name for m in members] == ["schnet-seed1", "schnet-seed2", "painn-seed1", "painn-seed2"]
    assert [m.config["model"]["architecture"] for m in members] == ["schnet", "schnet", "painn", "painn"]
    for member in members:
        assert tomllib.loads(member.toml()) == member.config
        assert Path(member.config["data"]["path"]).is_file()


FACTORIAL = PLAN.replace('name = "tiny"', 'name = "tiny"\nhalf = true\nsteps = 10').replace(
    "seed = [1, 2]", '"model.cutoff" = [3.0, 4.0]\n"model.n_layers" = [1, 2]\n"data.n_train" = [6, 12]\nseed = [1, 2]'
)


def test_half_of_a_grid_has_every_pair_of_settings_equally_often(tmp_path: Path) -> None:
    _, members = read_study(planned(tmp_path, FACTORIAL))
    assert len(members) == 16
    axes = ("model.architecture", "model.cutoff", "model.n_layers", "data.n_train", "seed")
    for first, second in combinations(axes, 2):
        counts = Counter((member.axes[first], member.axes[second]) for member in members)
        assert set(counts.values()) == {4}, (first, second)


def test_steps_are_equal_whatever_the_number_of_structures(tmp_path: Path) -> None:
    _, members = read_study(planned(tmp_path, FACTORIAL))
    epochs = {member.axes["data.n_train"]: member.config["fit"]["epochs"] for member in members}
    assert epochs == {6: 10, 12: 5}


def test_variants_set_what_they_name(tmp_path: Path) -> None:
    variants = """variant = [
        { name = "plain" },
        { name = "powers", model.radial = "inverse_powers", fit.epochs = 2 },
    ]"""
    _, members = read_study(planned(tmp_path, PLAN.replace("seed = [1, 2]", variants)))
    assert [m.name for m in members] == ["schnet-plain", "schnet-powers", "painn-plain", "painn-powers"]
    assert members[1].axes == {"model.architecture": "schnet", "variant": "powers"}
    assert members[1].config["model"]["radial"] == "inverse_powers"
    assert members[1].config["fit"]["epochs"] == 2
    assert "radial" not in members[0].config["model"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("seed = [1, 2]", "variant = [1, 2]", "a variant is 1; give a table with a name"),
        ("seed = [1, 2]", 'variant = [{ name = "a", colour = 1 }]', "axis 'colour' is not known"),
        ('name = "tiny"', 'name = "tiny"\nsteps = -1', "steps = -1"),
        ('path = "frames.xyz"\nframes', 's66x8 = "none.h5"\npath = "frames.xyz"\nframes', "none.h5 does not exist"),
        ("seed = [1, 2]", "seed = []", "at least one value"),
        ("seed = [1, 2]", "seed = [-1]", "seed = -1; it must be at least 0"),
        ("time = 0.01", "time = -0.2", "time = -0.2; it must be positive"),
        ('frames = ":6"', 'frames = "a:b"', "neither a number nor a slice"),
        ("cutoff = 3.0", "cutoff = 0.0", "cutoff = 0.0; it must be positive"),
        ("seed = [1, 2]", 'variant = [{ name = "a" }, { name = "b" }]', "as schnet-a and as schnet-b"),
        ("seed = [1, 2]", "seed = [1, 1]", "twice"),
        ("seed = [1, 2]", '"model.cutof" = [3.0]', "did you mean 'cutoff'"),
        ("seed = [1, 2]", '"colour" = [3.0]', "axis 'colour' is not known"),
        ('frames = ":6"', "frame = 1", "did you mean 'frames'"),
        ('frames = ":6"', 'product_rule = "half"', "'half' is not known; choose full or scalar"),
        ("epochs = 1", 'epochs = "many"', "epochs"),
        ('path = "frames.xyz"\ntime', 'path = "none.xyz"\ntime', "none.xyz does not exist"),
        ("seed = [1, 2]", VARIANTS.format("a b", "a_b"), "two models of the grid would share the folder"),
        ("seed = [1, 2]", VARIANTS.format("Big", "big"), "would share the folder .* on some systems"),
        ('"model.architecture" = ["schnet", "painn"]\nseed = [1, 2]', VARIANTS.format("..", "b"), "cannot be a folder"),
        ('"model.architecture" = ["schnet", "painn"]\nseed = [1, 2]', VARIANTS.format("", "b"), "cannot be a folder"),
        ("seed = [1, 2]", VARIANTS.format("x" * 300, "b"), "cannot be a folder"),
        ("seed = [1, 2]", '"model.cutoff" = [3, 3.0]', "twice, as schnet-cutoff3 and as schnet-cutoff3.0"),
        ("seed = [1, 2]", 'variant = [{ name = "a", variant = 3 }]', "variant 'a' holds another variant"),
        (
            "seed = [1, 2]",
            'variant = [{ name = "a" }, { name = "b", seed = 9 }]\nseed = [1]',
            "axis 'seed' and axis 'variant' both give seed",
        ),
        (
            "seed = [1, 2]",
            '"model.cutoff" = [3.0]\nvariant = [{ name = "a" }, { name = "b", model.cutoff = 2.5 }]',
            r"axis 'variant' \(model.cutoff\) and axis 'model.cutoff' both give model.cutoff",
        ),
        ("time = 0.01", 'time = 0.01\nensemble = "npt"', "simulation.*ensemble 'npt' is not known; choose nve"),
        ("time = 0.01", "time = 0.01\ntemperature = 1e9", "temperature 1e.09 K: give one above 0 up to 5000 K"),
        ("time = 0.01", "time = 0.01\ntimestep = 100.0", "time step 100 fs"),
        ("time = 0.01", "time = 0.01\nfriction = -1.0", "friction -1 1/ps: give a number above 0"),
        ("time = 0.01", "time = 0.01\nseed = -5", "seed = -5; give a number from 0"),
        ("replicas = 2", "replicas = 1000000000", "1000000000 replicas of .* can run"),
        ("time = 0.01", "time = 0.01\nframe = 1000", r"\[simulation\] .*frames.xyz: frames '1000' asks for a frame"),
        ('frames = ":6"', 'frames = "500:"', r"\[analysis\] .*frames.xyz: frames '500:' selects no structure"),
        ('frames = ":6"', 'frames = ":6"\ntrained_range = -3.0', "trained_range = -3 Å; give a length"),
        ("n_test = 4", "n_test = 0", "model schnet-seed1: n_test = 0 and no test_path"),
        (
            "n_train = 12\nn_val = 4\nn_test = 4",
            "n_train = 16\nn_val = 4",
            "leave none of the 20 structures to test on",
        ),
        ('[data]\npath = "frames.xyz"', '[data]\npath = "none.xyz"', "model schnet-seed1: its data, .*none.xyz"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in PLAN
    path = planned(tmp_path, PLAN.replace(old, new))
    with pytest.raises(InputError, match=says):
        read_study(path)


def test_an_axis_of_epochs_contradicts_steps(tmp_path: Path) -> None:
    text = PLAN.replace("seed = [1, 2]", '"fit.epochs" = [5]').replace('name = "tiny"', 'name = "tiny"\nsteps = 40')
    with pytest.raises(InputError, match=r"axis 'fit.epochs' and steps both give fit\.epochs"):
        read_study(planned(tmp_path, text))


@pytest.mark.parametrize("name", ["st😀", "Å", 's\x7f"t'])
def test_any_name_is_kept_by_the_configurations_of_models(tmp_path: Path, name: str) -> None:
    quoted = name.replace('"', '\\"').replace("\x7f", "\\u007f")
    _, members = read_study(planned(tmp_path, PLAN.replace('name = "tiny"', f'name = "{quoted}"')))
    for member in members:
        assert member.config["name"].startswith(name)
        assert tomllib.loads(member.toml()) == member.config


def test_a_smooth_well_is_not_rough() -> None:
    r = np.arange(-0.3, 0.701, 0.02)
    morse = 2 * 3.0 * (np.exp(-3 * r) - np.exp(-6 * r))
    assert _excess(morse) == pytest.approx(0, abs=1e-9)
    wiggly = morse + 0.5 * np.sin(60 * r)
    assert _excess(wiggly) > 0.3
    assert math.isnan(_excess(np.zeros(5)))


def test_structures_far_apart_add_unless_they_exchange_charge() -> None:
    torch.manual_seed(0)
    config = ModelConfig(RepresentationConfig(n_features=16, n_layers=1), ReadoutConfig(widths=(16, 1)))
    methane = ase.build.molecule("CH4")

    def error(other: ase.Atoms, **long_range: Any) -> float:
        model = Potential(replace(config, long_range=LongRangeConfig(**long_range))).converted(torch.float64)
        return size_error(model.eval(), ETHANOL, other)

    assert error(methane, kind="none") == 0
    assert error(methane, kind="dispersion") < 1e-6
    assert error(methane, kind="coulomb", balance="neighbors") < 1e-6
    # The excess is taken off all atoms alike: unlike molecules exchange charge, two copies of one do not.
    assert error(methane, kind="coulomb", balance="mean") > 1e-5
    assert error(ETHANOL, kind="coulomb", balance="mean") < 1e-6
    # Every structure has one elementary charge, so each of two has half of it: they cannot add.
    assert error(ETHANOL, kind="coulomb", total_charge=1.0) > 0.1


def test_models_disagree_with_others_and_not_with_themselves() -> None:
    model, other = (
        load_model(f"zoo:qm9-u0-{name}", dtype=torch.float64).requires_grad_(False) for name in ("painn", "schnet")
    )
    assert disagreement([model, model], [ETHANOL]) == 0
    assert disagreement([model, other], [ETHANOL]) > 0.1
    assert math.isnan(disagreement([model], [ETHANOL]))
    assert 0 <= roughness(model, ETHANOL) < 20


def test_gfn2_departs_from_itself_nowhere_and_models_of_minima_fall_apart() -> None:
    water = ase.build.molecule("H2O")
    origin = CalculatorOrigin("GFN2-xTB", {})
    assert smoothness(CalculatorModel(Gfn2Calculator(), origin), water) < 1e-3  # rounding of its self-consistency
    model = load_model("zoo:qm9-u0-painn", dtype=torch.float64)
    assert smoothness(model, water) > 1
    assert math.isnan(smoothness(model, ase.Atoms("O")))  # no bond
    # It never saw a force, so that ethanol falls apart when it is relaxed: nothing holds it.
    assert exit_barrier(model, ETHANOL, 500.0) == 0
    held = load_model("zoo:rmd17-ethanol-painn", dtype=torch.float64)
    cold, hot = (exit_barrier(held, water, temperature) for temperature in (300.0, 1000.0))
    assert cold > 3 * hot > 0  # in units of k_B T, and with more ways out when it is hot


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
    assert "does not predict" in sentence(unrelated)
    assert "cannot tell" in sentence(associations(table.head(3)))


def test_models_that_differ_in_their_seed_only_are_drawn_together() -> None:
    rng = np.random.default_rng(1)
    score = rng.uniform(size=12)
    time = 10 - 3 * score + rng.standard_normal(12)
    once = pl.DataFrame({"deviation": score, "sound_time_ps": time, "ensemble": range(12)})
    copies = pl.concat([once] * 6)
    alone, together = (associations(table)[0].spearman for table in (copies.drop("ensemble"), copies))
    assert together.value == pytest.approx(alone.value)
    assert together.n == 12
    # Six copies of a model know no more than one.
    assert together.high - together.low > 1.8 * (alone.high - alone.low)
    assert together.high - together.low == pytest.approx(
        (wide := associations(once)[0].spearman).high - wide.low, rel=0.05
    )


def test_sound_replicas_count_with_the_whole_time() -> None:
    assert restricted_mean([{"time_ps": 2.0}, {"time_ps": 10.0}, {"time_ps": 10.0}], 10.0) == pytest.approx(22 / 3)


def test_studies_of_before_there_was_a_default_keep_their_product_rule(tmp_path: Path) -> None:
    config, _ = read_study(planned(tmp_path))
    new = with_product_rule(config, {})
    assert settings_of(new)["analysis"]["product_rule"] == new.analysis.product_rule == "full"
    assert with_product_rule(config, settings_of(new)) == new
    before = settings_of(new)
    del before["analysis"]["product_rule"]
    old = with_product_rule(config, before)
    assert old.analysis.product_rule == "scalar"
    assert settings_of(old) == before
    named, _ = read_study(planned(tmp_path, PLAN.replace('frames = ":6"', 'frames = ":6"\nproduct_rule = "scalar"')))
    assert with_product_rule(named, settings_of(new)) == named == old


def test_the_score_of_a_study_is_made_of_common_parts() -> None:
    rows = [
        {"model": "a", "deviation": 0.9, "deviation/decay/sign": 0.5, "deviation/decay/growth": 1.0, "seed": 1},
        {"model": "b", "deviation": 0.5, "deviation/decay/sign": 0.5, "deviation/decay/growth": None},
        {"model": "c", "deviation": None, "deviation/decay/sign": None, "deviation/decay/growth": None},
    ]
    table, common = study_run._with_common_score(pl.DataFrame(rows))
    assert common == ["decay/sign"]
    assert table["deviation"].to_list() == [0.5, 0.5, None]
    assert table["n_parts"].to_list() == [2, 1, 0]
    assert table["deviation/decay/growth"].to_list() == [1.0, None, None]
    assert table.columns[:3] == ["model", "deviation", "n_parts"]


def test_a_study_of_seeds_alone_has_a_page(tmp_path: Path) -> None:
    path = planned(tmp_path, PLAN.replace('"model.architecture" = ["schnet", "painn"]\n', ""))
    config, members = read_study(path)
    table = pl.DataFrame({"model": [m.name for m in members], "seed": [1, 2], "deviation": [0.1, 0.2]})
    page = study_page(config, table.with_columns(sound_time_ps=1.0), [], {}, "")
    assert "Means over seeds" not in page
    assert "seed2" in page
    assert "<th>deviation score</th>" in page
    assert '<td class="number" data-value="0.2">0.2</td>' in page  # sorts as a number


def test_all_models_of_a_study_are_scored_over_one_range(tmp_path: Path) -> None:
    cutoffs = PLAN.replace("seed = [1, 2]", '"model.cutoff" = [4.0, 6.0]')
    config, _ = read_study(planned(tmp_path, cutoffs))
    assert config.analysis.distances == (2.5, 3.5)
    given = cutoffs.replace('frames = ":6"', 'frames = ":6"\nnearest = 2.6\nfarthest = 3.4')
    assert read_study(planned(tmp_path, given))[0].analysis.distances == (2.6, 3.4)
    # The shortest cutoff leaves nothing: its models have no such scores, and the others keep their own range.
    assert read_study(planned(tmp_path))[0].analysis.distances is None
    with pytest.raises(InputError, match=r"the shortest cutoff of the grid bends all terms from 3\.5 Å on"):
        read_study(planned(tmp_path, given.replace("farthest = 3.4", "farthest = 4.0")))
    with pytest.raises(InputError, match="give two lengths above 0"):
        read_study(planned(tmp_path, given.replace("farthest = 3.4", "farthest = 2.0")))


def test_scores_over_different_ranges_are_refused() -> None:
    rows = pl.DataFrame({"range_low": [2.5, 2.5, 2.5], "range_high": [3.5, 3.5, 2.5]})
    study_run.check_one_range(rows)  # the last model has no range at all
    other = rows.with_columns(pl.Series("range_high", [3.5, 5.5, 2.5]))
    with pytest.raises(InputError, match=r"2\.5 to 3\.5 Å, 2\.5 to 5\.5 Å"):
        study_run.check_one_range(other)
