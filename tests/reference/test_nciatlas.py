"""Sets of dimers in the layout of NCIAtlas, with numbers of our own."""

import os
import zipfile

import numpy as np
import pytest
from ase.units import kcal, mol

from atomlens.reference import SAPT_PARTS, read_nciatlas, sapt_file
from atomlens.structures import InputError
from dimer_files import FACTORS, NEAREST, electrostatics, energy, write_set

DIMERS = [("H2O", "H2O"), ("NH3", "H2O"), ("CH4", "HF"), *[("H2O", "CH4")] * 8]


@pytest.mark.parametrize("archive", [True, False])
def test_a_set_is_read_as_it_was_written(tmp_path, archive):
    curves = read_nciatlas(write_set(tmp_path, "MADE_x10", DIMERS, charges=(1, -1), archive=archive))
    assert [curve.system for curve in curves] == [f"{k}.01" for k in range(1, len(DIMERS) + 1)]  # 10.01 after 9.01
    for number, (curve, kinds) in enumerate(zip(curves, DIMERS, strict=True), start=1):
        assert (curve.data_set, curve.group, curve.charges) == ("MADE_x10", "OH-O", (1, -1))
        assert curve.name == f"{kinds[0]} ... {kinds[1]}"
        assert curve.factors.tolist() == list(FACTORS)
        known = np.array([energy(number, factor) for factor in FACTORS])
        assert curve.energies == pytest.approx(known * kcal / mol, abs=5e-4 * kcal / mol)
        static = np.array([electrostatics(number, factor) for factor in FACTORS])
        assert curve.sapt["electrostatics"] == pytest.approx(static * kcal / mol, abs=5e-4 * kcal / mol)
        assert set(curve.sapt) == set(SAPT_PARTS)
        for atoms, (first, second), factor in zip(curve.structures, curve.alone, FACTORS, strict=True):
            assert (first + second).numbers.tolist() == atoms.numbers.tolist()
            assert (atoms.info["charge"], first.info["charge"], second.info["charge"]) == (0, 1, -1)
            gap = second.positions[:, 2].min() - first.positions[:, 2].max()
            assert gap == pytest.approx(NEAREST * factor, abs=1e-8)


def test_without_the_table_of_parts_there_are_none(tmp_path):
    path = write_set(tmp_path, "MADE_x10", DIMERS[:1], sapt=False)
    assert not sapt_file(path).exists()
    assert read_nciatlas(path)[0].sapt == {}


def test_single_atoms_and_lists_are_selections(tmp_path):
    path = write_set(tmp_path, "MADE_x10", [("H", "H2O")], changed=lambda text: text.replace("=1-1 ", "=1 "))
    assert read_nciatlas(path)[0].monomers[0].tolist() == [0]
    lists = write_set(
        tmp_path,
        "LISTS_x10",
        [("H2O", "H2O")],
        changed=lambda text: text.replace("selection_a=1-3", "selection_a=1,3-4").replace("_b=4-6", "_b=2,5-6"),
    )
    assert [part.tolist() for part in read_nciatlas(lists)[0].monomers] == [[0, 2, 3], [1, 4, 5]]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("scaling=1.0 ", "", "its second line lacks scaling"),
        ("benchmark_unit=kcal/mol", "benchmark_unit=kJ/mol", "'kJ/mol'; expected kcal/mol"),
        ("selection_b=4-6", "selection_b=4-5", "do not divide its 6 atoms"),
        ("selection_b=4-6", "selection_b=6-4", "cannot be read"),
        ("selection_b=4-6", "selection_b=1-99999999999", "cannot be read"),
        ("charge_a=0", "charge_a=1", "charges that do not add"),
        ("scaling=1.0 ", "scaling=nan ", "a distance or energy that is none"),
        ("scaling=1.0 ", "scaling=0.9 ", "two geometries of one distance"),
        ("6\n", "7\n", "has 6 atoms, and says 7; truncated?"),
        ("  O ", "  Qq ", "no xyz file"),
        ("  O ", "  O nan ", "not a symbol and three coordinates"),
        ("  O  ", "  S  ", "differ in their atoms"),
    ],
)
def test_files_that_are_damaged_are_named(tmp_path, old, new, says):
    def damaged(text):
        return text.replace(old, new) if "scaling=1.0 " in text else text

    path = write_set(tmp_path, "MADE_x10", [("H2O", "H2O")], changed=damaged)
    with pytest.raises(InputError, match=says) as caught:
        read_nciatlas(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_tables_of_parts_that_are_damaged_are_named(tmp_path):
    path = write_set(tmp_path, "MADE_x10", [("H2O", "H2O")])
    table = sapt_file(path)
    whole = table.read_text()
    for content, says in (
        (whole.replace("Elst", "E1"), "expected columns System Elst"),
        (whole.replace(" 5.000 ", " 5.000x "), "no row of numbers"),
        (whole.replace(" 5.000 ", " "), "no row of 6 energies"),
        ("", "expected columns"),
    ):
        table.write_text(content)
        with pytest.raises(InputError, match=says):
            read_nciatlas(path)


def test_other_files_are_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match="no such file; give an archive of NCIAtlas"):
        read_nciatlas(tmp_path / "none.zip")
    (tmp_path / "text.zip").write_text("not an archive")
    with pytest.raises(InputError, match="no zip archive"):
        read_nciatlas(tmp_path / "text.zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("data/readme.txt", "nothing")
    (tmp_path / "empty").mkdir()
    for name in ("other.zip", "empty"):
        with pytest.raises(InputError, match=r"holds no geometries/SYSTEM_FFF\.xyz"):
            read_nciatlas(tmp_path / name)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is a pipe"):
        read_nciatlas(tmp_path / "pipe")


def test_damaged_archives_and_files_without_end_are_refused(tmp_path):
    path = write_set(tmp_path, "MADE_x10", [("H2O", "H2O")])
    data = bytearray(path.read_bytes())
    start = data.find(b"geometries/1.01_100.xyz") + 60
    data[start : start + 40] = b"\xff" * 40
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"1\.01_100\.xyz: cannot be unpacked"):
        read_nciatlas(path)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("B/geometries/1_100.xyz", b"\0" * (2**24 + 1))
    with pytest.raises(InputError, match="more than 16 MiB"):
        read_nciatlas(tmp_path / "bomb.zip")
