from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from atomlens.reference import read_s66x8
from atomlens.structures import InputError
from places import SHARED

h5py = pytest.importorskip("h5py", reason="needs the extra reference")


def test_the_whole_set():
    path = SHARED / "data" / "s66x8" / "s66x8_wb97x_6-31gd.h5"
    if not path.exists():
        pytest.skip("needs S66x8 beside the repository (shared/data)")
    dimers = read_s66x8(path)
    assert len(dimers) == 66 * 8
    water = dimers[:8]
    assert {d.name for d in water} == {"H2O H2O"}
    # Factors are what the file's closest contacts grow by.
    contact = [d.atoms.get_all_distances()[np.ix_(*d.monomers)].min() for d in water]
    slope, offset = np.polyfit([d.factor for d in water], contact, 1)
    assert abs(offset) < 0.05 * slope
    # Forces are minus the gradient of the energy, in eV/Å: work along the curve.
    for near, far in pairwise(water[3:7]):
        work = (0.5 * (near.forces + far.forces) * (far.atoms.positions - near.atoms.positions)).sum()
        assert far.energy - near.energy == pytest.approx(-work, rel=0.05)
    for dimer in dimers[::8]:
        assert sorted(np.concatenate(dimer.monomers)) == list(range(len(dimer.atoms)))


def test_files_that_are_not_s66x8(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_s66x8(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(InputError, match="not S66x8"):
        read_s66x8(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["something"] = 1
    with pytest.raises(InputError, match="not S66x8"):
        read_s66x8(tmp_path / "other.h5")
