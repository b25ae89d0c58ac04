"""Numbers about two molecules pulled apart that the judgement of decay rests on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from atomlens.analyses.decay.distance_range import DecayRange
from atomlens.analyses.decay.laws import MIN_VALUES, Decay, decay_of, exponent, exponent_difference
from atomlens.analyses.pair_scores import Score, no_score, shuffled_within
from atomlens.analyses.statistics import share_effect
from atomlens.analyses.verdict import Control, control_of

TAIL = 3.0  # nearest atoms of a dimer's tail are further apart than this, in Å
_FLIP = 0.01  # a sign counts if its value is above this share of the dimer's largest
_N_SHUFFLES = 10


def score_dimers(
    scans: pl.DataFrame, untrained: Sequence[pl.DataFrame], where: DecayRange, *, seed: int, n_resamples: int
) -> dict[str, Score]:
    """Exponent and sign of the terms of two molecules in their tail, beside GFN2 interaction energies.

    Parameters
    ----------
    scans
        Dimers pulled apart (`dimer_scan.scan_dimers`).
    untrained
        The same under several untrained models, over some of the dimers.
    where
        The range.
    seed, n_resamples
        Of shuffles and bootstrap.
    """
    what, one = ("terms", "term") if where.has_terms else ("interaction energies", "interaction energy")
    names = (
        f"exponent of {what} of two molecules less that of GFN2 interaction energies",
        f"share of dimers whose {one} changes sign",
    )
    if not where.has_terms:  # judged in their place
        scans = scans.with_columns(pl.col("interaction").alias("group_term"))
    reason = ""
    if not where.is_energy:
        reason = f"GFN2 interaction energies are no reference for {where.quantity}"
    elif not len(scans):
        reason = "no two single molecules without cell to pull apart"
    elif scans["gfn2"].null_count() == len(scans):
        reason = "no GFN2 interaction energies"
    if reason:
        return {"dimer_exponent": no_score(names[0], reason), "sign": no_score(names[1], reason)}
    rng = np.random.default_rng(seed)
    tail = _tail(scans, where)

    def difference(tail: pl.DataFrame, source: str) -> float:
        own, reference = _decays(tail, source)
        return exponent(own) - exponent(reference)

    own, reference = _decays(tail, "group_term")
    effect = exponent_difference(names[0], own, reference, seed=seed, n_resamples=n_resamples)
    flat, interaction = exponent(reference), difference(tail, "interaction")
    fresh = [difference(_tail(_joined(scans, t), where), "group_term") for t in untrained]
    controls = (
        control_of(f"shuffled {what}", [difference(_shuffled(tail, rng), "group_term") for _ in range(_N_SHUFFLES)]),
        *([control_of("untrained model", fresh)] if where.has_terms else []),
        # A tail in which the reference hardly falls cannot tell a model from one without decay.
        Control("no decay at all", -flat),
        *([Control("the model's own interaction energies", interaction, is_null=False)] if where.has_terms else []),
        Control("GFN2's exponent", flat, is_null=False),
    )
    missing = "" if np.isfinite(effect.value) else f"fewer than {MIN_VALUES} points in the tails of the dimers"
    return {
        "dimer_exponent": Score(effect, controls, missing, inapplicable=where.is_blind),
        "sign": _sign(names[1], scans, untrained, where, rng),
    }


def _joined(scans: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    """Rows of an untrained model with the reference's values of the same steps."""
    keys = ["dimer", "separation"]
    return fresh.drop("gfn2").join(scans.select(*keys, "gfn2"), on=keys, how="inner", maintain_order="left")


def _tail(table: pl.DataFrame, where: DecayRange) -> pl.DataFrame:
    return table.filter(
        pl.col("gap").is_between(TAIL, where.tail_end), pl.col("gfn2").is_not_null() & (pl.col("gfn2") != 0)
    )


def _shuffled(table: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    shuffled = shuffled_within(table["group_term"].to_numpy(), table["dimer"].to_numpy(), rng)
    return table.with_columns(pl.Series("group_term", shuffled))


def _decays(tail: pl.DataFrame, source: str) -> tuple[Decay, Decay]:
    rows = tail.filter(pl.col(source) != 0)
    r, group = rows["separation"].to_numpy(), rows["dimer"].to_numpy()
    return decay_of(r, rows[source].to_numpy(), group, group), decay_of(r, rows["gfn2"].to_numpy(), group, group)


def _sign(
    name: str, scans: pl.DataFrame, untrained: Sequence[pl.DataFrame], where: DecayRange, rng: np.random.Generator
) -> Score:
    """How often the model's term takes both signs in a tail where the reference keeps one."""
    tail = _tail(scans, where)
    own = _flips(tail, scans)
    if not len(own):
        return no_score(name, "GFN2 interaction energies change sign in every tail, or there is no tail")
    shuffled = [
        tail.with_columns(pl.Series("group_term", rng.permutation(tail["group_term"]))) for _ in range(_N_SHUFFLES)
    ]
    fresh = [_joined(scans, table) for table in untrained]
    what = "terms" if where.has_terms else "interaction energies"
    controls = [control_of(f"shuffled {what}", [_mean(_flips(one, scans)) for one in shuffled])]
    if where.has_terms:
        controls.append(control_of("untrained model", [_mean(_flips(_tail(table, where), table)) for table in fresh]))
    return Score(share_effect(name, own), tuple(controls))


def _flips(tail: pl.DataFrame, table: pl.DataFrame) -> np.ndarray:
    """Whether the term takes both signs in the tail, dimer by dimer where the reference keeps its sign."""
    scale = dict(table.group_by("dimer").agg(pl.col("group_term").abs().max()).iter_rows())
    found = []
    for (number,), rows in tail.sort("dimer").partition_by("dimer", as_dict=True, maintain_order=True).items():
        # The reference is to keep its sign at every size.
        if len(rows) >= 2 and not _both_signs(rows["gfn2"].to_numpy(), 0.0):
            found.append(_both_signs(rows["group_term"].to_numpy(), scale[number]))
    return np.array(found, dtype=bool)


def _both_signs(values: np.ndarray, scale: float) -> bool:
    return bool((values > _FLIP * scale).any() and (values < -_FLIP * scale).any())


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
