"""xyz files as people have them: every frame is read, every label becomes its element, or the line is named."""

from __future__ import annotations

import ase.build
import ase.io
import numpy as np
import pytest

from atomlens.structures import InputError, StructureWarning, read_frames, read_structures

ETHANOL = ase.build.molecule("CH3CH2OH")
ROWS = [f"{s} {x:.6f} {y:.6f} {z:.6f}" for s, (x, y, z) in zip(ETHANOL.symbols, ETHANOL.positions, strict=True)]


def frame(rows=ROWS, comment="ethanol", end="\n") -> str:
    return end.join([str(len(rows)), comment, *rows]) + end


def labelled(labels) -> str:
    return frame([f"{label} {row.split(None, 1)[1]}" for label, row in zip(labels, ROWS, strict=True)])


@pytest.mark.parametrize("comment", ["", "ethanol, CC(=O)O, made by f(seed=1)", None])
def test_frames_of_elements_and_positions_alone_are_as_ase_reads_them(tmp_path, comment):
    path = tmp_path / "a.xyz"
    ase.io.write(path, ETHANOL, format="extxyz") if comment is None else path.write_text(frame(comment=comment))
    (atoms,) = read_structures(path)
    expected = ase.io.read(path)
    assert atoms == expected
    assert set(atoms.arrays) == set(expected.arrays)
    assert (atoms.info, atoms.calc) == ({}, None)


@pytest.mark.parametrize("between", ["\n", "\n\n\n", "  \n", "\t\n\r\n", "VEC1 9 0 0\nVEC2 0 9 0\nVEC3 0 0 9\n\n"])
def test_whatever_stands_between_frames_all_are_read(tmp_path, between):
    (tmp_path / "a.xyz").write_text((frame() + between) * 40 + "\n\n")
    found = read_frames(tmp_path / "a.xyz")
    assert len(found.structures) == 40
    assert str(found) == "40 frames"
    assert all(atoms.get_chemical_formula() == "C2H6O" for atoms in found.structures)
    assert str(read_frames(tmp_path / "a.xyz", "::20")) == "2 of 40 frames"


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("ethanol", "Äthanol bei 300 °C").encode("latin-1"),
        lambda text: text.replace("ethanol", "caf\x85e").encode("latin-1"),  # U+0085 ends a line for str.splitlines
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.replace("ethanol", 'he said "hello, {').encode(),
    ],
)
def test_encodings_and_line_ends(tmp_path, encode, recwarn):
    (tmp_path / "a.XYZ").write_bytes(encode(frame() + frame()))
    for atoms in (found := read_structures(tmp_path / "a.XYZ")):
        assert atoms.get_chemical_formula() == "C2H6O"
        np.testing.assert_allclose(atoms.positions, ETHANOL.positions, atol=1e-6)
    assert len(found) == 2


@pytest.mark.parametrize(
    "labels",
    [
        list("CCOHHHHHH"),
        list("ccohhhhhh"),
        ["C1", "C2", "O3", "H4", "H5", "H6", "H7", "H8", "H9"],
        ["C_1", "C-2", "O3A", "H4'", "H5", "H+", "H1-", "H-1", "H_9"],
        ["6", "6", "8", *["1"] * 6],
        ["6", "13C", "O", "2H", "D", "D1", "T", "H", "h"],
    ],
)
def test_labels_become_elements(tmp_path, labels):
    (tmp_path / "a.xyz").write_text(labelled(labels))
    (atoms,) = read_structures(tmp_path / "a.xyz")
    assert list(atoms.symbols) == list("CCOHHHHHH")
    np.testing.assert_allclose(atoms.positions, ETHANOL.positions, atol=1e-6)
    masses = {"D": 2.0141, "D1": 2.0141, "2H": 2.0, "T": 3.016, "13C": 13.0}
    for label, mass in zip(labels, atoms.get_masses(), strict=True):
        if label in masses:
            assert mass == pytest.approx(masses[label], abs=1e-3)


@pytest.mark.parametrize("label", ["Qq", "X", "C-Bq", "@H", "Gh(C)", "HG1", "CA2", "0", "119", "-6", "6.0", "LP", "*"])
def test_what_is_no_element_is_named_with_its_line(tmp_path, label):
    (tmp_path / "a.xyz").write_text(frame() + "\n" + labelled(["C", "C", label, *"HHHHHH"]))
    with pytest.raises(InputError) as error:
        read_structures(tmp_path / "a.xyz")
    assert "a.xyz, frame 1: line 17" in str(error.value)
    assert repr(label) in str(error.value)


def test_labels_in_extended_xyz(tmp_path):
    comment = 'Properties=tag:I:1:species:S:1:pos:R:3 Lattice="9 0 0 0 9 0 0 0 9"'
    labels = ["6", "C2", "O", "D", *"HHHHH"]
    rows = [f"{k} {label} {row.split(None, 1)[1]}" for k, (label, row) in enumerate(zip(labels, ROWS, strict=True))]
    (tmp_path / "a.extxyz").write_text(frame(rows, comment))
    (atoms,) = read_structures(tmp_path / "a.extxyz")
    assert atoms.get_chemical_formula() == "C2H6O"
    assert atoms.pbc.all()
    assert atoms.arrays["tag"].tolist() == list(range(9))


def qm9(number, rows=ROWS) -> str:
    charged = [f"{row}\t-0.1*^-3" for row in rows]
    return (
        "\n".join(
            [
                str(len(rows)),
                f"gdb {number}\t34.9\t9.1\t-8.2*^-6",
                *charged,
                "240.0\t1170.5\t8.1*^2",
                "CCO\tCCO",
                "InChI=1S/C2H6O\tInChI=1S/C2H6O",
            ]
        )
        + "\n"
    )


def test_the_layout_of_qm9(tmp_path):
    rows = ["C 0.9 -7.5*^-2 1.4433D-02", *ROWS[1:]]
    (tmp_path / "a.xyz").write_text(qm9(14) + qm9(15, rows) + "\n" + frame())
    first, second, third = read_structures(tmp_path / "a.xyz")
    assert [a.get_chemical_formula() for a in (first, second, third)] == ["C2H6O"] * 3
    assert (first.info["name"], second.info["name"]) == ("gdb 14", "gdb 15")
    np.testing.assert_allclose(second.positions[0], [0.9, -0.075, 0.014433])
    np.testing.assert_allclose(first.positions, ETHANOL.positions, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("999999999999\n\nH 0 0 0\n", "breaks off within frame 0"),
        ("9" * 5000 + "\n\nH 0 0 0\n", "does not begin with a number of atoms"),
        ("-3\n\nH 0 0 0\n", "does not begin with a number of atoms"),
        (frame() + "Energies follow\n", "frame 1 does not begin with a number of atoms .line 12: 'Energies follow'"),
        (frame() + "H 0 0 9\n", "frame 1 does not begin"),
        (frame([*ROWS, "", ""]), "line 12 is blank"),
        (frame()[: -len(ROWS[-1]) - 1], "breaks off within frame 0"),
        (frame()[:-4], "last number of frame 0 has 3 decimals, all others at least 6"),
        (frame() + frame(["H 0.000000 0.000000 0.00"])[:-1], "last number of frame 1 has 2 decimals"),
        (frame()[:-9] + "\n", "expected a symbol and three coordinates"),
        (frame() + "\n9\nethanol", "breaks off within frame 1"),
    ],
)
def test_files_that_break_off(tmp_path, text, said):
    (tmp_path / "a.xyz").write_text(text)
    with pytest.raises(InputError, match=said):
        read_structures(tmp_path / "a.xyz")


def test_a_file_without_its_last_line_end_is_whole(tmp_path):
    for text in (frame()[:-1], "3\n\nO 0 0 0.119\nH 0 0.763 -0.477\nH 0 -0.763 -0.5"):
        (tmp_path / "a.xyz").write_text(text)
        assert len(read_structures(tmp_path / "a.xyz")) == 1


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ("species:S:1", "name no column of species, or none of pos"),
        ("pos:R:3", "name no column of species, or none of pos"),
        ("species:S:1:pos:R:3:forces:R:3", "line 3 .*: has 4 columns; Properties name 7"),
        ("species:S:1:pos:R:99999999999", "not triples"),
        ("species:S:1:pos:R:999999999", "has 4 columns; Properties name 1000000000"),
        ("species:S:1:pos:R:\u00b3", "not triples"),
        ("species:S:1:pos:R", "not triples"),
    ],
)
def test_columns_that_are_not_there(tmp_path, properties, said):
    (tmp_path / "a.xyz").write_text(f"2\nProperties={properties}\nO 0 0 0\nH 0 0 1\n")
    with pytest.raises(InputError, match=said):
        read_structures(tmp_path / "a.xyz")


@pytest.mark.parametrize("comment", ["coordinates in Bohr", "from turbomole, a.u.", "geometry (nm)"])
def test_a_comment_of_another_unit_is_not_passed_over(tmp_path, comment):
    (tmp_path / "a.xyz").write_text(f"2\n{comment}\nO 0 0 0\nH 0 0 1.8\n")
    with pytest.warns(StructureWarning, match=r"the comment line says '.*'; coordinates are taken as Å"):
        read_structures(tmp_path / "a.xyz")


@pytest.mark.parametrize("comment", ["a bohrium atom", "anm 12", "E = -76.4 a0", "nmr"])
def test_other_comments_say_nothing(tmp_path, comment, recwarn):
    (tmp_path / "a.xyz").write_text(f"2\n{comment}\nO 0 0 0\nH 0 0 1.0\n")
    read_structures(tmp_path / "a.xyz")
    assert not recwarn.list


@pytest.mark.parametrize("number", ["1_0", "0,5", "****", "1e", "0x1"])
def test_what_is_no_number_is_no_coordinate(tmp_path, number):
    for comment in ("x", "Properties=species:S:1:pos:R:3"):
        (tmp_path / "a.xyz").write_text(f"2\n{comment}\nO 0 0 0\nH 0 0 {number}\n")
        with pytest.raises(InputError, match=r"line 4 .* no coordinate"):
            read_structures(tmp_path / "a.xyz")


def test_xyz_by_any_name(tmp_path):
    for name in ("a.txt", "a.dat", "a"):
        (tmp_path / name).write_text("2\nx\nO 0 0 0\nH 0 0 1\n")
        assert read_structures(tmp_path / name)[0].get_chemical_formula() == "HO"


def test_a_name_that_stands_twice_is_refused(tmp_path):
    rows = "O 0 0 0.1\nH 0 0.8 -0.5\nH 0 -0.8 -0.5\n"
    head = 'Properties=species:S:1:pos:R:3 pbc="F F F"'
    (tmp_path / "a.xyz").write_text(f"3\n{head} energy=-1.0 energy=-2.0\n{rows}")
    with pytest.raises(InputError, match=r"line 2 .*'energy' is there twice"):
        read_structures(tmp_path / "a.xyz")
    (tmp_path / "b.xyz").write_text(f'3\n{head} note="energy=1 energy=2" energy=-1.0 list="[a=1, a=2]"\n{rows}')
    (atoms,) = read_structures(tmp_path / "b.xyz")
    assert len(atoms) == 3


def test_elements_and_atomic_numbers_agree(tmp_path):
    head = 'Properties=species:S:1:Z:I:1:pos:R:3 pbc="F F F"'
    rows = "O {} 0 0 0.1\nH 1 0 0.8 -0.5\nH 1 0 -0.8 -0.5\n"
    (tmp_path / "a.xyz").write_text(f"3\n{head}\n{rows.format(8)}")
    assert read_structures(tmp_path / "a.xyz")[0].get_chemical_symbols() == ["O", "H", "H"]
    (tmp_path / "b.xyz").write_text(f"3\n{head}\n{rows.format(6)}")
    with pytest.raises(InputError, match=r"line 3 .*the element is O and the atomic number 6"):
        read_structures(tmp_path / "b.xyz")
