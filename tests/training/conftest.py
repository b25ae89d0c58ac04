from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

CONFIG = """
name = "springs"
seed = 3

[data]
path = "springs.npz"
energy_unit = "eV"
forces = true
n_train = 40
n_val = 10

[model]
architecture = "{architecture}"
n_features = 8
n_layers = 2

[fit]
epochs = {epochs}
batch_size = 8
lr = 5e-3
energy_weight = 0.01
force_weight = 0.99
plateau_patience = 1
schedule = "{schedule}"
"""


def write_springs(path: Path, n: int = 60, stiffness: float = 30.0) -> None:
    """Water-like molecules of harmonic springs as an sGDML archive in eV."""
    rng = np.random.default_rng(0)
    rest = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    x = rest + 0.04 * rng.standard_normal((n, 3, 3))
    energies, forces = np.full(n, -2000.0), np.zeros_like(x)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        d = x[:, j] - x[:, i]
        r = np.linalg.norm(d, axis=1)
        stretch = r - np.linalg.norm(rest[j] - rest[i])
        energies += 0.5 * stiffness * stretch**2
        pull = (stiffness * stretch / r)[:, None] * d
        forces[:, i] += pull
        forces[:, j] -= pull
    np.savez(path, z=np.array([8, 1, 1]), R=x, E=energies, F=forces)


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., Path]:
    def make(epochs: int = 4, architecture: str = "painn", schedule: str = "plateau", extra: str = "") -> Path:
        write_springs(tmp_path / "springs.npz")
        path = tmp_path / "springs.toml"
        path.write_text(CONFIG.format(epochs=epochs, architecture=architecture, schedule=schedule) + extra)
        return path

    return make


@pytest.fixture(autouse=True)
def _one_thread():
    before, rng = torch.get_num_threads(), torch.get_rng_state()
    yield
    torch.set_num_threads(before)
    torch.set_rng_state(rng)
