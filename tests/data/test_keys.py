"""Energies and forces of one level of theory, whatever a file calls them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atomlens.data import Keys, read_dataset
from atomlens.structures import InputError

RNG = np.random.default_rng(0)
WATER = np.array([[0.0, 0.0, 0.1], [0.0, 0.8, -0.5], [0.0, -0.8, -0.5]])


def write(path: Path, energies: dict[str, float], forces: dict[str, float], n: int = 4, extra: str = "") -> Path:
    """Frames whose k-th energy is the given one minus k, and whose forces are all the given number plus k."""
    text = ""
    for k in range(n):
        columns = "".join(f":{name}:R:3" for name in forces)
        keys = " ".join(f"{name}={value - k}" for name, value in energies.items())
        rows = [
            f"{s} {x} {y} {z} " + " ".join(f"{value + k}" for value in forces.values() for _ in range(3))
            for s, (x, y, z) in zip("OHH", (WATER + 0.01 * k).tolist(), strict=True)
        ]
        text += "\n".join(["3", f'Properties=species:S:1:pos:R:3{columns} {keys} pbc="F F F"', *rows]) + "\n"
    path.write_text(text + extra)
    return path


def first(dataset):
    forces = dataset.column("forces").values[0, 0] if dataset.has("forces") else None
    return dataset.column("energy").values[0], forces


@pytest.mark.parametrize(
    ("energies", "forces", "expected"),
    [
        ({"energy": -1}, {"forces": 1}, (-1, 1)),
        ({"energy": -1, "REF_energy": -2}, {"REF_forces": 2}, (-2, 2)),
        ({"REF_energy": -2, "energy": -1}, {"forces": 1}, (-1, 1)),
        ({"energy": -1, "REF_energy": -2}, {"forces": 1, "REF_forces": 2}, (-2, 2)),
        ({"energy": -1, "MACE_energy": -2}, {"forces": 1, "MACE_forces": 2}, (-1, 1)),
        ({"dft_energy": -1, "mace_energy": -2}, {"dft_forces": 1, "mace_forces": 2}, (-1, 1)),
        ({"DFT_energy": -3}, {"DFT_forces": 3}, (-3, 3)),
        ({"MACE_energy": -3}, {"MACE_forces": 3}, (-3, 3)),
        ({"free_energy": -3}, {"forces": 3}, (-3, 3)),
        ({"energy": -3, "free_energy": -4}, {"forces": 3}, (-3, 3)),
        ({"TotEnergy": -3}, {"force": 3}, (-3, 3)),
        ({"E": -3}, {"F": 3}, (-3, 3)),
        ({"wb97x_energy": -3}, {"wb97x_forces": 3}, (-3, 3)),
        ({"energy_U0": -3, "free_energy": -5, "energy_U": -2}, {}, (-3, None)),
        ({"energy": -3, "kinetic_energy": 9, "energy_weight": 1, "energy_per_atom": 5}, {}, (-3, None)),
    ],
)
def test_energies_and_forces_of_one_level(tmp_path, energies, forces, expected):
    dataset = read_dataset(write(tmp_path / "a.xyz", energies, forces))
    assert first(dataset) == expected
    used = next(name for name, value in energies.items() if value == expected[0])
    assert f"energies from {used!r}" in dataset.notes[1]


@pytest.mark.parametrize(
    ("energies", "forces", "said"),
    [
        ({"energy": -1}, {"REF_forces": 2}, "different levels of theory.*--energy-key and --forces-key"),
        ({"pbe_energy": -1, "b3lyp_energy": -2}, {}, "several levels of theory.*--energy-key"),
        ({"pbe_energy": -1, "b3lyp_energy": -2}, {"pbe_forces": 1, "b3lyp_forces": 2}, "several levels of theory"),
        ({"binding_energy": -1}, {}, "no energy by a name .*binding_energy.*--energy-key"),
    ],
)
def test_what_is_not_clear_is_asked(tmp_path, energies, forces, said):
    with pytest.raises(InputError, match=said):
        read_dataset(write(tmp_path / "a.xyz", energies, forces))


def test_keys_that_are_named(tmp_path):
    path = write(
        tmp_path / "a.xyz",
        {"energy": -1, "pbe_energy": -2, "binding_energy": -3},
        {"forces": 1, "pbe_forces": 2, "g": 4},
    )
    assert first(read_dataset(path, keys=Keys("pbe_energy"))) == (-2, 2)
    assert first(read_dataset(path, keys=Keys("binding_energy", "g"))) == (-3, 4)
    assert first(read_dataset(path, keys=Keys(forces="pbe_forces"))) == (-2, 2)
    with pytest.raises(InputError, match="none of 4 frames have one number under 'pb_energy'"):
        read_dataset(path, keys=Keys("pb_energy"))
    with pytest.raises(InputError, match="three numbers per atom under 'pb_forces'"):
        read_dataset(path, keys=Keys("energy", "pb_forces"))


def test_frames_of_different_levels_are_refused(tmp_path):
    other = write(tmp_path / "b.xyz", {"REF_energy": -5}, {}).read_text()
    with pytest.raises(InputError, match="energy in 4 of 8 frames; REF_energy in 4 of 8"):
        read_dataset(write(tmp_path / "a.xyz", {"energy": -1}, {}, extra=other))


def test_isolated_atoms_need_no_forces(tmp_path):
    lone = '1\nProperties=species:S:1:pos:R:3 config_type=IsolatedAtom REF_energy=-13.6 pbc="F F F"\nH 0 0 0\n'
    path = write(tmp_path / "a.xyz", {"REF_energy": -1}, {"REF_forces": 2}, extra=lone * 2)
    path.write_text(lone + path.read_text())
    dataset = read_dataset(path)
    assert len(dataset) == 7
    np.testing.assert_allclose(dataset.column("forces").values[[0, -1]], 0.0)
    np.testing.assert_allclose(dataset.column("forces").values[1], 2.0)
    assert "3 isolated atoms have no forces" in " ".join(dataset.notes)


def test_forces_of_another_shape_are_not_passed_over(tmp_path):
    path = tmp_path / "a.xyz"
    write(path, {"energy": -1}, {"forces": 1})
    path.write_text(path.read_text().replace(":forces:R:3", ":forces:R:2"))
    with pytest.raises(InputError, match=r"frame 0: forces of shape \(3, 2\) for 3 atoms"):
        read_dataset(path)
