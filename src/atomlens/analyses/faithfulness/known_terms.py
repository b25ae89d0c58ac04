"""How well the terms of a model that was fitted to a known potential are the terms of that potential."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.resources import files

import ase
import numpy as np
import polars as pl
import polars.selectors as columns
import torch
from jaxtyping import Float, Int

from atomlens.analyses.faithfulness.deletion import changes, edges_of_pair
from atomlens.analyses.faithfulness.edge_weights import (
    gradient_times_input,
    integrated_edges,
    integrated_hessians,
    plain_removal,
    subset_values,
    weight_gradient,
)
from atomlens.analyses.inputs import untrained_model
from atomlens.analyses.moments import Moments
from atomlens.analyses.statistics import molecule_effect, rank_correlation
from atomlens.chain import make_chain, make_rule
from atomlens.interactions import interaction_terms
from atomlens.models import Potential
from atomlens.recording import DEFAULT_PRODUCT_RULE, PRODUCT_RULES
from atomlens.reference import KnownPotential
from atomlens.structures import AtomGraph

RULES = ("gate", "gamma", "gradient")
# Values of pairs from the predictions for all subsets of atoms.
OfSubsets = Callable[[Float[np.ndarray, " K"], Int[np.ndarray, "P 2"]], Float[np.ndarray, " P"]]
UNTRAINED = f"terms gate/{DEFAULT_PRODUCT_RULE}, untrained model"
_STORED = "known_terms.csv"


def rule_names(model: Potential) -> list[tuple[str, str]]:
    """Rules and product rules that differ for a model: SchNet has no products of signals."""
    products = PRODUCT_RULES if model.facts.has_products else (DEFAULT_PRODUCT_RULE,)
    return [(rule, product) for rule in RULES for product in products]


def known_scores(
    model: Potential,
    potential: KnownPotential,
    *,
    n_clusters: int = 40,
    seed: int = 20_001,
    of_subsets: dict[str, OfSubsets] | None = None,
) -> pl.DataFrame:
    """Hold learned pair and triple terms, and other attributions, against the true terms on unseen clusters.

    Pairs are those within the model's cutoff, triples those that the model can connect. Each score has its 95 %
    bootstrap interval over clusters.

    Parameters
    ----------
    model
        Fitted to energies (and forces) of `potential`.
    potential
        The truth.
    n_clusters, seed
        Clusters to ask about; another seed than that of training.
    of_subsets
        More attributions of pairs from the predictions for all subsets, by name, beside `plain_removal`.

    Returns
    -------
    polars.DataFrame
        One row per method and order: ``correlation`` and ``slope`` (of learned on true terms), ``centred`` (correlation
        after the mean of every combination of elements was taken off both sides, which a constant traded between
        one-body and pair terms cannot change), ``rank`` (Spearman) and ``strength`` (sum of absolute values
        by that of the true pair terms); limits as ``<score>_low`` and ``<score>_high``.
    """
    model = model.converted(torch.float64)
    fresh = untrained_model(model)
    rng = np.random.default_rng(seed)
    found: dict[tuple[str, int], list[np.ndarray]] = {}
    truth: dict[int, list[np.ndarray]] = {2: [], 3: []}
    kinds: dict[int, list[np.ndarray]] = {2: [], 3: []}
    for atoms in [potential.cluster(rng) for _ in range(n_clusters)]:
        graph, terms = model.graph(atoms), potential.terms(atoms)
        pairs, triples = np.empty((0, 2), dtype=np.int64), np.empty((0, 3), dtype=np.int64)
        for rule, product in rule_names(model):
            learned = interaction_terms(make_chain(model, graph, make_rule(rule), product), 3)
            pairs, triples = learned.order(2).atoms, learned.order(3).atoms
            for order in (2, 3):
                found.setdefault((f"terms {rule}/{product}", order), []).append(learned.order(order).relevance)
        truth[2].append(_look_up(pairs, terms.pairs, terms.pair_terms))
        truth[3].append(_look_up(triples, terms.triples, terms.triple_terms))
        kinds[2].append(_kinds(atoms, pairs))
        kinds[3].append(_kinds(atoms, triples))
        control = interaction_terms(make_chain(fresh, graph, make_rule("gate")), 2)
        found.setdefault((UNTRAINED, 2), []).append(control.order(2).relevance)
        subsets = subset_values(model, graph)
        for name, values in _other_attributions(model, graph, pairs).items():
            found.setdefault((name, 2), []).append(values)
        for name, of in (of_subsets or {}).items():
            found.setdefault((name, 2), []).append(of(subsets, pairs))
        for order, sets in ((2, pairs), (3, triples)):
            found.setdefault(("plain removal", order), []).append(plain_removal(subsets, sets))
    strength = np.abs(np.concatenate(truth[2])).sum()
    rows = [
        {"method": name, "order": order} | _scores(values, truth[order], kinds[order], strength)
        for (name, order), values in sorted(found.items(), key=lambda item: item[0][1])
    ]
    return pl.DataFrame(rows)


def _other_attributions(
    model: Potential, graph: AtomGraph, pairs: Int[np.ndarray, "P 2"]
) -> dict[str, Float[np.ndarray, " P"]]:
    return {
        "gradient x input": gradient_times_input(model, graph, pairs),
        "gradient x edge weight": weight_gradient(model, graph, pairs),
        "integrated edges": integrated_edges(model, graph, pairs),
        "integrated Hessians": integrated_hessians(model, graph, pairs),
        "edge deletion": changes(model, graph, [edges_of_pair(graph, i, j) for i, j in pairs.tolist()]),
    }


def _scores(
    learned: list[np.ndarray], truth: list[np.ndarray], kinds: list[np.ndarray], strength: float
) -> dict[str, float]:
    n = len(learned)
    place = np.repeat(np.arange(n), [len(v) for v in learned])
    x, y, kind = np.concatenate(truth), np.concatenate(learned), np.concatenate(kinds)
    plain, centred = Moments(x, y, place, n), Moments(_centred(x, kind), _centred(y, kind), place, n)
    scores: dict[str, float] = {"n": n, "rank": rank_correlation(x, y)}
    scores["strength"] = float(np.abs(y).sum() / strength) if strength else float("nan")
    for name, of in (
        ("correlation", plain.correlation),
        ("centred", centred.correlation),
        ("slope", partial(plain.slope, at_least=3)),
    ):
        effect = molecule_effect(name, of, n, vectorized=True)
        scores |= {name: effect.value, f"{name}_low": effect.low, f"{name}_high": effect.high}
    return scores


def _centred(values: Float[np.ndarray, " M"], kind: Int[np.ndarray, " M"]) -> Float[np.ndarray, " M"]:
    if not len(values):
        return values
    inverse = np.unique(kind, return_inverse=True)[1]
    return values - (np.bincount(inverse, values) / np.bincount(inverse))[inverse]


def _kinds(atoms: ase.Atoms, sets: Int[np.ndarray, "M k"]) -> Int[np.ndarray, " M"]:
    """One number for every combination of elements."""
    return np.sort(atoms.numbers[sets], axis=1).astype(np.int64) @ 128 ** np.arange(sets.shape[1])


def _look_up(
    wanted: Int[np.ndarray, "M k"], known: Int[np.ndarray, "K k"], values: Float[np.ndarray, " K"]
) -> Float[np.ndarray, " M"]:
    table = {tuple(s): v for s, v in zip(known.tolist(), values.tolist(), strict=True)}
    return np.array([table[tuple(s)] for s in wanted.tolist()], dtype=np.float64)


def stored_known_scores() -> pl.DataFrame:
    """The table that ``benchmarks/faithfulness.py`` made: `known_scores` of models fitted to every known potential.

    Besides the columns of `known_scores`: ``potential``, ``architecture``, ``seed`` of training, and the model's errors
    on its test set, ``energy_mae_meV`` and ``force_mae_meV_per_A``, beside the root mean square of the true forces.
    """
    stored = (files("atomlens.analyses.faithfulness") / _STORED).read_bytes()
    table = pl.read_csv(stored, comment_prefix="#", infer_schema_length=None)
    return table.with_columns(columns.float().fill_null(np.nan))
