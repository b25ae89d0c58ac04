"""Scores of three-body energies: their order among rings of one size, and how large they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from atomlens.analyses.moments import times_drawn
from atomlens.analyses.pair_scores import SHUFFLES, Score, no_score
from atomlens.analyses.rank_draws import OfDraws, rank_correlations
from atomlens.analyses.statistics import N_RESAMPLES, molecule_effect
from atomlens.analyses.verdict import Control, control_of

# From the model's and the reference's numbers, one row per ring and one column per size, to a score.
Statistic = Callable[[Float[np.ndarray, "n S"], Float[np.ndarray, "n S"]], float]
_COLUMNS = ("energy", "pairs", "term", "xtb")
_BESIDE = {"energy": "the model's own removals", "pairs": "the model's two-body energies"}


@dataclass(frozen=True)
class Rings:
    """Numbers of rings of which the reference is known at every size.

    Attributes
    ----------
    columns
        ``energy``, ``pairs``, ``term`` and ``xtb`` (`trimer_points`): one row per ring, one column per size.
    mixture
        What each ring is made of.
    """

    columns: Mapping[str, Float[np.ndarray, "n S"]]
    mixture: np.ndarray


def of_points(points: pl.DataFrame) -> Rings:
    """The table of `trimer_points`, in any order, ring by ring."""
    known = points.filter(pl.col("xtb").is_not_null().all().over("trimer")).sort("trimer", "size")
    shape = (-1, max(points["size"].n_unique(), 1))
    columns = {name: known[name].cast(pl.Float64).to_numpy().reshape(shape) for name in _COLUMNS}
    return Rings(columns, known["mixture"].to_numpy().reshape(shape)[:, 0])


def ranks_at_one_size(own: Float[np.ndarray, "n S"], known: Float[np.ndarray, "n S"]) -> float:
    """Rank correlation among rings of one size, mean over sizes; zero at a size where the model's do not differ.

    Along one ring nearly everything falls with size, so that order along it would show nothing.
    """
    # Twice the centred mean rank is how many are smaller less how many are larger; SciPy takes ten times as long.
    x, y = (np.sign(values[:, None] - values[None]).sum(axis=1) for values in (own, known))
    spread = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    return float(np.divide((x * y).sum(axis=0), spread, out=np.zeros_like(spread), where=spread > 0).mean())


def ratio_of_sizes(own: Float[np.ndarray, "n S"], known: Float[np.ndarray, "n S"]) -> float:
    r"""Mean size of the model's numbers over that of the reference's, geometric mean over sizes of ring.

    .. math:: \prod_s \left( \frac{\sum_k |E_{ks}|}{\sum_k |E^\mathrm{ref}_{ks}|} \right)^{1/S}
    """
    mine, reference = np.abs(own).sum(axis=0), np.abs(known).sum(axis=0)
    if not reference.all():
        return math.nan
    return float(np.exp(np.log(mine / reference).mean())) if mine.all() else 0.0


def _ranks_of_draws(own: Float[np.ndarray, "n S"], known: Float[np.ndarray, "n S"]) -> OfDraws:
    """`ranks_at_one_size` of draws of rings."""
    rings = np.arange(len(own))
    sizes = [rank_correlations(a, b, rings, len(own)) for a, b in zip(own.T, known.T, strict=True)]
    return lambda drawn: np.mean([np.nan_to_num(size(drawn)) for size in sizes], axis=0)


def _ratios_of_draws(own: Float[np.ndarray, "n S"], known: Float[np.ndarray, "n S"]) -> OfDraws:
    """`ratio_of_sizes` of draws of rings."""

    def of_draws(drawn: Int[np.ndarray, "*draws m"]) -> Float[np.ndarray, "*draws"]:
        times = times_drawn(drawn, len(own))
        mine, reference = times @ np.abs(own), times @ np.abs(known)
        with np.errstate(divide="ignore"):  # a model's zero at one size makes the product zero
            found = np.exp(np.log(mine / np.where(reference > 0, reference, np.nan)).mean(axis=-1))
        return np.where((reference > 0).all(axis=-1), found, np.nan)

    return of_draws


def three_body_score(
    name: str,
    statistic: Statistic,
    rings: Rings,
    source: str,
    untrained: Sequence[Rings] = (),
    *,
    beside: str = "",
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> Score:
    """A statistic over rings with its interval, and the same where nothing was learned.

    Null controls of ranks: numbers of other rings of the same molecules, which keep what mixture and size alone say;
    untrained models. How large numbers are may be met by chance, and shuffling does not change it: baselines only.

    Parameters
    ----------
    name
        What is measured.
    statistic
        `ranks_at_one_size` or `ratio_of_sizes`.
    rings
        What was measured.
    source
        Column of the model.
    untrained
        The same for several untrained models, on some of the rings.
    beside
        Another column of the model, shown as a baseline.
    seed, n_resamples
        Of shuffles and bootstrap.
    """
    own, known = rings.columns[source], rings.columns["xtb"]
    if not len(known):
        return no_score(name, "no three-body energies by GFN2-xTB")

    is_null = statistic is ranks_at_one_size
    of_draws = _ranks_of_draws(own, known) if is_null else _ratios_of_draws(own, known)
    effect = molecule_effect(name, of_draws, len(known), seed=seed, n_resamples=n_resamples, vectorized=True)
    # To the last digit that of a control with the same values.
    effect = replace(effect, value=statistic(own, known))
    controls = []
    if is_null:
        rng = np.random.default_rng(seed)
        shuffled = [statistic(own[_within(rings.mixture, rng)], known) for _ in range(SHUFFLES)]
        controls.append(control_of("energies of other rings of the same molecules", shuffled))
    fresh = [statistic(other.columns[source], other.columns["xtb"]) for other in untrained]
    if fresh:
        controls.append(control_of("untrained model", fresh, is_null=is_null))
    if beside:
        controls.append(Control(_BESIDE[beside], statistic(rings.columns[beside], known), is_null=False))
    return Score(effect, tuple(controls))


def _within(mixture: np.ndarray, rng: np.random.Generator) -> Int[np.ndarray, " n"]:
    """Numbers of rings, shuffled among those of one mixture."""
    order = np.arange(len(mixture))
    for one in np.unique(mixture):
        here = np.flatnonzero(mixture == one)
        order[here] = rng.permutation(here)
    return order
