r"""Do interactions fall with distance as physics says?

Non-bonded pair terms, group terms of two molecules pulled apart, and references on the same structures: response
couplings :math:`\lVert \partial^2 E / \partial r_i \partial r_j \rVert`, D4 pair energies, interaction energies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from atomlens.analyses.decay.benchmark_curves import curve_score
from atomlens.analyses.decay.cutoff_scores import score_cutoff
from atomlens.analyses.decay.dimer_scan import SCAN_SCHEMA, make_dimers, scan_dimers
from atomlens.analyses.decay.dimer_scores import score_dimers
from atomlens.analyses.decay.distance_range import DecayRange, find_range
from atomlens.analyses.decay.judgement import findings
from atomlens.analyses.decay.laws import law_preference
from atomlens.analyses.decay.pair_forces import force_bins, force_score, pair_force_rows
from atomlens.analyses.decay.pairs import SOURCES, References, bin_table, decay_from, exponent_table, non_bonded
from atomlens.analyses.decay.scores import score_pairs
from atomlens.analyses.inputs import AnalysisInputs, untrained_models
from atomlens.analyses.pair_scores import Score
from atomlens.analyses.statistics import N_RESAMPLES
from atomlens.analyses.verdict import Effect, Verdict, conclude
from atomlens.surveys import Progress, no_progress

# Dimers that each untrained model is asked about.
_UNTRAINED_DIMERS = 4
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
    pair_forces, force_bins
        Pair forces of some structures, one row per ordered pair (`atomlens.interactions.PairForces.table`), and how
        they go with distance (`force_bins`).
    laws
        By source: how much better a power law predicts values in the range than an exponential, nats per value.
    scores
        What is judged, by name.
    failures
        By source, how often a reference could not be had, by reason.
    """

    property: str
    unit: str
    range: DecayRange
    bins: pl.DataFrame
    exponents: pl.DataFrame
    scans: pl.DataFrame
    pair_forces: pl.DataFrame
    force_bins: pl.DataFrame
    laws: dict[str, Effect]
    scores: dict[str, Score]
    failures: dict[str, dict[str, int]]


def compute(
    inputs: AnalysisInputs,
    *,
    progress: Progress = no_progress,
    references: References | None = None,
    n_response: int = 40,
    n_dimers: int = 40,
    n_resamples: int = N_RESAMPLES,
) -> DecayResult:
    """Gather terms and references, pull dimers apart, fit laws.

    Parameters
    ----------
    inputs
        Model, structures and tables.
    progress
        Called with the progress of responses and scans.
    references
        GFN2-xTB and D4 by default.
    n_response
        Response couplings, D4 and pair forces are computed for that many structures, evenly spread (GFN2: 6 N forces
        each).
    n_dimers
        Dimers to pull apart; 0 for none.
    n_resamples
        Of every bootstrap.
    """
    references = References() if references is None else references
    seed = inputs.settings.seed
    where = find_range(inputs, inputs.settings.trained_range)
    table, failures = non_bonded(inputs, references, n_response, progress)
    boot = {"seed": seed, "n_resamples": n_resamples}
    laws = {
        source: law_preference(source, decay_from(table, source).between(where.low, where.high), **boot)
        for source in SOURCES
    }
    scores = score_pairs(table, where, **boot) | score_cutoff(table, where, **boot)
    scans, untrained_scans = pl.DataFrame(schema=SCAN_SCHEMA), []
    if dimers := make_dimers(inputs.structures, n_dimers, seed):
        energy, end = references.energy if where.is_energy else None, where.scanned
        scans, failures["dimers"] = scan_dimers(inputs, dimers, energy, references.dispersion, end, progress)
        if where.is_energy:
            for fresh in untrained_models(inputs.model, seed):
                some = replace(inputs, model=fresh)
                untrained_scans.append(scan_dimers(some, dimers[:_UNTRAINED_DIMERS], None, None, end, progress)[0])
    scores |= score_dimers(scans, untrained_scans, where, **boot)
    forces, reason = pair_force_rows(inputs, n_response if where.has_terms else 0, progress)
    scores["pair_forces"] = force_score(forces, reason, where.high, **boot)
    scores["s66x8"] = curve_score(inputs, seed=seed, n_resamples=n_resamples, progress=progress)
    return DecayResult(
        property=inputs.property,
        unit=inputs.unit,
        range=where,
        bins=bin_table(table),
        exponents=exponent_table(table, where.low, where.high, seed=seed, n_resamples=min(n_resamples, 200)),
        scans=scans,
        pair_forces=forces,
        force_bins=force_bins(forces),
        laws=laws,
        scores=scores,
        failures={source: reasons for source, reasons in failures.items() if reasons},
    )


def judge(result: DecayResult) -> Verdict:
    """Compare the model with references."""
    return conclude(SLUG, findings(result.scores, result.laws, result.range, result.failures))
