r"""Are pair terms as strong as chemistry says of their elements and bonds?

Pairs are sorted by elements, bond class (a hydrogen bond is a class recognised by geometry, `hydrogen_bonds`) and
number of bonds between them. Two readings of a term I: its *strength* :math:`|I|`, and, for energies, its
*stabilisation* :math:`-I`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import ase
import numpy as np
import polars as pl
from jaxtyping import Float

from atomlens.analyses.inputs import AnalysisInputs
from atomlens.analyses.pair_scores import PairDraws, PairStatistic, Score, is_energy, no_score, pair_score
from atomlens.analyses.rank_draws import means
from atomlens.analyses.species import pairs as species_pairs
from atomlens.analyses.species.hydrogen_bonds import NOT_NEAR
from atomlens.analyses.species.judgement import Circumstances, findings
from atomlens.analyses.statistics import N_RESAMPLES, share_with_limits
from atomlens.analyses.verdict import Effect, Verdict, conclude
from atomlens.potentials import AnyPotential
from atomlens.reference import ReferenceUnavailable, gfn2_bond_orders
from atomlens.surveys import Progress, evenly_spread, no_progress

SLUG = "species"
TITLE = "Strength per atomic species"

# From a structure to its bond orders (N, N).
BondOrders = Callable[[ase.Atoms], Float[np.ndarray, "N N"]]
# Everyone is one group; each relation against the next further one.
_NEARER = [(0, 4, 3), (0, 3, 2), (0, 2, 1)]


@dataclass(frozen=True)
class SpeciesResult:
    """Pair terms by species, and how they rank.

    Attributes
    ----------
    property, unit
        What the model predicts.
    classes
        One row per species (two elements), class and relation: counts, quantiles of the term in `unit`, strength, share
        of negative terms, mean distance (Å), mean GFN2 bond order, mean bond energy (eV).
    orders
        One row per comparison of two bond orders of the same elements: how often the higher one is the stronger
        (``strength``) and the more stabilising (``stabilisation``); 0.5 is chance.
    scores
        What is judged, by name.
    circumstances
        What the judgement needs to know about model and structures.
    skipped
        Structures without reference bond orders, counted by reason.
    """

    property: str
    unit: str
    classes: pl.DataFrame
    orders: pl.DataFrame
    scores: dict[str, Score]
    circumstances: Circumstances
    skipped: dict[str, int]


def compute(
    inputs: AnalysisInputs,
    *,
    progress: Progress = no_progress,
    bond_orders: BondOrders = gfn2_bond_orders,
    n_reference: int = 1000,
    n_resamples: int = N_RESAMPLES,
) -> SpeciesResult:
    """Sort pair terms into classes and score them.

    Parameters
    ----------
    inputs
        Model, structures and tables.
    progress
        Called with the progress of the reference calculations.
    bond_orders
        Reference bond orders; raises `ReferenceUnavailable` for a structure that it cannot do.
    n_reference
        Reference calculations at most, over the first structures (milliseconds each for small molecules).
    n_resamples
        Of every bootstrap.
    """
    orders, skipped = _reference_orders(inputs, bond_orders, n_reference, progress)
    pairs = species_pairs.sorted_pairs(inputs.tables["pairs"], inputs.structures, orders)
    fresh = [species_pairs.sorted_pairs(table, inputs.structures, orders) for table in inputs.untrained_level("pairs")]
    comparisons = species_pairs.comparisons_of(pairs)

    def score(
        name: str,
        statistic: PairStatistic,
        keep: pl.Expr,
        *columns: str,
        unit: str = "",
        interval: Callable[[Mapping[str, np.ndarray], Float[np.ndarray, " rows"]], Effect] | None = None,
        among: pl.Expr | None = None,
        draws: PairDraws | None = None,
    ) -> Score:
        among = pl.lit(True) if among is None else among
        return pair_score(
            name,
            statistic,
            pairs.filter(among),
            [table.filter(among) for table in fresh],
            columns,
            inputs.relevance,
            keep=keep,
            unit=unit,
            seed=inputs.settings.seed,
            n_resamples=n_resamples,
            interval=interval,
            draws=draws,
        )

    bonded, has_energy = pl.col("relation") == "1-2", pl.col("energy").is_not_null()
    common = pl.col("common")
    ordered, measured = bonded & (pl.col("level") > 0), pl.col("bond_order").is_not_null()
    by_class = species_pairs.class_correlation
    by_level, of_levels = species_pairs.concordance, species_pairs.concordances_of
    n_classes = pairs.filter(bonded & has_energy & common)["bond_kind"].n_unique()
    few_classes = (
        f"{n_classes} classes of bonds with a known bond energy in {species_pairs.MIN_COMMON} structures or more; "
        f"a rank correlation over classes needs {species_pairs.MIN_CLASSES}"
    )
    few_orders = f"no two elements have bonds of two orders, each in {species_pairs.MIN_COMMON} structures or more"
    scores: dict[str, Score] = {}
    for suffix, word, reading in (("", "strength", np.abs), ("_signed", "stabilisation", np.negative)):
        name = f"rank correlation of {word} with mean bond energy, over bond classes"
        statistic = partial(by_class, reading=reading)
        scores["energies" + suffix] = (
            score(
                name,
                statistic,
                bonded & has_energy & common,
                "bond_kind",
                "energy",
                interval=partial(species_pairs.class_effect, name, reading=reading),
            )
            if n_classes >= species_pairs.MIN_CLASSES
            else no_score(name, few_classes)
        )
        name = f"how often the higher bond order has the larger {word}"
        statistic = partial(by_level, reading=reading, comparisons=comparisons)
        draws = partial(of_levels, reading=reading, comparisons=comparisons)
        scores["multiplicity" + suffix] = (
            score(name, statistic, ordered, "kind", "level", draws=draws) if comparisons else no_score(name, few_orders)
        )
    name = "rank correlation of strength with GFN2 bond order, over {}"
    statistic, draws = species_pairs.order_correlation, species_pairs.order_correlations
    reason = f"no GFN2 bond orders ({next(iter(skipped), 'no structure has a pair')})"
    for key, which, keep in (("all", "all pairs", measured), ("bonded", "bonded pairs", measured & bonded)):
        told = name.format(which)
        has = orders is not None
        scores[f"orders_{key}"] = (
            score(told, statistic, keep, "bond_order", draws=draws) if has else no_score(told, reason)
        )
    nearer = {"reading": np.abs, "comparisons": _NEARER, "columns": ("everyone", "nearness")}
    scores["topology"] = score(
        "how often the pair with fewer bonds between is the stronger",
        partial(by_level, **nearer),
        pl.col("nearness") > 0,
        "everyone",
        "nearness",
        draws=partial(of_levels, **nearer),
    )
    negative = score(
        "share of bonds with a negative term",
        lambda _, terms: _mean(terms < 0),
        bonded,
        draws=lambda _, terms, molecule, n: means(terms < 0, molecule, n),
    )
    scores["bond_sign"] = replace(negative, effect=share_with_limits(negative.effect))
    scores["hydrogen_bonds"] = score(
        "mean term of H···A in hydrogen bonds",
        lambda _, terms: _mean(terms),
        pl.col("class") == "hydrogen bond",
        unit=inputs.unit,
        # Dealt among all pairs, every term would come from a bond, which no hydrogen bond surpasses.
        among=pl.col("relation").is_in(NOT_NEAR),
        draws=lambda _, terms, molecule, n: means(terms, molecule, n),
    )
    return SpeciesResult(
        property=inputs.property,
        unit=inputs.unit,
        classes=species_pairs.class_table(pairs, inputs.relevance),
        orders=species_pairs.order_table(pairs, inputs.relevance, comparisons),
        scores=scores,
        circumstances=_circumstances(inputs, pairs),
        skipped=skipped,
    )


def why_not(model: AnyPotential) -> str:
    """Without terms there is nothing to ask."""
    return (
        "" if model.facts.has_terms else "It is about pair terms, and an ASE calculator has energies and forces only."
    )


def judge(result: SpeciesResult) -> Verdict:
    """Hold the scores against what chemistry expects."""
    return conclude(SLUG, findings(result.scores, result.orders, result.circumstances))


def _circumstances(inputs: AnalysisInputs, pairs: pl.DataFrame) -> Circumstances:
    frames = inputs.tables["frames"]
    constant = frames[f"constant_{inputs.unit}"].to_numpy()
    prediction = frames[f"prediction_{inputs.unit}"].to_numpy()
    return Circumstances(
        property=inputs.property,
        unit=inputs.unit,
        is_energy=is_energy(inputs),
        n_structures=len(frames),
        n_formulas=frames["formula"].n_unique(),
        formula=frames["formula"][0] if len(frames) else "",
        constant_share=float(np.abs(constant).mean() / max(np.abs(prediction).mean(), 1e-300)) if len(frames) else 0.0,
        constant_per_atom=float((constant / frames["n_atoms"].to_numpy()).mean()) if len(frames) else 0.0,
        binding_share=_binding_share(frames, pairs, inputs.unit),
    )


def _binding_share(frames: pl.DataFrame, pairs: pl.DataFrame, unit: str) -> float:
    """What terms hold of the binding, by mean bond energies, where the energy of every bond is known."""
    bonds = pairs.filter(pl.col("relation") == "1-2").group_by("frame", maintain_order=True)
    bonds = bonds.agg(pl.col("energy").sum(), pl.col("energy").is_null().any().alias("unknown"))
    known = frames.join(bonds.filter(~pl.col("unknown")), on="frame", how="inner", maintain_order="left")
    terms = known[f"constant_{unit}"].to_numpy() - known[f"prediction_{unit}"].to_numpy()
    return float(terms.sum() / known["energy"].to_numpy().sum()) if len(known) else float("nan")


def _reference_orders(
    inputs: AnalysisInputs, bond_orders: BondOrders, limit: int, progress: Progress
) -> tuple[pl.DataFrame | None, dict[str, int]]:
    table = inputs.tables["pairs"].select("frame", "atom_1", "atom_2")
    rows_of = {key[0]: rows for key, rows in table.partition_by("frame", as_dict=True).items()}
    chosen = evenly_spread(len(inputs.structures), limit)
    parts, skipped = [], {}
    for done, k in enumerate(chosen):
        progress("GFN2 bond orders", done, len(chosen))
        if k not in rows_of:
            continue
        try:
            matrix = bond_orders(inputs.structures[k])
        except ReferenceUnavailable as error:
            skipped[str(error)] = skipped.get(str(error), 0) + 1
            continue
        rows = rows_of[k]
        orders = matrix[rows["atom_1"].to_numpy(), rows["atom_2"].to_numpy()]
        parts.append(rows.with_columns(pl.Series("bond_order", orders, dtype=pl.Float64)))
    progress("GFN2 bond orders", len(chosen), len(chosen))
    return (pl.concat(parts) if parts else None), skipped


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
