"""Extensivity: verdicts on known answers, and a run on small models."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import ase
import ase.build
import numpy as np
import polars as pl
import pytest
from explained import inputs_of

from atomlens import load_model
from atomlens.analyses import Finding, Outcome, untrained_model
from atomlens.analyses.extensivity import orbital as orbital_module
from atomlens.analyses.extensivity.orbital import orbital_overlaps, readout_weights
from atomlens.analyses.extensivity.question import ExtensivityResult, compute, judge
from atomlens.analyses.extensivity.separated_pairs import scan_pairs, settling_gap
from atomlens.analyses.statistics import rank_correlation
from atomlens.folders import load_result, save_result
from atomlens.reference.properties import Kind, composed
from atomlens.reference.unavailable import ReferenceUnavailable
from atomlens.report.chapters.extensivity import figure
from samples import small_model

GAPS = np.array([2.0, 5.0, 10.0, 15.0])


def synthetic(
    kind: Kind,
    rule: str,
    *,
    noise: float = 0.0,
    untrained_rule: str = "mean",
    late: float = 0.0,
    untrained_late: float = 0.5,
    growth: float = 1.0,
    spread: float = 1.0,
    fresh_growth: float = 1.0,
    readout: str = "softmax",
    sizes: tuple[int, int] = (5, 30),
    rank: float = 0.8,
    rank_untrained: float = 0.0,
) -> ExtensivityResult:
    """A model that composes by `rule`, still changes by `late` beyond 10 Å, with terms that grow as N to `growth`.

    The untrained one composes by `untrained_rule` and changes by `untrained_late`; its terms grow as N to
    `fresh_growth`.
    """
    rng = np.random.default_rng(0)
    n = 40
    n_1, n_2 = rng.integers(5, 20, size=(2, n))
    alone = rng.uniform(-9, -4, size=(4, n))
    together = composed(rule, alone[0], alone[1], n_1, n_2) + noise * rng.normal(size=n)
    untrained = composed(untrained_rule, alone[2], alone[3], n_1, n_2)
    values = {"n_1": n_1, "n_2": n_2, "alone_1": alone[0], "alone_2": alone[1], "together": together}
    values |= {"turned": together, "settled": np.full(n, 5.0), "untrained_1": alone[2], "untrained_2": alone[3]}
    dimers = pl.DataFrame(values | {"untrained_together": untrained, "untrained_turned": untrained})
    size = rng.uniform(0.5, 1.0, size=(n, 1))
    change, fresh_change = (size * np.array([1.0, 0.3, far, 0.0]) for far in (late, untrained_late))
    scan = pl.DataFrame(
        {
            "dimer": np.repeat(np.arange(n), 4),
            "gap": np.tile(GAPS, n),
            "together": (together[:, None] + change).ravel(),
            "between": change.ravel(),
            "pairs": np.tile([9, 1, 0, 0], n),
            "untrained": (untrained[:, None] + fresh_change).ravel(),
        }
    )
    size = rng.integers(sizes[0], sizes[1] + 1, size=100)
    wobble = np.exp(0.1 * rng.normal(size=100))
    molecules = pl.DataFrame(
        {
            "n_atoms": size,
            "change": -(size**growth) * wobble,
            "strength_1": 0.3 * size**growth * wobble,
            "strength_2": 0.7 * size**growth * wobble,
            "participation": 0.5 * size**spread * wobble,
            "shuffled": 0.8 * size * wobble,
        }
    )
    fresh = molecules.with_columns(
        pl.Series("strength_1", 1.0 * size**fresh_growth),
        pl.Series("strength_2", 0.0 * size),
        pl.Series("participation", 1.0 * size**fresh_growth),
        pl.lit(0).alias("seed"),
    )
    orbitals = pl.DataFrame()
    if kind is Kind.LARGER:
        ranks = {
            f"{name}{key}": value + 0.1 * rng.normal(size=60)
            for name in ("rank", "rank_heavy")
            for key, value in (("", rank), ("_shuffled", 0.0), ("_untrained", rank_untrained), ("_element", 0.4))
        }
        plain = {"n_atoms": size[:60], "overlap": np.full(60, 0.5), "orbital_participation": wobble[:60] + 1}
        orbitals = pl.DataFrame(plain | ranks)
    return ExtensivityResult(
        property=kind.value,
        unit="eV",
        kind=kind.value,
        reason="by definition",
        readout=readout,
        extensive_output=readout == "sum",
        cutoff=5.0,
        long_range=False,
        dimers=dimers,
        scan=scan,
        same_formula=False,
        molecules=molecules,
        untrained=fresh,
        ranges=pl.DataFrame(),
        orbitals=orbitals,
        orbitals_missing="" if len(orbitals) else "no orbital",
        seed=0,
    )


def findings(result: ExtensivityResult) -> list[Finding]:
    return list(judge(result).findings)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Kind.SUM, Kind.LARGER, Kind.SMALLER, Kind.VECTOR])
def test_each_rule_is_told_from_the_others(kind: Kind) -> None:
    assert findings(synthetic(kind, kind))[0].outcome is Outcome.AGREES
    for other in (Kind.SUM, Kind.LARGER, Kind.SMALLER, "mean"):
        if other != kind:
            assert findings(synthetic(kind, other))[0].outcome is Outcome.DEVIATES


def test_noise_decides_nothing() -> None:
    # Half-way between the larger one and the mean of both, and much noise.
    result = synthetic(Kind.LARGER, "mean", noise=20.0)
    assert findings(result)[0].outcome is Outcome.CANNOT_TELL


def test_an_untrained_model_that_composes_alike_takes_the_verdict_away() -> None:
    alike = synthetic(Kind.LARGER, Kind.LARGER, untrained_rule=Kind.LARGER)
    assert findings(alike)[0].outcome is Outcome.CANNOT_TELL
    # A sum over atoms adds whatever its weights, and nothing of it was learned.
    summed = findings(synthetic(Kind.SUM, Kind.SUM, untrained_rule=Kind.SUM, readout="sum"))[0]
    assert summed.outcome is Outcome.BY_CONSTRUCTION
    assert "not learned" in summed.sentence
    broken = findings(synthetic(Kind.SUM, "mean", untrained_rule=Kind.SUM, readout="sum"))[0]
    assert broken.outcome is Outcome.DEVIATES


def test_what_changes_far_apart_deviates() -> None:
    settles = findings(synthetic(Kind.VECTOR, Kind.VECTOR, late=0.01, readout="dipole"))[1]
    assert settles.outcome is Outcome.AGREES
    assert "not learned" not in settles.sentence
    growing = findings(synthetic(Kind.VECTOR, Kind.VECTOR, late=0.5, readout="dipole"))[1]
    assert growing.outcome is Outcome.DEVIATES
    assert "latent charges" in growing.sentence
    pairs = replace(synthetic(Kind.SUM, Kind.SUM, late=0.5, readout="sum"), long_range=True)
    assert "energies of all pairs couple all atoms" in findings(pairs)[1].sentence


def test_an_untrained_model_that_settles_alike_takes_the_verdict_away() -> None:
    alike = synthetic(Kind.VECTOR, Kind.VECTOR, late=0.01, untrained_late=0.01, readout="dipole")
    assert findings(alike)[1].outcome is Outcome.CANNOT_TELL
    # Energies of all pairs may change at any distance: that these do not is learned, or chance.
    pairs = replace(synthetic(Kind.SUM, Kind.SUM, untrained_late=0.0, readout="sum"), long_range=True)
    assert findings(pairs)[1].outcome is Outcome.CANNOT_TELL
    assert findings(pairs)[1].controls[0].is_null


@pytest.mark.parametrize("readout", ["sum", "avg", "softmax"])
def test_settling_that_the_architecture_gives_is_told_as_such(readout: str) -> None:
    result = synthetic(Kind.SUM, Kind.SUM, untrained_late=0.0, readout=readout)
    given = findings(result)[1]
    assert given.outcome is Outcome.BY_CONSTRUCTION
    assert given.sentence.endswith("whatever the weights: given by the architecture, not learned.")
    assert [(c.name, c.value, c.is_null) for c in given.controls] == [("untrained model", pytest.approx(0), False)]
    wide = findings(replace(result, cutoff=12.0))[1]
    assert wide.outcome is Outcome.CANNOT_TELL
    assert "not learned" not in wide.sentence


def test_a_sum_with_energies_of_all_pairs_adds_by_no_construction() -> None:
    result = replace(synthetic(Kind.SUM, Kind.SUM, untrained_rule=Kind.SUM, readout="sum"), long_range=True)
    assert findings(result)[0].outcome is Outcome.CANNOT_TELL
    assert "not learned" not in findings(result)[0].sentence


@pytest.mark.parametrize(("kind", "right", "wrong"), [(Kind.SUM, 1.0, 0.1), (Kind.LARGER, 0.1, 1.0)])
def test_growth_and_spread_follow_the_kind(kind: Kind, right: float, wrong: float) -> None:
    good = findings(synthetic(kind, kind, growth=right, spread=right, readout="sum" if kind is Kind.SUM else "softmax"))
    bad = findings(synthetic(kind, kind, growth=wrong, spread=wrong))
    assert bad[2].outcome is bad[3].outcome is Outcome.DEVIATES
    # Terms of an untrained model grow, and its shares spread, too: no sign of learning where that is expected.
    expected = Outcome.CANNOT_TELL if kind is Kind.SUM else Outcome.AGREES
    assert good[3].outcome is expected
    assert good[2].outcome is expected


@pytest.mark.parametrize(
    ("growth", "outcome"), [(1.0, Outcome.AGREES), (1.4, Outcome.DEVIATES), (0.5, Outcome.DEVIATES)]
)
def test_growth_with_n_is_one_within_a_tolerance(growth: float, outcome: Outcome) -> None:
    grows, spreads = findings(synthetic(Kind.SUM, Kind.SUM, growth=growth, spread=growth, fresh_growth=1.3))[2:4]
    assert grows.outcome is spreads.outcome is outcome
    assert "expected: 0.75 to 1.25" in grows.sentence


def test_terms_of_an_untrained_model_that_do_not_grow_take_the_verdict_away() -> None:
    result = synthetic(Kind.LARGER, Kind.LARGER, growth=0.1)
    assert [c.name for c in findings(result)[2].controls] == ["untrained model"]
    assert findings(result)[2].outcome is Outcome.AGREES
    constant = result.untrained.with_columns(strength_1=pl.lit(1.0))
    assert findings(replace(result, untrained=constant))[2].outcome is Outcome.CANNOT_TELL
    assert findings(replace(result, untrained=pl.DataFrame()))[2].outcome is Outcome.CANNOT_TELL


def test_one_size_tells_nothing_of_growth() -> None:
    grows, spreads = findings(synthetic(Kind.SUM, Kind.SUM, sizes=(9, 9)))[2:4]
    assert grows.outcome is spreads.outcome is Outcome.CANNOT_TELL
    assert "one size" in grows.sentence


def test_shares_are_held_against_the_orbital() -> None:
    *_, every, heavy = findings(synthetic(Kind.LARGER, Kind.LARGER))
    assert every.outcome is heavy.outcome is Outcome.AGREES
    assert findings(synthetic(Kind.LARGER, Kind.LARGER, rank=-0.1))[-2].outcome is Outcome.DEVIATES
    assert findings(synthetic(Kind.LARGER, Kind.LARGER, rank_untrained=0.9))[-2].outcome is Outcome.CANNOT_TELL


def test_unknown_properties_and_empty_scans_are_said_to_tell_nothing() -> None:
    unknown = replace(synthetic(Kind.SUM, Kind.SUM), kind="unknown", reason="nobody knows")
    assert [f.outcome for f in findings(unknown)][:1] == [Outcome.NOT_APPLICABLE]
    assert [f.outcome for f in findings(unknown)][2:] == [Outcome.DESCRIPTIVE] * 2
    assert "nobody knows" in findings(unknown)[0].sentence
    empty = replace(synthetic(Kind.SUM, Kind.SUM), dimers=pl.DataFrame(), scan=pl.DataFrame())
    assert [f.outcome for f in findings(empty)[:2]] == [Outcome.CANNOT_TELL] * 2


def test_settling() -> None:
    assert settling_gap(GAPS, np.array([1.0, 0.5, 0.2, 0.0])) == 15.0
    assert settling_gap(GAPS, np.array([1.0, 0.005, 0.0, 0.0])) == 5.0
    assert settling_gap(GAPS, np.ones(4)) == 2.0


@pytest.mark.parametrize("kind", [Kind.SUM, Kind.LARGER, Kind.VECTOR])
def test_figure_shows_pairs_rule_growth_and_spread(kind: Kind) -> None:
    scan, rule, growth, spread = figure(synthetic(kind, kind)).axes
    assert len(scan.lines) == 40 + 3  # every pair, two medians, the cutoff
    assert len(rule.lines[0 if kind is Kind.LARGER else 1].get_xdata()) <= 40
    assert growth.get_xscale() == spread.get_yscale() == "log"


def test_figure_says_what_is_not_there() -> None:
    empty = replace(synthetic(Kind.SUM, Kind.SUM), dimers=pl.DataFrame(), scan=pl.DataFrame())
    drawing = figure(empty)
    drawing.draw_without_rendering()
    assert [axes.texts[0].get_text() for axes in drawing.axes[:2]] == ["no two molecules could be moved apart"] * 2


MOLECULES = [ase.build.molecule(name) for name in ("H2O", "CH4", "CH3OH", "C2H6", "NH3", "HCN", "CH3CN", "C2H4")]


def test_a_model_with_a_cutoff_adds_exactly_beyond_it() -> None:
    inputs = inputs_of(small_model(), MOLECULES, with_untrained=False)
    scans = scan_pairs(inputs, 4, gaps=(2.0, 2.6, 8.0))
    d = scans.dimers
    assert len(d) == 4
    assert len(set(d["frame_1"]) | set(d["frame_2"])) == 8
    assert not scans.same_formula
    assert d["together"].to_numpy() == pytest.approx((d["alone_1"] + d["alone_2"]).to_numpy())
    far = scans.scan.filter(pl.col("gap") > 2.5)
    assert (far["between"] == 0).all()
    assert (far["pairs"] == 0).all()
    near = scans.scan.filter(pl.col("gap") == 2.0)
    assert (near["pairs"] > 0).all()
    assert (near["between"].abs() > 0).all()
    fresh = untrained_model(inputs.model)
    last = scans.scan.filter(pl.col("gap") == 8.0).sort("dimer")["untrained"].to_numpy()
    assert last == pytest.approx(d["untrained_together"].to_numpy())
    assert float(fresh.predict(MOLECULES[0]).value) != pytest.approx(float(inputs.model.predict(MOLECULES[0]).value))


def test_four_half_turns_average_a_vector_away() -> None:
    # Where charges add to zero in each molecule, a dipole moment is a vector sum, whatever the weights.
    output = {"property": "dipole", "unit": "D", "has_forces": False}
    model = small_model(readout={"kind": "dipole", "magnitude": True, "correct_charges": True}, output=output)
    model.mean.zero_()
    model.atomrefs.zero_()
    water = ase.build.molecule("H2O")
    # Two molecules of one kind have no charge to exchange.
    scans = scan_pairs(inputs_of(model, [water, water], with_untrained=False), 1)
    row = scans.dimers.row(0, named=True)
    assert scans.same_formula
    assert row["turned"] == pytest.approx(math.hypot(row["alone_1"], row["alone_2"]))
    assert row["together"] != pytest.approx(row["turned"])


@pytest.mark.slow
def test_run_on_a_homo_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def population(atoms: ase.Atoms) -> np.ndarray:
        if len(atoms) < 4:
            raise ReferenceUnavailable("too small")
        return np.arange(1.0, len(atoms) + 1) / np.arange(1.0, len(atoms) + 1).sum()

    monkeypatch.setattr(orbital_module, "_population", population)
    output = {"property": "HOMO", "extensive": False, "has_forces": False}
    model = small_model(readout={"aggregation": "softmax"}, output=output)
    told: list[str] = []
    result = compute(inputs_of(model, MOLECULES), progress=lambda what, done, total: told.append(what), n_dimers=3)
    assert {"molecules moved apart", "orbitals"} <= set(told)
    assert (result.kind, result.readout, len(result.dimers)) == ("larger", "softmax", 3)
    assert len(result.orbitals) == 6  # neither water nor HCN
    verdict = judge(result)
    assert len(verdict.findings) == 7
    save_result(result, tmp_path / "x")
    # Compared as text: where a control has no score, NaN is not NaN.
    assert str(judge(load_result(ExtensivityResult, tmp_path / "x"))) == str(verdict)


def test_weights_of_a_softmax_are_a_partition_of_one() -> None:
    weights = readout_weights(small_model(readout={"aggregation": "softmax"}), MOLECULES[2])
    assert weights is not None
    assert weights.sum() == pytest.approx(1.0)
    assert readout_weights(small_model(), MOLECULES[2]) is None


def test_orbitals_are_asked_of_all_sizes_and_held_against_the_untrained_model_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def population(atoms: ase.Atoms) -> np.ndarray:
        return np.arange(1.0, len(atoms) + 1) / np.arange(1.0, len(atoms) + 1).sum()

    monkeypatch.setattr(orbital_module, "_population", population)
    output = {"property": "HOMO", "extensive": False, "has_forces": False}
    model = small_model(readout={"aggregation": "softmax"}, output=output)
    by_size = sorted(MOLECULES, key=len)
    inputs = inputs_of(model, by_size)
    # As in an analysis: the tables of the untrained model end with the first structures.
    first = [{name: t.filter(pl.col("frame") == 0) for name, t in tables.items()} for tables in inputs.untrained]
    table, reason = orbital_overlaps(replace(inputs, untrained=first), 4, np.random.default_rng(0))
    assert not reason
    assert table["frame"].to_list() == [0, 2, 5, 7]
    fresh = untrained_model(model)
    largest = by_size[-1]
    expected = readout_weights(fresh, largest)
    assert expected is not None
    assert not np.allclose(expected, readout_weights(model, largest))
    row = table.row(3, named=True)
    assert row["rank_weight_untrained"] == pytest.approx(rank_correlation(expected, population(largest)))
    column = f"readout_{inputs.unit}"
    shares = inputs.untrained[0]["atoms"].filter(pl.col("frame") == 7)[column].abs().to_numpy()
    assert row["rank_untrained"] == pytest.approx(rank_correlation(shares, population(largest)))


def test_orbitals_are_asked_of_occupied_ones_only() -> None:
    inputs = inputs_of(small_model(output={"property": "LUMO", "has_forces": False}), MOLECULES[:2])
    table, reason = orbital_overlaps(inputs, 5, np.random.default_rng(0))
    assert not len(table)
    assert "LUMO" in reason


def test_radicals_have_no_orbital_and_say_so() -> None:
    pytest.importorskip("tblite")
    inputs = inputs_of(small_model(output={"property": "HOMO", "has_forces": False}), [ase.build.molecule("CH3")])
    table, reason = orbital_overlaps(inputs, 5, np.random.default_rng(0))
    assert not len(table)
    assert "unpaired" in reason


@pytest.mark.parametrize(
    "structures", [[ase.Atoms("H")], [ase.build.molecule("H2O")], [ase.Atoms("H"), ase.Atoms("O")]]
)
def test_too_few_atoms_or_molecules_are_no_error(structures: list[ase.Atoms], tmp_path: Path) -> None:
    result = compute(inputs_of(small_model(), structures), n_dimers=2)
    save_result(result, tmp_path / "x")
    verdict = judge(load_result(ExtensivityResult, tmp_path / "x"))
    # A sum over atoms adds, and sees nothing beyond the cutoff, whatever it was asked of; the rest cannot be told.
    assert [f.outcome for f in verdict.findings[:2]] == [Outcome.BY_CONSTRUCTION] * 2
    assert {f.outcome for f in verdict.findings[2:]} == {Outcome.CANNOT_TELL}


def test_periodic_structures_are_not_moved_apart() -> None:
    cell = ase.Atoms("OH", positions=[[0, 0, 0], [0, 0, 0.97]], cell=[9, 9, 9], pbc=True)
    result = compute(inputs_of(small_model(), [cell] * 2), n_dimers=2)
    assert not len(result.dimers)
    assert "single molecule" in judge(result).findings[0].sentence


def test_a_shipped_model_adds() -> None:
    inputs = inputs_of(load_model("zoo:qm9-u0-schnet"), MOLECULES)
    result = compute(inputs, n_dimers=2)
    composes = judge(result).findings[0]
    assert composes.effect is not None
    assert composes.effect.value > 12  # decades: all digits of float64
    assert composes.outcome is Outcome.BY_CONSTRUCTION  # a sum over atoms adds, whatever the weights
