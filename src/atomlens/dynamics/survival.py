r"""How long replicas last: survival curves with intervals.

The Kaplan-Meier estimate :math:`\hat S(t) = \prod_{t_i \le t} (1 - d_i / n_i)` counts replicas that were still sound
when the simulation ended as censored (Kaplan and Meier, J. Am. Stat. Assoc. 53, 457, 1958); intervals are log-log ones
(SciPy's ``ecdf``).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import CensoredData, ecdf


@dataclass(frozen=True)
class Survival:
    """Survival of replicas over time.

    Attributes
    ----------
    times
        Times in ps at which the curve steps, from 0, shape (K,).
    alive, low, high
        Estimate and 95 % limits of the share that is sound just after each time, shape (K,).
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

    @property
    def mean_time(self) -> float:
        r"""Mean sound time in ps up to `simulated`: :math:`\int_0^{T} \hat S(t) dt` (restricted mean)."""
        widths = np.diff(np.append(self.times, self.simulated))
        return float((self.alive * np.maximum(widths, 0.0)).sum())


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
    if n_broken == 0:
        # No event, no step; by the rule of three the true share is at least 1 - 3/n (Hanley and Lippman-Hand 1983).
        one = np.ones(1)
        low = np.array([max(0.0, 1.0 - 3.0 / len(times))])
        return Survival(np.zeros(1), one, low, one, len(times), 0, longest)
    fitted = ecdf(CensoredData(uncensored=times[broke], right=times[~broke])).sf
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The confidence interval is undefined", RuntimeWarning)
        interval = fitted.confidence_interval(method="log-log")
    at, alive = fitted.quantiles, fitted.probabilities
    # Where all have broken, the log-log interval has no width to give.
    low = np.where(np.isfinite(interval.low.probabilities), interval.low.probabilities, 0.0)
    high = np.where(np.isfinite(interval.high.probabilities), interval.high.probabilities, alive)
    steps = np.isin(at, times[broke])
    return Survival(
        np.concatenate([[0.0], at[steps]]),
        np.concatenate([[1.0], alive[steps]]),
        np.concatenate([[1.0], low[steps]]),
        np.concatenate([[1.0], high[steps]]),
        len(times),
        n_broken,
        longest,
    )
