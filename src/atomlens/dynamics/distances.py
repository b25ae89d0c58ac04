r"""Distribution of interatomic distances compared with a reference trajectory, and what sampling alone makes of it.

The published criterion is the mean absolute error of h(r) (Fu et al., arXiv:2210.07237). It is never zero: two samples
of one ensemble differ, too. Here it is given as the **misplaced share** :math:`m = \frac12 \int |h - h_{ref}| dr`, the
part of all distances that would have to move, next to a **noise floor**. If two halves of n frames differ by
:math:`m_{1/2}`, then n frames are off by about :math:`m_{1/2} / 2`, as errors fall by the root of the number of frames.
Halves are made of contiguous blocks, as frames that follow each other are not independent:

.. math:: m_0 = \tfrac12 \sqrt{m_{1/2}(\text{simulation})^2 + m_{1/2}(\text{reference})^2}

with the largest of several ways of halving. What all replicas have in common and never leave (a conformer that is not
visited in the time simulated) is no noise in this sense. The split and the floor are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

# As in arXiv:2210.07237: 500 bins up to 10 Å.
N_BINS, LONGEST = 500, 10.0
_WIDTH = LONGEST / N_BINS
# Contiguous blocks that a trajectory is cut into, and the frames each must hold.
N_BLOCKS, MIN_FRAMES = 4, 5


@dataclass(frozen=True)
class DistanceComparison:
    """Distances of a simulation against those of a reference.

    Attributes
    ----------
    misplaced
        Share of distances that lie elsewhere than in the reference, noise included, 0 to 1.
    floor
        Share that sampling alone misplaces; NaN for fewer than 20 frames on either side.
    n_frames, n_reference
        Frames that were compared.
    """

    misplaced: float
    floor: float
    n_frames: int
    n_reference: int


def compare_distances(
    replicas: list[Float[np.ndarray, "_ N 3"]], reference: Float[np.ndarray, "K N 3"]
) -> DistanceComparison:
    """The pooled distances of all replicas against those of a reference.

    Parameters
    ----------
    replicas
        Sound frames of each replica in order of time, in Å.
    reference
        Frames of the reference in order of time, in Å; of the same temperature.
    """
    parts = [np.array_split(frames, N_BLOCKS) for frames in replicas]
    h = np.array([[distance_distribution(block) for block in blocks] for blocks in parts])
    n = np.array([[len(block) for block in blocks] for blocks in parts], dtype=float)
    by_time = (n[..., None] * h).sum(0), n.sum(0)
    by_replica = (n[..., None] * h).sum(1), n.sum(1)
    expected = np.array_split(reference, N_BLOCKS)
    n_expected = np.array([len(block) for block in expected], dtype=float)
    by_block = n_expected[:, None] * np.array([distance_distribution(block) for block in expected]), n_expected
    misplaced = misplaced_share(_pooled(*by_time), _pooled(*by_block))
    n_frames, n_reference = round(n.sum()), len(reference)
    if min(n_frames, n_reference) < N_BLOCKS * MIN_FRAMES:
        return DistanceComparison(misplaced, math.nan, n_frames, n_reference)
    own = max(_sampling_noise(*by_time), _sampling_noise(*by_replica))
    return DistanceComparison(misplaced, math.hypot(own, _sampling_noise(*by_block)), n_frames, n_reference)


def distance_distribution(positions: Float[np.ndarray, "K N 3"]) -> Float[np.ndarray, " bins"]:
    r"""h(r): density of all interatomic distances over frames, 1/Å, in 500 bins up to 10 Å (arXiv:2210.07237).

    .. math:: h(r) = \frac{1}{K N (N - 1)} \sum_k \sum_{i \ne j} \delta(r - r_{ij}^{(k)})
    """
    first, second = np.triu_indices(positions.shape[1], 1)
    distances = np.linalg.norm(positions[:, first] - positions[:, second], axis=-1)
    counts = np.histogram(distances, bins=N_BINS, range=(0.0, LONGEST))[0]
    return counts / max(distances.size, 1) / _WIDTH


def misplaced_share(found: Float[np.ndarray, " bins"], reference: Float[np.ndarray, " bins"]) -> float:
    r"""Half the integrated difference :math:`\frac12 \int |h(r) - h_{ref}(r)| dr`: 0 equal, 1 apart.

    Half, as every distance that is missing somewhere is one too many elsewhere. Distances beyond the last bin count as
    lying in one more.
    """
    difference = _WIDTH * (found - reference)
    return float(0.5 * (np.abs(difference).sum() + abs(difference.sum())))


def _pooled(h: Float[np.ndarray, "B bins"], n: Float[np.ndarray, " B"]) -> Float[np.ndarray, " bins"]:
    """Distribution over all frames of blocks, given sums over the n frames of each."""
    return h.sum(0) / n.sum()


def _sampling_noise(h: Float[np.ndarray, "B bins"], n: Float[np.ndarray, " B"]) -> float:
    """Half the largest misplaced share between two halves of the blocks, halved in three ways; 0 for one block.

    Of four blocks these are all the ways: 12|34, 13|24, 14|23.
    """
    h, n = h[n > 0], n[n > 0]
    place = np.arange(len(n))
    ways = (place < len(n) / 2, place % 2 == 0, (place + 1) // 2 % 2 == 0)
    between = [misplaced_share(_pooled(h[way], n[way]), _pooled(h[~way], n[~way])) for way in ways if not way.all()]
    return 0.5 * max(between, default=0.0)
