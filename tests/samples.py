"""Small models and structures that several test folders use."""

from __future__ import annotations

from typing import Any

import ase
import numpy as np
import torch
from hypothesis import assume
from hypothesis import strategies as st

from atomlens.models import (
    CutoffConfig,
    LongRangeConfig,
    ModelConfig,
    OutputConfig,
    Potential,
    RadialConfig,
    ReadoutConfig,
    RepresentationConfig,
)

ELEMENTS = (1, 6, 7, 8, 9)
RULES = ("gate", "gamma", "gradient")
# Architecture with product rule; both product rules are the same thing for SchNet.
FORMS = (("schnet", "scalar"), ("painn", "scalar"), ("painn", "full"))


def small_model(
    architecture: str = "painn",
    *,
    n_layers: int = 3,
    n_features: int = 4,
    cutoff: float = 2.5,
    activation: str | None = None,
    readout: dict[str, Any] | None = None,
    output: dict[str, Any] | None = None,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    radial: RadialConfig | None = None,
    envelope: CutoffConfig | None = None,
    long_range: LongRangeConfig | None = None,
    **representation: Any,
) -> Potential:
    """An untrained model with random weights, and scale, mean and references that are not trivial."""
    activation = activation or ("shifted_softplus" if architecture == "schnet" else "silu")
    config = ModelConfig(
        representation=RepresentationConfig(
            architecture=architecture,
            n_features=n_features,
            n_layers=n_layers,
            activation=activation,
            radial=radial or RadialConfig(n_rbf=6, cutoff=cutoff),
            cutoff=envelope or CutoffConfig(cutoff=cutoff),
            max_z=10,
            **representation,
        ),
        readout=ReadoutConfig(**{"widths": (n_features, 3, 1), "activation": activation} | (readout or {})),
        output=OutputConfig(**{"extensive": True} | (output or {})),
        long_range=long_range or LongRangeConfig(),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Potential(config).cast(dtype)
        with torch.no_grad():
            for parameter in model.parameters():
                # Larger than a fresh network's: terms of all orders come out of one size.
                parameter.copy_(1.2 * torch.randn_like(parameter) / max(parameter.shape[-1], 2) ** 0.5)
            model.scale.fill_(1.7)
            model.mean.fill_(-0.3)
            model.atomrefs.copy_(torch.linspace(-3.0, 1.0, 10))
    return model.eval().requires_grad_(False)


def long_range_model(architecture: str, kind: str, *, n_layers: int = 3, **options: Any) -> Potential:
    """An untrained model with long-range energies; options are those of `LongRangeConfig`."""
    return small_model(architecture, n_layers=n_layers, long_range=LongRangeConfig(kind=kind, width=3, **options))


def branched() -> ase.Atoms:
    """Five atoms: with a cutoff of 2.5 Å a triangle, a chain on it, and one atom out of everyone's reach."""
    return ase.Atoms(
        "OCHNF",
        positions=[[0.0, 0.0, 0.0], [1.3, 0.2, 0.0], [0.5, 1.1, 0.7], [3.3, 0.3, -0.9], [9.0, 0.0, 0.0]],
    )


def crowded_cell() -> ase.Atoms:
    """Triclinic cell so small that atoms see their own images, and several images of each other."""
    cell = [[2.3, 0.0, 0.0], [0.4, 2.6, 0.0], [-0.3, 0.5, 2.9]]
    return ase.Atoms("OHC", positions=[[0.0, 0.0, 0.1], [0.9, 1.0, 0.3], [0.2, -0.8, 1.5]], cell=cell, pbc=True)


@st.composite
def molecules(draw: st.DrawFn, max_atoms: int = 6) -> ase.Atoms:
    """Atoms in the open, no two nearer than 0.6 Å: points of a grid, each moved a little."""
    point = st.tuples(*[st.integers(0, 3)] * 3)
    points = draw(st.lists(point, min_size=1, max_size=max_atoms, unique=True))
    moves = draw(st.lists(st.floats(-0.19, 0.19), min_size=3 * len(points), max_size=3 * len(points)))
    numbers = draw(st.lists(st.sampled_from(ELEMENTS), min_size=len(points), max_size=len(points)))
    return ase.Atoms(numbers, positions=np.array(points, dtype=float) + np.reshape(moves, (-1, 3)))


@st.composite
def crystals(draw: st.DrawFn, max_atoms: int = 3) -> ase.Atoms:
    """Atoms in triclinic cells of 1.5 to 4 Å, periodic in at least one direction, none on another's image."""
    lengths = [draw(st.floats(1.5, 4.0)) for _ in range(3)]
    shears = [draw(st.floats(-0.9, 0.9)) for _ in range(3)]
    cell = np.diag(lengths)
    cell[1, 0], cell[2, 0], cell[2, 1] = shears
    n = draw(st.integers(1, max_atoms))
    # Fractional coordinates outside 0..1 too: atoms need not lie in the cell.
    places = draw(st.lists(st.floats(-0.7, 1.6), min_size=3 * n, max_size=3 * n))
    numbers = draw(st.lists(st.sampled_from(ELEMENTS), min_size=n, max_size=n))
    pbc = draw(st.tuples(*[st.booleans()] * 3).filter(any))
    atoms = ase.Atoms(numbers, positions=np.reshape(places, (-1, 3)) @ cell, cell=cell, pbc=pbc)
    edges = neighbours_by_force(atoms, 0.6)
    assume(not edges)
    return atoms


def neighbours_by_force(atoms: ase.Atoms, cutoff: float) -> list[tuple[int, int, tuple[int, int, int]]]:
    """All (target, source, image) nearer than `cutoff`, from every image that could reach."""
    cell, positions = atoms.cell.array, atoms.positions
    # The distance between lattice planes says how many images a sphere meets; the spread of the atoms adds to it.
    inverse = np.linalg.inv(atoms.cell.complete().array)
    reach = np.ceil(cutoff * np.linalg.norm(inverse, axis=0) + np.ptp(positions @ inverse, axis=0)).astype(int) + 1
    ranges = [np.arange(-r, r + 1) if periodic else np.zeros(1) for r, periodic in zip(reach, atoms.pbc, strict=True)]
    images = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    found = []
    for i in range(len(atoms)):
        for j in range(len(atoms)):
            distances = np.linalg.norm(positions[j] + images @ cell - positions[i], axis=1)
            for image, distance in zip(images.tolist(), distances, strict=True):
                if distance < cutoff and not (i == j and image == [0, 0, 0]):
                    found.append((i, j, tuple(image)))
    return sorted(found)
