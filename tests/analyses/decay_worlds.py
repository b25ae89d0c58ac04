"""Terms and references of known laws, for the question of decay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ase
import ase.build
import numpy as np
import polars as pl
from scipy.spatial.distance import cdist

from atomlens.analyses import AnalysisInputs
from atomlens.analyses.decay.distance_range import DecayRange
from atomlens.analyses.decay.pairs import References


def with_curves(inputs: AnalysisInputs, name: str) -> AnalysisInputs:
    return replace(inputs, settings=replace(inputs.settings, s66x8=Path(name)))


def power(n: float, phase: float = 0.0) -> Callable[[ase.Atoms], np.ndarray]:
    """Pair matrix r^n, with a little scatter that is the same every time, and another for another phase."""

    def matrix(atoms: ase.Atoms) -> np.ndarray:
        r = cdist(atoms.positions, atoms.positions) + np.eye(len(atoms))
        return r**n * np.exp(0.05 * np.sin(1e3 * r + phase))

    return matrix


def flat(atoms: ase.Atoms) -> np.ndarray:
    """A pair matrix of noise, the same every time."""
    return np.abs(np.sin(1e3 * power(1.0)(atoms)))


def references(n: float = -5.0, own: float | None = None, model: object = None) -> References:
    """Couplings r^n: second derivatives of energies r^(n + 2); r^own of `model`, noise of other models.

    Couplings of models scatter otherwise than those of the reference: without scatter, rounding would decide.
    """

    def own_response(asked: object, atoms: ase.Atoms) -> np.ndarray:
        return power(n if own is None else own, phase=1.0)(atoms) if model is None or asked is model else flat(atoms)

    return References(response=power(n), dispersion=power(-6.0), own_response=own_response, energy=lambda atoms: 0.0)


WHERE = DecayRange("energy", "eV", True, 5.0, False, 10.0, 6.0, "given", 2.5, 4.5, 20)


def wide(terms: Callable[[np.ndarray, np.random.Generator], np.ndarray], n: int = 200, seed: int = 0) -> pl.DataFrame:
    """A table of non-bonded pairs of 20 molecules with made-up terms; couplings fall as r^-5."""
    rng = np.random.default_rng(seed)
    r = rng.uniform(2.5, 4.99, n)
    coupling = r**-5.0 * np.exp(0.1 * rng.normal(size=n))
    others = dict.fromkeys(("model_response", "untrained_response", "gfn2_response", "d4"), coupling)
    frame = np.arange(n, dtype=np.int32) % 20
    columns = {"frame": frame, "species": ["C C"] * n, "distance": r, "term": terms(r, rng)}
    fresh = {name: rng.normal(size=n) for name in ("untrained", "untrained/1", "untrained/2")}
    return pl.DataFrame({**columns, **fresh, **others})


def law(n: float = 0.0, rate: float = 0.0) -> Callable[[pl.DataFrame], np.ndarray]:
    """Terms -r^n exp(-rate r) with scatter."""

    def terms(pairs: pl.DataFrame) -> np.ndarray:
        r = pairs["distance"].to_numpy()
        return -(r**n) * np.exp(-rate * r) * np.exp(0.05 * np.random.default_rng(2).normal(size=len(r)))

    return terms
