"""Rings of three molecules: geometries, energies whose three-body part is known, scores, what cannot be told."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, permutations
from pathlib import Path

import ase
import numpy as np
import polars as pl
import pytest
from made_calculators import calculated
from scipy.spatial.distance import cdist, pdist
from scipy.stats import spearmanr

from atomlens.analyses import AnalysisInputs, Outcome, Settings
from atomlens.analyses.three_bodies.points import trimer_points
from atomlens.analyses.three_bodies.question import compute, judge
from atomlens.analyses.three_bodies.scores import of_points, ranks_at_one_size, ratio_of_sizes, three_body_score
from atomlens.analyses.three_bodies.trimers import MIXTURES, SIZES, make_trimers
from atomlens.folders import load_result, save_result
from atomlens.reference import ReferenceUnavailable, gfn2_energy, many_body_expansion
from atomlens.report.chapters.three_bodies import figure
from samples import small_model


def inputs(model: object) -> AnalysisInputs:
    return AnalysisInputs(model=model, structures=[], tables={}, settings=Settings())  # pyright: ignore[reportArgumentType]


def fields(atoms: ase.Atoms) -> np.ndarray:
    """At the heavy atom of every molecule (first axis), the field of the charges of every molecule (second axis)."""
    first = np.flatnonzero(atoms.numbers > 1)
    owner = np.cumsum(atoms.numbers > 1) - 1
    charges = np.where(atoms.numbers > 1, 1.0 - np.bincount(owner)[owner], 1.0)
    found = np.zeros((len(first), len(first), 3))
    for a, b in permutations(range(len(first)), 2):
        lines = atoms.positions[first[a]] - atoms.positions[owner == b]
        found[a, b] = (charges[owner == b] / np.linalg.norm(lines, axis=1) ** 3) @ lines
    return found


def induction(atoms: ase.Atoms) -> float:
    """Energy of polarisable heavy atoms in the fields of other molecules: -1/2 of the squared sum of the fields."""
    return -0.5 * float((fields(atoms).sum(axis=1) ** 2).sum())


def test_rings_keep_their_molecules_and_come_apart_with_size() -> None:
    trimers = make_trimers(MIXTURES, 12, np.random.default_rng(3))
    assert [trimer.mixture for trimer in trimers[:4]] == [" ".join(names) for names in MIXTURES]
    for trimer in trimers:
        heavy = [part[0] for part in trimer.molecules]
        first = trimer.structures[0]
        assert trimer.gap(0) > 1.6
        for k, atoms in enumerate(trimer.structures):
            for part in trimer.molecules:
                shape = pdist(atoms.positions[list(part)])
                assert shape == pytest.approx(pdist(first.positions[list(part)]), abs=1e-9)
            sides = pdist(atoms.positions[heavy])
            assert sides == pytest.approx(pdist(first.positions[heavy]) * SIZES[k] / SIZES[0])
            assert ((sides / SIZES[k] > 2.85) & (sides / SIZES[k] < 3.3)).all()
            parts = [atoms.positions[list(part)] for part in trimer.molecules]
            assert trimer.gap(k) == min(cdist(a, b).min() for a, b in combinations(parts, 2))
    again = make_trimers(MIXTURES, 12, np.random.default_rng(3))
    assert all(a.structures[1] == b.structures[1] for a, b in zip(trimers, again, strict=True))


def test_neighbours_in_a_ring_share_a_hydrogen_bond() -> None:
    excess = []
    for trimer in make_trimers(MIXTURES, 40, np.random.default_rng(0)):
        atoms = trimer.structures[1]
        for a, b in combinations(trimer.molecules, 2):
            lines = [(a[0], list(b[1:])), (b[0], list(a[1:]))]
            nearest = min(cdist(atoms.positions[[x]], atoms.positions[h]).min() for x, h in lines)
            excess.append(nearest - (atoms.get_distance(a[0], b[0]) - 1.0))
    # A straight bond has none; a hydrogen at a right angle to the line has 1.1 Å.
    assert np.median(excess) < 0.2
    assert np.quantile(excess, 0.9) < 0.6


def test_three_body_energies_are_the_products_of_fields() -> None:
    (trimer,) = make_trimers(MIXTURES[1:2], 1, np.random.default_rng(1))
    pairs = lambda atoms: float((1.0 / pdist(atoms.positions) ** 2).sum())  # noqa: E731
    table, reason = trimer_points(inputs(calculated(induction)), [trimer], pairs)
    assert reason == ""
    assert table["term"].null_count() == len(SIZES)
    assert table["xtb"].to_list() == pytest.approx([0.0] * len(SIZES), abs=1e-9)
    for k, row in enumerate(table.iter_rows(named=True)):
        # Of -1/2 (f_b + f_c)², what neither molecule does alone is -f_b . f_c.
        f = fields(trimer.structures[k])
        assert row["pairs"] == pytest.approx(-0.5 * float((f**2).sum()))
        assert row["energy"] == pytest.approx(-sum(float(f[a, a - 1] @ f[a, a - 2]) for a in range(3)))


def test_terms_are_the_group_term_of_three_molecules() -> None:
    model = small_model("schnet", n_layers=2, cutoff=4.0)
    (trimer,) = make_trimers(MIXTURES[:1], 1, np.random.default_rng(1))
    table, _ = trimer_points(inputs(model), [trimer])
    assert table["xtb"].null_count() == len(SIZES)
    for k, term in enumerate(table["term"]):
        terms = inputs(model).explained(trimer.structures[k]).interactions(max_order=3)
        order = terms.order(3)
        over = [len({int(atom) // 3 for atom in atoms}) == 3 for atoms in order.atoms.tolist()]
        # Two layers visit three atoms at most: terms of three atoms, one in each molecule of three atoms.
        assert term == pytest.approx(float(order.relevance[np.array(over)].sum()), abs=1e-9)
        assert term != 0


def table(n: int = 20, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    columns = {
        "trimer": np.repeat(np.arange(n), 3),
        "mixture": np.repeat(np.arange(n) % 4, 3).astype(str),
        "size": np.tile(SIZES, n),
        "gap": 2.0,
        "energy": rng.normal(size=3 * n),
        "pairs": rng.normal(size=3 * n),
        "term": rng.normal(size=3 * n),
        "xtb": rng.normal(size=3 * n),
    }
    return pl.DataFrame(columns)


def by_scipy(own: np.ndarray, known: np.ndarray) -> float:
    """Spearman's correlation of every column, mean over columns."""
    return float(np.mean([np.asarray(spearmanr(a, b))[0] for a, b in zip(own.T, known.T, strict=True)]))


def test_scores_of_known_answers() -> None:
    rows = table()
    own, known = (of_points(rows).columns[name] for name in ("energy", "xtb"))
    assert ranks_at_one_size(own, known) == pytest.approx(by_scipy(own, known))
    tied = np.round(own)
    assert ranks_at_one_size(tied, known) == pytest.approx(by_scipy(tied, known))
    assert ranks_at_one_size(np.exp(known), known) == pytest.approx(1.0)
    assert ranks_at_one_size(np.zeros_like(known), known) == 0.0
    # All of one ring falls with size: no order among rings follows from that.
    assert ranks_at_one_size(np.tile([3.0, 2.0, 1.0], (20, 1)), known) == 0.0
    assert ratio_of_sizes(known * [1.0, 2.0, 4.0], known) == pytest.approx(2.0)
    assert ratio_of_sizes(-known, known) == pytest.approx(1.0)
    assert ratio_of_sizes(0.0 * known, known) == 0.0


def test_rings_without_reference_are_left_out_and_rows_may_stand_in_any_order() -> None:
    rows = table()
    lost = rows.with_columns(xtb=pl.when(pl.col("trimer") == 3, pl.col("size") == SIZES[1]).then(None).otherwise("xtb"))
    score = three_body_score(
        "", ranks_at_one_size, of_points(lost.sample(fraction=1.0, shuffle=True, seed=1)), "energy"
    )
    assert score == three_body_score("", ranks_at_one_size, of_points(rows.filter(pl.col("trimer") != 3)), "energy")
    assert score.effect.n == 19
    none = three_body_score("", ranks_at_one_size, of_points(rows.with_columns(xtb=None)), "energy")
    assert none.missing


def test_what_a_mixture_alone_says_is_a_null_control() -> None:
    rows = table(40).with_columns(mixed=10.0 * pl.col("mixture").cast(pl.Float64))
    alone = rows.with_columns(energy=pl.col("mixed") + pl.col("energy"), xtb=pl.col("mixed") + pl.col("xtb"))
    score = three_body_score("", ranks_at_one_size, of_points(alone), "energy")
    assert score.effect.value > 0.8
    assert score.controls[0].value > 0.8


def test_a_model_that_is_the_reference_agrees_and_pairs_alone_deviate(tmp_path: Path) -> None:
    right = compute(inputs(calculated(induction)), energy=induction, n_trimers=20)
    found = judge(right).findings
    assert [finding.outcome for finding in found] == [Outcome.AGREES, Outcome.AGREES, Outcome.NOT_APPLICABLE]
    assert found[0].effect is not None
    assert (found[0].effect.value, found[0].effect.n) == (1.0, 20)
    assert "5 of H2O H2O NH3" in found[0].sentence
    save_result(right, tmp_path / "stored")
    assert judge(load_result(type(right), tmp_path / "stored")) == judge(right)
    figure(right).draw_without_rendering()
    # Whatever pairs say, they have no three-body energy: no order, and no size.
    pairs = compute(inputs(calculated(lambda atoms: 0.0)), energy=induction, n_trimers=12)
    assert [f.outcome for f in judge(pairs).findings[:2]] == [Outcome.DEVIATES, Outcome.DEVIATES]
    figure(pairs).draw_without_rendering()
    # A size that is right without the order may be chance.
    shuffled = right.points.with_columns(energy=pl.col("xtb").reverse())
    sizes = judge(replace(right, points=shuffled)).findings[1]
    assert sizes.outcome is Outcome.CANNOT_TELL
    assert "by chance" in sizes.sentence


def test_a_small_model_is_asked_with_its_untrained_kin(tmp_path: Path) -> None:
    model = small_model("schnet", n_layers=2, cutoff=4.0)
    result = compute(inputs(model), energy=induction, n_trimers=10, n_untrained=2)
    assert result.untrained["seed"].n_unique() == 10
    assert result.untrained["xtb"].null_count() == 0
    assert [finding.effect.n for finding in judge(result).findings if finding.effect is not None] == [10] * 3
    figure(result).draw_without_rendering()


def test_what_means_nothing_for_a_model_is_said(tmp_path: Path) -> None:
    blind = compute(inputs(small_model(cutoff=1.4)), energy=induction)
    assert {finding.outcome for finding in judge(blind).findings} == {Outcome.NOT_APPLICABLE}
    assert "cutoff of 1.4 Å reaches no other molecule" in judge(blind).findings[0].sentence
    figure(blind).draw_without_rendering()
    model = small_model("schnet", n_layers=1, cutoff=4.0)
    single = compute(inputs(model), energy=induction, n_trimers=10, n_untrained=0)
    assert judge(single).findings[0].outcome is not Outcome.NOT_APPLICABLE
    assert judge(single).findings[2].outcome is Outcome.NOT_APPLICABLE
    assert "no walk of this model visits three molecules" in judge(single).findings[2].sentence.lower()
    figure(single).draw_without_rendering()
    homo = small_model(output={"extensive": False, "property": "homo"})
    other = compute(replace(inputs(homo), unit="eV"), energy=induction)
    assert "these are energies" in judge(other).findings[0].sentence.lower()


def test_without_the_reference_nothing_can_be_told(tmp_path: Path) -> None:
    def failing(atoms: ase.Atoms) -> float:
        raise ReferenceUnavailable("no such program")

    found = compute(inputs(calculated(induction)), energy=failing, n_trimers=4)
    assert [f.outcome for f in judge(found).findings] == [Outcome.CANNOT_TELL] * 2 + [Outcome.NOT_APPLICABLE]
    assert "No such program" in judge(found).findings[0].sentence
    figure(found).draw_without_rendering()


def test_gfn2_has_three_body_energies_of_both_signs() -> None:
    pytest.importorskip("tblite")
    trimers = make_trimers(MIXTURES, 20, np.random.default_rng(0))
    tight = [
        many_body_expansion(gfn2_energy, ring.structures[0], ring.molecules).order(3).energy[0] for ring in trimers
    ]
    assert min(tight) < -0.02 < 0.02 < max(tight)
