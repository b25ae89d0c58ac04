"""Made-up answers to the questions of extensivity, many-body character, faithfulness and stability."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import ase.build
import numpy as np
import polars as pl

from atomlens.analyses import ExtensivityResult, FaithfulnessResult, Finding, ManyBodyResult
from atomlens.analyses.extensivity.question import judge as judge_extensivity
from atomlens.analyses.faithfulness.deletion_table import KINDS, controls_of, deletion_scores, effect_of
from atomlens.analyses.faithfulness.question import judge as judge_faithfulness
from atomlens.analyses.many_body.question import judge as judge_many_body
from atomlens.dynamics.judgement import judge_stability
from atomlens.dynamics.options import MDOptions
from atomlens.dynamics.simulation import Fate, Simulation
from atomlens.dynamics.stability import Break, bond_reference
from atomlens.reference import Kind, composed
from made_up import A, C, D, World

Make = Callable[[np.random.Generator], dict[str, Finding]]
_GAPS = np.array([2.0, 5.0, 10.0, 15.0])
_SEEDS = 10


def _suffix(seed: int) -> str:
    return "" if seed == 0 else f"/{seed}"


def extensivity(
    kind: Kind,
    rule: str,
    *,
    noise: float,
    late: float,
    growth: float,
    spread: float,
    rank: float = 0.7,
    fresh_growth: float = 1.3,
) -> Make:
    """A model that composes by `rule` but for noise, changes by `late` beyond 10 Å, and grows as N to `growth`."""

    def make(rng: np.random.Generator) -> dict[str, Finding]:
        n = 30
        n_1, n_2 = rng.integers(5, 20, size=(2, n))
        alone = rng.uniform(-9, -4, size=(2, n))
        together = composed(rule, alone[0], alone[1], n_1, n_2) + noise * rng.normal(size=n)
        dimers = {"n_1": n_1, "n_2": n_2, "alone_1": alone[0], "alone_2": alone[1], "together": together}
        dimers |= {"turned": together, "settled": np.full(n, 5.0)}
        size = rng.lognormal(sigma=0.5, size=(n, 1))
        change = size * np.array([1.0, 0.3, 0.0, 0.0])
        change[:, 2] = late * rng.lognormal(sigma=0.5, size=n)
        scan = {
            "dimer": np.repeat(np.arange(n), 4),
            "gap": np.tile(_GAPS, n),
            "together": (together[:, None] + change).ravel(),
            "between": np.tile([1.0, 1.0, 0.0, 0.0], n),
        }
        atoms = rng.integers(5, 31, size=100)

        def molecules(growth: float, spread: float) -> pl.DataFrame:
            wobble = np.exp(0.3 * rng.normal(size=(2, 100)))
            columns = {"n_atoms": atoms, "change": -(atoms**growth), "strength_1": atoms**growth * wobble[0]}
            return pl.DataFrame(columns | {"participation": 0.5 * atoms**spread * wobble[1], "shuffled": 0.8 * atoms})

        fresh = []
        for seed in range(_SEEDS):
            lone = rng.uniform(-9, -4, size=(2, n))
            y = composed("mean", lone[0], lone[1], n_1, n_2)
            dimers |= {f"untrained_{key}{_suffix(seed)}": v for key, v in (("1", lone[0]), ("2", lone[1]))}
            dimers |= {f"untrained_{key}{_suffix(seed)}": y for key in ("together", "turned")}
            moved = rng.lognormal(size=(n, 1)) * np.array([1.0, 0.3, 0.5, 0.0])
            scan[f"untrained{_suffix(seed)}"] = moved.ravel()
            other = fresh_growth + 0.1 * rng.normal()
            fresh.append(molecules(other, other).with_columns(pl.lit(seed).alias("seed")))
        orbitals = {"n_atoms": atoms[:40], "overlap": np.full(40, 0.5), "orbital_participation": np.full(40, 2.0)}
        for name in ("rank", "rank_heavy"):
            names = ["", "_shuffled", "_element", *(f"_untrained{_suffix(seed)}" for seed in range(_SEEDS))]
            means = [rank, 0.0, 0.3, *(0.1 * rng.normal(size=_SEEDS))]
            orbitals |= {
                f"{name}{key}": np.clip(m + 0.4 * rng.normal(size=40), -1, 1)
                for key, m in zip(names, means, strict=True)
            }
        result = ExtensivityResult(
            property=kind.value,
            unit="eV",
            kind=kind.value,
            reason="by definition",
            readout="softmax",
            extensive_output=False,
            cutoff=12.0,
            long_range=False,
            dimers=pl.DataFrame(dimers),
            scan=pl.DataFrame(scan),
            same_formula=False,
            molecules=molecules(growth, spread),
            untrained=pl.concat(fresh),
            ranges=pl.DataFrame(),
            orbitals=pl.DataFrame(orbitals) if kind is Kind.LARGER else pl.DataFrame(),
            orbitals_missing="",
            seed=int(rng.integers(2**31)),
        )
        names = ["composes", "settles", "grows", "spreads", "orbital", "orbital_heavy"]
        grown = "" if kind is Kind.SUM else "_intensive"
        names[2:4] = [f"grows{grown}", f"spreads{grown}"]
        return {f"extensivity/{name}": f for name, f in zip(names, judge_extensivity(result).findings, strict=False)}

    return make


def many_body(
    *, triples: float, noise: float, slope: float, reference_noise: float, excess: float, untrained: float = 0.0
) -> Make:
    """Terms that removals follow with a slope and noise, and GFN2 with more; triples that carry a part of pairs."""

    def make(rng: np.random.Generator) -> dict[str, Finding]:
        def strengths(part: float) -> pl.DataFrame:
            two = rng.uniform(1, 2, 50)
            columns = {"n_atoms": 9, "strength_1": 1.0, "strength_2": two, "remainder": 0.01, "terms_1": 9}
            columns |= {"strength_3": part * two * np.exp(0.5 * rng.normal(size=50)), "terms_2": 30, "terms_3": 100}
            return pl.DataFrame(columns | {"range_2": 2.0, "range_3": 3.0})

        rows = []
        for cluster in range(30):
            for order, members in ((2, "0-1"), (2, "0-2"), (2, "1-2"), (3, "0-1-2")):
                size = 1.0 if order == 2 else 0.1
                term, other, far = size * rng.normal(size=3)
                wide = size * excess if order == 3 else size
                row = {"cluster": cluster, "family": "built", "order": order, "molecules": members}
                row |= {"gap": rng.uniform(2, 4), "term": term * wide / size, "removal": slope * term + noise * other}
                row |= {"xtb": (term + reference_noise * far) / math.hypot(1.0, reference_noise)}
                for seed in range(_SEEDS):
                    fresh = untrained * term + (1 - untrained) * (1.0 if order == 2 else 3.0) * rng.normal()
                    row |= {f"untrained_term{_suffix(seed)}": fresh, f"untrained_removal{_suffix(seed)}": fresh}
                rows.append(row)
        fresh = [strengths(3.0).with_columns(pl.lit(seed).alias("seed")) for seed in range(_SEEDS)]
        result = ManyBodyResult(
            property="energy",
            unit="eV",
            kind="sum",
            reason="",
            molecules=strengths(triples),
            untrained=pl.concat(fresh),
            ranges=pl.DataFrame(),
            terms=pl.DataFrame(rows),
            terms_missing="",
            reference_missing="",
            seed=int(rng.integers(2**31)),
        )
        names = ("triples", "predicts_2", "size", "predicts_3", "reference_2", "reference_3", "three_body")
        return {f"many-body/{name}": f for name, f in zip(names, judge_many_body(result).findings, strict=True)}

    return make


def faithfulness(correlation: float) -> Make:
    """Deletions in 20 structures whose changes correlate with what terms predict, all structures together."""
    sigma = 0.3  # sizes of changes differ from structure to structure, which takes a factor from the correlation
    within = correlation * math.exp(0.5 * sigma**2)

    def make(rng: np.random.Generator) -> dict[str, Finding]:
        rows = []
        for frame in range(20):
            for kind in KINDS:
                x, e = rng.normal(size=(2, 24))
                columns = {"frame": np.full(24, frame, np.int32), "kind": [kind] * 24, "method": ["gate/full"] * 24}
                columns |= {"element_1": np.full(24, 6), "element_2": np.full(24, 6), "distance": rng.uniform(1, 4, 24)}
                change = within * x + math.sqrt(1 - within**2) * e
                rows.append(pl.DataFrame(columns | {"predicted": x, "change": change * rng.lognormal(sigma=sigma)}))
        deletions = pl.concat(rows)
        result = FaithfulnessResult(
            deletions=deletions,
            scores=deletion_scores(deletions),
            known=pl.DataFrame(),
            effects={kind: effect_of(deletions, kind, "gate/full") for kind in KINDS},
            controls={kind: controls_of(deletions, kind, "gate/full", []) for kind in KINDS},
            method="gate/full",
            architecture="schnet",
            unit="eV",
            n_structures=20,
        )
        found = judge_faithfulness(result).findings
        return {"faithfulness/atoms": found[0], "faithfulness/pairs": found[1]}

    return make


ETHANOL = ase.build.molecule("CH3CH2OH")


class _Moving(Simulation):
    """Replicas whose atoms wobble by a size of their own."""

    def frames(self, replica: int) -> tuple[np.ndarray, np.ndarray]:
        """Times and positions."""
        rng = np.random.default_rng(replica)
        times = np.linspace(0.0, 10.0, 51)
        size = 0.05 * self.seconds
        return times, ETHANOL.positions + size * rng.standard_normal((len(times), *ETHANOL.positions.shape))


def stability(*, rate: float, drift: float, early: int, size: float) -> Make:
    """24 replicas of 10 ps that break at a rate per ps, `early` of them after four frames, with drifting energies."""

    def make(rng: np.random.Generator) -> dict[str, Finding]:
        times, fates, rows = np.linspace(0.0, 10.0, 101), [], []
        for replica in range(24):
            life = 0.35 if replica < early else rng.exponential(1.0 / rate) if rate else math.inf
            end = min(life, 10.0)
            fates.append(Fate(replica, end, Break.BOND if life < 10.0 else None))
            energy = 1e-3 * (drift + 0.2 * rng.normal()) * len(ETHANOL) * times + 0.02 * rng.normal(size=len(times))
            columns = {"replica": replica, "time_ps": times, "potential_eV": energy, "kinetic_eV": 1.0}
            rows.append(pl.DataFrame(columns | {"temperature_K": 500.0, "sound": times < life}))
        run = _Moving(Path("nowhere"), tuple(fates), bond_reference(ETHANOL), pl.concat(rows), size)
        wobble = 0.05 * rng.standard_normal((600, len(ETHANOL), 3))
        reference = [ase.Atoms(ETHANOL.symbols, ETHANOL.positions + shift) for shift in wobble]
        found = judge_stability(run, MDOptions("nve"), ETHANOL, reference).findings
        return dict(zip(("stability/survival", "stability/drift", "stability/distances"), found, strict=True))

    return make


def _named(question: str, **expected: object) -> dict[str, object]:
    return {f"{question}/{key}": outcome for key, outcome in expected.items()}


WORLDS = [
    World(
        "an extensive property that adds, settles, grows as N",
        _named("extensivity", composes=A, settles=A, grows=A, spreads=A),
        extensivity(Kind.SUM, Kind.SUM, noise=0.3, late=0.01, growth=1.0, spread=1.0),
    ),
    World(
        "an extensive property that is averaged, never settles, grows as N^1.5",
        _named("extensivity", composes=D, settles=D, grows=D, spreads=D),
        extensivity(Kind.SUM, "mean", noise=0.3, late=0.3, growth=1.5, spread=0.5),
    ),
    World(
        "at the limits: growth N^1.25, a change of 5 % late",
        _named("extensivity", settles=C, grows=C, spreads=C),
        extensivity(Kind.SUM, Kind.SUM, noise=0.3, late=0.05, growth=1.25, spread=0.75),
    ),
    World(
        "an orbital on few atoms",
        _named("extensivity", composes=A, grows_intensive=A, spreads_intensive=A, orbital=A, orbital_heavy=A),
        extensivity(Kind.LARGER, Kind.LARGER, noise=0.3, late=0.01, growth=0.0, spread=0.0),
    ),
    World(
        "an orbital's energy from all atoms alike",
        _named("extensivity", composes=D, grows_intensive=D, spreads_intensive=D, orbital=D, orbital_heavy=D),
        extensivity(Kind.LARGER, "mean", noise=0.3, late=0.01, growth=1.0, spread=1.0, rank=0.2),
    ),
    World(
        "an orbital at the limits: N^0.5, rank correlation 0.5",
        _named("extensivity", grows_intensive=C, spreads_intensive=C, orbital=C, orbital_heavy=C),
        extensivity(Kind.LARGER, Kind.LARGER, noise=0.3, late=0.01, growth=0.5, spread=0.5, rank=0.5),
    ),
    World(
        "grows as N, as untrained models do",
        _named("extensivity", grows=C, spreads=C),
        extensivity(Kind.SUM, Kind.SUM, noise=0.3, late=0.01, growth=1.0, spread=1.0, fresh_growth=1.0),
    ),
    World(
        "terms that are removals and energies",
        _named("many-body", triples=A, predicts_2=A, size=A, predicts_3=A, reference_2=A, reference_3=A, three_body=A),
        many_body(triples=0.3, noise=0.3, slope=1.0, reference_noise=0.3, excess=1.0),
    ),
    World(
        "triples above pairs, terms that are nothing of the kind",
        _named("many-body", triples=D, predicts_2=D, size=D, predicts_3=D, reference_2=D, reference_3=D, three_body=D),
        many_body(triples=3.0, noise=1.0, slope=0.1, reference_noise=20.0, excess=30.0),
    ),
    World(
        "at the limits",
        _named("many-body", triples=C, predicts_2=C, size=C, predicts_3=C, reference_2=C, reference_3=C, three_body=C),
        many_body(triples=1.0, noise=0.5, slope=0.5, reference_noise=1.65, excess=math.sqrt(10.0)),
    ),
    World(
        "terms that untrained models have, too",
        _named("many-body", reference_2=C, reference_3=C),
        many_body(triples=0.3, noise=0.3, slope=1.0, reference_noise=0.5, excess=1.0, untrained=1.0),
    ),
    World("faithful terms", _named("faithfulness", atoms=A, pairs=A), faithfulness(0.95)),
    World("unfaithful terms", _named("faithfulness", atoms=D, pairs=D), faithfulness(0.5)),
    World("half-faithful terms: the limit", _named("faithfulness", atoms=C, pairs=C), faithfulness(0.8)),
    World(
        "sound replicas, no drift; reference sampled alike",
        _named("stability", survival=A, drift=A, distances=A),
        stability(rate=0.001, drift=0.1, early=0, size=1.0),
    ),
    World(
        "most replicas break, 3 meV/atom/ps",
        _named("stability", survival=D, drift=D, distances=D),
        stability(rate=0.15, drift=3.0, early=0, size=2.5),
    ),
    World(
        "no drift, ten replicas broke after four frames",
        _named("stability", survival=D, drift=A),
        stability(rate=0.0, drift=0.1, early=10, size=1.0),
    ),
    World(
        "three of four survive: the limit; 1 meV/atom/ps",
        _named("stability", survival=C, drift=C),
        stability(rate=-math.log(0.75) / 10.0, drift=1.0, early=0, size=1.0),
    ),
]
