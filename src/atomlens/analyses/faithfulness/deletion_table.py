"""Deletions in many structures as one table, with scores and controls of every method that predicts them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import polars as pl
import torch
from jaxtyping import Float, Int

from atomlens.analyses.faithfulness.curves import curve_areas
from atomlens.analyses.faithfulness.deletion import (
    changes,
    edges_of_atom,
    edges_of_pair,
    walks_along_pairs,
    walks_through_atoms,
)
from atomlens.analyses.faithfulness.edge_weights import gradient_times_input, integrated_edges, weight_gradient
from atomlens.analyses.moments import Moments
from atomlens.analyses.pair_scores import SHUFFLES
from atomlens.analyses.statistics import molecule_effect, pearson, rank_correlation
from atomlens.analyses.verdict import Control, Effect, control_of
from atomlens.chain import Chain, make_chain, make_rule
from atomlens.interactions import interaction_terms
from atomlens.models import Potential
from atomlens.structures import AtomGraph

KINDS = ("pair", "atom")
_WIDTH = 0.25  # Å, of the distance bins of the baseline


@dataclass(frozen=True)
class Deletions:
    """Deletions of one kind in one structure: members (M, 1 or 2), distances, true changes, predicted by method.

    `areas` are deletion and insertion areas by method (`curve_areas`), of pairs.
    """

    members: Int[np.ndarray, "M k"]
    distance: Float[np.ndarray, " M"]
    change: Float[np.ndarray, " M"]
    predicted: dict[str, Float[np.ndarray, " M"]]
    areas: dict[str, tuple[float, float]] = field(default_factory=dict)


def delete_in(
    model: Potential,
    graph: AtomGraph,
    rng: np.random.Generator,
    n_deletions: int,
    rules: list[tuple[str, str]],
) -> dict[str, Deletions] | None:
    """Deletions of both kinds in the model's own unit; None where no two atoms see each other."""
    joined = (graph.target < graph.source).nonzero()[:, 0]
    every = torch.stack([graph.target[joined], graph.source[joined]], dim=1).unique(dim=0).numpy()
    if not len(every):
        return None
    pairs = every[np.sort(rng.permutation(len(every))[:n_deletions])]
    atoms = np.sort(rng.permutation(np.unique(every))[:n_deletions])
    by_weight, integrated = weight_gradient(model, graph, every), integrated_edges(model, graph, every)
    asked = np.array([np.flatnonzero((every == pair).all(axis=1))[0] for pair in pairs])
    of_pair: dict[str, np.ndarray] = {
        "gradient x edge weight": by_weight[asked],
        "integrated edges": integrated[asked],
        "gradient x input": gradient_times_input(model, graph, pairs),
    }
    of_atom = {
        "gradient x edge weight": np.array([by_weight[(every == k).any(1)].sum() for k in atoms]),
        "integrated edges": np.array([integrated[(every == k).any(1)].sum() for k in atoms]),
    }
    for rule, product in rules:
        chain, name = make_chain(model, graph, make_rule(rule), product), f"{rule}/{product}"
        of_pair[name] = walks_along_pairs(chain, pairs)
        of_pair[f"{name}, pair term alone"] = _pair_terms(chain, pairs)
        of_atom[name] = walks_through_atoms(chain, atoms)
    true_pairs = changes(model, graph, [edges_of_pair(graph, i, j) for i, j in pairs.tolist()])
    true_atoms = changes(model, graph, [edges_of_atom(graph, k) for k in atoms.tolist()])
    areas = curve_areas(model, graph, pairs, of_pair, rng)
    return {
        "pair": Deletions(pairs, _nearest(graph, pairs), true_pairs, of_pair, areas),
        "atom": Deletions(atoms[:, None], np.full(len(atoms), math.nan), true_atoms, of_atom),
    }


def _pair_terms(chain: Chain, pairs: Int[np.ndarray, "P 2"]) -> Float[np.ndarray, " P"]:
    terms = interaction_terms(chain, 2).order(2)
    table = {tuple(s): v for s, v in zip(terms.atoms.tolist(), terms.relevance.tolist(), strict=True)}
    return np.array([table[tuple(p)] for p in pairs.tolist()], dtype=np.float64)


def _nearest(graph: AtomGraph, pairs: Int[np.ndarray, "P 2"]) -> Float[np.ndarray, " P"]:
    lengths = torch.linalg.vector_norm(graph.vectors(), dim=1).detach()
    return np.array([float(lengths[edges_of_pair(graph, i, j)].min()) for i, j in pairs.tolist()], dtype=np.float64)


def deletions_table(frame: int, graph: AtomGraph, found: dict[str, Deletions], factor: float) -> pl.DataFrame:
    """Deletions of one structure as rows (see `FaithfulnessResult`); `factor` converts the model's unit."""
    numbers = graph.numbers.numpy()
    tables = []
    for kind, part in found.items():
        first, last = part.members[:, 0], part.members[:, -1]
        second = last if kind == "pair" else np.full(len(first), -1)
        for method, predicted in part.predicted.items():
            tables.append(
                pl.DataFrame(
                    {
                        "frame": np.full(len(first), frame, dtype=np.int32),
                        "kind": [kind] * len(first),
                        "atom_1": first.astype(np.int32),
                        "atom_2": second.astype(np.int32),
                        "element_1": numbers[first].astype(np.int32),
                        "element_2": np.where(second < 0, -1, numbers[last]).astype(np.int32),
                        "distance": part.distance,
                        "method": [method] * len(first),
                        "predicted": predicted * factor,
                        "change": part.change * factor,
                    }
                )
            )
    return pl.concat(tables)


def empty_table() -> pl.DataFrame:
    """The table of no structure."""
    whole = dict.fromkeys(("frame", "atom_1", "atom_2", "element_1", "element_2"), pl.Int32)
    real = dict.fromkeys(("distance", "predicted", "change"), pl.Float64)
    return pl.DataFrame(schema=whole | {"kind": pl.String, "method": pl.String} | real)


def effect_of(deletions: pl.DataFrame, kind: str, method: str) -> Effect:
    """Correlation of predicted and true change, with its interval over structures."""
    rows = rows_of(deletions, kind, method)
    moments, n = _moments(rows)
    effect = molecule_effect("correlation of predicted and true change", moments.correlation, n, vectorized=True)
    # To the last digit that of a control with the same values.
    return replace(effect, value=pearson(rows["predicted"].to_numpy(), rows["change"].to_numpy()))


def rows_of(deletions: pl.DataFrame, kind: str, method: str) -> pl.DataFrame:
    """Rows of one kind and method."""
    return deletions.filter((pl.col("kind") == kind) & (pl.col("method") == method))


def _moments(rows: pl.DataFrame) -> tuple[Moments, int]:
    """Sums by structure of true changes over predicted ones, and how many structures there are."""
    frames = rows["frame"].unique(maintain_order=True).to_numpy()
    place = np.searchsorted(frames, rows["frame"].to_numpy())
    return Moments(rows["predicted"].to_numpy(), rows["change"].to_numpy(), place, len(frames)), len(frames)


def deletion_scores(deletions: pl.DataFrame, areas: Sequence[Mapping[str, tuple[float, float]]] = ()) -> pl.DataFrame:
    """One row per kind and method: correlation and slope of the change on what was predicted, rank correlation.

    ``deletion_area`` and ``insertion_area`` are medians of `areas`, one mapping per structure; NaN without such.
    """
    rows = []
    for kind in KINDS:
        for method in deletions.filter(pl.col("kind") == kind)["method"].unique(maintain_order=True):
            part = rows_of(deletions, kind, method)
            moments, n = _moments(part)
            measures = (moments.correlation, partial(moments.slope, at_least=3))
            correlation, steep = (molecule_effect("", of, n, vectorized=True) for of in measures)
            rank = rank_correlation(part["predicted"].to_numpy(), part["change"].to_numpy())
            known = [one[method] for one in areas if kind == "pair" and method in one]
            known = [pair for pair in known if math.isfinite(sum(pair))]
            area = np.median(np.array(known), axis=0).tolist() if known else (math.nan, math.nan)
            rows.append((kind, method, *_limits(correlation), *_limits(steep), rank, *area, correlation.n))
    names = ("correlation", "correlation_low", "correlation_high", "slope", "slope_low", "slope_high", "rank")
    names += ("deletion_area", "insertion_area")
    schema = {"kind": pl.String, "method": pl.String} | dict.fromkeys(names, pl.Float64) | {"n": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _limits(effect: Effect) -> tuple[float, float, float]:
    return effect.value, effect.low, effect.high


def controls_of(
    deletions: pl.DataFrame, kind: str, method: str, fresh: list[dict[str, Deletions] | None]
) -> list[Control]:
    """Shuffled deletions as null; elements with distance, and an untrained model, to be shown next to the score."""
    rows = rows_of(deletions, kind, method)
    frame, change = rows["frame"].to_numpy(), rows["change"].to_numpy()
    rng = np.random.default_rng(0)
    others = []
    for _ in range(SHUFFLES):
        other = rows["predicted"].to_numpy().copy()
        for k in np.unique(frame):
            other[frame == k] = rng.permutation(other[frame == k])
        others.append(pearson(other, change))
    # Without training the terms predict deletions as well: faithful to the model is not true to nature, so an
    # untrained model is shown next to the score and is no null.
    parts = [part[kind] for part in fresh if part is not None]
    untrained = math.nan
    if parts:
        untrained = pearson(
            np.concatenate([p.predicted[method] for p in parts]), np.concatenate([p.change for p in parts])
        )
    alone = "distance and elements alone" if kind == "pair" else "element alone"
    return [
        control_of("another deletion of the same molecule", others),
        Control(alone, pearson(_by_class(rows), change), is_null=False),
        Control("untrained model", untrained, is_null=False),
    ]


def _by_class(rows: pl.DataFrame) -> Float[np.ndarray, " M"]:
    """Mean change of deletions of the same elements and distance bin in the other structures; their own left out."""
    bins = (pl.col("distance").fill_nan(0.0) / _WIDTH).floor()
    low = pl.min_horizontal("element_1", "element_2")
    high = pl.max_horizontal("element_1", "element_2")
    keyed = rows.with_columns(bins=bins, low=low, high=high)
    key, everything = ["bins", "low", "high"], rows["change"].mean() if len(rows) else 0.0
    total, n = pl.col("change").sum(), pl.len()
    others = keyed.with_columns(
        total=total.over(key) - total.over([*key, "frame"]), n=n.over(key) - n.over([*key, "frame"])
    )
    means = others.select(pl.when(pl.col("n") > 0).then(pl.col("total") / pl.col("n")).otherwise(everything))
    return means.to_series().to_numpy()
