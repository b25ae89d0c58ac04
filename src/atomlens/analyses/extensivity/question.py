r"""Does an extensive property add over molecules, and an intensive one not?

Four things are asked of a model. What it predicts for two molecules far apart (`separated_pairs`); whether that stops
changing; how its terms grow with the number N of atoms, :math:`\log \sum |I| = a + b \log N`; and over how many atoms
its atomic shares spread, with the slope of log participation ratio against log N: 1 where shares follow the molecule's
size, 0 where they stay on a few atoms. For a highest occupied orbital, shares are compared with that orbital
(`orbital`).

Untrained models of several seeds are the null control of each. Two findings hold for any weights of some architectures:
that a sum over atoms adds far apart, and that a sum or mean over atoms changes no more once no two atoms of both
molecules see each other. They are answered *by construction*.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import polars as pl

from atomlens.analyses.claims import Claim, describe, judge_claim
from atomlens.analyses.extensivity.result import ExtensivityResult, compute
from atomlens.analyses.inputs import seed_column, seed_columns
from atomlens.analyses.moments import Moments
from atomlens.analyses.rank_draws import means
from atomlens.analyses.statistics import molecule_effect
from atomlens.analyses.verdict import (
    Control,
    Effect,
    Finding,
    Outcome,
    Verdict,
    cannot_tell,
    conclude,
    control_of,
    not_applicable,
)
from atomlens.reference import Kind, composed, property_words

__all__ = ["SLUG", "TITLE", "ExtensivityResult", "compute", "judge"]

SLUG = "extensivity"
TITLE = "Intensive and extensive properties"

# Nearer to what is expected than to any other rule: the error is smaller.
_ADVANTAGE = 0.0
# Interactions of neutral molecules fall at least as R^-3: (2 Å / 10 Å)^3 is 1 %, and some slack for slower starts.
_LATE_CHANGE = 0.05
_LATE_FROM = 10.0
# What grows with N has an exponent of 1, by so much; what does not grow is below half-way.
_ONE, _EXPONENT = (0.75, 1.25), 0.5
# Sizes of molecules must differ by this factor, or no exponent of N can be told.
_SIZE_SPAN = 1.5
# A quarter of the variance of ranks.
_RANK = 0.5
# Terms below this are zero in any unit: at the very cutoff they fade out.
_ROUNDING = 1e-9
_RULES = (Kind.SUM, "mean", Kind.LARGER, Kind.SMALLER, Kind.VECTOR)
_SHUFFLES = 20
_WORDS = {
    Kind.SUM: "the sum of both",
    "mean": "their mean over atoms",
    Kind.LARGER: "the larger one",
    Kind.SMALLER: "the smaller one",
    Kind.VECTOR: "a sum of vectors",
}
_READOUTS = {
    "sum": "a sum over atoms",
    "avg": "a mean over atoms",
    "softmax": "a mean over atoms weighted by a softmax",
    "dipole": "latent charges times positions",
    "polarizability": "a sum over atoms",
}


def _readout(result: ExtensivityResult) -> str:
    return _READOUTS.get(result.readout, result.readout)


def judge(result: ExtensivityResult) -> Verdict:
    """Compare what was measured with how the property composes."""
    findings = (_composes(result), _settles(result), _grows(result), _spreads(result))
    if result.kind == Kind.LARGER:
        findings += _follows_orbital(result)
    return conclude(SLUG, findings)


def _adds_by_construction(result: ExtensivityResult) -> bool:
    return result.readout in ("sum", "polarizability") and result.extensive_output and not result.long_range


def _settles_by_construction(result: ExtensivityResult, gap: float) -> bool:
    """Whether nothing can change from a gap on: atoms do not see each other, and the readout sees no positions."""
    return result.readout in ("sum", "avg", "softmax") and not result.long_range and result.cutoff <= gap


def _composes(result: ExtensivityResult) -> Finding:
    claim = "Two molecules far apart have together what the property's rule says of each."
    if result.kind == Kind.UNKNOWN:
        return not_applicable(claim, f"What do two molecules have together? No rule: {result.reason}.")
    kind = Kind(result.kind)
    claim = Claim(
        f"Of two molecules far apart, the {property_words(result.property)} is {_WORDS[kind]}.",
        f"Is the {property_words(result.property)} of two molecules far apart {_WORDS[kind]}?",
        "Predictions for several molecules can be trusted as far as those for one.",
        "Do not use this model for several molecules at once.",
        result.reason,
        _ADVANTAGE,
        counted="pairs of molecules",
    )
    if not len(result.dimers):
        return cannot_tell(claim.text, _no_dimers(result), result.reason)
    d = {name: result.dimers[name].to_numpy() for name in result.dimers.columns}
    n_dimers = len(result.dimers)
    # Pairs stand in the order of their formulas: half the list away is another molecule.
    partners = [np.roll(np.arange(n_dimers), k) for k in range(1, n_dimers) if 4 * min(k, n_dimers - k) >= n_dimers]
    view = "turned" if kind is Kind.VECTOR else "together"
    own = ("alone_1", "alone_2", view)

    def errors(drawn: np.ndarray, names: tuple[str, str, str], partner: np.ndarray | None = None) -> dict[str, float]:
        found: dict[str, float] = {}
        for rule in _RULES:
            # Another pair's second molecule in place of its own, for the expected rule only.
            second = d[names[1]] if partner is None or rule != kind else d[names[1]][partner]
            whole = composed(rule, d[names[0]], second, d["n_1"], d["n_2"])[drawn]
            found[rule] = float(np.sqrt(np.mean((d[names[2]][drawn] - whole) ** 2)))
        return found

    def advantage(drawn: np.ndarray, names: tuple[str, str, str] = own, partner: np.ndarray | None = None) -> float:
        found = errors(drawn, names, partner)
        rival = min(error for rule, error in found.items() if rule != kind)
        # Rounding is no error: a rule that is exact is fifteen powers of ten ahead of one that is off by everything.
        least = np.finfo(float).eps * float(np.sqrt(np.mean(d["together"][drawn] ** 2)))
        return math.log10(max(rival, least) / max(found[kind], least)) if least > 0 else math.nan

    everyone = np.arange(n_dimers)
    effect = molecule_effect(
        f"how much further off the best other rule is than {_WORDS[kind]}",
        advantage,
        n_dimers,
        unit="powers of ten",
        seed=result.seed,
    )
    built_in = kind is Kind.SUM and _adds_by_construction(result)
    seeds = range(len(seed_columns(result.dimers, "untrained_together")))
    fresh = [tuple(seed_column(f"untrained_{name}", k) for name in ("1", "2", view)) for k in seeds]
    shuffled = control_of("second molecules shuffled", [advantage(everyone, partner=k) for k in partners[:_SHUFFLES]])
    scores = [advantage(everyone, (a, b, c)) for a, b, c in fresh]
    controls = (shuffled, *_untrained(scores, is_null=not built_in))
    found = errors(everyone, own)
    rival = min((rule for rule in _RULES if rule != kind), key=lambda rule: found[rule])
    more = (
        f"off {_WORDS[kind]} by {found[kind]:.2g} {result.unit} (root mean square), off {_WORDS[rival]} by "
        f"{found[rival]:.2g} {result.unit}"
    )
    if result.has_terms:
        more += f"; the readout is {_readout(result)}"
    if result.same_formula:
        more += "; some pairs are of one formula, as the set has too few others"
    if built_in and claim.decide(effect) is not Outcome.DEVIATES:
        why = "A sum over atoms adds whatever the weights: given by the architecture, not learned."
        return judge_claim(claim, effect, controls, outcome=Outcome.BY_CONSTRUCTION, why=why, more=more)
    return judge_claim(claim, effect, controls, more=more)


def _settles(result: ExtensivityResult) -> Finding:
    claim = Claim(
        f"From {_LATE_FROM:g} Å on, moving two molecules further apart changes nothing.",
        f"Does the prediction for two molecules stop changing from {_LATE_FROM:g} Å on?",
        "Distant molecules do not disturb each other.",
        "Distant molecules disturb each other: predictions depend on what else is in the box.",
        "neutral molecules interact as R^-3 or weaker (J. Phys.: Condens. Matter 21, 333102, table 1)",
        _LATE_CHANGE,
        above=False,
        counted="pairs of molecules",
    )
    if result.property.lower() == "r2":
        return not_applicable(claim.text, f"{claim.asked} {result.reason}.", claim.reference)
    if not len(result.dimers):
        return cannot_tell(claim.text, _no_dimers(result), claim.reference)
    gaps, y = _scan(result, "together")
    late = int(np.searchsorted(gaps, _LATE_FROM))
    if late >= len(gaps) - 1:
        return cannot_tell(claim.text, f"molecules were moved apart to {gaps[-1]:g} Å only", claim.reference)

    def share(drawn: np.ndarray, scanned: np.ndarray = y) -> float:
        whole = np.sqrt(np.mean(np.ptp(scanned[drawn], axis=1) ** 2))
        change = scanned[drawn, -1] - scanned[drawn, late]
        return float(np.sqrt(np.mean(change**2)) / whole) if whole > 0 else math.nan

    effect = molecule_effect(
        f"change from {gaps[late]:g} to {gaps[-1]:g} Å / largest change over the scan", share, len(y), seed=result.seed
    )
    built_in = _settles_by_construction(result, float(gaps[late]))
    everyone = np.arange(len(y))
    fresh = [share(everyone, _scan(result, name)[1]) for name in seed_columns(result.scan, "untrained")]
    controls = _untrained(fresh, is_null=not built_in)
    settled = float(np.median(result.dimers["settled"].to_numpy()))
    more = f"it stops changing (to 1 %) at {settled:g} Å (median)"
    if result.has_terms:
        touching = result.scan.filter(pl.col("between").abs() > _ROUNDING)
        reach = f"{touching['gap'].max():g} Å" if len(touching) else "no gap"
        more += f"; terms between the molecules are there up to {reach} (the cutoff is {result.cutoff:g} Å)"
    if built_in and claim.decide(effect) is not Outcome.DEVIATES:
        why = (
            f"Beyond the cutoff the model is blind, as {_readout(result)} without energies of all pairs is "
            "whatever the weights: given by the architecture, not learned."
        )
        return judge_claim(claim, effect, controls, outcome=Outcome.BY_CONSTRUCTION, why=why, more=more)
    if effect.value > _LATE_CHANGE and result.has_terms:
        what = f"the readout ({_readout(result)}) couples"
        what = "energies of all pairs couple" if result.long_range else what
        more += f"; no term joins them beyond, but {what} all atoms at any distance"
    return judge_claim(claim, effect, controls, more=more)


def _untrained(scores: list[float], *, is_null: bool) -> tuple[Control, ...]:
    """The control of untrained models, where there are any."""
    return (control_of("untrained model", scores, is_null=is_null),) if scores else ()


def _scan(result: ExtensivityResult, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Gaps, and a column of the scan by pair and gap."""
    wide = result.scan.pivot(on="gap", index="dimer", values=column).sort("dimer").drop("dimer")
    gaps = np.array([float(name) for name in wide.columns])
    order = np.argsort(gaps)
    return gaps[order], wide.to_numpy()[:, order]


def _grows(result: ExtensivityResult) -> Finding:
    extensive, expected = result.kind == Kind.SUM, result.kind in (Kind.SUM, Kind.LARGER, Kind.SMALLER)
    name = property_words(result.property)
    claim = Claim(
        f"Summed absolute terms of the {name} {'grow' if extensive else 'do not grow'} with N.",
        f"Do summed absolute terms of the {name} {'grow in proportion to' if extensive else 'not grow with'}"
        " the number N of atoms?",
        "Terms of molecules of different size may be compared."
        if extensive
        else "No terms have to cancel as molecules grow.",
        "Terms cancel more and more as molecules grow: do not add up or compare them between sizes.",
        result.reason,
        _EXPONENT,
        _ONE if extensive else None,
        above=False,
    )
    if not result.has_terms:
        return not_applicable(claim.text, f"{claim.asked} An ASE calculator has no terms.", claim.reference)
    sizes = result.molecules["n_atoms"].to_numpy()
    if problem := _no_sizes(sizes):
        return cannot_tell(claim.text, f"{claim.asked} {problem}.")
    strength = _strength(result.molecules)
    exponent = _exponent("exponent of summed |terms| against N", sizes, strength, result.seed)
    total = _exponent("", sizes, np.abs(result.molecules["change"].to_numpy()), result.seed)
    more = f"the prediction without its constant grows as N to the power {total}"
    if not expected:
        return _nothing_expected(claim, exponent, result.reason)
    fresh = [_slope(one["n_atoms"].to_numpy(), _strength(one)) for one in _seeds(result.untrained)]
    controls = (control_of("untrained model", fresh),)
    if extensive:
        # Terms that do not know their molecule's size do not grow, which passes for right where no growth is expected.
        controls = (_sizes_shuffled(sizes, strength, result.seed), *controls)
    return judge_claim(claim, exponent, controls, more=more)


def _spreads(result: ExtensivityResult) -> Finding:
    extensive, expected = result.kind == Kind.SUM, result.kind in (Kind.SUM, Kind.LARGER, Kind.SMALLER)
    name = property_words(result.property)
    claim = Claim(
        f"Atomic shares of the {name} {'spread over all' if extensive else 'stay on few'} atoms as molecules grow.",
        f"Do atomic shares of the {name} {'spread over all' if extensive else 'stay on few'} atoms as molecules grow?",
        "Shares of atoms may be read as where the property sits.",
        "Do not read shares of atoms as where the property sits.",
        "participation ratio: R. J. Bell and P. Dean, Discuss. Faraday Soc. 50, 55 (1970)",
        _EXPONENT,
        _ONE if extensive else None,
        above=False,
    )
    if not result.has_terms:
        return not_applicable(claim.text, f"{claim.asked} An ASE calculator has no shares of atoms.", claim.reference)
    sizes, ratio = result.molecules["n_atoms"].to_numpy(), result.molecules["participation"].to_numpy()
    if problem := _no_sizes(sizes):
        return cannot_tell(claim.text, f"{claim.asked} {problem}.", claim.reference)
    effect = _exponent("exponent of the participation ratio of atomic shares against N", sizes, ratio, result.seed)
    more = f"shares spread over {np.nanmedian(ratio):.2g} of {np.median(sizes):.2g} atoms (medians)"
    if len(result.orbitals):
        orbital = _exponent(
            "", result.orbitals["n_atoms"].to_numpy(), result.orbitals["orbital_participation"].to_numpy(), result.seed
        )
        spread = np.nanmedian(result.orbitals["orbital_participation"].to_numpy())
        more += f"; the GFN2 orbital spreads over {spread:.2g} atoms, growing as N to the power {orbital}"
    if not expected:
        return _nothing_expected(claim, effect, result.reason)
    fresh = [_slope(one["n_atoms"].to_numpy(), one["participation"].to_numpy()) for one in _seeds(result.untrained)]
    if extensive:
        # Shuffled shares spread over all atoms, too: what fails here is another molecule's size.
        null = _sizes_shuffled(sizes, ratio, result.seed)
    else:
        null = Control("shares shuffled over all atoms", _slope(sizes, result.molecules["shuffled"].to_numpy()))
    return judge_claim(claim, effect, (null, control_of("untrained model", fresh)), more=more)


def _nothing_expected(claim: Claim, effect: Effect, reason: str) -> Finding:
    """A number of a property that no growth is known for."""
    why = f"Nothing is expected of it{f': {reason}' if reason else ''}."
    return describe(claim, effect, why)


def _sizes_shuffled(sizes: np.ndarray, values: np.ndarray, seed: int) -> Control:
    rng = np.random.default_rng(seed)
    return control_of("sizes shuffled", [_slope(rng.permutation(sizes), values) for _ in range(_SHUFFLES)])


def _seeds(table: pl.DataFrame) -> list[pl.DataFrame]:
    """The part of every untrained model."""
    return table.partition_by("seed", maintain_order=True) if "seed" in table.columns else []


def _follows_orbital(result: ExtensivityResult) -> tuple[Finding, ...]:
    reference = "HOMO population of GFN2-xTB (Bannwarth et al., J. Chem. Theory Comput. 15, 1652, 2019)"
    claims = {
        name: Claim(
            f"{what} as the GFN2 orbital does.",
            f"{asked} as the GFN2 orbital does?",
            "They show where the orbital is.",
            "Do not read them as where the orbital is.",
            reference,
            _RANK,
            counted="molecules",
        )
        for name, what, asked in (
            ("rank", "Atomic shares of the HOMO rank atoms", "Do shares rank atoms"),
            (
                "rank_heavy",
                "Atomic shares of the HOMO rank atoms other than hydrogen",
                "Do shares rank atoms other than hydrogen",
            ),
            (
                "rank_weight",
                "Weights that the readout gives to atoms rank them",
                "Do weights of the readout rank atoms",
            ),
        )
    }
    if not len(result.orbitals):
        return (cannot_tell(claims["rank"].text, result.orbitals_missing, reference),)
    columns = {name: result.orbitals[name].to_numpy() for name in result.orbitals.columns}
    findings = []
    for name, claim in claims.items():
        values = columns.get(name, np.array([]))
        values = values[np.isfinite(values)]
        if not len(values):
            if name != "rank_weight":
                findings.append(cannot_tell(claim.text, "no molecule has enough atoms to rank", reference))
            continue
        told, n = "mean rank correlation within molecules", len(values)
        effect = molecule_effect(told, means(values, np.arange(n), n), n, seed=result.seed, vectorized=True)
        fresh = [float(np.nanmean(columns[key])) for key in seed_columns(result.orbitals, f"{name}_untrained")]
        controls = (
            Control("shares shuffled within molecules", float(np.nanmean(columns[f"{name}_shuffled"]))),
            control_of("untrained model", fresh),
            Control("mean share of the element alone", float(np.nanmean(columns[f"{name}_element"])), is_null=False),
        )
        more = f"mean shares of the elements alone {controls[2].value:.2g}"
        if name == "rank":
            more += f"; mean overlap {np.nanmean(columns['overlap']):.2f} of 1"
        findings.append(judge_claim(claim, effect, controls, more=more))
    return tuple(findings)


def _strength(table: pl.DataFrame) -> np.ndarray:
    orders = [name for name in table.columns if name.startswith("strength_")]
    return table.select(orders).to_numpy().sum(axis=1)


def _exponent(name: str, sizes: np.ndarray, values: np.ndarray, seed: int) -> Effect:
    kept, n = np.flatnonzero(np.isfinite(values) & (values > 0)), len(sizes)
    of_draws = Moments(np.log(sizes[kept].astype(float)), np.log(values[kept]), kept, n).slope
    # To the last digit that of a control with the same values.
    return replace(molecule_effect(name, of_draws, n, seed=seed, vectorized=True), value=_slope(sizes, values))


def _slope(sizes: np.ndarray, values: np.ndarray) -> float:
    """Least-squares slope of log values against log sizes; NaN where all sizes are one."""
    kept = np.isfinite(values) & (values > 0)
    if kept.sum() < 2:
        return math.nan
    x, y = np.log(sizes[kept].astype(float)), np.log(values[kept])
    x = x - x.mean()
    return float(x @ y / (x @ x)) if np.ptp(x) > 1e-12 else math.nan


def _no_sizes(sizes: np.ndarray) -> str:
    if len(sizes) and sizes.max() >= _SIZE_SPAN * sizes.min():
        return ""
    return "all molecules of the set are about one size; give a set in which sizes differ"


def _no_dimers(result: ExtensivityResult) -> str:
    return "no structure of the set is a single molecule in the open that the model knows; none could be moved apart"
