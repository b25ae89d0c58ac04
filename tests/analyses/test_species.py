"""Strength per species: known answers, controls that fire, and what cannot be told."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ase
import ase.build
import numpy as np
import polars as pl
import pytest
from explained import inputs_of
from hypothesis import given
from hypothesis import strategies as st
from pair_tables import inputs_with, molecules
from scipy.stats import mannwhitneyu

from atomlens import explain, load_model
from atomlens.analyses import Control, Effect, Finding, Outcome
from atomlens.analyses.pair_scores import Score, pair_score, shuffled_within
from atomlens.analyses.species.hydrogen_bonds import hydrogen_bond_mask
from atomlens.analyses.species.pairs import concordance
from atomlens.analyses.species.question import SpeciesResult, compute, judge
from atomlens.folders import load_result, save_result
from atomlens.models import zoo_names
from atomlens.reference import ReferenceUnavailable, bond_energy
from atomlens.report.chapters import species as chapter
from atomlens.tables import explained_frame, pairs_table
from samples import small_model

RELATION = {"1-2": 1.0, "1-3": 0.1, "1-4": 0.03, "further": 0.01, "other molecule": 0.001}
ORDERS = {"single": 1.0, "aromatic": 1.5, "double": 2.0, "triple": 3.0}


def chemical(pairs: pl.DataFrame) -> np.ndarray:
    """Terms as chemistry has them: minus the bond energy, and weaker, of the other sign, for pairs further apart."""
    rows = pairs.select("element_1", "element_2", "bond", "relation").iter_rows()
    return np.array([-(bond_energy(a, b, bond) or -1.0) * RELATION[relation] for a, b, bond, relation in rows])


def orders(pairs: pl.DataFrame) -> Callable[[ase.Atoms], np.ndarray]:
    """Bond orders of the structures that the table's bonds tell, small numbers elsewhere; by the number of atoms."""
    by_positions = {}
    for (k,), rows in pairs.partition_by("frame", as_dict=True).items():
        n = int(max(rows["atom_1"].max(), rows["atom_2"].max())) + 1
        matrix = np.zeros((n, n))
        for i, j, bond, r in rows.select("atom_1", "atom_2", "bond", "distance").iter_rows():
            matrix[i, j] = matrix[j, i] = ORDERS.get(bond, 0.01 / r)
        by_positions[molecules()[k].positions.tobytes()] = matrix
    return lambda atoms: by_positions[atoms.positions.tobytes()]


def answered(law: Callable[[pl.DataFrame], np.ndarray], **options: object) -> dict[str, Finding]:
    inputs = inputs_with(molecules, law)
    result = compute(inputs, bond_orders=orders(inputs.tables["pairs"]), n_resamples=40, **options)
    names = ("energies", "energies_signed", "orders_all", "orders_bonded", "multiplicity", "multiplicity_signed")
    names += ("topology", "bond_sign", "hydrogen_bonds")
    return dict(zip(names, judge(result).findings, strict=True))


SCORED = {"energies", "orders_all", "multiplicity", "topology"}
SIGNED = {"energies_signed", "multiplicity_signed", "bond_sign"}


def outcomes(found: dict[str, Finding], names: set[str]) -> set[Outcome]:
    return {found[name].outcome for name in names}


def test_chemical_terms_agree() -> None:
    found = answered(chemical)
    assert outcomes(found, SCORED | SIGNED) == {Outcome.AGREES}
    assert found["energies"].effect is not None
    assert found["energies"].effect.value == pytest.approx(1.0)
    assert found["energies"].effect.n == 10  # classes, whatever the number of molecules
    assert found["energies"].effect.low < 0.97


def test_strengths_and_signs_are_told_apart() -> None:
    found = answered(lambda pairs: -chemical(pairs))
    assert outcomes(found, SCORED) == {Outcome.AGREES}
    assert outcomes(found, SIGNED) == {Outcome.DEVIATES}


def test_reversed_strengths_deviate() -> None:
    assert outcomes(answered(lambda pairs: 1.0 / chemical(pairs)), SCORED) == {Outcome.DEVIATES}


def test_noise_never_agrees() -> None:
    found = answered(lambda pairs: np.random.default_rng(3).normal(size=len(pairs)))
    assert all(finding.outcome is not Outcome.AGREES for finding in found.values())


def test_untrained_model_that_scores_as_well_takes_the_verdict_away() -> None:
    inputs = inputs_with(molecules, chemical)
    same = replace(inputs, untrained=[{"pairs": inputs.tables["pairs"]}])
    result = compute(same, bond_orders=orders(same.tables["pairs"]), n_resamples=40)
    found = judge(result).findings
    assert all(finding.outcome is Outcome.CANNOT_TELL for finding in found)
    # Bond orders of bonds tie for nine in ten of them: there the limit is not reached anyway.
    assert all("untrained model" in found[k].sentence for k in (0, 1, 2, 4, 5, 6, 7))


def test_positive_bonds_next_to_a_large_constant_tell_nothing() -> None:
    inputs = inputs_with(molecules, lambda pairs: -chemical(pairs))
    held = inputs.tables["frames"].with_columns(constant_eV=pl.col("prediction_eV"))
    inputs = replace(inputs, tables=inputs.tables | {"frames": held})
    sign = judge(compute(inputs, bond_orders=orders(inputs.tables["pairs"]), n_resamples=40)).findings[-2]
    assert sign.outcome is Outcome.NOT_APPLICABLE
    assert "terms sum to 0 of what mean bond energies do" in sign.sentence


def sign_beside_constants(of_binding: float) -> Finding:
    """Whether bonds stabilise, where constants are large and terms sum to that share of the bonds' mean energies."""
    inputs = inputs_with(molecules, chemical)
    rows = inputs.tables["pairs"].filter(pl.col("relation") == "1-2").select("frame", "element_1", "element_2", "bond")
    binding = np.zeros(len(inputs.structures))
    for frame, a, b, bond in rows.iter_rows():
        binding[frame] += bond_energy(a, b, bond) or math.nan
    frames = inputs.tables["frames"].with_columns(constant_eV=pl.lit(-1000.0) * pl.col("n_atoms"))
    frames = frames.with_columns(prediction_eV=pl.col("constant_eV") - of_binding * pl.Series(np.nan_to_num(binding)))
    inputs = replace(inputs, tables=inputs.tables | {"frames": frames})
    return judge(compute(inputs, bond_orders=orders(inputs.tables["pairs"]), n_resamples=40)).findings[-2]


def test_terms_relative_to_free_atoms_show_binding() -> None:
    """Energies of free atoms are no binding, however large; fitted references leave next to none to the terms."""
    assert sign_beside_constants(1.4).outcome is Outcome.AGREES
    fitted = sign_beside_constants(0.02)
    assert fitted.outcome is Outcome.NOT_APPLICABLE
    assert "terms sum to 0.02 of what mean bond energies do" in fitted.sentence


def test_other_properties_than_energies_cannot_be_judged() -> None:
    inputs = inputs_with(molecules, chemical)
    orbital = small_model("schnet", output={"extensive": False, "property": "HOMO", "has_forces": False})
    result = compute(replace(inputs, model=orbital), bond_orders=orders(inputs.tables["pairs"]), n_resamples=20)
    verdict = judge(result)
    assert verdict.outcome is Outcome.NOT_APPLICABLE
    assert {f.outcome for f in verdict.findings} == {Outcome.NOT_APPLICABLE}
    assert all("HOMO" in f.sentence for f in verdict.findings)


def unavailable(atoms: ase.Atoms) -> np.ndarray:
    raise ReferenceUnavailable("tblite is not there")


@pytest.mark.parametrize(
    "structures",
    [
        [ase.Atoms("O", [[0.0, 0, 0]])],
        [ase.build.molecule("H2O")],
        [ase.Atoms("HeHe", [[0.0, 0, 0], [0, 0, 3.0]])] * 6,
        [ase.build.molecule("CH3")] * 6,
    ],
    ids=["single atom", "one molecule", "no bonds", "radical"],
)
def test_little_can_be_told_of_little(structures: list[ase.Atoms], tmp_path: Path) -> None:
    inputs = inputs_of(small_model("schnet", n_layers=2), structures, with_untrained=False)
    result = compute(inputs, bond_orders=unavailable, n_resamples=20)
    verdict = judge(result)
    assert verdict.outcome is not Outcome.AGREES
    assert all(finding.sentence for finding in verdict.findings)
    assert all("a rank correlation over classes needs 10" in f.sentence for f in verdict.findings[:2])
    by_order = [f for f in verdict.findings if "bond order" in f.claim]
    assert all("no GFN2 bond orders" in f.sentence for f in by_order)
    chapter.figure(result).draw_without_rendering()


def test_result_survives_storage_and_is_drawn(tmp_path: Path) -> None:
    inputs = inputs_with(molecules, chemical)
    result = compute(inputs, bond_orders=orders(inputs.tables["pairs"]), n_resamples=20)
    save_result(result, tmp_path)
    loaded = load_result(SpeciesResult, tmp_path)
    assert judge(loaded) == judge(result)
    assert loaded.classes.equals(result.classes)
    chapter.figure(loaded).draw_without_rendering()
    counted = result.classes.filter(pl.col("species") == "C-N", pl.col("class") == "triple")
    assert counted["pairs"].to_list() == [5]  # HCN, five times
    assert "<p>" in chapter.HOW


def test_zoo_model_with_real_bond_orders() -> None:
    pytest.importorskip("tblite")
    if "qm9-u0-schnet" not in zoo_names():
        pytest.skip("the zoo has no QM9 model")
    inputs = inputs_of(load_model("zoo:qm9-u0-schnet"), list(molecules())[:8])
    result = compute(inputs, n_resamples=20)
    assert result.scores["orders_all"].effect.n == 8
    assert not result.skipped
    assert math.isfinite(result.scores["orders_all"].effect.value)


def test_water_dimer_has_one_hydrogen_bond() -> None:
    donor = ase.Atoms("OHH", [[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    acceptor = ase.Atoms("OHH", [[2.9, 0, 0], [3.3, 0.6, 0.6], [3.3, 0.6, -0.6]])
    dimer = donor + acceptor
    model = small_model(cutoff=6.0)
    model.scale.fill_(1e-6)  # random weights give energies that no matter has
    pairs = pairs_table(explained_frame(explain(model, dimer), top_walks=1))
    found = pairs.filter(hydrogen_bond_mask(pairs, [dimer])).select("atom_1", "atom_2").rows()
    assert found == [(1, 3)]
    bent = dimer.copy()
    bent.positions[1] = [0.0, 0.68, 0.68]  # the hydrogen turned away: O-H...O below 120 degrees
    pairs = pairs_table(explained_frame(explain(model, bent), top_walks=1))
    assert not hydrogen_bond_mask(pairs, [bent]).any()


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12), st.lists(st.integers(-3, 3), min_size=1, max_size=12))
def test_concordance_is_the_probability_of_mann_and_whitney(high: list[int], low: list[int]) -> None:
    data = {"kind": np.ones(len(high) + len(low), dtype=int), "level": np.array([2] * len(high) + [1] * len(low))}
    expected = mannwhitneyu(high, low).statistic / (len(high) * len(low)) if len(set(high + low)) > 1 else 0.5
    terms = np.array(high + low, dtype=float)
    assert concordance(data, terms, lambda x: x, [(1, 2, 1)]) == pytest.approx(expected)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_shuffling_stays_inside_molecules(molecule: list[int]) -> None:
    column, values = np.array(molecule), np.arange(float(len(molecule)))
    moved = shuffled_within(values, column, np.random.default_rng(0))
    for k in set(molecule):
        assert sorted(moved[column == k]) == values[column == k].tolist()


def test_controls_of_a_score_are_scores_of_other_terms() -> None:
    inputs = inputs_with(molecules, chemical)
    pairs, fresh = inputs.tables["pairs"], inputs.untrained_level("pairs")
    bonded = pl.col("relation") == "1-2"
    score = pair_score(
        "mean", lambda _, terms: terms.mean(), pairs, fresh, (), "relevance_eV", keep=bonded, n_resamples=20
    )
    controls = {control.name: control for control in score.controls}
    assert score.effect.value == pytest.approx(pairs.filter(bonded)["relevance_eV"].mean())
    means = [table.filter(bonded)["relevance_eV"].mean() for table in fresh]
    assert controls["untrained model"].values == pytest.approx(means)
    assert controls["untrained model"].value == pytest.approx(np.median(means))
    assert controls["distance alone"].value == pytest.approx(-(1 / pairs.filter(bonded)["distance"]).mean())
    assert not controls["distance alone"].is_null
    assert score.effect.value < controls["shuffled terms"].value < 0  # bonds mixed with weaker pairs


def test_score_without_pairs_says_so() -> None:
    empty = inputs_with(molecules, chemical).tables["pairs"].clear()
    score = pair_score("mean", lambda _, terms: terms.mean(), empty, [], (), "relevance_eV")
    assert score == Score(score.effect, (), "no pairs to measure it on")
    assert isinstance(score.effect, Effect)
    assert not any(isinstance(control, Control) for control in score.controls)
