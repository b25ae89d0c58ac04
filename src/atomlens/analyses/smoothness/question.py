"""Is the energy smooth, and does it rise where atoms meet?

Four things that a simulation notices: whether forces along a bond that is stretched and compressed follow a reference
(`curves`), whether the way has minima that are not there, whether energy or forces jump as two molecules part
(`steps`), and whether two atoms that are pushed into each other are stopped (`walls`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import polars as pl

from atomlens.analyses.claims import Claim, judge_claim
from atomlens.analyses.inputs import seed_columns
from atomlens.analyses.smoothness.curves import smoothness_deviation
from atomlens.analyses.smoothness.result import SmoothnessResult, compute
from atomlens.analyses.smoothness.wall_table import HIGH
from atomlens.analyses.smoothness.walls import missing_energies
from atomlens.analyses.statistics import molecule_effect, share_effect
from atomlens.analyses.verdict import (
    Control,
    Finding,
    Outcome,
    Verdict,
    cannot_tell,
    conclude,
    control_of,
    not_applicable,
)

__all__ = ["SLUG", "TITLE", "SmoothnessResult", "compute", "judge"]

SLUG = "smoothness"
TITLE = "Smoothness"

# In the mean over 38 bonds, GFN2-xTB has 1.0 against a hybrid functional and a harmonic spring 8.7: half-way between
# the two on a logarithmic scale.
DEVIATION = 3.0
# One bond in ten may have a minimum of its own, one wall in ten may give way.
_SHARE = 0.1
# Steps of this size change nothing at room temperature, where kT is 26 meV.
ENERGY_STEP, FORCE_STEP = 1.0, 10.0
_BSCT = "FSD of BSCT (arXiv:2602.04861), limit: our choice"
_OWN = "our choice"
_MILLI, _FLOOR = 1e3, 0.1
# Below this share of its length a bond is pressed to only by several eV: 4 eV for C-H in GFN2-xTB.
_FAR_IN = 0.7


def judge(result: SmoothnessResult) -> Verdict:
    """Compare the model with the reference, and with what a smooth energy must do."""
    findings = (
        _deviation(result),
        _minima(result),
        _walls(result),
        _step(result, "energy", ENERGY_STEP, "meV"),
        _step(result, "force", FORCE_STEP, "meV/Å"),
    )
    return conclude(SLUG, findings)


def _unanswered(claim: Claim, result: SmoothnessResult, reason: str) -> Finding:
    if not result.is_energy:
        why = f"No atom moves by it: {result.property} is no energy of a geometry."
        return not_applicable(claim.text, f"{claim.asked} {why}", claim.reference)
    return cannot_tell(claim.text, f"{claim.asked} {reason}.", claim.reference)


def _deviation(result: SmoothnessResult) -> Finding:
    outside = _outside(result)
    claim = Claim(
        "Forces along stretched and compressed bonds follow the reference smoothly.",
        "Do forces follow the reference smoothly as bonds are stretched and compressed?",
        "Bonds behave far from equilibrium, where simulations break.",
        "Forces go wrong as bonds are stretched or compressed: expect broken molecules in hot or long simulations."
        if not outside < DEVIATION
        else "Forces go wrong where bonds are pressed far below their length, which takes several eV.",
        f"{result.reference}; {_BSCT}",
        DEVIATION,
        above=False,
        counted="bonds",
    )
    table = _scored(result)
    if not len(table):
        return _unanswered(claim, result, result.scans_missing or "too few points of every scan have a force")
    effect = molecule_effect(
        "force smoothness deviation, geometric mean",
        _geometric(table["fsd"].to_numpy()),
        len(table),
        unit="Å⁻¹",
        seed=result.seed,
    )
    controls = [Control("a harmonic spring", _geometric(table["spring"].to_numpy())(np.arange(len(table))))]
    seeds = seed_columns(table, "untrained")
    if seeds:
        values = [table[name].drop_nulls().to_numpy() for name in seeds]
        controls.append(control_of("untrained model", [_geometric(v)(np.arange(len(v))) for v in values]))
    worst = table.sort("fsd", descending=True, nulls_last=True).row(0, named=True)
    more = f"mean {table['fsd'].mean():.2g} Å⁻¹, as BSCT reports it; largest {worst['fsd']:.2g} Å⁻¹ ({worst['name']})"
    if math.isfinite(outside):
        more += f"; from {_FAR_IN:g} of a bond's length on {outside:.2g} Å⁻¹"
    return judge_claim(claim, effect, tuple(controls), more=more)


def _outside(result: SmoothnessResult) -> float:
    """Deviation from `_FAR_IN` of the length of lowest reference energy on, geometric mean over bonds; NaN if none."""
    found = []
    for curve in result.curves.partition_by("scan") if len(result.curves) else []:
        length, known = curve["length"].to_numpy(), curve["reference"].to_numpy()
        if np.isfinite(known).any():
            there = length >= _FAR_IN * length[np.nanargmin(known)]
            found.append(smoothness_deviation(length[there], curve["log_ratio"].to_numpy()[there]))
    values = np.array(found)[np.isfinite(found)]
    return _geometric(values)(np.arange(len(values))) if len(values) else math.nan


def _minima(result: SmoothnessResult) -> Finding:
    claim = Claim(
        "Stretching and compressing bonds leads into no minimum that the reference does not have.",
        "Are there minima along bonds that the reference does not have?",
        "Bonds have one length.",
        "Bonds can be caught at wrong lengths: expect molecules that do not come back.",
        f"{result.reference}; minima of 0.1 eV or more, 0.3 Å from every one of the reference: {_OWN}",
        _SHARE,
        above=False,
        counted="bonds",
    )
    table = _scored(result)
    if not len(table):
        return _unanswered(claim, result, result.scans_missing or "too few points of every scan have an energy")
    found = table["spare"].to_numpy() > 0
    effect = share_effect("share of bonds with a minimum of their own", found)
    named = list(dict.fromkeys(table.filter(found)["name"].to_list()))
    more = f"in {', '.join(named[:3])}{' ...' if len(named) > 3 else ''}" if named else "none"
    return judge_claim(claim, effect, more=more)


def _walls(result: SmoothnessResult) -> Finding:
    claim = Claim(
        f"Atoms that are pushed into each other are stopped: walls hold to {HIGH:g} eV.",
        "Does the energy rise as two atoms are pushed into each other, down to 0.5 Å?",
        "Atoms cannot fall into each other at any temperature of chemistry.",
        "Atoms can fall into each other: simulations end there sooner or later.",
        f"{HIGH:g} eV, about 70 kT at 500 K: {_OWN}",
        _SHARE,
        above=False,
        counted="walls",
    )
    walls = result.walls.drop_nulls("fails")
    if not len(walls):
        return _unanswered(claim, result, "The model has no energy of any two atoms nearer than their bond")
    effect = share_effect(f"share of walls that give way below {HIGH:g} eV", walls["fails"].to_numpy())
    failing = walls.filter(pl.col("fails")).sort("height", nulls_last=False)
    lowest = [
        f"{row['elements']} ({row['molecule']}) at {row['gives_way']:.2f} Å after {max(row['height'], 0.0):.2g} eV"
        for row in failing.head(3).iter_rows(named=True)
    ]
    alone = walls.filter(pl.col("molecule") == "two atoms alone")
    more = f"{len(alone)} pairs of elements alone, the others in molecules"
    more += f"; lowest: {', '.join(lowest)}" if lowest else ""
    curves = result.wall_curves.partition_by("wall") if len(result.wall_curves) else []
    if missing := missing_energies([curve["energy"].to_numpy() for curve in curves]):
        more += f"; {missing}, which count as far in as there are energies"
    return judge_claim(claim, effect, more=more)


def _step(result: SmoothnessResult, what: str, limit: float, unit: str) -> Finding:
    name = {"energy": "the energy", "force": "no force"}[what]
    asked = {"energy": "Does the energy jump", "force": "Do forces jump"}[what]
    claim = Claim(
        f"As two molecules part, {name} jumps{' nowhere' if what == 'energy' else ''}.",
        f"{asked} anywhere as two molecules part?",
        "Neighbours come and go without a trace.",
        "Neighbours that come and go kick the molecule: total energy is not conserved.",
        f"limit of {limit:g} {unit}: {_OWN}",
        limit,
        above=False,
        counted="pairs of molecules",
    )
    if not len(result.steps):
        return _unanswered(claim, result, result.steps_missing or "no two molecules could be pulled apart")
    values = _MILLI * result.steps[f"{what}_step"].to_numpy()
    # Steps scatter over decades. Whatever is far below the limit counts alike, or it would hide others that are not.
    least = _FLOOR * limit
    effect = molecule_effect(
        f"largest step of {what}, geometric mean over pairs (smaller ones count as {least:g} {unit})",
        _geometric(np.maximum(values, least)),
        len(values),
        unit=unit,
        seed=result.seed,
    )
    worst = int(values.argmax())
    more = f"largest {values[worst]:.2g} {unit}"
    if values[worst] > least:
        at = result.steps[f"{what}_at"][worst]
        more = f"largest {values[worst]:.2g} {unit} with nearest atoms {at:.2f} Å apart"
    if result.fades and claim.decide(effect) is not Outcome.DEVIATES:
        why = "Messages fade out at the cutoff, whatever the weights: given by the architecture, not learned."
        return judge_claim(claim, effect, outcome=Outcome.BY_CONSTRUCTION, why=why, more=more)
    return judge_claim(claim, effect, more=more)


def _scored(result: SmoothnessResult) -> pl.DataFrame:
    """Scans with a deviation."""
    if "fsd" not in result.scans.columns:
        return result.scans.clear()
    return result.scans.filter(pl.col("fsd").is_not_null() & pl.col("fsd").is_finite())


def _geometric(values: np.ndarray) -> Callable[[np.ndarray], float]:
    logarithms = np.log(np.maximum(values, np.finfo(float).tiny))
    return lambda drawn: float(np.exp(logarithms[drawn].mean())) if len(drawn) else math.nan
