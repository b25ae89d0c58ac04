"""A run of `check`: will dynamics hold? Ways out of a molecule, and walls between its elements, without dynamics."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ase
import polars as pl
from ase import units
from ase.calculators.calculator import Calculator
from markupsafe import Markup

from atomlens.analyses import (
    HIGH,
    Effect,
    Finding,
    Outcome,
    Verdict,
    cannot_tell,
    compare_wall,
    not_applicable,
    scan_walls,
)
from atomlens.dynamics import (
    BREAKS,
    HOLDS,
    HOW_SURE,
    INTERCEPT,
    SLOPE,
    WATCHED,
    WORDS,
    AtomlensCalculator,
    Exits,
    Outlook,
    Word,
    barrier_at,
    find_exits,
    outlook,
    thermal_barrier,
)
from atomlens.folders import MARK, PAGE, RunFolder, to_plain, write_text
from atomlens.interactions import explain
from atomlens.models import Potential, one_thread, outside
from atomlens.potentials import AnyPotential, CalculatorModel
from atomlens.reference import Gfn2Calculator, ReferenceUnavailable
from atomlens.report import Chapter, Page, calculated_html, check_figure, in_eV, in_kT, svg_address
from atomlens.runs.check_walls import some, wall_finding, wall_table
from atomlens.structures import check_molecule, fragments, reading_notes
from atomlens.tables import RunInfo, explained_frame, model_summary, package_versions

# Raised whenever a key of summary.json changes its meaning or goes away.
SCHEMA = 2
HOW = f"""
<p>The structure is relaxed on the model's own energy. Every bond is then stretched and compressed by 0.5 &Aring;, the
difference at which a simulation counts it as broken
(<a href="https://arxiv.org/abs/2210.07237">arXiv:2210.07237</a>), and everything else is relaxed by descent at that
length. The closest pairs three bonds or more apart are pushed to 60 % of their distance and let go. The marks are
energies of GFN2-xTB at the same geometries, above the same relaxed structure. Walls: one atom moves towards another
along the line between them down to 0.5 &Aring;, all others stay. A wall gives way where the energy, on the way in,
falls more than 0.1 eV below the highest value passed; such walls have colours, the others are grey. Where that happens
below {HIGH:g} eV, GFN2-xTB is asked about the same wall: if its own holds to {HIGH:g} eV, the model has a hole there;
if it gives way, too, the atoms may react. A curve has a gap, or ends early, where the model gives no energy.</p>
<p>What to expect of a simulation follows from all ways out together, the thermal exit barrier (the uppermost bar)
&minus;kT&nbsp;ln&nbsp;&Sigma;&nbsp;exp(&minus;&Delta;E/kT): ln(breaks per ps) = {INTERCEPT} &minus; {SLOPE} barrier/kT,
a line through 48 models of ethanol. A molecule <em>breaks</em> where half of the replicas or more are expected to break
within 5&nbsp;ps, below {barrier_at(BREAKS):.1f}&nbsp;kT, <em>holds</em> where fewer than one in ten are, from
{barrier_at(HOLDS):.1f}&nbsp;kT on, and is <em>at risk</em> in between. The figure marks both limits. How that was
tested on other molecules stands in docs/forecast.md.</p>
"""
_REFERENCE = "GFN2-xTB"
# In eV: what rounding, and minima that differ a little, may take off an energy above the relaxed structure.
_ROUNDING = 0.05
# Ways out above this, in kT, are never taken, whatever the reference says of them.
_MOST_TAKEN = 20.0
# What the outlook of each word is as an outcome.
_OUTCOMES: dict[Word, Outcome] = {
    "holds": Outcome.AGREES,
    "at risk": Outcome.CANNOT_TELL,
    "breaks": Outcome.DEVIATES,
}


@dataclass(frozen=True)
class CheckRun:
    """What a finished check leaves in memory.

    Attributes
    ----------
    folder
        Where everything was written.
    exits
        One row per way out, lowest first: name, atom_1, atom_2, how, energy_eV, kT (energy over k_B T), reference_eV
        (GFN2 at the same geometry; null where it has none).
    walls
        One row per wall: element_1, element_2, atom_1, atom_2, bonded, height_eV, gives_way_A (null where it holds),
        lengths, missing (how many of these have no energy), reference_height_eV (GFN2's wall, asked where the model's
        gives way below 3 eV; null otherwise), and hole: whether the model's gives way below 3 eV while GFN2's holds
        (null where GFN2 would decide it and cannot be had).
    verdict
        Three findings. The first decides: whether a simulation is expected to keep the molecule whole (`outlook`); the
        others describe.
    """

    folder: Path
    exits: pl.DataFrame
    walls: pl.DataFrame
    verdict: Verdict


def run_check(
    model: AnyPotential,
    model_path: str,
    atoms: ase.Atoms,
    structure_name: str,
    out: Path,
    *,
    temperature: float = 500.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
    command: str = "",
    overwrite: bool = False,
) -> CheckRun:
    """Find ways out and walls, and write page, tables and summary.

    Parameters
    ----------
    model, model_path
        A model or any ASE calculator (`load_calculator`), and what the user calls it. The page of a calculator has no
        terms.
    atoms, structure_name
        One molecule, and what the user calls it.
    out
        Folder to write.
    temperature
        In K, of the simulation that is asked about.
    progress
        Called with how many ways are tried, and with their number.
    command
        Command line, for the page's foot.
    overwrite
        Whether a run of ours in `out` may be replaced.

    Raises
    ------
    InputError
        If the structure is periodic or has no bonds, or the model gives it no finite energy.
    """
    check_molecule(atoms, "check")
    calculator = calculator_of(model)
    settings = {"model": model_path, "structure": structure_name, "temperature": temperature}
    with one_thread(), RunFolder(out, overwrite) as run_folder:
        folder = run_folder.path
        found = find_exits(calculator, atoms, progress=progress)
        walls = scan_walls(calculator, found.relaxed)
        thermal, barrier = units.kB * temperature, found.barrier(temperature)
        exits, unavailable = exit_table(found, thermal), ""
        try:
            exits = with_reference(exits, found)
        except ReferenceUnavailable as error:
            unavailable = str(error)
        compared = [compare_wall(wall, found.relaxed) for wall in walls]
        barriers = wall_table(walls, compared)
        expected = outlook(barrier / thermal) if _is_known(found) else None
        if found.failed and expected is not None and expected.word != "breaks":
            expected = None  # ways without an energy may be lower than all others
        first = _of_pieces(_outlook_finding(expected, found, temperature), len(fragments(atoms)))
        findings = (
            first,
            _exit_finding(exits, found, temperature, unavailable),
            wall_finding(walls, barriers, temperature),
        )
        verdict = Verdict("check", first.outcome, " ".join(finding.sentence for finding in findings), findings)
        exits.write_parquet(folder / "exits.parquet")
        barriers.write_parquet(folder / "walls.parquet")
        figure = check_figure(exits, walls, thermal, barrier)
        figure.savefig(folder / "check.svg")
        summary: dict[str, Any] = {
            "schema": SCHEMA,
            "what": "whether dynamics will hold; ways out of a molecule and walls between its elements",
            "versions": package_versions(),
            "command": command,
            "options": settings,
            "structure": structure_name,
            "notes": list(reading_notes(atoms)),
            "tried": found.tried,
            "failed": found.failed,
            "reference": _reference(unavailable),
            "barrier_eV": barrier if _is_known(found) else None,
            "barrier_kT": barrier / thermal if _is_known(found) else None,
            "reference_barrier_eV": reference_barrier(exits, temperature),
            "outlook": to_plain(expected),
            "verdict": to_plain(verdict),
            "exits": exits.to_dicts(),
            "walls": barriers.to_dicts(),
        }
        info = RunInfo(model_path, structure_name, model.facts, command, settings)
        summary |= {"model": model_summary(info), "outside": list(outside(model.facts, atoms))}
        chapter = Chapter(
            "check",
            "Ways out and walls",
            "Will a simulation keep this molecule whole, and where is it weakest?",
            verdict,
            svg_address(figure),
            Markup(HOW),
            has_terms=model.facts.has_terms,
            headline=_headline(exits, first, findings[1]),
            words={} if expected is None else {outcome: word for word, outcome in _OUTCOMES.items()},
        )
        write_text(folder / PAGE, _page(model, info, found, chapter))
        write_text(folder / MARK, json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        return CheckRun(run_folder.out, exits, barriers, verdict)


def calculator_of(model: AnyPotential) -> Calculator:
    """ASE calculator of a model; the library's own for models of other libraries."""
    return AtomlensCalculator(model) if isinstance(model, Potential) else model.calculator()


def exit_table(found: Exits, thermal: float) -> pl.DataFrame:
    """One row per way out, lowest first; see `CheckRun.exits`."""
    symbols = found.relaxed.get_chemical_symbols()
    rows = [
        {
            "name": f"{symbols[i]}{i}-{symbols[j]}{j} {way.how}",
            "atom_1": i,
            "atom_2": j,
            "how": way.how,
            "energy_eV": way.energy,
            "kT": way.energy / thermal,
            "reference_eV": None,
        }
        for way in found.ways
        for i, j in [way.atoms]
    ]
    real = dict.fromkeys(("energy_eV", "kT", "reference_eV"), pl.Float64)
    return pl.DataFrame(
        rows, schema={"name": pl.String, "atom_1": pl.Int64, "atom_2": pl.Int64, "how": pl.String} | real
    )


def with_reference(exits: pl.DataFrame, found: Exits) -> pl.DataFrame:
    """The table with GFN2's energies at the same geometries, above the same relaxed structure.

    Raises
    ------
    ReferenceUnavailable
        If GFN2-xTB cannot be had for the molecule.
    """
    calculator = Gfn2Calculator()
    work = found.relaxed.copy()
    work.calc = calculator
    floor = work.get_potential_energy()
    values: list[float | None] = []
    for way in found.ways:
        work.positions = way.positions
        try:
            values.append(work.get_potential_energy() - floor)
        except ReferenceUnavailable:  # no density at this geometry
            values.append(None)
    return exits.with_columns(pl.Series("reference_eV", values, dtype=pl.Float64))


def reference_barrier(exits: pl.DataFrame, temperature: float) -> float | None:
    """Thermal exit barrier of the reference at the model's ways out, in eV.

    None where it has no energy for one of them, or puts one below the relaxed structure, which is then no minimum.
    """
    energies = exits["reference_eV"].to_list()
    if not energies or None in energies or min(energies) < -_ROUNDING:
        return None
    return thermal_barrier(energies, temperature)


def _headline(exits: pl.DataFrame, expected: Finding, weakest: Finding) -> str:
    """What to expect, and the weakest point."""
    if not len(exits) or exits["how"][0] == "by itself":
        return expected.sentence
    return f"{expected.sentence.split('. ')[0]}. {weakest.sentence.split('. ')[0].rstrip('.')}."


def _is_known(found: Exits) -> bool:
    """Whether the ways that were tried say what to expect."""
    return bool(found.ways) and not (found.failed and found.ways[0].how == "by itself")


def _outlook_finding(expected: Outlook | None, found: Exits, temperature: float) -> Finding:
    claim = f"Simulations at {temperature:g} K keep the molecule whole for {WATCHED:g} ps."
    if not found.ways and not found.failed:
        return not_applicable(claim, "the structure has no bonds that could break")
    if not _is_known(found):
        where = "to the relaxed structure" if found.ways else "out that were tried"
        return cannot_tell(claim, f"the model gives no finite energy on the {'way' if found.ways else 'ways'} {where}")
    barrier = found.barrier(temperature) / (units.kB * temperature)
    if expected is None:
        return cannot_tell(
            claim,
            f"on {found.failed} of {found.tried} ways the model gives no finite energy somewhere, so that the thermal "
            f"exit barrier may be lower than {in_kT(barrier, 1)}",
        )
    began = f"At {temperature:g} K this molecule {WORDS[expected.word]}:"
    if found.ways[0].how == "by itself":
        return Finding(claim, _OUTCOMES[expected.word], f"{began} the structure falls apart when it is relaxed.")
    said = (
        f"{began} {_share(expected)} are expected to break within {WATCHED:g} ps, by a thermal exit barrier of "
        f"{in_kT(barrier, 1)}. {HOW_SURE[expected.word]}"
    )
    return Finding(claim, _OUTCOMES[expected.word], said, reference="docs/forecast.md")


def _of_pieces(finding: Finding, pieces: int) -> Finding:
    """The outlook of a structure that is no single molecule says what it leaves open."""
    if pieces == 1 or not finding.sentence:
        return finding
    said = f"The structure is in {pieces} pieces, and whether they stay together is not asked."
    return replace(finding, sentence=f"{finding.sentence} {said}")


def _share(expected: Outlook) -> str:
    """How many replicas, in words that claim no more than is known."""
    if expected.word == "holds":
        return f"fewer than {HOLDS:.0%} of replicas".replace("%", " %")
    return "all replicas" if expected.share > 0.99 else f"about {100 * expected.share:.0f} % of replicas"


def _reference(unavailable: str) -> str:
    """What summaries call the reference, which may be unavailable for a reason."""
    return f"none ({unavailable})" if unavailable else _REFERENCE


def _exit_finding(exits: pl.DataFrame, found: Exits, temperature: float, unavailable: str = "") -> Finding:
    claim = "How much energy the model asks for before a bond counts as broken."
    if not len(exits) and not found.failed:
        return not_applicable(claim, "the structure has no bonds that could break")
    failed = f"{found.failed} of {found.tried} tries met a geometry without a finite energy"
    if not len(exits):
        return cannot_tell(claim, f"no way out was found: {failed}")
    lowest = exits.row(0, named=True)
    if lowest["how"] == "by itself" and found.failed:
        return cannot_tell(claim, "the model gives no finite energy on the way to the relaxed structure")
    if lowest["how"] == "by itself":
        return Finding(claim, Outcome.DESCRIPTIVE, "The structure falls apart when it is relaxed.")
    said = f"Lowest way out: {lowest['name']}, {in_eV(lowest['energy_eV'])}, {in_kT(lowest['kT'])} at {temperature:g} K"
    if lowest["reference_eV"] is not None:
        said += f"; {_REFERENCE} gives {in_eV(lowest['reference_eV'])} for the same geometry"
    elif unavailable:
        said += f"; {_REFERENCE} could not be asked: {unavailable}"
    if under := [energy for energy in exits["reference_eV"].drop_nulls() if energy < -_ROUNDING]:
        said += (
            f". {_REFERENCE} puts {len(under)} of these geometries below the relaxed structure, down to "
            f"{in_eV(min(under))}: that is not the lowest structure there, and {_REFERENCE}'s energies say nothing of "
            "the model's barriers"
        )
    taken = exits.filter(pl.col("kT") < _MOST_TAKEN)
    below = taken.filter((pl.col("reference_eV") > 1.0) & (pl.col("energy_eV") < 0.5 * pl.col("reference_eV")))
    if len(below) and not under:
        names = some(below["name"].to_list(), 3, ", ")
        said += (
            f". Less than half of what {_REFERENCE} gives: {len(below)} of the {len(taken)} ways below "
            f"{_MOST_TAKEN:g} kT ({names})"
        )
    said += f". {failed}" if found.failed else ""
    barrier = found.barrier(temperature)
    if len(exits) > 1:
        said += (
            f". All {len(exits)} ways together count like one of {in_eV(barrier)}, "
            f"{in_kT(barrier / (units.kB * temperature), 1)} (thermal exit barrier)"
        )
        known = reference_barrier(exits, temperature)
        if known is not None:
            thermal = units.kB * temperature
            said += f"; {_REFERENCE} at the same geometries: {in_eV(known)}, {in_kT(known / thermal, 1)}"
    effect = Effect("thermal exit barrier", barrier, n=len(exits), unit="eV")
    return Finding(claim, Outcome.DESCRIPTIVE, f"{said}.", effect, reference=_reference(unavailable))


def _page(model: AnyPotential, info: RunInfo, found: Exits, chapter: Chapter) -> str:
    """The relaxed structure and the lowest ways out, explained, under the two findings; of a calculator these alone."""
    tables = ["exits.parquet", "walls.parquet"]
    headline = f"Will {found.relaxed.get_chemical_formula()} stay whole in {info.model_path}?"
    if isinstance(model, CalculatorModel):
        return calculated_html(info, [chapter], headline=headline, units="molecule", tables=tables)
    frames = [found.relaxed.copy()]
    frames[0].info["name"] = "relaxed structure"
    symbols = found.relaxed.get_chemical_symbols()
    for way in found.ways[:3]:
        frame = found.relaxed.copy()
        frame.positions = way.positions
        i, j = way.atoms
        frame.info["name"] = f"{symbols[i]}{i}-{symbols[j]}{j} {way.how}"
        frames.append(frame)
    page = Page(info, len(frames))
    for index, frame in enumerate(frames):
        odd = outside(model.facts, frame)
        page.add(explained_frame(explain(model, frame), index=index, outside=odd, with_forces=True, as_read=not index))
    return page.html(tables, chapters=[chapter], n_structures=1, units="molecule", headline=headline)
