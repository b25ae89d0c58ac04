from pathlib import Path

import ase
import ase.build
import ase.db
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.units import kcal, mol

from atomlens.data import Units, read_dataset
from atomlens.structures import InputError

KCAL = kcal / mol


def frames(n: int = 4) -> list[ase.Atoms]:
    rng = np.random.default_rng(0)
    made = []
    for k in range(n):
        atoms = ase.build.molecule("H2O")
        atoms.rattle(0.05, rng=rng)
        atoms.calc = SinglePointCalculator(atoms, energy=-10.0 - k, forces=rng.standard_normal((3, 3)))
        made.append(atoms)
    return made


def test_extended_xyz_is_in_ev_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "water.xyz"
    made = frames()
    ase.io.write(path, made)
    dataset = read_dataset(path)
    np.testing.assert_allclose(dataset.column("energy").values, [-10, -11, -12, -13])
    np.testing.assert_allclose(dataset.column("forces").values[3:6], made[1].get_forces(), atol=1e-7)
    assert "assumed" in dataset.notes[0]
    scaled = read_dataset(path, Units(energy="kcal/mol"))
    np.testing.assert_allclose(scaled.column("energy").values, KCAL * dataset.column("energy").values)
    np.testing.assert_allclose(scaled.column("forces").values, KCAL * dataset.column("forces").values)
    assert "stated" in scaled.notes[0]


@pytest.mark.parametrize("names", [("nuclear_charges", "coords", "energies", "forces"), ("z", "R", "E", "F")])
def test_npz_of_rmd17_and_sgdml(tmp_path: Path, names: tuple[str, ...]) -> None:
    rng = np.random.default_rng(1)
    x, e, f = rng.random((5, 3, 3)) + 3 * np.eye(3), rng.random(5), rng.random((5, 3, 3))
    values = dict(zip(names, (np.array([8, 1, 1]), x, e[:, None] if names[0] == "z" else e, f), strict=True))
    np.savez(tmp_path / "water.npz", **values)
    dataset = read_dataset(tmp_path / "water.npz")
    np.testing.assert_allclose(dataset.column("energy").values, KCAL * e)
    np.testing.assert_allclose(dataset.column("forces").values, KCAL * f.reshape(-1, 3))
    assert "assumed: energies kcal/mol" in dataset.notes[0]
    np.savez(tmp_path / "stated.npz", **values, e_unit="eV", r_unit="Ang")
    np.testing.assert_allclose(read_dataset(tmp_path / "stated.npz").column("energy").values, e)


def test_ase_database_with_units_in_its_metadata(tmp_path: Path) -> None:
    path = tmp_path / "water.db"
    made = frames()
    with ase.db.connect(path) as database:
        for atoms in made:
            data = {"energy": np.array([atoms.get_potential_energy()]), "forces": atoms.get_forces()}
            database.write(ase.Atoms(atoms.numbers, atoms.positions), data=data)
        database.metadata = {
            "_property_unit_dict": {"energy": "kcal/mol", "forces": "kcal/mol/Ang"},
            "_distance_unit": "Ang",
        }
    dataset = read_dataset(path)
    np.testing.assert_allclose(dataset.column("energy").values, KCAL * np.array([-10, -11, -12, -13]))
    np.testing.assert_allclose(dataset.column("forces").values[:3], KCAL * made[0].get_forces())
    assert "stated" in dataset.notes[0]


def test_truncated_xyz(tmp_path: Path) -> None:
    path = tmp_path / "cut.xyz"
    ase.io.write(path, frames())
    text = path.read_text()
    path.write_text(text[: int(0.6 * len(text))])
    with pytest.raises(InputError, match=r"cut.xyz: breaks off within frame \d.*truncated"):
        read_dataset(path)


def test_truncated_archive_and_database(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", z=np.ones(3), R=np.ones((900, 3, 3)), E=np.ones(900))
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="truncated"):
        read_dataset(tmp_path / "a.npz")
    (tmp_path / "b.db").write_bytes(b"SQLite format 3\x00" + b"\x01" * 500)
    with pytest.raises(InputError, match="truncated"):
        read_dataset(tmp_path / "b.db")


def test_arrays_that_do_not_fit_together(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", z=np.ones(3), R=np.ones((5, 3, 3)), E=np.ones(4))
    with pytest.raises(InputError, match="do not fit together"):
        read_dataset(tmp_path / "a.npz")


def test_missing_energy_and_missing_forces(tmp_path: Path) -> None:
    made = frames()
    ase.io.write(tmp_path / "bare.xyz", [ase.Atoms(a.numbers, a.positions) for a in made])
    with pytest.raises(InputError, match="frame 0: no energy by a name"):
        read_dataset(tmp_path / "bare.xyz")
    made[2].calc = SinglePointCalculator(made[2], energy=1.0)
    ase.io.write(tmp_path / "gap.xyz", made)
    with pytest.raises(InputError, match="frame 2: no forces"):
        read_dataset(tmp_path / "gap.xyz")


def test_numbers_that_are_none(tmp_path: Path) -> None:
    made = frames()
    made[1].calc = SinglePointCalculator(made[1], energy=float("nan"), forces=np.zeros((3, 3)))
    ase.io.write(tmp_path / "nan.xyz", made)
    with pytest.raises(InputError, match="frame 1: energy is not a finite number"):
        read_dataset(tmp_path / "nan.xyz")


@pytest.mark.parametrize("name", ["missing.xyz", "empty.xyz"])
def test_missing_and_empty_files(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.xyz").touch()
    with pytest.raises(InputError, match=r"no such file|is empty"):
        read_dataset(tmp_path / name)


def test_unknown_unit(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "a.xyz", frames())
    with pytest.raises(InputError, match="energy unit 'kcal' is not known"):
        read_dataset(tmp_path / "a.xyz", Units(energy="kcal"))


def test_shared_ethanol(ethanol_file: Path) -> None:
    dataset = read_dataset(ethanol_file)
    assert len(dataset) == 1000
    assert dataset.elements == (1, 6, 8)
    assert not dataset.periodic.any()


@pytest.mark.parametrize(
    "said", ["energy_unit=Hartree", "units=kcal/mol", "kJ/mol", "unit=hartree", "length_unit=Bohr"]
)
def test_a_unit_that_a_comment_says_is_not_passed_over(tmp_path: Path, said: str) -> None:
    path = tmp_path / "water.xyz"
    ase.io.write(path, frames())
    path.write_text(path.read_text().replace("energy=", f"{said} energy="))
    with pytest.raises(InputError, match=r"frame 0: its comment says '.*'.*--(energy|length)-unit"):
        read_dataset(path)
    assert len(read_dataset(path, Units(energy="eV", length="Å"))) == 4


@pytest.mark.parametrize("said", ["units=eV", "unit=Ang", "note=Bohr", "eV"])
def test_the_usual_units_may_be_said(tmp_path: Path, said: str) -> None:
    path = tmp_path / "water.xyz"
    ase.io.write(path, frames())
    path.write_text(path.read_text().replace("energy=", f"{said} energy="))
    assert len(read_dataset(path)) == 4


@pytest.mark.parametrize("energy", [-1e300, 1e13])
def test_an_energy_that_cannot_be_is_named(tmp_path: Path, energy: float) -> None:
    made = frames()
    made[2].calc = SinglePointCalculator(made[2], energy=energy)
    for atoms in (made[0], made[1], made[3]):
        atoms.calc.results.pop("forces")
    ase.io.write(tmp_path / "water.xyz", made)
    with pytest.raises(InputError, match=r"frame 2: .* is beyond 1e\+06 eV per atom"):
        read_dataset(tmp_path / "water.xyz")


def test_a_force_that_cannot_be_is_named(tmp_path: Path) -> None:
    arrays = {"z": np.array([8, 1, 1]), "R": np.ones((3, 3, 3)), "E": np.zeros(3), "F": np.zeros((3, 3, 3))}
    arrays["F"][1, 2, 0] = -1e300
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=r"frame 1: a force of .* eV/Å is beyond 1e\+06 eV/Å; check the unit"):
        read_dataset(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["R", "E", "F"])
def test_arrays_that_are_no_real_numbers(tmp_path: Path, name: str) -> None:
    arrays = {"z": np.array([8, 1, 1]), "R": np.ones((2, 3, 3)), "E": np.zeros(2), "F": np.zeros((2, 3, 3))}
    np.savez(tmp_path / "a.npz", **{**arrays, name: arrays[name] + 1j})
    with pytest.raises(InputError, match=f"{name} holds complex128, not real numbers"):
        read_dataset(tmp_path / "a.npz")
