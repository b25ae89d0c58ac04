"""Types of LAMMPS are numbers, and no elements."""

import numpy as np
import pytest

from atomlens import InputError
from atomlens.structures import read_structures

PLACES = np.array([[5.0, 5.0, 5.0], [5.0, 5.76, 5.59], [5.0, 4.24, 5.59]])
DUMP = """ITEM: TIMESTEP
0
ITEM: NUMBER OF ATOMS
3
ITEM: BOX BOUNDS pp pp pp
0 10
0 10
0 10
ITEM: ATOMS id type{0} x y z
"""
DATA = """water

3 atoms
2 atom types
0 10 xlo xhi
0 10 ylo yhi
0 10 zlo zhi
{0}
Atoms # atomic

"""


def rows(*words):
    lines = []
    for k, (word, place) in enumerate(zip(words or ("",) * 3, PLACES.tolist(), strict=True), start=1):
        lines.append(f"{k} {1 if k == 1 else 2} {word} {' '.join(map(str, place))}\n")
    return "".join(lines)


@pytest.mark.parametrize(("column", "words"), [(" element", "OHH"), (" mass", ("15.999", "1.008", "1.008"))])
def test_a_dump_that_says_elements_is_read(tmp_path, column, words):
    (tmp_path / "d.lammpstrj").write_text(2 * (DUMP.format(column) + rows(*words)))
    frames = read_structures(tmp_path / "d.lammpstrj")
    assert len(frames) == 2
    assert frames[1].get_chemical_symbols() == ["O", "H", "H"]
    np.testing.assert_allclose(frames[1].get_all_distances(), np.linalg.norm(PLACES[:, None] - PLACES, axis=-1))


def test_a_dump_of_types_alone_is_refused(tmp_path):
    (tmp_path / "d.lammpstrj").write_text(DUMP.format("") + rows())
    with pytest.raises(InputError, match=r"names no elements; .* dump_modify"):
        read_structures(tmp_path / "d.lammpstrj")


def test_a_data_file_needs_masses(tmp_path):
    atoms = rows()
    (tmp_path / "a.lammps-data").write_text(DATA.format("\nMasses\n\n1 15.999 # O\n2 1.008\n") + atoms)
    (found,) = read_structures(tmp_path / "a.lammps-data")
    assert found.get_chemical_symbols() == ["O", "H", "H"]
    (tmp_path / "b.lammps-data").write_text(DATA.format("") + atoms)
    with pytest.raises(InputError, match="it needs a section Masses"):
        read_structures(tmp_path / "b.lammps-data")
