"""A small study, and the frames that it learns from."""

from __future__ import annotations

from pathlib import Path

import ase.build
import numpy as np
import pytest

pytest.importorskip("torch_sim", exc_type=ImportError)
pytest.importorskip("tblite", exc_type=ImportError)
from ase.calculators.morse import MorsePotential
from ase.io import write

PLAN = """
name = "tiny"
[data]
path = "frames.xyz"
property = "energy"
forces = true
n_train = 12
n_val = 4
n_test = 4
check_forces = false
[model]
n_features = 16
n_layers = 1
cutoff = 3.0
[fit]
epochs = 1
batch_size = 6
energy_weight = 0.01
force_weight = 0.99
[grid]
"model.architecture" = ["schnet", "painn"]
seed = [1, 2]
[analysis]
path = "frames.xyz"
frames = ":6"
[simulation]
path = "frames.xyz"
time = 0.01
replicas = 2
interval = 5
"""


VARIANTS = 'variant = [{{ name = "{}" }}, {{ name = "{}", fit.epochs = 2 }}]'


def planned(folder: Path, text: str = PLAN) -> Path:
    """A study's file beside frames of methanol whose energies are of a Morse potential."""
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(20):
        atoms = ase.build.molecule("CH3OH")
        atoms.positions += 0.05 * rng.standard_normal(atoms.positions.shape)
        atoms.calc = MorsePotential(epsilon=1.0, r0=1.2, rho0=3.0)
        atoms.get_forces()
        frames.append(atoms)
    write(folder / "frames.xyz", frames, format="extxyz")
    path = folder / "study.toml"
    path.write_text(text)
    return path
