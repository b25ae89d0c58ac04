"""Distances against a reference: the misplaced share, and a noise floor that a perfect sample does not exceed."""

from __future__ import annotations

import math

import ase.build
import numpy as np
import pytest

from atomlens.dynamics.distances import (
    MIN_FRAMES,
    N_BINS,
    N_BLOCKS,
    compare_distances,
    distance_distribution,
    misplaced_share,
)

ETHANOL = ase.build.molecule("CH3CH2OH").positions


def correlated(n_frames: int, rng: np.random.Generator, memory: float = 5.0, size: float = 0.05) -> np.ndarray:
    """Frames that wobble about ethanol by `size` Å and forget within about `memory` frames."""
    keep = math.exp(-1.0 / memory)
    noise = rng.standard_normal((n_frames, *ETHANOL.shape))
    moved = noise[0]
    frames = [moved]
    for fresh in noise[1:]:
        moved = keep * moved + math.sqrt(1 - keep**2) * fresh
        frames.append(moved)
    return ETHANOL + size * np.stack(frames)


def test_distances_of_ideal_and_stretched_frames() -> None:
    frames = np.repeat(ETHANOL[None], 5, axis=0)
    h = distance_distribution(frames)
    assert h.sum() * 0.02 == pytest.approx(1.0)
    assert misplaced_share(h, h) == 0
    assert 0.9 < misplaced_share(h, distance_distribution(frames * 1.5)) <= 1.0


def test_misplaced_share_is_the_part_that_must_move() -> None:
    found, reference = np.zeros(N_BINS), np.zeros(N_BINS)
    reference[50] = 50.0
    found[[50, 51]] = 35.0, 15.0  # three of ten lie one bin farther
    assert misplaced_share(found, reference) == pytest.approx(0.3)
    found[51] = 0.0  # or beyond 10 Å
    assert misplaced_share(found, reference) == pytest.approx(0.3)
    assert misplaced_share(reference, found) == pytest.approx(0.3)


@pytest.mark.parametrize(("n_replicas", "n_frames", "n_reference"), [(1, 200, 200), (4, 100, 200), (16, 25, 800)])
def test_the_floor_is_what_perfect_samples_differ_by(n_replicas: int, n_frames: int, n_reference: int) -> None:
    rng = np.random.default_rng(1)
    found = [
        compare_distances(
            [correlated(n_frames, rng) for _ in range(n_replicas)], correlated(n_reference, rng, memory=2.0)
        )
        for _ in range(10)
    ]
    misplaced = np.array([one.misplaced for one in found])
    floor = np.array([one.floor for one in found])
    assert misplaced.mean() > 0.02  # never zero
    assert 0.95 < floor.mean() / misplaced.mean() < 1.3
    assert (misplaced < 1.3 * floor).all()
    assert found[0].n_frames == n_replicas * n_frames


def test_the_floor_falls_by_the_root_of_the_number_of_frames() -> None:
    rng = np.random.default_rng(2)
    few, many = (compare_distances([correlated(n, rng)], correlated(n, rng)).floor for n in (100, 1600))
    assert few / many == pytest.approx(4.0, rel=0.3)


def test_frames_that_remember_longer_are_fewer() -> None:
    """Random halves would take correlated frames for independent ones; contiguous ones do not."""
    rng = np.random.default_rng(3)
    short, long = (compare_distances([correlated(400, rng, m)], correlated(400, rng, m)).floor for m in (0.1, 40.0))
    assert long > 2 * short


def test_replicas_that_differ_raise_the_floor() -> None:
    """Replicas that each stay where they are differ in every halving by replica, and in none by time."""
    rng = np.random.default_rng(4)
    reference = correlated(800, rng)
    alike = [correlated(200, rng) for _ in range(4)]
    apart = [frames * (1.0 + 0.05 * k) for k, frames in enumerate(alike)]
    assert compare_distances(apart, reference).floor > 2 * compare_distances(alike, reference).floor


def test_all_frames_count_alike() -> None:
    """A replica that broke early holds few frames and weighs little."""
    rng = np.random.default_rng(5)
    reference, long, short = correlated(400, rng), correlated(400, rng), 1.5 * correlated(3, rng)
    found = compare_distances([long, short], reference)
    pooled = distance_distribution(np.concatenate([long, short]))
    assert found.misplaced == pytest.approx(misplaced_share(pooled, distance_distribution(reference)))
    assert math.isfinite(found.floor)


@pytest.mark.parametrize(("n_frames", "n_reference"), [(N_BLOCKS * MIN_FRAMES - 1, 100), (100, 1), (1, 100)])
def test_few_frames_have_no_floor(n_frames: int, n_reference: int) -> None:
    rng = np.random.default_rng(6)
    found = compare_distances([correlated(n_frames, rng)], correlated(n_reference, rng))
    assert math.isnan(found.floor)
    assert found.misplaced > 0
