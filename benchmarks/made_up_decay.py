"""Made-up decays: terms, couplings and dimers of known laws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from atomlens.analyses import DecayRange, Finding, Outcome
from atomlens.analyses.decay.benchmark_curves import compare_curves
from atomlens.analyses.decay.dimer_scores import score_dimers
from atomlens.analyses.decay.judgement import CLAIMS, findings
from atomlens.analyses.decay.scores import score_pairs
from atomlens.analyses.pair_scores import Score, no_score
from made_up import A, C, D, World

# From distances, species numbers and a random source to values.
Law = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]

WHERE = DecayRange("energy", "eV", True, 5.0, False, 15.0, 9.0, "given", 2.5, 4.5, 20)
MOLECULES, PAIRS, SEEDS, RESAMPLES = 30, 40, 5, 200
_CONSTANTS, _RATES = np.array([1.0, 0.3, 3.0, 0.1]), np.array([1.0, 2.0, 3.0, 4.0])
_KEYS = ("law", "exponent_response", "growth")


def power(n: float, scatter: float = 0.3) -> Law:
    """Values r^n, constants by species, log-normal scatter."""
    return lambda r, kind, rng: _CONSTANTS[kind] * r**n * np.exp(scatter * rng.normal(size=len(r)))


def exponential(r: np.ndarray, kind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Values exp(-b r), with another b for each species."""
    return np.exp(-_RATES[kind] * r + 0.3 * rng.normal(size=len(r)))


def noise(r: np.ndarray, kind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Values of any sign that know of no distance."""
    return rng.normal(size=len(r))


def of_pairs(terms: Law, couplings: Law, reference: Law) -> Callable[[np.random.Generator], dict[str, Finding]]:
    """Judged non-bonded pairs."""

    def make(rng: np.random.Generator) -> dict[str, Finding]:
        n = MOLECULES * PAIRS
        r, kind = rng.uniform(2.5, 4.99, n), rng.integers(4, size=n)
        columns = {
            "frame": np.repeat(np.arange(MOLECULES, dtype=np.int32), PAIRS),
            "species": np.array(["C-C", "C-O", "C-H", "H-H"])[kind],
            "distance": r,
            "term": terms(r, kind, rng),
            "model_response": couplings(r, kind, rng),
            "gfn2_response": reference(r, kind, rng),
            "d4": r**-6.0,
        }
        for seed in range(SEEDS):
            suffix = "" if seed == 0 else f"/{seed}"
            columns |= {f"untrained{suffix}": noise(r, kind, rng), f"untrained_response{suffix}": noise(r, kind, rng)}
        table = pl.DataFrame(columns)
        boot = {"seed": int(rng.integers(2**31)), "n_resamples": RESAMPLES}
        nothing = {key: no_score(key, "not asked") for key in CLAIMS}
        scores = nothing | score_pairs(table, WHERE, **boot)
        scores["cutoff_share"] = no_score("", "not asked")
        return _findings(scores, _KEYS)

    return make


def _findings(scores: dict[str, Score], keys: tuple[str, ...]) -> dict[str, Finding]:
    made = dict(zip(CLAIMS, findings(scores, {}, WHERE, {}), strict=True))
    return {f"decay/{key}": made[key] for key in keys}


def of_dimers(exponent: float, flips: float) -> Callable[[np.random.Generator], dict[str, Finding]]:
    """Judged dimers, whose GFN2 energy falls as r^-4, give or take, and whose terms change sign in a share of them."""

    def make(rng: np.random.Generator) -> dict[str, Finding]:
        gap = np.arange(2.0, 6.0, 0.35)
        r, parts = gap + 1.5, []
        for k in range(40):
            own = rng.normal(scale=0.7)
            sign, turn = rng.choice([-1.0, 1.0]), rng.random() < flips
            term = sign * r ** (exponent + own + rng.normal(scale=0.5)) * np.exp(0.1 * rng.normal(size=len(r)))
            term = np.where(turn & (gap > 3.6), -term, term)
            columns = {"gap": gap, "separation": r, "group_term": term, "interaction": term}
            parts.append(pl.DataFrame({"dimer": np.full(len(r), k), "gfn2": sign * r ** (-4.0 + own)} | columns))
        scans = pl.concat(parts)
        some = scans.filter(pl.col("dimer") < 6)
        fresh = [some.with_columns(pl.Series("group_term", rng.normal(size=len(some)))) for _ in range(SEEDS)]
        boot = {"seed": int(rng.integers(2**31)), "n_resamples": RESAMPLES}
        nothing = {key: no_score(key, "not asked") for key in CLAIMS}
        return _findings(nothing | score_dimers(scans, fresh, WHERE, **boot), ("dimer_exponent", "sign"))

    return make


def of_curves(truth: float) -> Callable[[np.random.Generator], dict[str, Finding]]:
    """Judged curves of 40 dimers: terms are the energies by a share, and another dimer's by the rest."""

    def make(rng: np.random.Generator) -> dict[str, Finding]:
        factors = np.tile([1.0, 1.1, 1.25, 1.5], 40)
        system = np.repeat(np.arange(40), 4)
        depth, other = rng.uniform(-1, -0.2, size=40), rng.normal(size=160)
        known = depth[system] * (factors**-4.0 - 2.0**-4.0)
        own = truth * known / known.std() + np.sqrt(1 - truth**2) * other
        boot = {"seed": int(rng.integers(2**31)), "n_resamples": RESAMPLES}
        nothing = {key: no_score(key, "not asked") for key in CLAIMS}
        return _findings(nothing | {"s66x8": compare_curves(own, known, factors, system, **boot)}, ("s66x8",))

    return make


def _three(law: Outcome, response: Outcome, growth: Outcome) -> dict[str, Outcome]:
    return dict(zip((f"decay/{key}" for key in _KEYS), (law, response, growth), strict=True))


WORLDS = [
    World(
        "terms r^-5, scatter 0.2; couplings r^-5.2; GFN2 r^-5",
        _three(A, A, A),
        of_pairs(power(-5, 0.2), power(-5.2), power(-5, 0.2)),
    ),
    World(
        "exponentials whose rates differ by species; couplings r^-8; GFN2 r^-5",
        _three(D, D, A),
        of_pairs(exponential, power(-8), power(-5, 0.2)),
    ),
    World(
        "terms r^-5; couplings and the reference are exponential",
        _three(C, A, A),
        of_pairs(power(-5, 0.2), exponential, exponential),
    ),
    World("terms grow as r^3; couplings r^-6; GFN2 r^-5", _three(C, C, D), of_pairs(power(3), power(-6), power(-5))),
    World("terms and couplings of noise", _three(C, D, C), of_pairs(noise, noise, power(-5))),
    World("flat terms, flat reference", _three(C, C, C), of_pairs(power(0), power(0), power(0))),
    World("dimers r^-4.3, 1 % change sign", {"decay/dimer_exponent": A}, of_dimers(-4.3, 0.01)),
    World("dimers r^-8, 40 % change sign", {"decay/dimer_exponent": D, "decay/sign": D}, of_dimers(-8.0, 0.4)),
    World(
        "dimers r^-5, 10 % change sign: the limits", {"decay/dimer_exponent": C, "decay/sign": C}, of_dimers(-5.0, 0.1)
    ),
    World("dimers r^-4, none changes sign", {"decay/dimer_exponent": A, "decay/sign": A}, of_dimers(-4.0, 0.0)),
    World("curves of the benchmark, with noise", {"decay/s66x8": A}, of_curves(0.97)),
    World("curves of no dimer", {"decay/s66x8": D}, of_curves(0.0)),
    World("curves by half", {"decay/s66x8": C}, of_curves(0.55)),
]
