"""Scores of pair terms, each with its interval and the same score where nothing was learned."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from atomlens.analyses.inputs import AnalysisInputs
from atomlens.analyses.rank_draws import OfDraws
from atomlens.analyses.statistics import N_RESAMPLES, Rows, molecule_effect
from atomlens.analyses.verdict import Control, Effect, control_of

# From the columns of the drawn rows and the terms in these rows to a number; NaN where there is none.
PairStatistic = Callable[[Mapping[str, np.ndarray], Float[np.ndarray, " rows"]], float]
# The same for many draws at once: from columns, terms, the molecule of every row and how many there are.
PairDraws = Callable[[Mapping[str, np.ndarray], Float[np.ndarray, " rows"], Int[np.ndarray, " rows"], int], OfDraws]

SHUFFLES = 20
NO_PAIRS = "no pairs to measure it on"


@dataclass(frozen=True)
class Score:
    """A measured number with its controls.

    Attributes
    ----------
    effect
        The number with its interval over molecules.
    controls
        The same number for shuffled terms, an untrained model, and distance alone.
    missing
        Why there is no number; "" where there is one.
    inapplicable
        Whether it is missing for what the model is, which no other structures would change.
    """

    effect: Effect
    controls: tuple[Control, ...] = ()
    missing: str = ""
    inapplicable: bool = False


def is_energy(inputs: AnalysisInputs) -> bool:
    """Whether the model predicts an energy of the whole molecule, which bonds and distances have laws for.

    An orbital's energy or the zero-point energy is in eV, too, but no bond is stronger for adding to it.
    """
    return inputs.unit == "eV" and inputs.model.facts.extensive and inputs.property.lower() != "zpve"


def no_score(name: str, reason: str, *, inapplicable: bool = False) -> Score:
    """A score that could not be measured."""
    return Score(Effect(name, math.nan), missing=reason, inapplicable=inapplicable)


def pair_score(
    name: str,
    statistic: PairStatistic,
    pairs: pl.DataFrame,
    untrained: Sequence[pl.DataFrame],
    columns: tuple[str, ...],
    relevance: str,
    *,
    keep: pl.Expr | None = None,
    unit: str = "",
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
    interval: Callable[[Mapping[str, np.ndarray], Float[np.ndarray, " rows"]], Effect] | None = None,
    draws: PairDraws | None = None,
) -> Score:
    r"""Measure a statistic of pair terms, and measure it again on three kinds of terms that were not learned.

    *Shuffled terms*: all terms of a molecule, shuffled among all its pairs (twenty times).
    *Untrained model*: the same pairs under fresh weights, of several seeds. *Distance alone*: the term :math:`-1/r`,
    a baseline.

    Parameters
    ----------
    name, unit
        What is measured.
    statistic
        See `PairStatistic`; receives the columns named in `columns`.
    pairs
        A pairs table with `columns`, ``frame`` and ``distance``; molecules without a row that is kept do not count.
    untrained
        The same table for each of several untrained models; none gives no such control.
    columns
        Numeric columns that the statistic reads.
    relevance
        Name of the column of terms.
    keep
        Which rows the statistic reads; all by default.
    seed, n_resamples
        Of shuffles and bootstrap.
    interval
        The effect with its interval where the unit of the claim is not the molecule; bootstrap over molecules if None.
    draws
        The statistic for many draws at once; `statistic` draw by draw if None.
    """
    keep = pl.lit(True) if keep is None else keep
    everywhere, home = pairs[relevance].to_numpy(), pairs["frame"].to_numpy()
    kept = pairs.select(keep=(keep & pl.col("frame").is_not_null()).fill_null(False))["keep"].to_numpy()
    pairs = pairs.filter(kept)
    if not len(pairs):
        return no_score(name, NO_PAIRS)
    data, terms = _arrays(pairs, columns), pairs[relevance].to_numpy()
    _, molecule = np.unique(pairs["frame"].to_numpy(), return_inverse=True)
    n_molecules = int(molecule.max()) + 1
    rows = Rows(molecule, n_molecules)

    def of_drawn(drawn: Int[np.ndarray, " n"]) -> float:
        chosen = rows.of(drawn)
        return statistic({key: column[chosen] for key, column in data.items()}, terms[chosen])

    if interval is not None:
        effect = interval(data, terms)
    elif draws is not None:
        of_draws, value = draws(data, terms, molecule, n_molecules), statistic(data, terms)
        boot = {"unit": unit, "seed": seed, "n_resamples": n_resamples, "vectorized": True}
        # To the last digit that of a control with the same values.
        effect = replace(molecule_effect(name, of_draws, n_molecules, **boot), value=float(value))
    else:
        effect = molecule_effect(name, of_drawn, n_molecules, unit=unit, seed=seed, n_resamples=n_resamples)
    if not math.isfinite(effect.value):
        return Score(effect, missing="too few pairs, or none that differ, to measure it on")
    rng = np.random.default_rng(seed)
    shuffled = [statistic(data, shuffled_within(everywhere, home, rng)[kept]) for _ in range(SHUFFLES)]
    tables = [table.filter(keep) for table in untrained]
    fresh = [statistic(_arrays(table, columns), table[relevance].to_numpy()) for table in tables if len(table)]
    controls = [control_of("shuffled terms", shuffled)]
    if fresh:
        controls.append(control_of("untrained model", fresh))
    alone = statistic(data, -1.0 / pairs["distance"].to_numpy())
    controls.append(Control("distance alone", float(alone), is_null=False))
    return Score(effect, tuple(controls))


def shuffled_within(
    values: Float[np.ndarray, " rows"], molecule: Int[np.ndarray, " rows"], rng: np.random.Generator
) -> Float[np.ndarray, " rows"]:
    """The values of every molecule in random order.

    Examples
    --------
    >>> moved = shuffled_within(np.arange(6.0), np.array([0, 1, 0, 1, 0, 1]), np.random.default_rng(0))
    >>> sorted(moved[::2].tolist()), sorted(moved[1::2].tolist())
    ([0.0, 2.0, 4.0], [1.0, 3.0, 5.0])
    """
    home = np.argsort(molecule, kind="stable")
    shuffled = np.lexsort((rng.random(len(values)), molecule))
    result = np.empty_like(values)
    result[home] = values[shuffled]
    return result


def species_name(first: str, second: str) -> str:
    """Name of a pair of elements: alphabetical, hydrogen last.

    Examples
    --------
    >>> species_name("H", "C"), species_name("O", "N"), species_name("H", "H")
    ('C-H', 'N-O', 'H-H')
    """
    return "-".join(sorted((first, second), key=lambda symbol: (symbol == "H", symbol)))


def with_species(pairs: pl.DataFrame) -> pl.DataFrame:
    """The table with a column ``species``, the name of the two elements."""
    kinds = pairs.select("element_1", "element_2").unique()
    names = [species_name(a, b) for a, b in kinds.iter_rows()]
    kinds = kinds.with_columns(pl.Series("species", names, dtype=pl.String))
    return pairs.join(kinds, on=["element_1", "element_2"], how="left", maintain_order="left")


def _arrays(pairs: pl.DataFrame, columns: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {column: pairs[column].to_numpy() for column in columns}
