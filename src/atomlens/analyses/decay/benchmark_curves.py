"""Group terms of S66x8 dimers against benchmark curves, where its file is at hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from atomlens.analyses.assemblies import predictions
from atomlens.analyses.inputs import AnalysisInputs
from atomlens.analyses.pair_scores import SHUFFLES, Score, is_energy, no_score, shuffled_within
from atomlens.analyses.rank_draws import rank_correlations
from atomlens.analyses.statistics import molecule_effect, rank_correlation
from atomlens.analyses.verdict import Control, control_of
from atomlens.reference import Dimer, read_s66x8
from atomlens.structures import InputError
from atomlens.surveys import Progress, no_progress

TERMS = "group terms"
_FROM, _BASE = 1.0, 2.0  # in units of the equilibrium distance


def curve_score(inputs: AnalysisInputs, *, seed: int, n_resamples: int, progress: Progress = no_progress) -> Score:
    r"""Rank correlation of :math:`I_{AB}(f) - I_{AB}(2)` with :math:`E(f) - E(2)` over dimers and f from 1 to 1.5.

    Energies of S66x8 in COMP6 are total energies; their differences along a curve are what is known of the interaction.
    """
    source = TERMS if inputs.model.facts.has_terms else "energies"
    name = _name(source)
    path = inputs.settings.s66x8
    if path is None:
        return no_score(name, "no file of S66x8 was given")
    if not is_energy(inputs):
        return no_score(name, f"S66x8 has energies, and the model predicts {inputs.property}", inapplicable=True)
    try:
        dimers = read_s66x8(path)
    except InputError as error:
        return no_score(name, str(error))
    terms: dict[tuple[int, float], float] = {}
    energies: dict[tuple[int, float], float] = {}
    reason = "no dimer has elements that the model knows"
    for k, dimer in enumerate(dimers):
        progress("S66x8", k, len(dimers))
        if dimer.factor < _FROM:
            continue
        try:
            inputs.model.check_elements(dimer.atoms)
            term = _term(inputs, dimer)
        except InputError as error:
            reason = str(error)
            continue
        if math.isfinite(term):  # where an ASE calculator does not fail
            terms[dimer.system, dimer.factor] = term
            energies[dimer.system, dimer.factor] = dimer.energy
    progress("S66x8", len(dimers), len(dimers))
    keys = [key for key in terms if key[1] < _BASE and (key[0], _BASE) in terms]
    if not keys:
        return no_score(name, reason)
    own = np.array([terms[key] - terms[key[0], _BASE] for key in keys])
    known = np.array([energies[key] - energies[key[0], _BASE] for key in keys])
    factors = np.array([key[1] for key in keys])
    system = np.unique([key[0] for key in keys], return_inverse=True)[1].reshape(-1)
    return compare_curves(own, known, factors, system, source, seed=seed, n_resamples=n_resamples)


def _name(source: str) -> str:
    return f"rank correlation of {source} with S66x8 energies along the curves"


def _term(inputs: AnalysisInputs, dimer: Dimer) -> float:
    """The term of the two molecules; what a model without terms predicts for both, of which differences count."""
    if not inputs.model.facts.has_terms:
        return float(predictions(inputs.model, [dimer.atoms])[0])
    groups = [part.tolist() for part in dimer.monomers]
    return float(inputs.explained(dimer.atoms).group_interactions(groups).order(2).relevance.sum())


def compare_curves(
    own: Float[np.ndarray, " n"],
    known: Float[np.ndarray, " n"],
    factors: Float[np.ndarray, " n"],
    system: Int[np.ndarray, " n"],
    source: str = TERMS,
    *,
    seed: int,
    n_resamples: int,
) -> Score:
    """Rank correlation of terms, or of a model's energies, with energies along curves, with its interval over dimers.

    Parameters
    ----------
    own, known
        Term and energy at every step, less those at twice the equilibrium distance.
    factors
        Distance in units of that at equilibrium.
    system
        Number of the dimer.
    source
        What is compared, in words: group terms, or energies of a model without terms.
    seed, n_resamples
        Of shuffles and bootstrap.
    """
    n = int(system.max()) + 1
    effect = molecule_effect(
        _name(source),
        rank_correlations(own, known, system, n),
        n,
        seed=seed,
        n_resamples=n_resamples,
        vectorized=True,
    )
    # To the last digit that of a control with the same values.
    effect = replace(effect, value=rank_correlation(own, known))
    rng = np.random.default_rng(seed)
    shuffled = [rank_correlation(rng.permutation(own), known) for _ in range(SHUFFLES)]
    within = [rank_correlation(shuffled_within(own, system, rng), known) for _ in range(SHUFFLES)]
    return Score(
        effect,
        (
            control_of(f"shuffled {source}", shuffled),
            control_of(f"{source} shuffled along each curve", within),
            # Any falling curve does this well; a model has to do better to have learned these dimers.
            Control("distance alone", rank_correlation(-1.0 / factors, known)),
        ),
    )
