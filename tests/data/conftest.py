from pathlib import Path

import numpy as np
import pytest

from atomlens.data import Column, Dataset

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def ethanol_file() -> Path:
    path = SHARED / "rmd17_ethanol" / "train.xyz"
    if not path.exists():
        pytest.skip("needs the shared rMD17 ethanol frames beside the repository")
    return path


def spring_dataset(n: int = 60, seed: int = 0, stiffness: float = 30.0) -> Dataset:
    """Water-like molecules of harmonic springs, so that forces are known in closed form."""
    rng = np.random.default_rng(seed)
    rest = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    x = rest + 0.04 * rng.standard_normal((n, 3, 3))
    energies, forces = np.zeros(n), np.zeros_like(x)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        d = x[:, j] - x[:, i]
        r = np.linalg.norm(d, axis=1)
        r0 = np.linalg.norm(rest[j] - rest[i])
        energies += 0.5 * stiffness * (r - r0) ** 2
        pull = (stiffness * (r - r0) / r)[:, None] * d
        forces[:, i] += pull
        forces[:, j] -= pull
    return Dataset(
        name="springs",
        source="closed form",
        numbers=np.tile([8, 1, 1], n),
        positions=x.reshape(-1, 3),
        cells=np.zeros((n, 3, 3)),
        periodic=np.zeros((n, 3), dtype=bool),
        starts=np.arange(0, 3 * n + 1, 3),
        columns=(
            Column("energy", "eV", energies - 2000.0),
            Column("forces", "eV/Å", forces.reshape(-1, 3), per_atom=True),
        ),
        notes=("made by the tests",),
    )


@pytest.fixture
def springs() -> Dataset:
    return spring_dataset()
