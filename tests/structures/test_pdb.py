"""PDB files: what they leave open is decided, and said."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from atomlens.structures import InputError, StructureWarning, read_frames, read_structures, reading_notes

ETHANOL = [
    ("C1", 0.901, -0.075, 0.014), ("C2", -0.584, -0.368, 0.056), ("O3", -1.306, 0.822, 0.340),
    ("H4", 1.237, 0.351, 0.966), ("H5", 1.128, 0.663, -0.762), ("H6", 1.472, -0.985, -0.187),
    ("H7", -0.809, -1.098, 0.839), ("H8", -0.932, -0.770, -0.900), ("H9", -1.107, 1.461, -0.366),
]  # fmt: skip
NAMES = [f" {name:<3}" for name, *_ in ETHANOL]
POSITIONS = np.array([row[1:] for row in ETHANOL])


def line(k, name, xyz, *, alt=" ", residue="ETH", number=1, occupancy="  1.00", element="", record="HETATM") -> str:
    x, y, z = xyz
    return (
        f"{record:<6}{k:>5} {name:<4}{alt}{residue:<4}A{number:>3}    {x:8.3f}{y:8.3f}{z:8.3f}{occupancy}  0.00"
        f"          {element:>2}"
    )


def ethanol(names=NAMES, elements=True, **options) -> list[str]:
    return [
        line(k, name, xyz, element=ETHANOL[k - 1][0][0] if elements else "", **options)
        for k, (name, xyz) in enumerate(zip(names, POSITIONS, strict=True), start=1)
    ]


def read(tmp_path, lines, name="a.pdb"):
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    return read_structures(tmp_path / name)


def is_ethanol(atoms) -> bool:
    return atoms.get_chemical_formula() == "C2H6O" and np.allclose(atoms.positions, POSITIONS) and not atoms.pbc.any()


@pytest.mark.parametrize(
    "layout",
    [
        ["MODEL        1", None, "ENDMDL", "MODEL        2", None, "ENDMDL", "MODEL        3", None, "ENDMDL", "END"],
        [None, "END", None, "END", None, "END"],
        [None, "TER", "ENDMDL", None, "ENDMDL", None],
    ],
)
def test_all_models_are_read(tmp_path, layout):
    lines = [row for part in layout for row in (ethanol() if part is None else [part])]
    found = read(tmp_path, lines, "a.PDB")
    assert len(found) == 3
    assert all(map(is_ethanol, found))
    assert str(read_frames(tmp_path / "a.PDB", "-1")) == "1 of 3 frames"


@pytest.mark.parametrize(
    "cell",
    [
        "1.000    1.000    1.000  90.00  90.00  90.00 P 1           1",
        "0.000    0.000    0.000  90.00  90.00  90.00 P 1           1",
        "0.000    0.000    0.000   0.00   0.00   0.00",
    ],
)
def test_placeholder_cells_are_no_crystals(tmp_path, cell):
    with pytest.warns(StructureWarning, match="a.pdb: CRYST1 .* no crystal"):
        (atoms,) = read(tmp_path, [f"CRYST1    {cell}", *ethanol(), "END"])
    assert is_ethanol(atoms)


def test_true_cells_stay(tmp_path):
    (atoms,) = read(tmp_path, ["CRYST1   12.000   13.000   14.000  90.00  90.00  90.00 P 1           1", *ethanol()])
    assert atoms.pbc.all()
    np.testing.assert_allclose(atoms.cell.lengths(), [12, 13, 14])
    with pytest.warns(StructureWarning, match="space group P 21 21 21: .*symmetry copies are not made"):
        read(tmp_path, ["CRYST1   12.000   13.000   14.000  90.00  90.00  90.00 P 21 21 21    4", *ethanol()])


@pytest.mark.parametrize(
    ("weights", "kept"), [(("0.50", "0.50"), "A"), (("0.30", "0.70"), "B"), (("0.70", "0.30"), "A")]
)
def test_one_of_the_alternate_locations_is_kept(tmp_path, weights, kept):
    rest = ethanol()[1:]
    pair = [
        line(1, " C1 ", POSITIONS[0] + (0.4 if name == "B" else 0), alt=name, occupancy=f"  {weight}", element="C")
        for name, weight in zip("AB", weights, strict=True)
    ]
    with pytest.warns(StructureWarning, match=f"alternate locations in 1 residue: {kept} kept .*1 atom left out"):
        (atoms,) = read(tmp_path, [*pair, *rest])
    assert atoms.get_chemical_formula() == "C2H6O"
    np.testing.assert_allclose(atoms.positions[0], POSITIONS[0] + (0.4 if kept == "B" else 0))


def test_partial_occupancies_are_said(tmp_path):
    lines = ethanol()
    lines[2] = line(3, " O3 ", POSITIONS[2], occupancy="  0.40", element="O")
    with pytest.warns(StructureWarning, match=r"1 atom with occupancy below 1 \(down to 0.4\) counts as a whole one"):
        (atoms,) = read(tmp_path, lines)
    assert is_ethanol(atoms)
    assert "0.4" in reading_notes(atoms)[0]
    (atoms,) = read(tmp_path, ethanol(occupancy="  0.00"))  # of programs that do not know it
    assert reading_notes(atoms) == ()


@pytest.mark.parametrize(
    "names",
    [
        [" CA ", " CB ", " OH ", " HA ", " HB1", " HG1", " HE2", " HD1", " HH "],
        [" C1 ", " C2 ", " O3 ", " H4 ", "1HB ", "2HB ", "HG11", "HE21", " D1 "],
        ["C1  ", "C2  ", "O   ", "H1  ", "H2  ", "H3  ", "H4  ", "H5  ", "HX10"],
    ],
)
def test_elements_come_from_names_where_their_column_lacks(tmp_path, names):
    with pytest.warns(StructureWarning, match="elements are taken from atom names"):
        (atoms,) = read(tmp_path, ethanol(names, elements=False))
    assert list(atoms.symbols) == list("CCOHHHHHH")


@pytest.mark.parametrize(
    ("name", "residue", "symbol"),
    [("CA  ", " CA", "Ca"), ("ZN  ", " ZN", "Zn"), ("CL  ", "CL-", "Cl"), ("CA  ", "ALA", "C"), ("HG  ", "SER", "H"),
     ("FE  ", "HEM", "Fe"), (" NA ", "HEM", "N"), ("CL1 ", "LIG", "Cl"), ("SE  ", "MSE", "Se"), ("NE2 ", "HIS", "N")],
)  # fmt: skip
def test_the_element_of_a_name(tmp_path, name, residue, symbol):
    with pytest.warns(StructureWarning):
        (atoms,) = read(tmp_path, [line(1, name, (0, 0, 0), residue=residue)])
    assert list(atoms.symbols) == [symbol]


@pytest.mark.parametrize("name", [" CL1", " BR ", " X1 ", " QQ "])
def test_names_that_mean_nothing_for_sure(tmp_path, name):
    with pytest.raises(InputError, match=r"a.pdb: line 1 .*no element in columns 77-78"):
        read(tmp_path, [line(1, name, (0, 0, 0), residue="LIG")])


def test_deuterium(tmp_path):
    lines = ethanol()
    lines[8] = line(9, " D9 ", POSITIONS[8], element="D")
    (atoms,) = read(tmp_path, lines)
    assert is_ethanol(atoms)
    assert atoms.get_masses()[8] == pytest.approx(2.0141)


def test_lines_that_were_cut_off(tmp_path):
    lines = ethanol()
    lines[-1] = lines[-1][:51]
    with pytest.raises(InputError, match=r"line 9 .*column 54"):
        read(tmp_path, lines)


def test_missing_hydrogen_is_said(tmp_path):
    with pytest.warns(StructureWarning, match="water without hydrogen"):
        read(tmp_path, [line(1, " O  ", (0, 0, 0), residue="HOH", element="O")])


def test_a_file_of_no_atoms(tmp_path):
    with pytest.raises(InputError, match="holds no structure"):
        read(tmp_path, ["REMARK nothing", "END"])


@pytest.mark.parametrize(
    ("number", "numbers"), [("A000", (1, 1, 2)), ("****", (1, 1, 2)), ("9999", (9999, 9999, 9999))]
)
def test_residue_numbers_beyond_four_digits(tmp_path, number, numbers):
    rows = ethanol()[:3]
    rows = [row[:22] + number + row[26:] for row in rows]
    if number != "9999":
        rows[2] = rows[2][:22] + "A001" + rows[2][26:]
    (atoms,) = read(tmp_path, rows)
    assert atoms.arrays["residuenumbers"].tolist() == list(numbers)


@pytest.mark.parametrize(("weight", "said"), [("0.40", True), ("1.00", False)])
def test_an_only_alternate_location_is_a_partial_one(tmp_path, weight, said):
    lines = ethanol()
    lines[2] = line(3, " O3 ", POSITIONS[2], alt="B", occupancy=f"  {weight}", element="O")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        (atoms,) = read(tmp_path, lines)
    assert len(atoms) == 9
    assert any("1 atom with occupancy below 1 (down to 0.4)" in str(w.message) for w in found) is said
