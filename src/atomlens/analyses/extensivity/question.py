r"""Does an extensive property add over molecules, and an intensive one not?

Four things are asked of a model. What it predicts for two molecules far apart (`apart`); whether that stops changing;
how its terms grow with the number N of atoms, :math:`\log \sum |I| = a + b \log N`; and over how many atoms its atomic
shares spread, with the slope of log participation ratio against log N: 1 where shares follow the molecule's size, 0
where they stay on a few atoms. For a highest occupied orbital, shares are held against that orbital (`orbital`).

An untrained model is the null control of each. Two findings hold for any weights of some architectures: that a sum
over atoms adds far apart, and that a sum or mean over atoms changes no more once no two atoms of both molecules see
each other. Their sentences say so, and the untrained model is told beside them: they describe the architecture.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import polars as pl

from atomlens.analyses.extensivity.result import ExtensivityResult, compute
from atomlens.analyses.statistics import molecule_effect
from atomlens.analyses.verdict import Control, Effect, Finding, Outcome, Verdict, cannot_tell, conclude, decide
from atomlens.reference import Kind, composed

__all__ = ["SLUG", "TITLE", "ExtensivityResult", "compute", "judge"]

SLUG = "extensivity"
TITLE = "Intensive and extensive properties"

# Nearer to what is expected than to any other rule: the error is smaller.
_ADVANTAGE = 0.0
# Interactions of neutral molecules fall at least as R^-3: (2 Å / 10 Å)^3 is 1 %, and some slack for slower starts.
_LATE_CHANGE = 0.05
_LATE_FROM = 10.0
# Half-way between what does not grow with N (0) and what does (1).
_EXPONENT = 0.5
# Sizes of molecules must differ by this factor, or no exponent of N can be told.
_SIZE_SPAN = 1.5
# A quarter of the variance of ranks.
_RANK = 0.5
# Terms below this are zero in any unit: at the very cutoff they fade out.
_ROUNDING = 1e-9
_RULES = (Kind.SUM, "mean", Kind.LARGER, Kind.SMALLER, Kind.VECTOR)
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


def judge(result: ExtensivityResult) -> Verdict:
    """Hold what was measured against how the property composes."""
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
        return cannot_tell(claim, result.reason)
    kind = Kind(result.kind)
    claim = f"Of two molecules far apart, the {result.property} is {_WORDS[kind]}."
    if not len(result.dimers):
        return cannot_tell(claim, _no_dimers(result), result.reason)
    d = {name: result.dimers[name].to_numpy() for name in result.dimers.columns}
    n_dimers = len(result.dimers)
    # Pairs stand in the order of their formulas: half the list away is another molecule.
    partner = np.roll(np.arange(n_dimers), max(1, n_dimers // 2))
    view = "turned" if kind is Kind.VECTOR else "together"

    def errors(drawn: np.ndarray, model: str, shuffled: bool = False) -> dict[str, float]:
        names = ("alone_1", "alone_2") if not model else (f"{model}_1", f"{model}_2")
        together = d[view if not model else f"{model}_{view}"][drawn]
        found: dict[str, float] = {}
        for rule in _RULES:
            # Another pair's second molecule in place of its own, for the expected rule only.
            second = d[names[1]][partner] if shuffled and rule == kind else d[names[1]]
            whole = composed(rule, d[names[0]], second, d["n_1"], d["n_2"])[drawn]
            found[rule] = float(np.sqrt(np.mean((together - whole) ** 2)))
        return found

    def advantage(drawn: np.ndarray, model: str = "", shuffled: bool = False) -> float:
        found = errors(drawn, model, shuffled)
        rival = min(error for rule, error in found.items() if rule != kind)
        # Rounding is no error: a rule that is exact is fifteen decades ahead of one that is off by everything.
        least = np.finfo(float).eps * float(np.sqrt(np.mean(d["together"][drawn] ** 2)))
        return math.log10(max(rival, least) / max(found[kind], least)) if least > 0 else math.nan

    everyone = np.arange(n_dimers)
    effect = molecule_effect(
        f"log10 of the best other rule's error over that of {_WORDS[kind]}",
        advantage,
        n_dimers,
        unit="decades",
        seed=result.seed,
    )
    built_in = kind is Kind.SUM and _adds_by_construction(result)
    controls = (
        Control("second molecules shuffled", advantage(everyone, shuffled=True)),
        Control("untrained model", advantage(everyone, "untrained"), is_null=not built_in),
    )
    outcome = decide(effect, _ADVANTAGE, controls)
    found = errors(everyone, "")
    rival = min((rule for rule in _RULES if rule != kind), key=lambda rule: found[rule])
    sentence = (
        f"Far apart the prediction is off {_WORDS[kind]} by {found[kind]:.2g} {result.unit} (root mean square of "
        f"{n_dimers} pairs), off {_WORDS[rival]} by {found[rival]:.2g} {result.unit}"
    )
    sentence += f"; the readout is {_READOUTS[result.readout]}"
    sentence += ", which adds whatever the weights: given by the architecture, not learned." if built_in else "."
    if result.same_formula:
        sentence += " Some pairs are of one formula: the set has too few others."
    return Finding(claim, outcome, sentence, effect, _ADVANTAGE, controls, result.reason)


def _settles(result: ExtensivityResult) -> Finding:
    claim = f"From {_LATE_FROM:g} Å on, moving two molecules further apart changes nothing."
    reference = "neutral molecules interact as R^-3 or weaker (J. Phys.: Condens. Matter 21, 333102, table 1)"
    if result.property.lower() == "r2":
        return cannot_tell(claim, result.reason)
    if not len(result.dimers):
        return cannot_tell(claim, _no_dimers(result), reference)
    gaps, y = _scan(result, "together")
    late = int(np.searchsorted(gaps, _LATE_FROM))
    if late >= len(gaps) - 1:
        return cannot_tell(claim, f"molecules were moved apart to {gaps[-1]:g} Å only", reference)

    def share(drawn: np.ndarray, scanned: np.ndarray = y) -> float:
        whole = np.sqrt(np.mean(np.ptp(scanned[drawn], axis=1) ** 2))
        change = scanned[drawn, -1] - scanned[drawn, late]
        return float(np.sqrt(np.mean(change**2)) / whole) if whole > 0 else math.nan

    effect = molecule_effect(
        f"change from {gaps[late]:g} to {gaps[-1]:g} Å / largest change over the scan", share, len(y), seed=result.seed
    )
    built_in = _settles_by_construction(result, float(gaps[late]))
    fresh = share(np.arange(len(y)), _scan(result, "untrained")[1])
    controls = (Control("untrained model", fresh, is_null=not built_in),)
    settled = float(np.median(result.dimers["settled"].to_numpy()))
    touching = result.scan.filter(pl.col("between").abs() > _ROUNDING)
    reach = f"{touching['gap'].max():g} Å" if len(touching) else "no gap"
    sentence = (
        f"The prediction stops changing (to 1 %) at {settled:g} Å, median of {len(y)} pairs; terms between the "
        f"molecules are there up to {reach} (the cutoff is {result.cutoff:g} Å)"
    )
    if effect.value > _LATE_CHANGE:
        sentence += (
            f", yet {effect.value:.0%} of the largest change happen beyond {gaps[late]:g} Å, where no term joins "
        )
        what = f"the readout ({_READOUTS[result.readout]}) couples"
        what = "energies of all pairs couple" if result.long_range else what
        sentence += f"them: {what} all atoms at any distance."
    elif built_in:
        sentence += (
            f"; beyond it the model is blind, as {_READOUTS[result.readout]} without energies of all pairs is whatever "
            "the weights: given by the architecture, not learned."
        )
    else:
        sentence += "; beyond it the model is blind." if result.cutoff < gaps[-1] and not result.long_range else "."
    outcome = decide(effect, _LATE_CHANGE, controls, above=False)
    return Finding(claim, outcome, sentence, effect, _LATE_CHANGE, controls, reference)


def _scan(result: ExtensivityResult, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Gaps, and a column of the scan by pair and gap."""
    wide = result.scan.pivot(on="gap", index="dimer", values=column).sort("dimer").drop("dimer")
    gaps = np.array([float(name) for name in wide.columns])
    order = np.argsort(gaps)
    return gaps[order], wide.to_numpy()[:, order]


def _grows(result: ExtensivityResult) -> Finding:
    expected = {Kind.SUM: "grow", Kind.LARGER: "do not grow", Kind.SMALLER: "do not grow"}
    claim = f"Summed absolute terms of the {result.property} {expected.get(Kind(result.kind), 'grow or not')} with N."
    sizes = result.molecules["n_atoms"].to_numpy()
    if problem := _no_sizes(sizes):
        return cannot_tell(claim, problem)
    strength = _strength(result.molecules)
    exponent = _exponent("exponent of summed |terms| against N", sizes, strength, result.seed)
    total = _exponent("", sizes, np.abs(result.molecules["change"].to_numpy()), result.seed)
    sentence = f"Summed |terms| grow as N to the power {exponent}; the prediction without its constant as {total}"
    if Kind(result.kind) not in expected:
        reason = f" ({result.reason})" if result.reason else ""
        return Finding(claim, Outcome.CANNOT_TELL, f"{sentence}; no growth is expected of it{reason}.", exponent)
    untrained = math.nan
    if len(result.untrained):
        untrained = _slope(result.untrained["n_atoms"].to_numpy(), _strength(result.untrained))
    extensive = result.kind == Kind.SUM
    controls = (Control("untrained model", untrained),)
    if extensive:
        # Terms that do not know their molecule's size do not grow, which passes for right where no growth is expected.
        rng = np.random.default_rng(result.seed)
        controls = (Control("sizes shuffled", _slope(rng.permutation(sizes), strength)), *controls)
    if not extensive and exponent.value > _EXPONENT:
        sentence += ": what more atoms add has to cancel"
    outcome = decide(exponent, _EXPONENT, controls, above=extensive)
    return Finding(claim, outcome, sentence + ".", exponent, _EXPONENT, controls, result.reason)


def _spreads(result: ExtensivityResult) -> Finding:
    where = {Kind.SUM: "spread over all atoms", Kind.LARGER: "stay on few atoms", Kind.SMALLER: "stay on few atoms"}
    claim = f"Atomic shares of the {result.property} {where.get(Kind(result.kind), 'spread or not')} as molecules grow."
    reference = "participation ratio: R. J. Bell and P. Dean, Discuss. Faraday Soc. 50, 55 (1970)"
    sizes, ratio = result.molecules["n_atoms"].to_numpy(), result.molecules["participation"].to_numpy()
    if problem := _no_sizes(sizes):
        return cannot_tell(claim, problem, reference)
    effect = _exponent("exponent of the participation ratio of atomic shares against N", sizes, ratio, result.seed)
    sentence = (
        f"Shares spread over {np.nanmedian(ratio):.2g} of {np.median(sizes):.2g} atoms (medians), growing as N to the "
        f"power {effect}"
    )
    if len(result.orbitals):
        orbital = _exponent(
            "", result.orbitals["n_atoms"].to_numpy(), result.orbitals["orbital_participation"].to_numpy(), result.seed
        )
        spread = np.nanmedian(result.orbitals["orbital_participation"].to_numpy())
        sentence += f"; the GFN2 orbital spreads over {spread:.2g} atoms, growing as {orbital}"
    if Kind(result.kind) not in where:
        return Finding(
            claim, Outcome.CANNOT_TELL, sentence + "; neither is expected of it.", effect, reference=reference
        )
    untrained = math.nan
    if len(result.untrained):
        untrained = _slope(result.untrained["n_atoms"].to_numpy(), result.untrained["participation"].to_numpy())
    extensive = result.kind == Kind.SUM
    if extensive:
        # Shares dealt anew spread over all atoms, too: what fails here is another molecule's size.
        null = Control("sizes shuffled", _slope(np.random.default_rng(result.seed).permutation(sizes), ratio))
    else:
        null = Control("shares dealt anew over all atoms", _slope(sizes, result.molecules["dealt"].to_numpy()))
    controls = (null, Control("untrained model", untrained))
    outcome = decide(effect, _EXPONENT, controls, above=extensive)
    return Finding(claim, outcome, sentence + ".", effect, _EXPONENT, controls, reference)


def _follows_orbital(result: ExtensivityResult) -> tuple[Finding, ...]:
    claims = (
        ("rank", "Atomic shares of the HOMO rank atoms as the GFN2 orbital does."),
        ("rank_heavy", "Atomic shares of the HOMO rank atoms other than hydrogen as the GFN2 orbital does."),
        ("rank_weight", "Weights that the readout gives to atoms rank them as the GFN2 orbital does."),
    )
    reference = "HOMO population of GFN2-xTB (Bannwarth et al., J. Chem. Theory Comput. 15, 1652, 2019)"
    if not len(result.orbitals):
        return (cannot_tell(claims[0][1], result.orbitals_missing, reference),)
    columns = {name: result.orbitals[name].to_numpy() for name in result.orbitals.columns}
    findings = []
    for name, claim in claims:
        values = columns.get(name, np.array([]))
        if not np.isfinite(values).any():
            if name != "rank_weight":
                findings.append(cannot_tell(claim, "no molecule has enough atoms to rank", reference))
            continue
        mean = _mean_of(values)
        effect = molecule_effect("mean rank correlation within molecules", mean, len(values), seed=result.seed)
        everyone = np.arange(len(values))
        controls = tuple(
            Control(label, _mean_of(columns[f"{name}_{key}"])(everyone), is_null=key != "element")
            for key, label in (
                ("shuffled", "shares shuffled within molecules"),
                ("untrained", "untrained model"),
                ("element", "mean share of the element alone"),
            )
        )
        overlap = f"; mean overlap {np.nanmean(columns['overlap']):.2f} of 1" if name == "rank" else ""
        n_ranked = int(np.isfinite(values).sum())
        what = "Readout weights" if name == "rank_weight" else "Shares"
        which = "atoms other than hydrogen" if name == "rank_heavy" else "atoms"
        sentence = (
            f"{what} rank {which} as the GFN2 orbital with a mean correlation of {effect} over {n_ranked} molecules"
            f"{overlap}; mean shares of the elements alone with {controls[2].value:.2g}."
        )
        findings.append(Finding(claim, decide(effect, _RANK, controls), sentence, effect, _RANK, controls, reference))
    return tuple(findings)


def _mean_of(values: np.ndarray) -> Callable[[np.ndarray], float]:
    def mean(drawn: np.ndarray) -> float:
        kept = values[drawn][np.isfinite(values[drawn])]
        return float(kept.mean()) if len(kept) else math.nan

    return mean


def _strength(table: pl.DataFrame) -> np.ndarray:
    orders = [name for name in table.columns if name.startswith("strength_")]
    return table.select(orders).to_numpy().sum(axis=1)


def _exponent(name: str, sizes: np.ndarray, values: np.ndarray, seed: int) -> Effect:
    return molecule_effect(name, lambda drawn: _slope(sizes[drawn], values[drawn]), len(sizes), seed=seed)


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
