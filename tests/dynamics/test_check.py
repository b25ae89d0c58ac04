"""Ways out and walls of potentials whose energies are known in closed form."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Callable
from pathlib import Path

import ase
import ase.build
import numpy as np
import polars as pl
import pytest
import torch
from ase import units
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.morse import MorsePotential

pytest.importorskip("torch_sim", exc_type=ImportError)
from atomlens import InputError, load_model
from atomlens.analyses import Outcome, Wall, compare_wall, scan_walls
from atomlens.dynamics import BREAKS, HOLDS, Exits, WayOut, barrier_at, find_exits, outlook
from atomlens.dynamics.exits import HeldDistance, closest_contacts
from atomlens.dynamics.stability import bond_reference
from atomlens.potentials import CalculatorModel, load_calculator
from atomlens.potentials.calculated import CalculatorOrigin
from atomlens.report import check_figure
from atomlens.runs import run_check
from atomlens.runs.check import _exit_finding
from atomlens.runs.check_walls import wall_finding, wall_table
from atomlens.structures import side_of

DEPTH, STEEP, LENGTH = 4.0, 1.4, 0.74


def morse() -> MorsePotential:
    return MorsePotential(epsilon=DEPTH, rho0=STEEP * LENGTH, r0=LENGTH, rcut1=20.0, rcut2=30.0)


def morse_energy(change: float) -> float:
    """D (1 - exp(-a Δr))² of a bond changed by Δr."""
    return DEPTH * (1.0 - math.exp(-STEEP * change)) ** 2


class Pairs(Calculator):
    """Energies of pairs: a law of the distance, with forces by differences."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, law: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__()
        self.law = law

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:
        super().calculate(atoms, list(properties), list(system_changes))
        assert self.atoms is not None
        i, j = np.triu_indices(len(self.atoms), 1)
        line = self.atoms.positions[j] - self.atoms.positions[i]
        r = np.linalg.norm(line, axis=1)
        slope = (self.law(r + 1e-5) - self.law(r - 1e-5)) / 2e-5
        forces = np.zeros((len(self.atoms), 3))
        pull = (slope / r)[:, None] * line
        np.add.at(forces, i, pull)
        np.add.at(forces, j, -pull)
        self.results = {"energy": float(self.law(r).sum()), "forces": forces}


def test_a_diatomic_of_morse_has_the_energies_of_morse() -> None:
    found = find_exits(morse(), ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.8]]))
    assert found.relaxed.get_distance(0, 1) == pytest.approx(LENGTH, abs=0.01)
    assert (found.tried, found.failed) == (2, 0)
    ways = {way.how: way for way in found.ways}
    assert set(ways) == {"stretched", "compressed"}
    length = found.relaxed.get_distance(0, 1)
    floor = morse_energy(length - LENGTH)
    assert ways["stretched"].energy == pytest.approx(morse_energy(length + 0.5 - LENGTH) - floor, rel=1e-9)
    # The shortest bond that is tried is 0.4 Å.
    assert ways["compressed"].energy == pytest.approx(morse_energy(0.4 - LENGTH) - floor, rel=1e-9)
    assert [way.energy for way in found.ways] == sorted(way.energy for way in found.ways)


def test_a_hill_on_the_way_is_the_price_though_what_follows_is_lower() -> None:
    """A bond that is harmonic, with a hill of 0.8 eV at 0.3 Å of stretch and a deep hole behind."""

    def law(r):
        x = r - 0.74
        return np.where(x < 0.3, 0.8 * (x / 0.3) ** 2, 0.8 - 40.0 * (x - 0.3) ** 2)

    found = find_exits(Pairs(law), ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]]))
    stretched = next(way for way in found.ways if way.how == "stretched")
    assert stretched.energy == pytest.approx(0.8, abs=0.01)
    assert np.linalg.norm(stretched.positions[1] - stretched.positions[0]) == pytest.approx(1.04, abs=0.02)


def test_what_falls_apart_when_relaxed_says_so() -> None:
    found = find_exits(Pairs(lambda r: 1.0 / r), ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]]))
    assert [way.how for way in found.ways] == ["by itself"]
    assert found.ways[0].energy == 0.0


def test_ways_out_add_up_as_boltzmann_factors() -> None:
    place = np.zeros((2, 3))

    def barrier(*energies: float) -> float:
        ways = tuple(WayOut((0, 1), "stretched", energy, place) for energy in energies)
        return Exits(ase.Atoms("H2", place), 0.0, ways, len(ways), 0).barrier(800.0)

    thermal = units.kB * 800.0
    assert barrier(0.9) == pytest.approx(0.9)
    assert barrier(0.9, 0.9, 0.9) == pytest.approx(0.9 - thermal * math.log(3))
    assert barrier(0.9, 5.0) == pytest.approx(0.9)  # what is high adds nothing
    total = math.exp(-0.5 / thermal) + math.exp(-0.7 / thermal)
    assert math.exp(-barrier(0.5, 0.7) / thermal) == pytest.approx(total)
    assert barrier() == math.inf


def test_the_moved_side_is_what_hangs_on_the_bond() -> None:
    ethane = ase.build.molecule("C2H6")
    pairs = bond_reference(ethane).pairs
    assert side_of(ethane, pairs, 0, 1) == [1, *(k for k in range(2, 8) if ethane.get_distance(1, k) < 1.2)]
    benzene = ase.build.molecule("C6H6")
    assert side_of(benzene, bond_reference(benzene).pairs, 0, 1) == [1]
    ring_with_tail = np.array([[0, 1], [1, 2], [0, 2], [1, 3]])
    assert side_of(ase.Atoms("C4"), ring_with_tail, 0, 1) == [1]  # the tail stays
    assert side_of(ase.Atoms("C4"), ring_with_tail, 1, 3) == [3]


def test_contacts_are_three_bonds_apart_or_more() -> None:
    ethane = ase.build.molecule("C2H6")
    bonds = bond_reference(ethane)
    found = closest_contacts(ethane, bonds, 100)
    assert len(found) == 9  # H of one end with H of the other
    assert all(ethane.symbols[i] == ethane.symbols[j] == "H" for i, j in found)
    distances = [ethane.get_distance(i, j) for i, j in found]
    assert distances == sorted(distances)


def test_a_held_distance_is_held_and_takes_its_force_off() -> None:
    rng = np.random.default_rng(0)
    atoms = ase.Atoms("H4", rng.normal(size=(4, 3)))
    held = HeldDistance(0, 2, 1.3)
    new = rng.normal(size=(4, 3))
    middle = new[[0, 2]].mean(axis=0)
    others = new[[1, 3]].copy()
    held.adjust_positions(atoms, new)
    assert np.linalg.norm(new[0] - new[2]) == pytest.approx(1.3)
    np.testing.assert_allclose(new[[0, 2]].mean(axis=0), middle)
    np.testing.assert_array_equal(new[[1, 3]], others)
    forces = rng.normal(size=(4, 3))
    total = forces.sum(axis=0)
    held.adjust_forces(atoms, forces)
    line = atoms.positions[2] - atoms.positions[0]
    assert np.dot(forces[2] - forces[0], line) == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(forces.sum(axis=0), total)


def test_walls_that_hold_and_walls_that_give_way() -> None:
    water = ase.build.molecule("H2O")
    holding = scan_walls(Pairs(lambda r: r**-6.0), water)
    assert [(wall.elements, wall.bonded) for wall in holding] == [(("H", "H"), False), (("H", "O"), True)]
    assert all(math.isnan(wall.gives_way) for wall in holding)
    assert holding[0].distances[-1] == 0.5
    # A hill of 3 eV at 0.9 Å, which every pair climbs and falls from.
    giving = scan_walls(
        Pairs(lambda r: 3.0 * np.exp(-(((r - 0.9) / 0.1) ** 2))), ase.Atoms("HF", [[0, 0, 0], [0, 0, 1.4]])
    )
    (wall,) = giving
    assert wall.height == pytest.approx(3.0, abs=0.01)
    # 0.1 eV below the top of this Gaussian.
    assert wall.gives_way == pytest.approx(0.9 - 0.1 * math.sqrt(math.log(3.0 / 2.9)), abs=0.05)


def test_a_valley_before_the_wall_is_no_collapse() -> None:
    """A stretched bond first goes downhill, then up."""
    (wall,) = scan_walls(morse(), ase.Atoms("H2", [[0, 0, 0], [0, 0, 1.1]]))
    assert math.isnan(wall.gives_way)


@pytest.mark.slow
def test_a_run_has_tables_page_and_reference(tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    water = ase.build.molecule("H2O")
    model = load_model("zoo:rmd17-ethanol-painn")
    run = run_check(model, "zoo:rmd17-ethanol-painn", water, "water", tmp_path / "run", temperature=300.0)
    assert (run.folder / "report.html").is_file()
    exits = pl.read_parquet(run.folder / "exits.parquet")
    assert set(exits["how"]) <= {"stretched", "compressed", "pushed together", "by itself"}
    assert exits["kT"].to_numpy() == pytest.approx(exits["energy_eV"].to_numpy() / (8.617333e-5 * 300.0), rel=1e-5)
    assert (exits.filter(pl.col("how") == "stretched")["reference_eV"] > 1.0).all()
    summary = json.loads((run.folder / "summary.json").read_text())
    assert summary["tried"] == 4
    assert summary["outlook"]["word"] in ("holds", "at risk", "breaks")
    assert (
        summary["verdict"]["outcome"]
        == {"holds": "agrees", "at risk": "cannot tell", "breaks": "deviates"}[summary["outlook"]["word"]]
    )
    assert "of replicas are expected to break within 5 ps" in summary["verdict"]["sentence"]
    assert summary["barrier_kT"] == pytest.approx(-math.log(sum(math.exp(-kT) for kT in exits["kT"])))
    assert summary["barrier_eV"] == pytest.approx(summary["barrier_kT"] * 8.617333e-5 * 300.0, rel=1e-5)
    assert f"{summary['barrier_kT']:.1f} kT (thermal exit barrier)" in summary["verdict"]["sentence"]
    assert run.walls.select("element_1", "element_2", "bonded").rows() == [("H", "H", False), ("H", "O", True)]
    with pytest.raises(InputError, match="finished run"):
        run_check(model, "zoo:rmd17-ethanol-painn", water, "water", tmp_path / "run", temperature=300.0)


def opened(calculator: Calculator) -> CalculatorModel:
    return CalculatorModel(calculator, CalculatorOrigin("made:up"))


def test_the_page_of_a_calculator_has_findings_and_no_terms(tmp_path: Path) -> None:
    run = run_check(opened(morse()), "morse", ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]]), "H2", tmp_path / "run")
    page = (run.folder / "report.html").read_text()
    assert html.escape(run.verdict.findings[1].sentence.split(".")[0]) in page
    assert "A calculator gives energies and forces" in page
    assert page.count("data:image/svg+xml") >= 1
    assert "When does a model agree" not in page  # nothing here is judged by an interval
    assert json.loads((run.folder / "summary.json").read_text())["model"]["has_terms"] is False
    assert (run.folder / "check.svg").is_file()
    assert run.exits["name"].to_list() == ["H0-H1 stretched", "H0-H1 compressed"]


def test_a_structure_in_pieces_is_said_to_be_in_pieces(tmp_path: Path) -> None:
    one = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])
    two = one + ase.Atoms("H2", [[0, 5, 0], [0, 5, 0.74]])
    said = [
        run_check(opened(morse()), "morse", atoms, "H2", tmp_path / f"{len(atoms)}").verdict.sentence
        for atoms in (one, two)
    ]
    assert "pieces" not in said[0]
    assert "The structure is in 2 pieces, and whether they stay together is not asked." in said[1]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_check_that_ends_in_the_middle_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    class Ending(MorsePotential):
        calls = 0

        def calculate(self, *args, **kwargs) -> None:
            self.calls += 1
            if self.calls > 5:
                raise error
            super().calculate(*args, **kwargs)

    molecule = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])
    with pytest.raises(error):
        run_check(opened(Ending(epsilon=DEPTH, r0=LENGTH)), "ending", molecule, "H2", tmp_path / "new" / "run")
    assert not (tmp_path / "new").exists()


def test_a_molecule_is_checked_on_one_thread(tmp_path: Path) -> None:
    seen = []

    class Counting(MorsePotential):
        def calculate(self, *args, **kwargs) -> None:
            seen.append(torch.get_num_threads())
            super().calculate(*args, **kwargs)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        pair = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])
        run_check(
            opened(Counting(epsilon=DEPTH, rho0=STEEP * LENGTH, r0=LENGTH)), "morse", pair, "H2", tmp_path / "run"
        )
        assert set(seen) == {1}
        with pytest.raises(InputError, match="periodic"):
            run_check(opened(morse()), "morse", ase.Atoms("H", pbc=True), "cell", tmp_path / "refused")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_cells_and_atoms_alone_are_refused_or_said(tmp_path: Path) -> None:
    cell = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]], cell=[5, 5, 5], pbc=True)
    with pytest.raises(InputError, match="periodic"):
        run_check(opened(morse()), "morse", cell, "cell", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    alone = run_check(opened(morse()), "morse", ase.Atoms("H"), "H", tmp_path / "alone")
    assert "no bonds" in alone.verdict.findings[1].sentence
    assert "no two atoms" in alone.verdict.findings[2].sentence


@pytest.mark.parametrize(
    ("energies", "where", "height"),
    [
        ([0.0, 1.0, np.nan, np.nan], math.nan, 1.0),  # nothing is known further in
        ([0.0, 1.0, np.nan, 3.0], math.nan, 3.0),
        ([0.0, np.nan, 2.0, 1.0], 1.0, 2.0),
        ([np.nan, 1.0, 2.0, 3.0], math.nan, 3.0),
        ([np.nan] * 4, math.nan, math.nan),
    ],
)
def test_a_length_without_an_energy_is_no_fall(energies: list[float], where: float, height: float) -> None:
    wall = Wall(("H", "H"), (0, 1), False, np.array([4.0, 3.0, 2.0, 1.0]), np.array(energies))
    assert (wall.gives_way, wall.height) == pytest.approx((where, height), nan_ok=True)


def test_a_wall_is_said_to_hold_only_where_there_are_energies(tmp_path: Path) -> None:
    def law(r: np.ndarray) -> np.ndarray:
        return np.where(r < 0.6, np.nan, DEPTH * (1.0 - np.exp(-STEEP * (r - LENGTH))) ** 2)

    molecule = ase.Atoms("H2", [[0, 0, 0], [0, 0, LENGTH]])
    failing = run_check(opened(Pairs(law)), "pairs", molecule, "H2", tmp_path / "failing")
    lengths, missing = failing.walls.select("lengths", "missing").row(0)
    assert lengths == 6
    assert missing == 3  # 0.59, 0.54 and 0.5 Å
    said = "The one wall holds as far in as there are energies (no energy at 3 of 6 lengths)."
    assert failing.verdict.findings[2].sentence == said
    whole = run_check(opened(morse()), "morse", molecule, "H2", tmp_path / "whole")
    assert "The one wall holds down to 0.5 Å." in whole.verdict.findings[2].sentence


def test_walls_that_give_way_are_named_beside_those_of_which_too_little_is_known(tmp_path: Path) -> None:
    """In water two H fall into each other; of an H nearer than 0.55 Å to O there is no energy."""
    water = ase.build.molecule("H2O")
    rest = {pair: water.get_distance(*pair) for pair in ((0, 1), (0, 2), (1, 2))}

    class Hollow(Calculator):
        implemented_properties = ["energy", "forces"]  # noqa: RUF012

        def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:
            super().calculate(atoms, list(properties), list(system_changes))
            assert self.atoms is not None
            energy, forces = 0.0, np.zeros((3, 3))
            for (i, j), length in rest.items():
                line = self.atoms.positions[j] - self.atoms.positions[i]
                r = float(np.linalg.norm(line))
                if i == 0 and r < 0.55:
                    raise RuntimeError("no density")
                well = 2000.0 * math.exp(-((r / 0.35) ** 2)) if i else 0.0
                energy += 20.0 * (r - length) ** 2 - well
                slope = 40.0 * (r - length) + 2.0 * r / 0.35**2 * well
                forces[i] += slope * line / r
                forces[j] -= slope * line / r
            self.results = {"energy": energy, "forces": forces}

    run = run_check(opened(Hollow()), "made", water, "H2O", tmp_path / "run")
    table = {row["element_1"] + row["element_2"]: row for row in run.walls.iter_rows(named=True)}
    assert (table["HH"]["missing"], table["HO"]["gives_way_A"]) == (0, None)
    assert table["HO"]["missing"] == 2  # 0.52 and 0.5 Å
    lengths = sum(row["lengths"] for row in table.values())
    sentence = run.verdict.findings[2].sentence
    assert sentence.startswith("1 of 2 walls give way: H-H not bonded at ")
    assert (
        f"; the others hold as far in as there are energies (no energy at 2 of {lengths} lengths, in 1 of" in sentence
    )


class Stiff(Pairs):
    """Pairs that fail wherever a bond of H2 differs by more than 0.05 Å from its length."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        if abs(self.atoms.get_distance(0, 1) - LENGTH) > 0.05:
            raise InputError("no density")


def spring(r: np.ndarray) -> np.ndarray:
    return 20.0 * (r - LENGTH) ** 2


def test_bonds_that_could_not_be_moved_are_no_missing_bonds(tmp_path: Path) -> None:
    run = run_check(opened(Stiff(spring)), "made", ase.Atoms("H2", [[0, 0, 0], [0, 0, LENGTH]]), "H2", tmp_path / "run")
    finding = run.verdict.findings[1]
    assert finding.outcome is Outcome.CANNOT_TELL
    assert finding.sentence == "No way out was found: 2 of 2 tries met a geometry without a finite energy."


def test_a_relaxation_without_an_energy_is_no_molecule_that_falls_apart(tmp_path: Path) -> None:
    start = ase.Atoms("H2", [[0, 0, 0], [0, 0, LENGTH + 0.04]])

    class Blind(Stiff):
        def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:
            super().calculate(atoms, properties, system_changes)
            assert self.atoms is not None
            if abs(self.atoms.get_distance(0, 1) - LENGTH) < 0.03:
                raise InputError("no density")

    run = run_check(opened(Blind(spring)), "made", start, "H2", tmp_path / "run")
    assert run.verdict.findings[0].outcome is Outcome.CANNOT_TELL
    assert run.verdict.findings[1].outcome is Outcome.CANNOT_TELL
    assert "no finite energy on the way to the relaxed structure" in run.verdict.findings[1].sentence


@pytest.mark.parametrize("how", ["raises", "is not finite"])
def test_a_push_without_an_energy_is_counted(how: str) -> None:
    """The ends of a chain of four atoms fail as they come nearer than they stand."""
    chain = ase.Atoms("N4", [[0, 0, 0], [1.2, 0, 0], [1.7, 1.1, 0], [2.9, 1.1, 0]])
    bonds = bond_reference(chain)
    assert closest_contacts(chain, bonds) == [(0, 3)]
    nearest = chain.get_distance(0, 3) - 0.3

    class Springs(Calculator):
        implemented_properties = ["energy", "forces"]  # noqa: RUF012

        def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:
            super().calculate(atoms, list(properties), list(system_changes))
            assert self.atoms is not None
            energy, forces = 0.0, np.zeros((4, 3))
            for (i, j), length in zip(bonds.pairs.tolist(), bonds.lengths.tolist(), strict=True):
                line = self.atoms.positions[j] - self.atoms.positions[i]
                r = np.linalg.norm(line)
                energy += 10.0 * (r - length) ** 2
                forces[i] += 20.0 * (r - length) * line / r
                forces[j] -= 20.0 * (r - length) * line / r
            if self.atoms.get_distance(0, 3) < nearest:
                if how == "raises":
                    raise InputError("no density")
                energy = math.nan
            self.results = {"energy": energy, "forces": forces}

    found = find_exits(Springs(), chain)
    assert found.tried == 2 * len(bonds.pairs) + 1
    assert found.failed == 1 + found.tried - 1 - len(found.ways)
    assert "pushed together" not in {way.how for way in found.ways}
    with pytest.raises(InputError, match="open molecule"):
        find_exits(Springs(), ase.Atoms(chain, cell=[9, 9, 9], pbc=True))


def test_a_wall_that_gives_way_at_once_is_drawn() -> None:
    wall = Wall(("H", "H"), (0, 1), False, np.array([1.0, 0.9, 0.8]), np.array([0.0, -0.5, -5.0]))
    assert (wall.gives_way, wall.height) == (0.9, 0.0)
    ways = pl.DataFrame({"name": ["H0-H1 stretched"], "energy_eV": [1.0], "reference_eV": [None]})
    low, high = check_figure(ways, [wall], 0.043, 1.0).axes[1].get_ylim()
    assert low < -0.5
    assert high > 0.0


@pytest.mark.slow
def test_gfn2_checked_by_itself_has_no_hole(tmp_path: Path) -> None:
    pytest.importorskip("tblite")
    model = load_calculator("tblite.ase:TBLite", {"method": "GFN2-xTB", "verbosity": 0})
    run = run_check(model, "gfn2", ase.build.molecule("CH3OH"), "CO", tmp_path / "run")
    assert run.walls["gives_way_A"].count() >= 1
    assert not run.walls["hole"].any()
    assert run.walls["hole"].null_count() == 0
    page = (run.folder / "report.html").read_text()
    assert "hole in the model" not in run.verdict.sentence
    assert "or a wall that gives way, is a hole" not in page
    assert "of them hold to 3 eV" in run.verdict.sentence


def wall(height: float, falls: bool = True) -> Wall:
    energies = [0.0, height, -1.0 if falls else 2 * height]
    return Wall(("H", "O"), (0, 1), False, np.array([1.5, 1.0, 0.5]), np.array(energies))


@pytest.mark.parametrize(
    ("own", "known", "hole", "said"),
    [
        (wall(2.0), wall(9.0, falls=False), True, "1 of them gives way below 3 eV (70 kT at 500 K), where GFN2-xTB's"),
        (wall(2.0), wall(2.5), False, "as in GFN2-xTB (it may be a reaction): H-O not bonded."),
        (wall(2.0), wall(9.0), True, "(a hole in the model): H-O not bonded."),
        (wall(2.0), None, None, "which may be a reaction or a hole in the model (there is no GFN2-xTB"),
        (wall(4.0), wall(9.0), False, "1 of them holds to 3 eV (70 kT at 500 K), which is no hole."),
        (wall(4.0, falls=False), None, False, "The one wall holds down to 0.5 Å."),
    ],
)
def test_a_wall_is_a_hole_only_where_that_of_gfn2_holds(
    own: Wall, known: Wall | None, hole: bool | None, said: str
) -> None:
    pair = ase.Atoms("HO", [[0, 0, 0], [0, 0, 1.5]])
    table = wall_table([own], [compare_wall(own, pair, lambda *_: known)])
    assert table["hole"].to_list() == [hole]
    assert said in wall_finding([own], table, 500.0).sentence


def test_ways_that_are_not_named_are_counted() -> None:
    names = [f"C0-H{k} compressed" for k in range(4)]
    rows = {"name": names, "how": ["compressed"] * 4, "energy_eV": [0.5] * 4, "kT": [11.6] * 4}
    exits = pl.DataFrame(rows | {"reference_eV": [12.0] * 4})
    ways = tuple(WayOut((0, k), "compressed", 0.5, np.zeros((2, 3))) for k in range(4))
    found = Exits(ase.Atoms("H2", np.zeros((2, 3))), 0.0, ways, 4, 0)
    sentence = _exit_finding(exits, found, 500.0, "GFN2-xTB").sentence
    assert "4 of 4 ways (C0-H0 compressed, C0-H1 compressed, C0-H2 compressed, and 1 more)" in sentence


def test_energies_that_nothing_climbs_are_not_written_out(tmp_path: Path) -> None:
    molecule = ase.Atoms("H2", [[0, 0, 0], [0, 0, LENGTH]])
    run = run_check(opened(morse()), "morse", molecule, "H2", tmp_path / "cold", temperature=1e-3)
    assert run.exits["kT"][0] > 1e6
    assert "more than 1000 kT at 0.001 K" in run.verdict.sentence
    assert "a thermal exit barrier of more than 1000 kT" in run.verdict.sentence
    high = wall(254.0)
    assert "after more than 100 eV" in wall_finding([high], wall_table([high], [(None, False)]), 500.0).sentence


def test_ways_and_walls_far_above_what_decides_do_not_squeeze_the_figure() -> None:
    ways = pl.DataFrame({"name": ["a", "b"], "energy_eV": [1.4, 4000.0], "reference_eV": [1.5, 5000.0]})
    high = Wall(("C", "H"), (0, 1), False, np.array([2.0, 1.5, 1.0]), np.array([0.0, 6e4, 1.0]))
    left, right = check_figure(ways, [high], 0.086, 1.36).axes
    assert left.get_xlim()[1] < 6.0
    assert any("eV" in text.get_text() for text in left.texts)  # the bar beyond the edge has its number
    assert right.get_ylim()[1] <= 30.0


def test_the_figure_marks_the_limits_of_the_outlook() -> None:
    thermal = 0.043
    ways = pl.DataFrame({"name": ["H0-H1 stretched"], "energy_eV": [1.0], "reference_eV": [None]})
    axes = check_figure(ways, [], thermal, 0.9).axes[0]
    marks = {str(line.get_label()): float(np.asarray(line.get_xdata())[0]) for line in axes.lines}
    assert set(marks) == {"breaks below 8.0 kT", "holds from 12.7 kT"}
    assert sorted(marks.values()) == pytest.approx([thermal * barrier_at(share) for share in (BREAKS, HOLDS)])
    assert [bar.get_window_extent().width > 0 for bar in axes.patches] == [True, True]
    assert [str(label.get_text()) for label in axes.get_yticklabels()] == ["H0-H1 stretched", "thermal exit barrier"]
    for share, above, below in ((BREAKS, "at risk", "breaks"), (HOLDS, "holds", "at risk")):
        limit = barrier_at(share)
        assert (outlook(limit + 1e-6).word, outlook(limit - 1e-6).word) == (above, below)
