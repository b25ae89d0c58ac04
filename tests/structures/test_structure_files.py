"""Reading structures from files, and telling what is wrong with a file."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import ase
import ase.build
import ase.io
import numpy as np
import pytest

from atomlens.structures import InputError, read_structures
from samples import crowded_cell

MOLECULE = ase.build.molecule("CH3CH2OH")
CRYSTAL = ase.build.bulk("NaCl", "rocksalt", a=5.64, cubic=True)


def frames(n: int) -> list[ase.Atoms]:
    made = []
    for k in range(n):
        atoms = MOLECULE.copy()
        atoms.rattle(0.05, seed=k)
        made.append(atoms)
    return made


@pytest.mark.parametrize(
    ("name", "atoms", "accuracy"),
    [
        ("a.xyz", MOLECULE, 1e-6),
        ("a.extxyz", CRYSTAL, 1e-6),
        ("a.traj", CRYSTAL, 1e-12),
        ("a.json", CRYSTAL, 1e-12),
        ("a.db", CRYSTAL, 1e-12),
        ("a.cif", CRYSTAL, 1e-4),
        ("a.pdb", MOLECULE, 1e-3),
        ("a.vasp", CRYSTAL, 1e-6),
        ("a.gen", MOLECULE, 1e-6),
        ("a.xsf", CRYSTAL, 1e-6),
        ("a.cfg", CRYSTAL, 1e-3),
    ],
)
def test_formats_that_ase_writes_come_back(tmp_path, name, atoms, accuracy):
    ase.io.write(tmp_path / name, atoms)
    (found,) = read_structures(tmp_path / name)
    assert sorted(found.numbers) == sorted(atoms.numbers)
    assert bool(found.pbc.all()) == bool(atoms.pbc.all())
    np.testing.assert_allclose(
        np.sort(found.get_all_distances(mic=bool(found.pbc.all())).ravel()),
        np.sort(atoms.get_all_distances(mic=bool(atoms.pbc.all())).ravel()),
        atol=20 * accuracy,
    )


def test_compressed_files_are_read(tmp_path):
    ase.io.write(tmp_path / "a.xyz", MOLECULE)
    (tmp_path / "b.xyz.gz").write_bytes(gzip.compress((tmp_path / "a.xyz").read_bytes()))
    (found,) = read_structures(tmp_path / "b.xyz.gz")
    np.testing.assert_allclose(found.positions, MOLECULE.positions, atol=1e-6)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (":", [0, 1, 2, 3, 4, 5]),
        ("0", [0]),
        ("-1", [5]),
        (" 2 ", [2]),
        (":2", [0, 1]),
        ("4:", [4, 5]),
        ("::2", [0, 2, 4]),
        ("-2:", [4, 5]),
        ("1:5:3", [1, 4]),
        ("::-1", [5, 4, 3, 2, 1, 0]),
    ],
)
def test_frames_are_chosen_like_list_items(tmp_path, selection, expected):
    made = frames(6)
    ase.io.write(tmp_path / "many.extxyz", made)
    found = read_structures(tmp_path / "many.extxyz", selection)
    assert len(found) == len(expected)
    for atoms, k in zip(found, expected, strict=True):
        np.testing.assert_allclose(atoms.positions, made[k].positions, atol=1e-7)


@pytest.mark.parametrize("selection", ["6", "-7", "6:", "3:3"])
def test_frames_that_are_not_there(tmp_path, selection):
    ase.io.write(tmp_path / "many.extxyz", frames(6))
    with pytest.raises(InputError, match="frame"):
        read_structures(tmp_path / "many.extxyz", selection)


@pytest.mark.parametrize("name", ["a.vasp", "a.pdb", "a.gen", "a.cif"])
def test_files_of_one_structure_have_one_frame(tmp_path, name):
    ase.io.write(tmp_path / name, CRYSTAL)
    for selection in ("0", "-1", ":5"):
        assert len(read_structures(tmp_path / name, selection)) == 1
    for selection in ("1", "1:", "-2"):
        with pytest.raises(InputError, match="frame"):
            read_structures(tmp_path / name, selection)


@pytest.mark.parametrize("selection", ["", "first", "1.5", "1:2:3:4", "::0", "1-3", "a:b"])
def test_frames_that_are_no_selection(tmp_path, selection):
    ase.io.write(tmp_path / "many.extxyz", frames(2))
    with pytest.raises(InputError, match="neither a number nor a slice"):
        read_structures(tmp_path / "many.extxyz", selection)


def test_a_name_with_an_at_sign_is_a_name(tmp_path):
    # ASE takes what follows an @ for a selection of frames.
    ase.io.write(tmp_path / "many.extxyz", frames(3))
    (tmp_path / "many.extxyz").rename(tmp_path / "run@1.extxyz")
    assert len(read_structures(tmp_path / "run@1.extxyz")) == 3


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.xyz", "", "is empty"),
        ("a.xyz", "3\n\nO 0 0 0\nH 0 0 1\n", "breaks off within frame 0"),
        ("a.xyz", "3\n\nO 0 0 0\nH 0 0 one\nH 0 1 0\n", r"line 4 .*'one' is no coordinate"),
        ("a.xyz", "many\n\nO 0 0 0\n", "does not begin with a number of atoms"),
        ("a.xyz", "1\n\nQq 0 0 0\n", r"line 3 .*'Qq' is no element"),
        ("a.xyz", "1\n\nH 0 0\n", r"line 3 .*three coordinates"),
        ("a.vasp", "Na\n1.0\n5 0 0\n0 5 0\n", "not a structure file"),
        ("a.xyz", "0\n\n", "no atoms"),
        ("a.xyz", "2\n\nO 0 0 0\nH nan 0 1\n", r"atom 1 \(H\).*must be finite"),
        ("a.xyz", "2\n\nO 0 0 0\nH 0 0 0\n", "within 0.1 Å"),
        ("a.cif", "data_nothing\n_cell_length_a 5\n", "holds no structure"),
        ("a.json", "[1, 2", "not a structure file"),
        ("a.txt", "Dear Sir or Madam,\n", "not a structure file"),
        ("noextension", "\x00\x01\x02", "not a structure file"),
    ],
)
def test_broken_files_are_told_in_one_line_with_their_name(tmp_path, name, text, message):
    path = write(tmp_path / name, text)
    with pytest.raises(InputError, match=message) as caught:
        read_structures(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_structures(tmp_path / "nothing.xyz")
    with pytest.raises(InputError, match="is a folder"):
        read_structures(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path):
    ase.io.write(tmp_path / "a.xyz", MOLECULE)
    (tmp_path / "a.xyz").chmod(0)
    with pytest.raises(InputError, match="no permission"):
        read_structures(tmp_path / "a.xyz")


@pytest.mark.parametrize(("selection", "frame"), [(":", 3), ("2:", 3), ("1::2", 3), ("-2:", 3), ("3", 3), ("-2", 3)])
def test_the_bad_frame_is_named_by_its_place_in_the_file(tmp_path, selection, frame):
    made = frames(5)
    made[frame].positions[4] = made[frame].positions[2]
    ase.io.write(tmp_path / "many.extxyz", made)
    with pytest.raises(InputError, match=f"many.extxyz, frame {frame}: atoms 2"):
        read_structures(tmp_path / "many.extxyz", selection)


@pytest.mark.parametrize("sides", [(1, 1, 1), (1, 1, 20), (0.5, 30, 30)])
def test_cells_that_only_fill_their_place_are_refused(tmp_path, sides):
    atoms = ase.Atoms("CO", [[0, 0, 0], [0, 0, 1.13]], cell=sides, pbc=True)
    ase.io.write(tmp_path / "a.xyz", atoms, format="extxyz")
    with pytest.raises(InputError, match="only fills its place"):
        read_structures(tmp_path / "a.xyz")


def test_extended_xyz_marks_open_boxes(tmp_path):
    atoms = crowded_cell()
    atoms.pbc = False
    ase.io.write(tmp_path / "a.xyz", atoms)
    (found,) = read_structures(tmp_path / "a.xyz")
    assert not found.pbc.any()


def test_what_readers_say_in_tuples_is_one_line_of_words(tmp_path, monkeypatch):
    def broken(*_args: object, **_options: object) -> None:
        raise RuntimeError(("Failed to read the Z-matrix", RuntimeError("line 7")))

    monkeypatch.setattr("ase.io.read", broken)
    with pytest.raises(InputError, match=r"ASE can read \(Failed to read the Z-matrix\)$"):
        read_structures(write(tmp_path / "a.com", "text"))
