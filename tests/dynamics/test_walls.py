"""Walls between atoms, in a check and by themselves."""

from __future__ import annotations

import math
from pathlib import Path

import ase
import ase.build
import numpy as np
import polars as pl
import pytest
from ase.calculators.calculator import Calculator, all_changes

pytest.importorskip("torch_sim", exc_type=ImportError)
from check_samples import DEPTH, LENGTH, STEEP, morse, opened

from atomlens.analyses import Wall, compare_wall, scan_walls
from atomlens.report import check_figure
from atomlens.runs import run_check
from atomlens.runs.check_walls import wall_finding, wall_table
from pair_calculators import Pairs


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


def test_a_wall_that_gives_way_at_once_is_drawn() -> None:
    wall = Wall(("H", "H"), (0, 1), False, np.array([1.0, 0.9, 0.8]), np.array([0.0, -0.5, -5.0]))
    assert (wall.gives_way, wall.height) == (0.9, 0.0)
    ways = pl.DataFrame({"name": ["H0-H1 stretched"], "energy_eV": [1.0], "reference_eV": [None]})
    low, high = check_figure(ways, [wall], 0.043, 1.0).axes[1].get_ylim()
    assert low < -0.5
    assert high > 0.0


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
        (wall(4.0), wall(9.0), False, "1 of them gives way only above 3 eV (70 kT at 500 K): no hole."),
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


def test_energies_that_nothing_climbs_are_not_written_out(tmp_path: Path) -> None:
    molecule = ase.Atoms("H2", [[0, 0, 0], [0, 0, LENGTH]])
    run = run_check(opened(morse()), "morse", molecule, "H2", tmp_path / "cold", temperature=1e-3)
    assert run.exits["kT"][0] > 1e6
    assert "more than 1000 kT at 0.001 K" in run.verdict.sentence
    assert "a thermal exit barrier of more than 1000 kT" in run.verdict.sentence
    high = wall(254.0)
    assert "after more than 100 eV" in wall_finding([high], wall_table([high], [(None, False)]), 500.0).sentence
