"""Pairs sorted by species, bond class and bonds between them, and what is counted over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import ase
import numpy as np
import polars as pl
from jaxtyping import Float, Int

from atomlens.analyses.pair_scores import with_species
from atomlens.analyses.rank_draws import OfDraws, concordances, rank_correlations
from atomlens.analyses.species.hydrogen_bonds import hydrogen_bond_mask
from atomlens.analyses.statistics import MIN_MOLECULES, rank_correlation, rank_effect
from atomlens.analyses.verdict import Effect
from atomlens.reference import bond_energy

# Ranks of what chemistry orders. Aromatic bonds, between single and double, are listed but not ordered.
BOND_LEVELS = {"single": 1, "double": 2, "triple": 3}
RELATION_LEVELS = {"further": 1, "1-4": 2, "1-3": 3, "1-2": 4}
MIN_CLASSES = MIN_MOLECULES  # the unit of a claim over classes is the class
MIN_COMMON = 5  # structures in which a class must be to count as one: fewer make no mean

# Reading of terms: strength (np.abs) or stabilisation (np.negative).
Reading = Callable[[np.ndarray], np.ndarray]
# Group, higher level, lower level.
Comparison = tuple[int, int, int]


def sorted_pairs(pairs: pl.DataFrame, structures: Sequence[ase.Atoms], orders: pl.DataFrame | None) -> pl.DataFrame:
    """The pairs table with species, class and reference values, and numeric codes for statistics.

    Added: ``species``; ``class`` (the bond class, "hydrogen bond" or "none"); ``energy`` (mean bond energy, eV);
    ``bond_order`` (from `orders`, a table by frame, atom_1, atom_2); ``kind`` and ``bond_kind`` (numbers of the species
    and of species with bond class); ``common`` (whether that class is in `MIN_COMMON` molecules or more); ``level``
    (bond order 1 to 3, else 0), ``nearness`` (4 for bonded, less for further, 0 for others) and ``everyone`` (0).
    """
    table = with_species(pairs)
    hydrogen = (pl.col("bond") == "none") & hydrogen_bond_mask(pairs, structures)
    table = table.with_columns(pl.when(hydrogen).then(pl.lit("hydrogen bond")).otherwise(pl.col("bond")).alias("class"))
    kinds = (
        table.select("species", "element_1", "element_2", "bond").unique(["species", "bond"]).sort("species", "bond")
    )
    energies = [bond_energy(a, b, bond) for _, a, b, bond in kinds.iter_rows()]
    kinds = kinds.select(
        "species",
        "bond",
        pl.Series("energy", energies, dtype=pl.Float64),
        pl.int_range(len(kinds), dtype=pl.Int64).alias("bond_kind"),
        pl.col("species").rank("dense").cast(pl.Int64).alias("kind"),
    )
    table = table.join(kinds, on=["species", "bond"], how="left", maintain_order="left").with_columns(
        # A class of few molecules would come and go with the draws.
        (pl.col("frame").n_unique().over("bond_kind") >= MIN_COMMON).alias("common"),
        pl.col("bond").replace_strict(BOND_LEVELS, default=0, return_dtype=pl.Int64).alias("level"),
        pl.col("relation").replace_strict(RELATION_LEVELS, default=0, return_dtype=pl.Int64).alias("nearness"),
        pl.lit(0, dtype=pl.Int64).alias("everyone"),
    )
    if orders is None:
        return table.with_columns(pl.lit(None, dtype=pl.Float64).alias("bond_order"))
    return table.join(orders, on=["frame", "atom_1", "atom_2"], how="left", maintain_order="left")


def class_table(pairs: pl.DataFrame, relevance: str) -> pl.DataFrame:
    """Distribution of the term over every species, class and relation."""
    term = pl.col(relevance)
    return (
        pairs.group_by("species", "class", "relation")
        .agg(
            pl.len().alias("pairs"),
            pl.col("frame").n_unique().alias("structures"),
            term.mean().alias("mean"),
            *(term.quantile(q, "linear").alias(f"q{round(100 * q):02d}") for q in (0.05, 0.25, 0.5, 0.75, 0.95)),
            term.abs().mean().alias("mean_strength"),
            term.abs().median().alias("median_strength"),
            (term < 0).mean().alias("share_negative"),
            pl.col("distance").mean().alias("mean_distance"),
            pl.col("bond_order").mean().alias("mean_bond_order"),
            pl.col("energy").first().alias("bond_energy"),
        )
        .sort("relation", "class", "species")
    )


def comparisons_of(pairs: pl.DataFrame) -> list[Comparison]:
    """All pairs of bond orders that occur in enough molecules at the same two elements."""
    counts = pairs.filter(pl.col("level") > 0).group_by("kind", "level").agg(pl.col("frame").n_unique())
    there = sorted((kind, level) for kind, level, n in counts.iter_rows() if n >= MIN_COMMON)
    return [(kind, high, low) for kind, high in there for other, low in there if other == kind and high > low]


def order_table(pairs: pl.DataFrame, relevance: str, comparisons: Sequence[Comparison]) -> pl.DataFrame:
    """One row per comparison of two bond orders of the same elements."""
    names = dict(pairs.select("kind", "species").unique().iter_rows())
    words = {level: word for word, level in BOND_LEVELS.items()}
    data = {column: pairs[column].to_numpy() for column in ("kind", "level")}
    terms = pairs[relevance].to_numpy()
    rows = []
    for comparison in comparisons:
        kind, high, low = comparison
        sizes = [int(((data["kind"] == kind) & (data["level"] == level)).sum()) for level in (high, low)]
        chance = [concordance(data, terms, reading, [comparison]) for reading in (np.abs, np.negative)]
        rows.append((names[kind], words[high], words[low], *sizes, *chance))
    columns = ("species", "higher", "lower", "n_higher", "n_lower", "strength", "stabilisation")
    types = (pl.String, pl.String, pl.String, pl.Int64, pl.Int64, pl.Float64, pl.Float64)
    return pl.DataFrame(rows, schema=dict(zip(columns, types, strict=True)), orient="row")


def concordance(
    data: Mapping[str, np.ndarray],
    terms: Float[np.ndarray, " rows"],
    reading: Reading,
    comparisons: Sequence[Comparison],
    columns: tuple[str, str] = ("kind", "level"),
) -> float:
    """How often a random pair of the higher level reads higher than one of the lower, averaged over comparisons.

    The probability of the Mann-Whitney test (ties count half); comparisons with an empty side are left out.

    Examples
    --------
    >>> data = {"kind": np.array([1, 1, 1, 1]), "level": np.array([1, 1, 2, 2])}
    >>> concordance(data, np.array([0.1, -0.2, -0.15, 0.3]), np.abs, [(1, 2, 1)])
    0.75
    """
    read, (group, level) = reading(terms), columns
    found = []
    for kind, high, low in comparisons:
        here = data[group] == kind
        above, below = read[here & (data[level] == high)], read[here & (data[level] == low)]
        if len(above) and len(below):
            below.sort()
            wins = np.searchsorted(below, above, "left") + np.searchsorted(below, above, "right")
            found.append(wins.mean() / (2 * len(below)))
    return float(np.mean(found)) if found else math.nan


def concordances_of(
    data: Mapping[str, np.ndarray],
    terms: Float[np.ndarray, " rows"],
    molecule: Int[np.ndarray, " rows"],
    n: int,
    reading: Reading,
    comparisons: Sequence[Comparison],
    columns: tuple[str, str] = ("kind", "level"),
) -> OfDraws:
    """`concordance` of draws of n molecules."""
    group, level = (data[column] for column in columns)
    sides = [tuple((group == kind) & (level == one) for one in (high, low)) for kind, high, low in comparisons]
    return concordances(reading(terms), sides, molecule, n)


def class_correlation(data: Mapping[str, np.ndarray], terms: Float[np.ndarray, " rows"], reading: Reading) -> float:
    """Rank correlation of mean reading and mean bond energy over species with bond class."""
    means, energies = _class_means(data, terms, reading)
    return rank_correlation(means, energies) if len(means) >= MIN_CLASSES else math.nan


def class_effect(
    name: str, data: Mapping[str, np.ndarray], terms: Float[np.ndarray, " rows"], reading: Reading
) -> Effect:
    """`class_correlation` with its interval over classes: other molecules hold the same few classes of bonds."""
    means, energies = _class_means(data, terms, reading)
    return rank_effect(name, means, energies) if len(means) >= MIN_CLASSES else Effect(name, math.nan, n=len(means))


def _class_means(
    data: Mapping[str, np.ndarray], terms: Float[np.ndarray, " rows"], reading: Reading
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Mean reading and bond energy of every class."""
    kind = data["bond_kind"]
    counts = np.bincount(kind)
    there = counts > 0
    means = np.bincount(kind, reading(terms))[there] / counts[there]
    return means, np.bincount(kind, data["energy"])[there] / counts[there]


def order_correlation(data: Mapping[str, np.ndarray], terms: Float[np.ndarray, " rows"]) -> float:
    """Rank correlation of strength and bond order over pairs."""
    return rank_correlation(np.abs(terms), data["bond_order"])


def order_correlations(
    data: Mapping[str, np.ndarray], terms: Float[np.ndarray, " rows"], molecule: Int[np.ndarray, " rows"], n: int
) -> OfDraws:
    """`order_correlation` of draws of n molecules."""
    return rank_correlations(np.abs(terms), data["bond_order"], molecule, n)
