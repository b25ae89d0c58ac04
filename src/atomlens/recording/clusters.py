"""Small clusters of a model's elements, from which its rows are learned."""

from __future__ import annotations

from collections.abc import Sequence

import ase
import numpy as np


def cluster(numbers: Sequence[int], n_atoms: int, cutoff: float, seed: int) -> ase.Atoms:
    """Atoms at random places, all within the cutoff of each other, none on another.

    Parameters
    ----------
    numbers
        Atomic numbers, taken in turn.
    cutoff
        Å; the cluster is 0.8 of it across, at most 4 Å.
    """
    generator = np.random.default_rng(seed)
    radius = min(0.4 * cutoff, 2.0)
    spacing = 0.9 * radius * n_atoms ** (-1 / 3)
    places: list[np.ndarray] = []
    while len(places) < n_atoms:
        place = generator.uniform(-radius, radius, 3)
        if np.linalg.norm(place) <= radius and all(np.linalg.norm(place - other) > spacing for other in places):
            places.append(place)
    return ase.Atoms([numbers[i % len(numbers)] for i in range(n_atoms)], positions=np.array(places))


def rotated(atoms: ase.Atoms) -> ase.Atoms:
    """A copy, rotated about an axis that is no axis of the coordinates."""
    copy = atoms.copy()
    copy.rotate(77.0, (0.3, -0.8, 0.5), rotate_cell=True)
    return copy
