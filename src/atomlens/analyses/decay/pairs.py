"""Non-bonded pair terms and references of the same pairs, side by side, and how they go with distance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import ase
import numpy as np
import polars as pl
from jaxtyping import Float

from atomlens.analyses.decay.laws import Decay, decay_of, exponent_effect
from atomlens.analyses.inputs import AnalysisInputs, seed_column, untrained_models
from atomlens.analyses.pair_scores import with_species
from atomlens.potentials import AnyPotential
from atomlens.reference import d4_dispersion, gfn2_energy, gfn2_response, model_response, once_per_geometry
from atomlens.structures import InputError
from atomlens.surveys import Progress, evenly_spread, no_progress

# Pairs that bonds do not hold at their distance.
NON_BONDED = ("1-4", "further", "other molecule")
# Columns of the wide table: the model's terms and couplings, then references, in the order of the page.
SOURCES = ("term", "untrained", "model_response", "untrained_response", "gfn2_response", "d4")
# What progress is called while a source is computed.
_WORDS = {
    "model_response": "couplings of the model",
    "gfn2_response": "couplings of GFN2",
    "d4": "D4 dispersion",
    "untrained_response": "couplings of untrained models",
}
# Couplings of each untrained model are computed for so many structures.
N_UNTRAINED_RESPONSE = 10
_BIN = 0.25
_WINDOW = 0.5
_ENOUGH = 200  # pairs of a species that get a curve of their own
_KEYS = ["frame", "atom_1", "atom_2"]
# Structures whose couplings are kept for the next model.
_COUPLINGS_KEPT = 64

PairMatrix = Callable[[ase.Atoms], Float[np.ndarray, "N N"]]


@once_per_geometry(_COUPLINGS_KEPT)
def _gfn2_couplings(atoms: ase.Atoms) -> Float[np.ndarray, "N N"]:
    return gfn2_response(atoms).couplings


@dataclass(frozen=True)
class References:
    """Where reference values come from; each may raise `InputError` for a structure that it cannot do.

    Attributes
    ----------
    response
        Response couplings of the reference in eV/Å^2.
    own_response
        Response couplings of a model.
    dispersion
        Dispersion energy of every pair in eV.
    energy
        Total energy in eV.
    """

    response: PairMatrix = _gfn2_couplings
    own_response: Callable[[AnyPotential, ase.Atoms], Float[np.ndarray, "N N"]] = lambda model, atoms: (
        model_response(model, atoms).couplings
    )
    dispersion: PairMatrix = lambda atoms: d4_dispersion(atoms).pair_energies
    energy: Callable[[ase.Atoms], float] = lambda atoms: gfn2_energy(atoms)


def non_bonded(
    inputs: AnalysisInputs, references: References, n_response: int, progress: Progress = no_progress
) -> tuple[pl.DataFrame, dict[str, dict[str, int]]]:
    """Non-bonded pairs with their terms, and references over `n_response` structures, evenly spread (null elsewhere).

    Returns
    -------
    The table (``frame``, ``atom_1``, ``atom_2``, ``species``, ``distance`` in Å, and `SOURCES`), and failures: by
    source, how often each reason came up.
    """
    columns = [*_KEYS, "species", "distance"]
    pairs = with_species(inputs.tables["pairs"]).filter(pl.col("relation").is_in(NON_BONDED))
    table = pairs.select(*columns, pl.col(inputs.relevance).alias("term"))
    for seed, fresh in enumerate(inputs.untrained_level("pairs")):
        terms = fresh.select(*_KEYS, pl.col(inputs.relevance).alias(seed_column("untrained", seed)))
        table = table.join(terms, on=_KEYS, how="left", maintain_order="left")
    if "untrained" not in table.columns:
        table = table.with_columns(pl.lit(None, dtype=pl.Float64).alias("untrained"))
    asked: dict[str, tuple[PairMatrix, int]] = {
        "model_response": (lambda atoms: references.own_response(inputs.model, atoms), n_response),
        "gfn2_response": (references.response, n_response),
        "d4": (references.dispersion, n_response),
    }
    for seed, model in enumerate(untrained_models(inputs.model, inputs.settings.seed)):
        ask = partial(references.own_response, model)
        asked[seed_column("untrained_response", seed)] = (ask, min(n_response, N_UNTRAINED_RESPONSE))
    failures: dict[str, dict[str, int]] = {}
    chosen = evenly_spread(len(inputs.structures), n_response)
    for source, (ask, count) in asked.items():
        structures = {chosen[k]: inputs.structures[chosen[k]] for k in evenly_spread(len(chosen), count)}
        found, failures[source] = _looked_up(table, structures, source, ask, progress)
        table = table.join(found, on=_KEYS, how="left", maintain_order="left")
    if "untrained_response" not in table.columns:
        table = table.with_columns(pl.lit(None, dtype=pl.Float64).alias("untrained_response"))
    return table, failures


def decay_from(table: pl.DataFrame, source: str) -> Decay:
    """One source of the wide table as a decay, its groups the species."""
    rows = table.filter(pl.col(source).is_not_null())
    group = rows["species"].rank("dense").to_numpy().astype(np.int64) if len(rows) else np.zeros(0, dtype=np.int64)
    frame = rows["frame"].to_numpy().astype(np.int64)
    return decay_of(rows["distance"].to_numpy(), rows[source].to_numpy().astype(float), group, frame)


def bin_table(table: pl.DataFrame) -> pl.DataFrame:
    """Median and quartiles of the absolute value in bins of 0.25 Å, for all pairs and for every common species.

    Under the species "all" every value is in units of the geometric mean of its own species and source: the mix of
    elements changes with distance, and would bend the curve.
    """
    parts = []
    for species, rows in _by_species(table):
        for source in SOURCES:
            strength = pl.col(source).abs()
            there = rows.filter(strength > 0)
            if species == "all":
                strength = strength / strength.log().mean().over("species").exp()
                there = there.with_columns(strength.alias(source))
                strength = pl.col(source)
            binned = there.group_by((pl.col("distance") / _BIN).floor().alias("bin"))
            parts.append(
                binned.agg(
                    pl.len().alias("pairs"),
                    pl.col("distance").mean().alias("distance"),
                    *(strength.quantile(q, "linear").alias(f"q{round(100 * q)}") for q in (0.25, 0.5, 0.75)),
                )
                .sort("bin")
                .select(pl.lit(source).alias("source"), pl.lit(species).alias("species"), pl.exclude("bin"))
            )
    return pl.concat(parts)


def exponent_table(table: pl.DataFrame, low: float, high: float, *, seed: int, n_resamples: int) -> pl.DataFrame:
    """Local exponents in windows of 0.5 Å from `low` on, and over the whole of the fitted range (``window`` false).

    ``high`` ends the fitted range; windows go on to the largest distance.
    """
    rows = []
    largest = float(table["distance"].max() or 0.0)  # pyright: ignore[reportArgumentType]
    edges = np.arange(low, largest + _WINDOW, _WINDOW)
    for species, part in _by_species(table):
        for source in SOURCES if species == "all" else ("term", "gfn2_response"):
            decay = decay_from(part, source)
            spans = [(low, high, False), *((a, a + _WINDOW, True) for a in edges[:-1])]
            for start, end, is_window in spans:
                here = decay.between(start, end)
                effect = exponent_effect(source, here, seed=seed, n_resamples=n_resamples)
                rows.append((source, species, start, end, is_window, effect.value, effect.low, effect.high, len(here)))
    names = ("source", "species", "low", "high", "window", "exponent", "exponent_low", "exponent_high", "pairs")
    types = (pl.String, pl.String, pl.Float64, pl.Float64, pl.Boolean, pl.Float64, pl.Float64, pl.Float64, pl.Int64)
    return pl.DataFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row")


def _by_species(table: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    counts = table.group_by("species").len().filter(pl.col("len") >= _ENOUGH).sort("len", descending=True)
    common = counts["species"].to_list()
    return [("all", table), *((name, table.filter(pl.col("species") == name)) for name in common)]


def _looked_up(
    table: pl.DataFrame, structures: Mapping[int, ase.Atoms], source: str, ask: PairMatrix, progress: Progress
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Entries of a pair matrix for the pairs of the table, of some structures by their frame."""
    failures: dict[str, int] = {}
    words = _WORDS[source.partition("/")[0]]
    rows_of = table.select(_KEYS).filter(pl.col("frame").is_in(list(structures))).partition_by("frame", as_dict=True)
    parts = [table.select(*_KEYS, pl.lit(None, dtype=pl.Float64).alias(source)).clear()]
    for done, (k, atoms) in enumerate(structures.items()):
        progress(words, done, len(structures))
        if (k,) not in rows_of:
            continue
        try:
            matrix = ask(atoms)
        except InputError as error:
            failures[str(error)] = failures.get(str(error), 0) + 1
            continue
        rows = rows_of[(k,)]
        values = matrix[rows["atom_1"].to_numpy(), rows["atom_2"].to_numpy()]
        parts.append(rows.with_columns(pl.Series(source, values, dtype=pl.Float64)))
    progress(words, len(structures), len(structures))
    return pl.concat(parts), failures
