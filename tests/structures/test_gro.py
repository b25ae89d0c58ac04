"""GROMACS files: every frame, lengths in nm, elements from names, a box of zeros is no crystal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atomlens import InputError, read_structures
from atomlens.structures import StructureWarning, reading_notes

pytestmark = pytest.mark.filterwarnings("ignore::atomlens.structures.StructureWarning")
WATER = (("SOL", "OW", (0.0, 0.0, 0.0)), ("SOL", "HW1", (0.1, 0.0, 0.0)), ("SOL", "HW2", (-0.033, 0.094, 0.0)))


def gro(atoms=WATER, box="   2.00000   2.10000   2.20000", decimals: int = 3, velocities: bool = False) -> str:
    rows = [
        f"{k // 3 + 1:>5}{residue:<5}{name:>5}{k + 1:>5}"
        + "".join(f"{x:{decimals + 5}.{decimals}f}" for x in place)
        + ("  0.1000  0.2000 -0.3000" if velocities else "")
        for k, (residue, name, place) in enumerate(atoms)
    ]
    return "\n".join(["made by a test t= 0.0", f"{len(rows):>5}", *rows, box]) + "\n"


def read(folder: Path, text: str, frames: str = ":"):
    (folder / "a.gro").write_text(text)
    return read_structures(folder / "a.gro", frames)


@pytest.mark.parametrize("decimals", [3, 5])
@pytest.mark.parametrize("velocities", [False, True])
def test_all_frames_with_their_cells(tmp_path: Path, decimals: int, velocities: bool) -> None:
    found = read(tmp_path, gro(decimals=decimals, velocities=velocities) * 3)
    assert len(found) == 3
    for atoms in found:
        assert atoms.get_chemical_symbols() == ["O", "H", "H"]
        np.testing.assert_allclose(atoms.positions[2], [-0.33, 0.94, 0.0])
        np.testing.assert_allclose(atoms.cell.lengths(), [20.0, 21.0, 22.0])
        assert atoms.pbc.all()
    assert len(read(tmp_path, gro() * 3, "-1")) == 1


def test_a_triclinic_box(tmp_path: Path) -> None:
    (atoms,) = read(tmp_path, gro(box="2 2.1 2.2 0 0 0.3 0 0.4 0.5"))
    np.testing.assert_allclose(atoms.cell.array, [[20, 0, 0], [3, 21, 0], [4, 5, 22]])


def test_a_box_of_zeros_is_no_crystal(tmp_path: Path) -> None:
    assert not read(tmp_path, gro(box="   0.00000   0.00000   0.00000"))[0].pbc.any()


@pytest.mark.parametrize(
    ("residue", "name", "symbol"),
    [
        ("NA", "NA", "Na"), ("CL", "CL", "Cl"), ("ZN", "ZN", "Zn"), ("ALA", "CA", "C"), ("ALA", "HG1", "H"),
        ("SER", "OG", "O"),
    ],
)  # fmt: skip
def test_ions_are_no_light_atoms_and_light_atoms_no_metals(
    tmp_path: Path, residue: str, name: str, symbol: str
) -> None:
    (atoms,) = read(tmp_path, gro([*WATER, (residue, name, (1.0, 1.0, 1.0))]))
    assert atoms.symbols[3] == symbol
    assert "elements are taken from atom names" in reading_notes(atoms)[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (gro([*WATER, ("SOL", "MW", (0.5, 0.0, 0.0))]), "line 6 .*'MW' names none"),
        (gro([*WATER, ("LIG", "CD", (0.5, 0.0, 0.0))]), "line 6 .*'CD' may mean Cd or C"),
        (gro()[:-40], "line 5|breaks off|truncated"),
        (gro().replace("    3\n", "    ³\n"), "line 2 .* no number of atoms"),
        (gro(box="1 2"), "line 6 .* no box"),
        (gro(box="1 2 x"), "line 6 .* no box"),
        ("only a title\n", "no number of atoms"),
    ],
)
def test_what_cannot_be_known_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(tmp_path, text)


def test_the_guess_is_said(tmp_path: Path) -> None:
    with pytest.warns(StructureWarning, match=r"a\.gro: elements are taken from atom names"):
        read(tmp_path, gro())
