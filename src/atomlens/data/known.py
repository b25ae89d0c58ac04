"""Random clusters under potentials whose terms are known, to fit models whose answer is known."""

from __future__ import annotations

import numpy as np

from atomlens.data.dataset import Column, Dataset
from atomlens.reference import known_potential
from atomlens.structures import InputError


def make_known(name: str, n_clusters: int, seed: int = 0) -> Dataset:
    """Energies and forces of random clusters of 6 to 12 atoms.

    Parameters
    ----------
    name
        Of the potential (`atomlens.reference.known_names`).
    n_clusters
        How many.
    seed
        The same seed gives the same clusters.

    Raises
    ------
    InputError
        If there is no such potential, or no cluster is asked for.
    """
    potential = known_potential(name)
    if n_clusters < 1:
        raise InputError(f"{name}: {n_clusters} clusters asked for; give at least 1")
    rng = np.random.default_rng(seed)
    clusters = [potential.cluster(rng) for _ in range(n_clusters)]
    terms = [potential.terms(atoms) for atoms in clusters]
    return Dataset(
        name=f"known-{name}",
        source=f"random clusters under the potential {name}, seed {seed}",
        numbers=np.concatenate([atoms.numbers for atoms in clusters]).astype(np.int64),
        positions=np.concatenate([atoms.positions for atoms in clusters]),
        cells=np.zeros((n_clusters, 3, 3)),
        periodic=np.zeros((n_clusters, 3), dtype=bool),
        starts=np.cumsum([0] + [len(atoms) for atoms in clusters]),
        columns=(
            Column("energy", "eV", np.array([t.energy for t in terms]), meaning="sum of all terms"),
            Column("forces", "eV/Å", np.concatenate([t.forces for t in terms]), True, "forces on the atoms"),
        ),
    )
