"""Ways out of a molecule."""

from __future__ import annotations

import math
from pathlib import Path

import ase
import ase.build
import numpy as np
import pytest
from ase import units
from ase.calculators.calculator import Calculator, all_changes

pytest.importorskip("torch_sim", exc_type=ImportError)
from check_samples import LENGTH, morse, morse_energy, opened

from atomlens import InputError
from atomlens.analyses import Outcome
from atomlens.dynamics import Exits, WayOut, find_exits
from atomlens.dynamics.exits import HeldDistance, closest_contacts
from atomlens.dynamics.stability import bond_reference
from atomlens.runs import run_check
from atomlens.structures import side_of
from pair_calculators import Pairs


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
