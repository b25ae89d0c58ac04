r"""Laws of decay: power or exponential, and local exponents.

.. math:: \ln |v| = a_g + n_g \ln r + \sigma \epsilon \qquad\text{or}\qquad \ln |v| = a_g - b_g\,r + \sigma \epsilon

with a constant :math:`a_g` for each group (the elements of the pair); :math:`\epsilon` is standard normal, so that
values scatter log-normally around the law. Where laws are compared, each group has its own n or b: with one for all,
exponentials of different rates look like a power. An exponent of all pairs is one slope beside the constants. Both are
our choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Int

from atomlens.analyses.moments import Moments, times_drawn
from atomlens.analyses.statistics import N_RESAMPLES, molecule_effect
from atomlens.analyses.verdict import Effect

# Fewer values than this make no slope.
MIN_VALUES = 20
# A group of fewer values has no law of its own and is left out of the comparison of laws.
_MIN_GROUP = 10
_FOLDS = 5


@dataclass(frozen=True)
class Decay:
    """Absolute values over distance; zeros, which no logarithm holds, are not among them.

    Attributes
    ----------
    distance
        In Å.
    strength
        Positive, in any unit.
    group
        Number of the group that shares a constant.
    molecule
        Number of the molecule (or dimer).
    """

    distance: Float[np.ndarray, " n"]
    strength: Float[np.ndarray, " n"]
    group: Int[np.ndarray, " n"]
    molecule: Int[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.distance)

    def only(self, chosen: Bool[np.ndarray, " n"]) -> Decay:
        """The chosen values, groups and molecules numbered anew without gaps."""
        group, molecule = (
            np.unique(x[chosen], return_inverse=True)[1].reshape(-1) for x in (self.group, self.molecule)
        )
        return Decay(self.distance[chosen], self.strength[chosen], group, molecule)

    def rows(self, chosen: Bool[np.ndarray, " n"] | Int[np.ndarray, " m"]) -> Decay:
        """The chosen values, numbered as they are here: all that slopes need, at a fraction of the time of `only`."""
        return Decay(self.distance[chosen], self.strength[chosen], self.group[chosen], self.molecule[chosen])

    def between(self, low: float, high: float) -> Decay:
        """The values at distances from `low` up to `high`, in Å."""
        return self.only((self.distance >= low) & (self.distance < high))


def decay_of(
    distance: np.ndarray, value: np.ndarray, group: Int[np.ndarray, " n"], molecule: Int[np.ndarray, " n"]
) -> Decay:
    """Values with their sign taken off; what is zero or no number is left out, the rest numbered without gaps."""
    kept = np.isfinite(value) & (value != 0) & (distance > 0)
    return Decay(distance.astype(float), np.abs(value.astype(float)), group, molecule).only(kept)


def exponent(decay: Decay, at_least: int = MIN_VALUES) -> float:
    r"""Local exponent :math:`d \ln|v| / d \ln r`: the least-squares slope with a constant a group; NaN for too few.

    Examples
    --------
    >>> r = np.linspace(2.5, 4.5, 50)
    >>> group, zero = np.arange(50) % 2, np.zeros(50, dtype=int)
    >>> round(exponent(decay_of(r, (1 + group) * r**-6.0, group, zero)), 6)
    -6.0
    """
    return _slope(np.log(decay.distance), np.log(decay.strength), decay.group, at_least)


def exponent_effect(name: str, decay: Decay, *, seed: int = 0, n_resamples: int = N_RESAMPLES) -> Effect:
    """Local exponent with its interval over molecules."""
    n = int(decay.molecule.max()) + 1 if len(decay) else 0
    of = _slopes(decay, n)
    effect = molecule_effect(name, of, n, seed=seed, n_resamples=n_resamples, vectorized=True)
    # To the last digit that of a control with the same values, which may not be lost to rounding.
    return replace(effect, value=exponent(decay))


def exponent_difference(
    name: str, one: Decay, other: Decay, *, seed: int = 0, n_resamples: int = N_RESAMPLES
) -> Effect:
    """An exponent less another, :math:`n_1 - n_2`, with its interval over molecules drawn for both at once.

    Both must hold the same molecules, numbered alike.
    """
    n = int(min(one.molecule.max(), other.molecule.max())) + 1 if len(one) and len(other) else 0
    if not n:
        return Effect(name, math.nan)
    a, b = _slopes(one, n), _slopes(other, n)
    effect = molecule_effect(
        name, lambda drawn: a(drawn) - b(drawn), n, seed=seed, n_resamples=n_resamples, vectorized=True
    )
    return replace(effect, value=exponent(one) - exponent(other))


def _slopes(decay: Decay, n: int) -> Callable[[Int[np.ndarray, "*draws m"]], Float[np.ndarray, "*draws"]]:
    """`exponent` of draws among the first n molecules."""
    sums = Moments(np.log(decay.distance), np.log(decay.strength), decay.molecule, n, decay.group)
    return partial(sums.slope, at_least=MIN_VALUES)


def law_preference(name: str, decay: Decay, *, seed: int = 0, n_resamples: int = N_RESAMPLES) -> Effect:
    r"""Mean log-likelihood per held-out value by which power laws beat exponentials, in nats.

    Five folds over molecules: constants, slopes and scatter are fitted on four fifths of the molecules and both laws
    are scored on the rest; the interval draws molecules. Positive: power laws predict unseen molecules better.
    """
    gain = law_gain(decay, seed)
    kept = np.isfinite(gain)
    if not kept.any():
        return Effect(name, math.nan, n=int(decay.molecule.max()) + 1 if len(decay) else 0, unit="nats")
    gain, molecule = gain[kept], np.unique(decay.molecule[kept], return_inverse=True)[1].reshape(-1)
    sums, counts = np.bincount(molecule, gain), np.bincount(molecule)

    def of_drawn(drawn: Int[np.ndarray, "*draws m"]) -> Float[np.ndarray, "*draws"]:
        times = times_drawn(drawn, len(counts))
        return np.asarray((times @ sums) / (times @ counts))

    return molecule_effect(
        name,
        of_drawn,
        len(counts),
        unit="nats",
        seed=seed,
        n_resamples=n_resamples,
        vectorized=True,
    )


def law_gain(decay: Decay, seed: int = 0) -> Float[np.ndarray, " n"]:
    """Held-out log-likelihood of power laws less that of exponentials, value by value; NaN where there is none."""
    gain = np.full(len(decay), math.nan)
    if len(decay) < MIN_VALUES:
        return gain
    n = int(decay.molecule.max()) + 1
    n_folds = min(_FOLDS, n)
    fold = (np.random.default_rng(seed).permutation(n) % n_folds)[decay.molecule]
    y = np.log(decay.strength)
    for k in range(n_folds) if n_folds > 1 else ():
        train, held = fold != k, fold == k
        scores = [
            _held_out(x[train], y[train], decay.group[train], x[held], y[held], decay.group[held])
            for x in (np.log(decay.distance), decay.distance)
        ]
        gain[held] = scores[0] - scores[1]
    return gain


def _slope(x: np.ndarray, y: np.ndarray, group: np.ndarray, at_least: int = MIN_VALUES) -> float:
    if len(x) < at_least:
        return math.nan
    x, y = _centred(x, group), _centred(y, group)
    spread = float(x @ x)
    return float(x @ y) / spread if spread > 1e-12 * len(x) else math.nan


def _centred(x: np.ndarray, group: np.ndarray) -> np.ndarray:
    counts = np.maximum(np.bincount(group), 1)
    return x - (np.bincount(group, x) / counts)[group]


def _held_out(
    x: np.ndarray, y: np.ndarray, group: np.ndarray, x_new: np.ndarray, y_new: np.ndarray, group_new: np.ndarray
) -> np.ndarray:
    """Log-density of new values under the laws fitted to (x, y) by group; NaN in groups too small for a law."""
    size = int(max(group.max(initial=0), group_new.max(initial=0))) + 1
    counts = np.bincount(group, minlength=size)
    divisor = np.maximum(counts, 1)
    mean_x, mean_y = (np.bincount(group, values, minlength=size) / divisor for values in (x, y))
    dx, dy = x - mean_x[group], y - mean_y[group]
    spread = np.bincount(group, dx * dx, minlength=size)
    usable = (counts >= _MIN_GROUP) & (spread > 1e-12 * divisor)
    slope = np.bincount(group, dx * dy, minlength=size) / np.where(usable, spread, math.nan)
    here = usable[group]
    freedom = int(here.sum()) - 2 * int(usable.sum())
    if freedom < 1:
        return np.full(len(x_new), math.nan)
    variance = max(float(np.square(dy[here] - (slope[group] * dx)[here]).sum()) / freedom, 1e-12)
    miss = y_new - mean_y[group_new] - slope[group_new] * (x_new - mean_x[group_new])
    return -0.5 * (np.log(2 * math.pi * variance) + np.square(miss) / variance)
