"""How the strength of terms is spread: over orders, over ranges, over atoms."""

from __future__ import annotations

import numpy as np
import polars as pl
from jaxtyping import Float, Int

# Levels of the tables that hold terms, by order.
LEVELS = ("atoms", "pairs", "triples")
RANGE_EDGES = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, np.inf)


def molecule_strengths(tables: dict[str, pl.DataFrame], unit: str) -> pl.DataFrame:
    r"""One row per frame: strength Σ|I| of every order, the remainder, and mean ranges weighted by strength.

    Columns ``frame``, ``n_atoms``, ``change`` (y - c), ``strength_n`` and ``terms_n`` for the orders n that the tables
    hold, ``range_n`` in Å for n > 1, ``remainder`` (all higher orders together: a sum of terms, not of their absolute
    values, so a lower limit of their strength).
    """
    value = pl.col(f"relevance_{unit}").abs()
    frames = tables["frames"]
    result = frames.select(
        "frame",
        "n_atoms",
        (pl.col(f"prediction_{unit}") - pl.col(f"constant_{unit}")).alias("change"),
        pl.col(f"remainder_{unit}").abs().alias("remainder"),
    )
    for order, level in enumerate(LEVELS, start=1):
        if level not in tables:
            continue
        columns = [value.sum().alias(f"strength_{order}"), pl.len().alias(f"terms_{order}")]
        if order > 1:
            columns.append(((value * pl.col("range")).sum() / value.sum()).alias(f"range_{order}"))
        found = tables[level].group_by("frame").agg(columns)
        result = result.join(found, on="frame", how="left", maintain_order="left").with_columns(
            # A molecule without a pair in reach has pairs of no strength, and no range.
            pl.col(f"strength_{order}", f"terms_{order}").fill_null(0)
        )
    return result


def range_shares(tables: dict[str, pl.DataFrame], unit: str) -> pl.DataFrame:
    """Strength by order and range, summed over all frames: order, low, high (Å), terms, strength, share of all."""
    parts = []
    for order, level in enumerate(LEVELS, start=1):
        if level not in tables:
            continue
        value = tables[level][f"relevance_{unit}"].abs().to_numpy()
        reach = tables[level]["range"].to_numpy() if order > 1 else np.zeros(len(value))
        place = np.digitize(reach, RANGE_EDGES) - 1
        n = len(RANGE_EDGES) - 1
        parts.append(
            pl.DataFrame(
                {
                    "order": np.full(n, order),
                    "low": RANGE_EDGES[:-1],
                    "high": RANGE_EDGES[1:],
                    "terms": np.bincount(place, minlength=n),
                    "strength": np.bincount(place, weights=value, minlength=n).astype(float),
                }
            )
        )
    table = pl.concat(parts).filter(pl.col("terms") > 0)
    return table.with_columns((pl.col("strength") / pl.col("strength").sum()).alias("share"))


def participation_ratios(
    shares: Float[np.ndarray, " A"], owner: Int[np.ndarray, " A"], n: int
) -> Float[np.ndarray, " S"]:
    r"""Over how many atoms shares spread: :math:`(\sum_i |s_i|)^2 / \sum_i s_i^2`, from 1 to N; NaN without shares.

    Source: R. J. Bell and P. Dean, Discuss. Faraday Soc. 50, 55 (1970), for weights |s| in place of squared
    amplitudes (our choice).

    Parameters
    ----------
    shares
        Share of every atom of all structures.
    owner
        Number of the structure of every atom, from 0 to n - 1.
    n
        Number of structures.
    """
    total = np.bincount(owner, weights=np.abs(shares), minlength=n)
    squares = np.bincount(owner, weights=shares**2, minlength=n)
    return np.divide(total**2, squares, out=np.full(n, np.nan), where=squares > 0)
