"""NumPy archives: cells, one row of charges per frame, suffixes; databases: units as numbers; the same frame twice."""

from __future__ import annotations

import ase
import ase.db
import numpy as np
import pytest
from ase.units import kcal, mol

from atomlens.data import check_forces, read_dataset, require_matching_forces
from atomlens.reference import known_potential
from atomlens.structures import InputError

KCAL = kcal / mol
Z = np.array([8, 1, 1])
X = np.random.default_rng(0).random((4, 3, 3)) + 2 * np.eye(3)
E = np.arange(4.0)
F = np.random.default_rng(1).random((4, 3, 3))
CELL = np.array([[9.0, 0.0, 0.0], [1.0, 8.0, 0.0], [2.0, 3.0, 7.0]])


def archive(path, **more):
    with path.open("wb") as file:
        np.savez(file, **({"z": Z, "R": X, "E": E, "F": F} | more))
    return path


@pytest.mark.parametrize(
    ("entry", "cells"),
    [
        ({"lattice": CELL.T}, CELL),  # sGDML keeps vectors as columns
        ({"cell": CELL}, CELL),
        ({"cells": np.stack([CELL, CELL, 2 * CELL, CELL])}, CELL),
        ({"box": np.array([9.0, 8.0, 7.0])}, np.diag([9.0, 8.0, 7.0])),
        ({"cell": CELL, "pbc": np.array([True, True, False])}, CELL),
    ],
)
def test_cells_of_archives(tmp_path, entry, cells):
    dataset = read_dataset(archive(tmp_path / "A.NPZ", **entry))
    np.testing.assert_allclose(dataset.cells[0], cells)
    assert dataset.periodic[:, 0].all()
    assert dataset.periodic[:, 2].all() == ("pbc" not in entry)
    assert any("cell from" in note for note in dataset.notes)
    if "cells" in entry:
        np.testing.assert_allclose(dataset.cells[2], 2 * CELL)


def test_cells_are_in_the_unit_of_lengths(tmp_path):
    dataset = read_dataset(archive(tmp_path / "a.npz", lattice=CELL.T, r_unit="Bohr"))
    np.testing.assert_allclose(dataset.cells[0], 0.529177210903 * CELL)


def test_cells_that_fit_nothing_are_not_dropped(tmp_path):
    with pytest.raises(InputError, match=r"lattice of shape \(2, 2\) is no cell"):
        read_dataset(archive(tmp_path / "a.npz", lattice=np.eye(2)))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"Lattice": np.eye(3)}, "repeats every atom after 1 Å"),
        ({"unit_cell": np.ones((2, 2))}, "unit_cell of shape"),
        ({"cell": CELL, "lattice": CELL}, "several names"),
        ({"pbc": np.array([True] * 3)}, "no cell"),
        ({"e_unit": np.array(["eV", "Ha"])}, "2 values"),
        ({"z": np.array(["O", "Qq", "H"])}, "'Qq' is no element"),
    ],
)
def test_what_cannot_be_meant(tmp_path, entry, said):
    with pytest.raises(InputError, match=said):
        read_dataset(archive(tmp_path / "a.npz", **entry))


def test_symbols_in_place_of_charges(tmp_path):
    assert read_dataset(archive(tmp_path / "a.npz", z=np.array(["O", "H1", "D"]))).numbers.tolist()[:3] == [8, 1, 1]


def test_no_cell_is_no_cell(tmp_path):
    assert not read_dataset(archive(tmp_path / "a.npz")).periodic.any()
    assert not read_dataset(archive(tmp_path / "a.npz", lattice=np.zeros((3, 3)))).periodic.any()


@pytest.mark.parametrize("z", [np.tile(Z, (4, 1)), Z[None], np.tile(Z, (4, 1)).astype(float)])
def test_one_row_of_charges_per_frame(tmp_path, z):
    dataset = read_dataset(archive(tmp_path / "a.npz", z=z))
    assert dataset.numbers.tolist() == [8, 1, 1] * 4
    np.testing.assert_allclose(dataset.column("energy").values, KCAL * E)


def test_short_molecules_are_filled_up_with_zeros(tmp_path):
    z = np.tile(Z, (4, 1))
    z[1, 2] = 0
    dataset = read_dataset(archive(tmp_path / "a.npz", z=z))
    assert dataset.sizes.tolist() == [3, 2, 3, 3]
    np.testing.assert_allclose(dataset.positions[3:5], X[1, :2])
    np.testing.assert_allclose(dataset.column("forces").values[3:5], KCAL * F[1, :2])


@pytest.mark.parametrize("z", [np.array([8, 1]), np.array([8, 1, 200]), np.array([8.5, 1, 1]), np.array([0, 0, 0])])
def test_charges_that_are_none(tmp_path, z):
    with pytest.raises(InputError, match=r"fit together|atomic numbers"):
        read_dataset(archive(tmp_path / "a.npz", z=z))


@pytest.mark.parametrize(
    ("unit", "factor"), [(1.0, 1.0), (1, 1.0), ("1.0", 1.0), (0.5, 0.5), ("eV", 1.0), ("kcal/mol", KCAL)]
)
def test_units_of_databases(tmp_path, unit, factor):
    with ase.db.connect(tmp_path / "A.DB", type="db", use_lock_file=False) as database:
        for k in range(3):
            atoms = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74 + 0.01 * k]])
            database.write(atoms, data={"energy": np.array([-31.7 + k]), "forces": np.full((2, 3), 2.0)})
        database.metadata = {"_property_unit_dict": {"energy": unit, "forces": unit}, "_distance_unit": 1.0}
    dataset = read_dataset(tmp_path / "A.DB")
    np.testing.assert_allclose(dataset.column("energy").values, factor * (-31.7 + E[:3]))
    np.testing.assert_allclose(dataset.column("forces").values, factor * 2.0)
    np.testing.assert_allclose(dataset.positions[1], [0, 0, 0.74])


@pytest.mark.parametrize("unit", [-1.0, 0.0, float("nan"), "furlong", [1]])
def test_units_that_are_none(tmp_path, unit):
    with ase.db.connect(tmp_path / "a.db", use_lock_file=False) as database:
        database.write(ase.Atoms("H"), data={"energy": np.array([-31.7])})
        database.metadata = {"_property_unit_dict": {"energy": unit}, "_distance_unit": "Ang"}
    with pytest.raises(InputError, match="unit"):
        read_dataset(tmp_path / "a.db")


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_the_same_frame_twice_is_no_contradiction(tmp_path, copies):
    potential = known_potential("lennard-jones")
    start = potential.cluster(np.random.default_rng(0))
    text = ""
    for k in range(12):
        atoms = start.copy()
        atoms.rattle(0.03, seed=k)
        terms = potential.terms(atoms)
        rows = [
            " ".join([symbol, *(f"{value:.10f}" for value in (*place, *force))])
            for symbol, place, force in zip(atoms.symbols, atoms.positions, terms.forces, strict=True)
        ]
        comment = f'Properties=species:S:1:pos:R:3:forces:R:3 energy={terms.energy} pbc="F F F"'
        text += ("\n".join([str(len(atoms)), comment, *rows]) + "\n") * copies
    (tmp_path / "a.xyz").write_text(text)
    dataset = read_dataset(tmp_path / "a.xyz")
    found = require_matching_forces(dataset)
    assert found.pairs >= 5
    assert abs(found.slope - 1) < 0.1
    assert check_forces(dataset).complaint is None


@pytest.mark.parametrize("shape", [(0, 3, 3), (0, 3), (4, 0, 3)])
def test_an_archive_without_frames(tmp_path, shape):
    frames, atoms = (shape if len(shape) == 3 else (1, *shape))[:2]
    empty = {"z": np.ones(atoms, dtype=int), "R": np.zeros(shape), "E": np.zeros(frames), "F": np.zeros(shape)}
    with pytest.raises(InputError, match=r"a.npz: holds no frames \(R of shape .*\); give an archive with structures"):
        read_dataset(archive(tmp_path / "a.npz", **empty))
