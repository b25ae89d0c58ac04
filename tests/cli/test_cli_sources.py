"""What `analyze` takes for structures: xyz frames as they are needed, other files whole, the same words either way."""

from __future__ import annotations

import gzip

import ase
import ase.build
import ase.io
import numpy as np
import pytest
from cli_samples import left_over, run

from atomlens.cli.sources import structure_source
from atomlens.structures import InputError, read_structures
from atomlens.surveys import XyzFrames, sources


@pytest.fixture
def many(tmp_path):
    structures = []
    for k in range(6):
        structures.append(ase.build.molecule("CH3OH"))
        structures[-1].rattle(0.02, seed=k)
    path = tmp_path / "many.extxyz"
    ase.io.write(path, structures)
    return path


@pytest.mark.parametrize("frames", [":", "0", "-1", " 2 ", ":2", "::2", "-2:", "1:5:3", "::-1"])
def test_xyz_frames_are_those_that_are_read_whole(many, frames):
    source, whole = structure_source(str(many), frames), read_structures(many, frames)
    assert isinstance(source, XyzFrames)
    assert list(source) == whole
    assert [source[k] for k in range(len(source))] == whole
    assert all(a.info == b.info for a, b in zip(source, whole, strict=True))


@pytest.mark.parametrize("frames", ["6", "-7", "6:", "3:3", "first", "::0"])
def test_frames_that_are_not_there_are_told_alike(many, frames):
    with pytest.raises(InputError) as whole:
        read_structures(many, frames)
    with pytest.raises(InputError) as lazily:
        structure_source(str(many), frames)
    assert str(lazily.value) == str(whole.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0\n\n",
        "2\n\nO 0 0 0\nH nan 0 1\n",
        "2\n\nO 0 0 0\nH 0 0 0\n",
        "1\n\nH 0 0 0\n2\n\nO 0 0 0\nH nan 0 1\n",
    ],
)
def test_structures_that_mean_nothing_are_told_alike(tmp_path, text):
    path = tmp_path / "a.xyz"
    path.write_text(text)
    with pytest.raises(InputError) as whole:
        read_structures(path)
    with pytest.raises(InputError) as lazily:
        structure_source(str(path))
    assert str(lazily.value) == str(whole.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.xyz", "3\n\nO 0 0 0\nH 0 0 1\n", "breaks off within frame 0"),
        ("a.xyz", "1\n\nH 0 0 0\n3\n\nO 0 0 0\nH 0 0 1\n", "breaks off within frame 1"),
        ("a.xyz", "3\n\nO 0 0 0\nH 0 0 one\nH 0 1 0\n", "'one' is no coordinate"),
        ("a.xyz", "many\n\nO 0 0 0\n", "does not begin with a number of atoms"),
        ("a.xyz", "1\n\nQq 0 0 0\n", "'Qq' is no element"),
        ("a.xyz", "\n\n", "holds no structure"),
        ("a.xyz", "\x00\x01", "frame 0 does not begin with a number"),
        ("a.txt", "Dear Sir or Madam,\n", "not a structure file"),
    ],
)
def test_broken_files_end_the_command_before_it_writes(tmp_path, monkeypatch, capsys, name, text, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(text)
    outcome = run(capsys, "analyze", "zoo:qm9-u0-schnet", name, "--out", "run")
    assert outcome.code == 2
    assert said in outcome.err
    assert name in outcome.err
    assert outcome.err.count("\n") == 1
    assert not left_over(tmp_path)


def test_of_many_frames_only_the_first_is_looked_at_before(many, monkeypatch):
    text = many.read_text().splitlines()
    text[8 * 3 + 4] = "H 0 0 zero"
    many.write_text("\n".join(text) + "\n")
    with pytest.raises(InputError, match=r"many.extxyz, frame 3: line 29 .*no coordinate"):
        structure_source(str(many))
    monkeypatch.setattr(sources, "LOOKED_AT", 5)
    found = list(structure_source(str(many)))
    assert [isinstance(item, InputError) for item in found] == [False, False, False, True, False, False]
    text[4] = "H 0 0 zero"
    many.write_text("\n".join(text) + "\n")
    with pytest.raises(InputError, match=r"many.extxyz, frame 0"):
        structure_source(str(many))


def test_other_files_are_read_whole(tmp_path, many):
    ase.io.write(tmp_path / "a.traj", ase.io.read(many, ":"))
    (tmp_path / "b.xyz.gz").write_bytes(gzip.compress(many.read_bytes()))
    (tmp_path / "frames").write_bytes(many.read_bytes())  # an xyz file by its content
    for name, kind in (("a.traj", list), ("b.xyz.gz", list), ("frames", XyzFrames)):
        source = structure_source(str(tmp_path / name))
        assert isinstance(source, kind)
        np.testing.assert_allclose(source[-1].positions, ase.io.read(many).positions, atol=1e-7)
    assert structure_source("CCO")[0].get_chemical_formula() == "C2H6O"


@pytest.mark.parametrize("count", ["9" * 5000, "²", "", "-1", "1e3"])
def test_counts_of_molecules_that_are_none(count):
    with pytest.raises(InputError, match="say how many molecules to draw") as refused:
        structure_source(f"qm9:{count}")
    assert len(str(refused.value)) < 200
