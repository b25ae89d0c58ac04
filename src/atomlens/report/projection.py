"""Turn a molecule so that as few atoms as possible hide each other."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

# Two atoms closer than this in the plane of the page read as one.
_BLUR = 0.5
# Structures of more atoms are turned by their principal axes alone.
_SEARCH_LIMIT = 200
# Pairs of atoms times directions that are held at once.
_AT_ONCE = 2**20


def viewing_rotation(positions: Float[np.ndarray, "N 3"], n_directions: int = 240) -> Float[np.ndarray, "3 3"]:
    """Rotation R after which ``positions @ R.T`` is best read along z.

    Directions spread evenly over the sphere are scored by how many atoms fall on top of each other; within the
    page the longest axis lies horizontally.
    """
    centred = positions - positions.mean(axis=0)
    best = _principal_axis(centred)
    if 2 < len(positions) <= _SEARCH_LIMIT:
        candidates = np.vstack([best, _sphere(n_directions)])
        best = candidates[_clutter(centred, candidates).argmin()]
    frame = _complete(best)
    flat = centred @ frame[:2].T
    _, _, axes = np.linalg.svd(flat, full_matrices=False) if len(flat) > 1 else (None, None, np.eye(2))
    turn = np.eye(3)
    turn[:2, :2] = axes if axes.shape == (2, 2) else np.eye(2)
    if np.linalg.det(turn) < 0:
        turn[1] *= -1
    return turn @ frame


def aligned_rotation(positions: Float[np.ndarray, "N 3"], target: Float[np.ndarray, "N 3"]) -> np.ndarray:
    """Rotation that brings `positions` closest to `target` (Kabsch), both about their centres."""
    a, b = positions - positions.mean(axis=0), target - target.mean(axis=0)
    u, _, vt = np.linalg.svd(b.T @ a)
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt)) or 1.0])
    return u @ flip @ vt


def _sphere(n: int) -> Float[np.ndarray, "n 3"]:
    # Fibonacci lattice on the upper half: the lower half shows the mirror images of the same views.
    k = np.arange(n) + 0.5
    z = 1.0 - k / n
    angle = np.pi * (1.0 + 5.0**0.5) * k
    radius = np.sqrt(1.0 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def _principal_axis(centred: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, " 3"]:
    return np.linalg.svd(np.vstack([centred, np.zeros((3, 3))]), full_matrices=False)[2][2]


def _complete(direction: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "3 3"]:
    helper = np.eye(3)[int(np.argmin(np.abs(direction)))]
    x = np.cross(helper, direction)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(direction, x), direction])


def _clutter(centred: Float[np.ndarray, "N 3"], directions: Float[np.ndarray, "D 3"]) -> Float[np.ndarray, " D"]:
    r"""How badly atoms hide each other, seen along each direction :math:`d`.

    In the plane of the page, what is :math:`x` in space has the square length :math:`|x|^2 - (x \cdot d)^2`.
    """
    first, second = np.triu_indices(len(centred), 1)
    apart = centred[first] - centred[second]
    found = []
    for few in np.array_split(directions, 1 + len(apart) * len(directions) // _AT_ONCE):
        flat, spread = (np.square(x).sum(axis=1)[:, None] - np.square(x @ few.T) for x in (apart, centred))
        overlap = 2.0 * np.exp(-np.maximum(flat, 0.0) / _BLUR**2).sum(axis=0)
        found.append(3.0 * overlap - np.sqrt(spread.mean(axis=0)))
    return np.concatenate(found)
