r"""How long replicas last: survival curves with intervals.

The Kaplan-Meier estimate :math:`\hat S(t) = \prod_{t_i \le t} (1 - d_i / n_i)` counts replicas that were still sound
when the simulation ended as censored (Kaplan and Meier, J. Am. Stat. Assoc. 53, 457, 1958); intervals are log-log ones
(SciPy's ``ecdf``). Where the estimate is 1 or 0 Greenwood's variance is zero and they have no width; there the limits
are the exact ones of a share of n (Clopper and Pearson, Biometrika 26, 404, 1934):

.. math:: S \ge (\alpha / 2)^{1/n} \text{ if none broke}, \qquad S \le 1 - (\alpha / 2)^{1/n} \text{ if all did}

with :math:`\alpha = 0.05`: 16 sound replicas of 16 show a share above 0.794, one broken replica one below 0.975.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import CensoredData, ecdf

_ONE_SIDE = 0.025  # what lies beyond either of two limits that hold 95 %


@dataclass(frozen=True)
class Survival:
    """Survival of replicas over time.

    Attributes
    ----------
    times
        Times in ps at which the curve steps, from 0, shape (K,).
    alive, low, high
        Estimate and two-sided 95 % limits of the share that is sound just after each time, shape (K,).
    n_replicas, n_broken
        How many there were, and how many broke.
    simulated
        Longest time simulated, ps.
    """

    times: Float[np.ndarray, " K"]
    alive: Float[np.ndarray, " K"]
    low: Float[np.ndarray, " K"]
    high: Float[np.ndarray, " K"]
    n_replicas: int
    n_broken: int
    simulated: float

    @property
    def median_time(self) -> float:
        """Time in ps by which half of the replicas broke; infinite if fewer did."""
        below = np.flatnonzero(self.alive <= 0.5)
        return float(self.times[below[0]]) if len(below) else math.inf


def kaplan_meier(times: Float[np.ndarray, " R"], broke: Bool[np.ndarray, " R"]) -> Survival:
    """Survival curve of replicas.

    Parameters
    ----------
    times
        When each replica broke, or how far it was simulated, in ps.
    broke
        Whether it broke.

    Raises
    ------
    ValueError
        If there is no replica, or a time is negative or not finite.

    Examples
    --------
    >>> curve = kaplan_meier(np.array([1.0, 2.0, 5.0, 5.0]), np.array([True, True, False, False]))
    >>> curve.alive.tolist(), curve.median_time
    ([1.0, 0.75, 0.5], 2.0)
    """
    if len(times) == 0 or not np.isfinite(times).all() or (times < 0).any():
        raise ValueError(f"survival needs finite times from 0 of at least one replica, got {times.tolist()}")
    longest, n_broken = float(times.max()), int(broke.sum())
    # Until the first break all are sound, with the limits of a share of all.
    first_low = _ONE_SIDE ** (1.0 / len(times))
    if n_broken == 0:
        one = np.ones(1)
        return Survival(np.zeros(1), one, np.array([first_low]), one, len(times), 0, longest)
    fitted = ecdf(CensoredData(uncensored=times[broke], right=times[~broke])).sf
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The confidence interval is undefined", RuntimeWarning)
        interval = fitted.confidence_interval(method="log-log")
    at, alive = fitted.quantiles, fitted.probabilities
    # Where none is left, the limits are those of none out of all that were followed until they broke.
    gone = alive == 0
    low = np.where(gone, 0.0, interval.low.probabilities)
    high = np.where(gone, 1.0 - _ONE_SIDE ** (1.0 / n_broken), interval.high.probabilities)
    steps = np.isin(at, times[broke])
    return Survival(
        np.concatenate([[0.0], at[steps]]),
        np.concatenate([[1.0], alive[steps]]),
        np.concatenate([[first_low], low[steps]]),
        np.concatenate([[1.0], high[steps]]),
        len(times),
        n_broken,
        longest,
    )
