r"""Do interactions fall with distance as physics says?

Non-bonded pair terms, group terms of two molecules pulled apart, and references on the same structures: response
couplings :math:`\lVert \partial^2 E / \partial r_i \partial r_j \rVert`, D4 pair energies, interaction energies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from atomlens.analyses.decay.benchmark_curves import curve_score
from atomlens.analyses.decay.dimer_scan import SCAN_SCHEMA, make_dimers, scan_dimers
from atomlens.analyses.decay.distance_range import Range, find_range
from atomlens.analyses.decay.judgement import findings
from atomlens.analyses.decay.laws import law_preference
from atomlens.analyses.decay.pairs import SOURCES, References, bin_table, decay_from, exponent_table, non_bonded
from atomlens.analyses.decay.scores import score_dimers, score_pairs
from atomlens.analyses.inputs import Material, untrained_model
from atomlens.analyses.pair_scores import Score
from atomlens.analyses.verdict import Effect, Verdict, conclude
from atomlens.surveys import Progress, no_progress

SLUG = "decay"
TITLE = "Decay with distance"


@dataclass(frozen=True)
class DecayResult:
    """Strength against distance, of model and references.

    Attributes
    ----------
    property, unit
        What the model predicts.
    range
        Where the model can see, was trained, and is judged.
    bins
        Median and quartiles of the absolute value in bins of distance, by source and species.
    exponents
        Local exponents by source, species and window, with intervals over molecules.
    scans
        Dimers pulled apart (`scan_dimers`).
    laws
        By source: how much better a power law foretells values in the range than an exponential, nats a value.
    scores
        What is judged, by name.
    failures
        By source, how often a reference could not be had, by reason.
    """

    property: str
    unit: str
    range: Range
    bins: pl.DataFrame
    exponents: pl.DataFrame
    scans: pl.DataFrame
    laws: dict[str, Effect]
    scores: dict[str, Score]
    failures: dict[str, dict[str, int]]


def compute(
    material: Material,
    *,
    progress: Progress = no_progress,
    references: References | None = None,
    n_response: int = 10,
    n_dimers: int = 12,
    n_resamples: int = 400,
) -> DecayResult:
    """Gather terms and references, pull dimers apart, fit laws.

    Parameters
    ----------
    material
        Model, structures and tables.
    progress
        Is told about responses and scans.
    references
        GFN2-xTB and D4 by default.
    n_response
        Response couplings and D4 are computed for that many structures, evenly spread (GFN2: 6 N forces each).
    n_dimers
        Dimers to pull apart; 0 for none.
    n_resamples
        Of every bootstrap.
    """
    references = References() if references is None else references
    seed = material.settings.seed
    table, failures = non_bonded(material, references, n_response, progress)
    where = find_range(material, material.settings.trained_range)
    laws = {
        source: law_preference(source, decay_from(table, source).between(where.low, where.high), seed=seed)
        for source in SOURCES
    }
    scores = score_pairs(table, where, seed=seed, n_resamples=n_resamples)
    scans = untrained_scans = pl.DataFrame(schema=SCAN_SCHEMA)
    if dimers := make_dimers(material.structures, n_dimers, seed):
        energy, end = references.energy if where.is_energy else None, where.scanned
        scans, failures["dimers"] = scan_dimers(material, dimers, energy, references.dispersion, end, progress)
        fresh = replace(material, model=untrained_model(material.model, seed))
        untrained_scans, _ = scan_dimers(fresh, dimers, None, None, end, progress)
    scores |= score_dimers(scans, untrained_scans, where, seed=seed, n_resamples=n_resamples)
    scores["s66x8"] = curve_score(material, seed=seed, n_resamples=n_resamples, progress=progress)
    return DecayResult(
        property=material.property,
        unit=material.unit,
        range=where,
        bins=bin_table(table),
        exponents=exponent_table(table, where.low, where.high, seed=seed, n_resamples=min(n_resamples, 200)),
        scans=scans,
        laws=laws,
        scores=scores,
        failures={source: reasons for source, reasons in failures.items() if reasons},
    )


def judge(result: DecayResult) -> Verdict:
    """Hold model against references."""
    return conclude(SLUG, findings(result.scores, result.laws, result.range, result.failures))
