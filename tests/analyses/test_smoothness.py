"""Smoothness of potentials whose curves, steps and walls are known in closed form."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import ase
import ase.build
import ase.io
import numpy as np
import polars as pl
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from atomlens import InputError
from atomlens.analyses import AnalysisInputs, Outcome, Settings
from atomlens.analyses.decay import make_dimers
from atomlens.analyses.smoothness.bonds import reference_scans, scan_tables
from atomlens.analyses.smoothness.curves import log_ratio, minima, smoothness_deviation, spare_minima
from atomlens.analyses.smoothness.question import compute, judge
from atomlens.analyses.smoothness.steps import step_table
from atomlens.analyses.smoothness.wall_table import elements_asked, wall_tables
from atomlens.models import Potential
from atomlens.potentials import CalculatorModel, load_calculator, scan
from atomlens.potentials.calculated import CalculatorOrigin
from atomlens.reference import BondScan, bond_path, open_bonds, read_bond_scans
from atomlens.report.chapters.smoothness import figure
from pair_calculators import Pairs
from places import SHARED
from samples import small_model

D, A, R0 = 4.0, 2.0, 1.0


class Bonds(Pairs):
    """A Morse energy of every pair of atoms, with a bump of a given height at 1.6 Å."""

    step = 0.0  # what a pair loses at 3.7 Å
    difference = 1e-6

    def __init__(self, bump: float = 0.0, steep: float = A) -> None:
        super().__init__(lambda r: D * (1 - np.exp(-steep * (r - R0))) ** 2 + bump * np.exp(-(((r - 1.6) / 0.1) ** 2)))

    def energy(self, r: np.ndarray) -> float:
        return super().energy(r) + self.step * int((r < 3.7).sum())


def model_of(calculator: Calculator) -> CalculatorModel:
    return CalculatorModel(calculator, CalculatorOrigin("made.up:Calculator"))


def hydrogen_scan(points: int = 81) -> BondScan:
    """H2 along its bond by a Morse potential."""
    atoms = ase.Atoms("H2", [[0, 0, 0], [0, 0, R0]])
    lengths = np.linspace(0.5, 2.5, points)
    places = np.zeros((points, 2, 3))
    places[:, 1, 2] = lengths
    found = scan(Bonds(), atoms, places)
    return BondScan("H-H in H2", atoms, (0, 1), lengths, places, found.energies, found.forces)


def morse_force(r: np.ndarray, steep: float) -> np.ndarray:
    return -2 * D * steep * (1 - np.exp(-steep * (r - R0))) * np.exp(-steep * (r - R0))


def test_the_deviation_of_two_morse_curves_is_that_of_their_formula() -> None:
    one = hydrogen_scan(401)
    start = int(np.argmin(one.energies))
    other = scan(Bonds(steep=1.5), one.atoms, one.positions)
    found = smoothness_deviation(one.lengths, log_ratio(other.forces, one.forces, start))
    # ln of the ratio of squares of F(r) - F(r0), F(r0) = 0, differentiated on a fine grid away from the minimum.
    r = np.linspace(0.5, 2.5, 20_001)
    r = r[np.abs(r - R0) > 0.02]
    curve = 2 * np.log(np.abs(morse_force(r, 1.5) / morse_force(r, A)))
    assert found == pytest.approx(np.abs(np.gradient(curve, r)).max(), rel=0.02)
    same = log_ratio(3.0 * one.forces, one.forces, start)
    assert smoothness_deviation(one.lengths, same) == pytest.approx(0.0, abs=1e-9)  # a factor costs nothing


def test_a_bump_is_a_spare_minimum_and_a_large_deviation() -> None:
    one = hydrogen_scan()
    start = int(np.argmin(one.energies))
    bumped = scan(Bonds(bump=3.0), one.atoms, one.positions)
    assert spare_minima(one.lengths, one.energies, one.energies) == 0
    assert spare_minima(one.lengths, bumped.energies, one.energies) == 1
    assert smoothness_deviation(one.lengths, log_ratio(bumped.forces, one.forces, start)) > 20.0
    assert minima(one.lengths, one.energies) == pytest.approx([R0], abs=0.03)
    assert spare_minima(one.lengths, np.full(81, np.nan), one.energies) == 0


def test_a_missing_point_is_left_out_and_missing_curves_have_no_number() -> None:
    one = hydrogen_scan()
    forces = scan(Bonds(steep=1.5), one.atoms, one.positions).forces
    holed = forces.copy()
    holed[5] = np.nan
    whole, partly = (smoothness_deviation(one.lengths, log_ratio(f, one.forces, 20)) for f in (forces, holed))
    assert partly == pytest.approx(whole, rel=0.1)
    assert math.isnan(smoothness_deviation(one.lengths, log_ratio(np.full_like(forces, np.nan), one.forces, 20)))


@pytest.mark.parametrize("smooth", [False, True])
def test_the_step_of_forces_at_a_cutoff_is_that_of_the_formula(smooth: bool) -> None:
    """ASE shifts the energy of a pair to zero at the cutoff; its force jumps there unless it is smoothed."""
    epsilon, sigma, cutoff = 0.5, 2.5, 4.0
    model = model_of(LennardJones(epsilon=epsilon, sigma=sigma, rc=cutoff, ro=3.5, smooth=smooth))
    pairs = make_dimers([ase.Atoms("Ar")], 2)
    table, reason = step_table(model, pairs, 5.0)
    assert reason == ""
    slope = 4 * epsilon * (12 * (sigma / cutoff) ** 12 - 6 * (sigma / cutoff) ** 6) / cutoff
    assert table["force_step"].to_numpy() == pytest.approx(0.0 if smooth else abs(slope), abs=5e-5)
    assert (table["energy_step"] < 1e-6).all()
    if not smooth:
        assert table["force_at"].to_numpy() == pytest.approx(cutoff, abs=1e-4)


class Stepped(Bonds):
    """A pair loses 5 meV of energy at 3.7 Å."""

    step = 0.005


def test_a_step_of_energy_is_found_where_it_is() -> None:
    table, _ = step_table(model_of(Stepped()), make_dimers([ase.Atoms("H")], 1), 5.0)
    assert table["energy_step"][0] == pytest.approx(0.005, abs=1e-6)
    assert table["energy_at"][0] == pytest.approx(3.7, abs=1e-4)


class Failing(Calculator):
    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def calculate(self, *args: object, **kwargs: object) -> None:
        raise RuntimeError("no licence")


def test_a_calculator_that_fails_leaves_reasons() -> None:
    table, reason = step_table(model_of(Failing()), make_dimers([ase.Atoms("H")], 1), 5.0)
    assert len(table) == 0
    assert "no licence" in reason


def test_walls_fail_below_three_electronvolts_unless_the_reference_gives_way_too() -> None:
    molecule = ase.Atoms("HF", [[0, 0, 0], [0, 0, 0.95]])
    holding = wall_tables(model_of(Bonds()), [1, 9], [molecule], 5, reference=lambda *_: None)[0]
    assert holding["elements"].to_list() == ["H-H", "F-H", "F-F", "F-H"]
    assert not holding["fails"].any()

    class Hollow(Bonds):
        def law(self, r: np.ndarray) -> np.ndarray:
            return super().law(r) - 40.0 * np.exp(-((r / 0.5) ** 2))

    giving, curves = wall_tables(model_of(Hollow()), [1, 9], [molecule], 5, reference=lambda *_: None)
    assert giving["fails"].all()
    assert curves["wall"].n_unique() == 4
    from atomlens.analyses.smoothness.walls import scan_wall

    same = wall_tables(
        model_of(Hollow()),
        [1, 9],
        [molecule],
        5,
        reference=lambda atoms, i, j, bonded: scan_wall(Hollow(), atoms, i, j, bonded=bonded),
    )[0]
    assert not same["fails"].any()
    assert same["reference_height"].null_count() == 0


def test_lengths_and_walls_without_an_energy_are_counted() -> None:
    """Two H have an energy from 0.7 to 1.2 Å, and He has none at any distance."""

    class Narrow(Bonds):
        def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:
            super().calculate(atoms, properties, system_changes)
            assert self.atoms is not None
            if 2 in self.atoms.numbers or not 0.7 < self.atoms.get_distance(0, 1) < 1.2:
                raise RuntimeError("no density")

    table, curves = wall_tables(model_of(Narrow()), [1, 2], [], 0, reference=lambda *_: None)
    assert table["elements"].to_list() == ["H-H", "H-He", "He-He"]
    assert table["fails"].to_list() == [False, None, None]
    assert table["height"].is_null().to_list() == [False, True, True]
    alone = curves.filter(pl.col("wall") == 0)
    # From 1.24 Å in steps of 0.05 Å, and 0.5 Å; above the first that is known.
    assert (len(alone), int(alone["energy"].is_nan().sum())) == (16, 6)
    assert alone["energy"][1] == 0.0
    inputs = AnalysisInputs(model_of(Bonds()), [ase.Atoms("H2", [[0, 0, 0], [0, 0, R0]])], {})
    result = compute(inputs, n_scans=0, n_pairs=1, n_walls=0, reference_wall=lambda *_: None)
    assert "no energy at" not in judge(result).findings[2].sentence
    missing = int(curves["energy"].is_nan().sum())
    sentence = judge(replace(result, walls=table, wall_curves=curves)).findings[2].sentence
    assert f"no energy at {missing} of {len(curves)} lengths, in 3 of 3 walls" in sentence
    figure(replace(result, walls=table, wall_curves=curves)).draw_without_rendering()


def test_elements_of_many_are_those_of_the_structures() -> None:
    assert elements_asked(tuple(range(1, 90)), [ase.build.molecule("CH3OH")]) == [1, 6, 8]
    assert elements_asked(None, []) == []


def test_paths_move_one_side_of_the_molecule_only() -> None:
    ethanol = ase.build.molecule("CH3CH2OH")
    bonds = open_bonds(ethanol)
    assert len(bonds) == 8
    i, j = next(pair for pair in bonds if set(ethanol.symbols[list(pair)]) == {"C"})
    lengths, places = bond_path(ethanol, i, j, 7)
    between = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1)
    np.testing.assert_allclose(between[:, i, j], lengths)
    rigid = np.ptp(between, axis=0) < 1e-9
    # Two sides: within each nothing moves, across everything does.
    sides = {frozenset(np.flatnonzero(row).tolist()) for row in rigid}
    assert sorted(map(len, sides)) == [4, 5]
    assert lengths[0] == pytest.approx(0.5 * 1.52)
    assert lengths[-1] == pytest.approx(2.0 * 1.52)


def write_scan(path: Path, points: int = 31, **changes: object) -> None:
    """H2 by a Morse potential as extended xyz, one frame per file if the path is a folder."""
    one, frames = hydrogen_scan(points), []
    for place, energy, force in zip(one.positions, one.energies, one.forces, strict=True):
        atoms = ase.Atoms("H2", place)
        if changes.get("bare") is None:
            atoms.calc = SinglePointCalculator(atoms, energy=float(energy), forces=force)
        frames.append(atoms)
    if path.suffix:
        ase.io.write(path, frames, format="extxyz")
        return
    path.mkdir()
    for number, atoms in enumerate(frames):
        ase.io.write(path / f"atoms_{(7 * number) % points}.xyz", atoms, format="extxyz")


def test_scans_in_files_are_what_was_written(tmp_path: Path) -> None:
    write_scan(tmp_path / "one.xyz")
    write_scan(tmp_path / "two")
    found = read_bond_scans(tmp_path)
    assert [scan.name for scan in found] == ["H-H in H2"] * 2
    expected = hydrogen_scan(31)
    for one in found:
        np.testing.assert_allclose(one.lengths, expected.lengths, atol=1e-7)
        np.testing.assert_allclose(one.energies, expected.energies, atol=1e-7)
        np.testing.assert_allclose(one.forces, expected.forces, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "no such file or folder"),
        (lambda path: path.mkdir(), "holds no xyz file"),
        (lambda path: write_scan(path, 5), "needs 10 or more"),
        (lambda path: write_scan(path, bare=True), "has no energy and forces"),
        (lambda path: (path.mkdir(), (path / "a.xyz").write_text("not a number\n")), "cannot be read"),
    ],
)
def test_files_that_are_no_scans_are_refused(tmp_path: Path, make, said: str) -> None:
    make(tmp_path / "scans")
    with pytest.raises(InputError, match=said):
        read_bond_scans(tmp_path / "scans")


def test_a_scan_in_files_judges_a_calculator_and_its_twin_with_a_bump(tmp_path: Path) -> None:
    write_scan(tmp_path / "one.xyz", 81)
    asked = {"n_pairs": 1, "n_walls": 1, "reference_wall": lambda *_: None}
    for bump, small in ((0.0, True), (3.0, False)):
        inputs = AnalysisInputs(
            model_of(Bonds(bump=bump)),
            [ase.Atoms("H2", [[0, 0, 0], [0, 0, R0]])],
            {},
            settings=Settings(scans=tmp_path),
        )
        result = compute(inputs, **asked)
        assert (result.scans["fsd"][0] < 1e-6) == small
        assert (result.scans["spare"][0] == 0) == small
        assert [f.outcome for f in judge(result).findings][:2] == [Outcome.CANNOT_TELL] * 2  # one bond is no sample
        figure(result).draw_without_rendering()


@pytest.mark.parametrize(("kink", "far_in"), [(0.6, True), (1.3, False)])
def test_what_goes_wrong_far_in_only_is_told_from_what_does_everywhere(kink: float, far_in: bool) -> None:
    """Curves of a known log-ratio: 2 tanh(x / 0.02), whose largest central difference is 2 tanh(0.5) / 0.01 = 92."""
    length = np.linspace(0.5, 2.0, 151)
    curve = {"length": length, "energy": (length - 1.0) ** 2, "reference": (length - 1.0) ** 2}
    curve["log_ratio"] = 2.0 * np.tanh((length - kink) / 0.02)
    scans = {"name": ["C-H in CH4"] * 12, "kind": ["C-H"] * 12, "fsd": [100.0] * 12, "spring": [9.0] * 12}
    scans |= {"scan": list(range(12)), "spare": [0] * 12, "minima": [1] * 12, "missing": [0.0] * 12}
    inputs = AnalysisInputs(model_of(Bonds()), [], {}, unit="D")
    result = replace(
        compute(inputs),
        is_energy=True,
        scans=pl.DataFrame(scans),
        curves=pl.concat([pl.DataFrame({"scan": k} | curve) for k in range(12)]),
    )
    finding = judge(result).findings[0]
    assert finding.outcome is Outcome.DEVIATES
    assert ("which takes several eV" in finding.sentence) == far_in
    assert ("from 0.7 of a bond's length on 92 Å⁻¹" in finding.sentence) != far_in


def test_what_is_no_energy_and_what_has_no_reference_say_so() -> None:
    model = small_model("schnet", cutoff=3.0)
    inputs = AnalysisInputs(model, [ase.build.molecule("H2O")], {}, unit="D")
    result = compute(inputs, n_pairs=1, n_walls=1)
    found = judge(result)
    assert found.outcome is Outcome.NOT_APPLICABLE
    assert all(f.outcome is Outcome.NOT_APPLICABLE for f in found.findings)
    figure(result).draw_without_rendering()


def test_the_cutoff_of_our_models_fades_by_construction() -> None:
    model: Potential = small_model("painn", cutoff=3.5)
    water = ase.build.molecule("H2O")
    result = compute(
        AnalysisInputs(model, [water] * 2, {}), n_scans=0, n_pairs=1, n_walls=0, reference_wall=lambda *_: None
    )
    result = replace(result, steps=pl.concat([result.steps] * 10))  # as many as an interval needs
    found = {f.claim: f for f in judge(result).findings}
    for finding in list(found.values())[-2:]:
        assert finding.outcome is Outcome.BY_CONSTRUCTION
    assert (result.steps["energy_step"] < 1e-6).all()
    assert result.fades


def test_bonds_are_spread_over_the_molecules() -> None:
    def scanner(atoms: ase.Atoms, i: int, j: int, points: int) -> BondScan:
        one = hydrogen_scan(11)
        return BondScan(f"{i}-{j} in {atoms.symbols}", one.atoms, (i, j), *(getattr(one, n) for n in FIELDS))

    names = ("CH3CH2OH", "CH4", "H2O", "C6H6")
    found, reason = reference_scans(
        [ase.build.molecule(n) for n in names], 9, 5, np.random.default_rng(0), scanner=scanner
    )
    assert reason == ""
    assert len(found) == 9
    assert len({scan.name for scan in found}) == 9
    assert len({scan.name.split()[-1] for scan in found}) == 4


FIELDS = ("lengths", "positions", "energies", "forces")


def test_gfn2_is_smooth_beside_the_density_functional_of_bsct(tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    archive = SHARED / "data" / "bsct_spice" / "scans.tar.xz"
    if not archive.exists():
        pytest.skip("needs the scans of BSCT-SPICE beside the repository (shared/data)")
    import tarfile

    with tarfile.open(archive) as tar:  # a single molecule of five atoms
        members = [member for member in tar.getmembers() if "/4583/" in member.name]
        tar.extractall(tmp_path, members, filter="data")
    (one,) = read_bond_scans(tmp_path)
    assert one.kind == "N-O"
    assert len(one.lengths) == 101  # the unperturbed molecule is one of them
    model = load_calculator("atomlens.reference:Gfn2Calculator")
    table, curves, _ = scan_tables(AnalysisInputs(model, [one.atoms], {}), [one])
    assert table["fsd"][0] < 1.5 < 5.0 < table["spring"][0]
    assert table["spare"][0] == 0
    assert set(curves.columns) == {"scan", "length", "energy", "reference", "log_ratio"}
    assert isinstance(curves, pl.DataFrame)
