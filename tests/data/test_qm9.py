import importlib.metadata
import os
from pathlib import Path

import numpy as np
import pytest
from ase.units import Hartree

from atomlens.data import load_qm9
from atomlens.data.qm9 import parse_qm9
from atomlens.structures import InputError

HEADER = (
    "XYZ_file,Index,SMILES,InChi,N_atoms,Stoichiometry,Elements,XYZ_Ang,Mulliken_pop,Harmonic_Freq_cmi,RotA_GHz,"
    "RotB_GHz,RotC_GHz,Dipole_debye,Polarizability_bohr3,HOMO_au,LUMO_au,HOMO_LUMO_gap_au,R2_bohr2,ZPVE_au,"
    "InternalEnergy_0K_au,InternalEnergy_298K_au,Enthalphy_298K_au,GibbsFreeEnergy_298K_au,Heatcapacity_Cv_cal_mol_K\n"
)
WATER = (
    '"{file}",3,"O","InChI=1S/H2O/h1H2",3,"[2,0,0,1,0]","[\'O\',\'H\',\'H\']",'
    '"[[0.,0.1*^-1,-2.E-3],[0.96,0.,0.],[-0.24,0.93,0.]]","[-0.589706,0.294853,0.294853]","{frequencies}",'
    "799.58812,437.90386,282.94545,1.8511,6.31,-0.2928,0.0687,0.3615,19.0002,0.021375,-76.404702,-76.401867,"
    "-76.400922,-76.422349,6.002\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for k, frequencies in enumerate(("[1671.4,3803.6,3907.7]", "[1.,2.,3.,1.,2.,3.]", "[1.,2.,3.,4.]"), start=1):
        row = WATER.format(file=f"m{k}", frequencies=frequencies)
        (tmp_path / f"qm9_part{k}.csv").write_text(HEADER + row)
    tensor = "".join(f'"m{k}",1.0,0.1,2.0,0.2,0.3,3.0\n' for k in (1, 2, 3))
    (tmp_path / "qm9_polarizability.csv").write_text("XYZ_file,A_xx,A_xy,A_yy,A_xz,A_yz,A_zz\n" + tensor)
    return tmp_path


def test_odd_numbers_units_and_columns(folder: Path) -> None:
    dataset = parse_qm9(folder)
    assert len(dataset) == 3
    np.testing.assert_allclose(dataset.positions[0], [0.0, 0.01, -0.002])
    np.testing.assert_array_equal(dataset.numbers[:3], [8, 1, 1])
    assert dataset.column("HOMO").values[0] == pytest.approx(-0.2928 * Hartree)
    assert dataset.column("dipole").unit == "D"
    binding = (-76.404702 + 75.064579 + 2 * 0.500273) * Hartree
    np.testing.assert_allclose(dataset.column("U0_atomization").values, binding)
    np.testing.assert_allclose(dataset.column("polarizability").values[0][2], [0.2, 0.3, 3.0])
    # Listed once, listed twice, one more as in a linear molecule.
    frequencies = dataset.column("frequencies").values
    assert [int(np.isfinite(f).sum()) for f in frequencies] == [3, 3, 4]
    np.testing.assert_allclose(frequencies[0, :3], [1671.4, 3803.6, 3907.7])
    assert dataset.column("smiles").values[0] == b"O"


def test_second_reading_comes_from_the_cache(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOMLENS_CACHE", str(tmp_path / "cache"))
    said: list[str] = []
    first = load_qm9(folder, said.append)
    second = load_qm9(folder, said.append)
    assert len(said) == 1
    np.testing.assert_array_equal(first.positions, second.positions)


@pytest.mark.parametrize("part", ["qm9_part2.csv", "qm9_polarizability.csv"])
def test_truncated_files(folder: Path, part: str) -> None:
    text = (folder / part).read_text()
    (folder / part).write_text(text[: len(text) - 40])
    with pytest.raises(InputError, match=r"truncated|missing"):
        parse_qm9(folder)
    (folder / part).unlink()
    with pytest.raises(InputError, match="is missing"):
        parse_qm9(folder)


def test_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(InputError, match=r"pip install .*qm9"):
        load_qm9()


@pytest.mark.skipif(
    "ATOMLENS_TEST_QM9" not in os.environ, reason="parses all of QM9 (10 s): set ATOMLENS_TEST_QM9 to run it"
)
def test_all_of_qm9() -> None:
    dataset = load_qm9()
    assert len(dataset) == 130_831
    assert dataset.starts[-1] == 2_359_210
    assert np.isfinite(dataset.positions).all()
