"""A run of `md`: a simulation, its verdict, an explained failure, one page; it resumes."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import torch
from markupsafe import Markup

from atomlens.analyses import Finding, Outcome, Verdict
from atomlens.dynamics import (
    SIMULATION_FILES,
    Failure,
    Fate,
    MDOptions,
    Report,
    Simulation,
    check_start,
    explain_failure,
    first_failure,
    foreseen,
    judge_stability,
    simulate,
    stability_headline,
    survival,
)
from atomlens.folders import MARK, PAGE, below, open_run, remove_if_empty, to_plain, write_text
from atomlens.interactions import explain
from atomlens.models import one_thread, outside
from atomlens.potentials import AnyModel, OpenedModel
from atomlens.report import Chapter, Page, failure_figure, stability_figure, svg_address
from atomlens.structures import Precision, as_dtype, perceive_bonds, reading_notes
from atomlens.tables import RunInfo, cautions, explained_frame, model_summary, package_versions

# Raised whenever a key of a simulation's summary.json changes its meaning or goes away.
SCHEMA = 1
# Patterns of all files that a run writes besides page and summary.
MD_FILES = ("failure.parquet", *below("trajectory", SIMULATION_FILES))
# Fewer atoms at once than this are moved on one thread. From 144 on, a second one gains a fifth on a quiet machine.
_FEW_ATOMS = 128
HOW_STABILITY = """
<p>All replicas start from the same structure with velocities of their own and move in one batch. A replica breaks
at the first recorded frame in which a bond differs from its reference length by more than 0.5 Å (<a
href="https://arxiv.org/abs/2210.07237">arXiv:2210.07237</a>), the temperature exceeds 10,300 K or rises 100-fold,
or a coordinate is not finite. What it broke by is identified from some further frames: an explosion, a
hydrogen farther than 2.5 Å from every heavy atom, or a bond. The curve is the Kaplan-Meier estimate; replicas that
are sound at the end count as censored; the band is its 95 % log-log interval, and the exact one of a share
(Clopper-Pearson) where none or all have broken. The limit that the share is compared with, 75 %, is our choice: 16
sound replicas of 16 show at least 79 %, the fewest that clear it are 13 of 13. Runs below 1 ps never agree: a start
from a minimum has hardly been warmed by then. Where a replica broke at a time step longer than a sixth of the fastest
bond vibration (1.5 fs with hydrogen, 2.3 fs for Li to Ne, 7.2 fs for heavier elements), the step may be to blame, and
nothing is decided. The drift in NVE is the mean over
replicas weighted by how long they stayed sound. Distances are compared with a reference by the share that would have to
move, next to what sampling alone misplaces: half of what halves of simulation and reference differ by, added in
squares.</p>
"""
HOW_FAILURE = """
<p>The frames before the first break are explained like any structure; the pair term is the sum of all walks that
visit exactly these two atoms. The response coupling of a pair is the Frobenius norm of the 3 × 3 block of second
derivatives of the energy with respect to their positions, of the model by automatic differentiation and of GFN2-xTB
by central differences, on the same frames.</p>
"""


@dataclass(frozen=True)
class MDRun:
    """What a finished run leaves in memory.

    Attributes
    ----------
    folder
        Where everything was written.
    simulation
        What happened.
    verdict
        Whether the model stays stable.
    failure
        The first break, explained; None if there was none.
    warnings
        What keeps the run from deciding anything (`foreseen`), and what makes the model's energies suspicious.
    """

    folder: Path
    simulation: Simulation
    verdict: Verdict
    failure: Failure | None
    warnings: tuple[str, ...] = ()


def run_md(
    model: AnyModel,
    model_path: str,
    atoms: ase.Atoms,
    structure_name: str,
    out: Path,
    options: MDOptions | None = None,
    *,
    dtype: Precision = torch.float32,
    reference: list[ase.Atoms] | None = None,
    report: Report | None = None,
    command: str = "",
    overwrite: bool = False,
) -> MDRun:
    """Simulate, judge, explain what broke, and write page and summary.

    Parameters
    ----------
    model, model_path
        The model, and what the user calls it.
    atoms, structure_name
        Where replicas start, and what the user calls it.
    out
        Folder to write; an unfinished run with the same settings is resumed.
    options
        Settings; the defaults if None.
    dtype
        Precision of the simulation; explanations are in float64, and models of other libraries move in it too.
    reference
        Reference trajectory: mean bond lengths, and distances to be met.
    report
        Called with the progress after every frame.
    command
        Command line, for the page's foot.
    overwrite
        Whether a run of ours in `out` may be replaced.
    """
    options = options or MDOptions()
    check_start(model, atoms, reference)  # refused before a folder is made for it
    predicted = model.facts.quantity
    moving = model if isinstance(model, OpenedModel) else model.converted(as_dtype(dtype))
    settings = {
        "model": model_path,
        "property": predicted,
        "structure": structure_name,
        "dtype": str(moving.dtype),
        **options.as_dict(),
    }
    threads = one_thread() if options.n_replicas * len(atoms) < _FEW_ATOMS else nullcontext()
    with threads, remove_if_empty(out), open_run(out, settings, MD_FILES, overwrite) as folder:
        simulation = simulate(moving, atoms, folder / "trajectory", options, reference=reference, report=report)
        verdict = judge_stability(simulation, options, atoms, reference)
        chapters = [
            Chapter(
                "stability",
                "Stability",
                "Does the model keep molecules whole in molecular dynamics?",
                verdict,
                svg_address(stability_figure(simulation, survival(simulation), options)),
                Markup(HOW_STABILITY),
                headline=stability_headline(verdict, simulation, options),
            )
        ]
        exact = model if isinstance(model, OpenedModel) else model.converted(torch.float64)
        fate = first_failure(simulation)
        failure = None if fate is None else explain_failure(exact, atoms, simulation, fate)
        if failure is not None:
            chapters.append(_failure_chapter(failure))
        shown = list(failure.frames) if failure is not None else [atoms]
        info = RunInfo(model_path, structure_name, model.facts, command, settings)
        page = Page(info, len(shown))
        explained = [
            explained_frame(
                explain(exact, frame),
                index=index,
                outside=outside(model.facts, frame),
                with_forces=True,
                as_read=failure is None,
            )
            for index, frame in enumerate(shown)
        ]
        of_frames = dict.fromkeys(warning for frame in explained for warning in frame.warnings)
        of_start = ()
        if failure is not None:  # otherwise the start itself is shown
            of_start = cautions(atoms, perceive_bonds(atoms), exact.cutoff, outside(model.facts, atoms))
        warnings = tuple(dict.fromkeys((*foreseen(options, atoms), *of_start, *of_frames)))
        for frame in explained:
            page.add(frame)
        tables = ["trajectory/observables.parquet"]
        if failure is not None:
            failure.terms.write_parquet(folder / "failure.parquet")
            tables.append("failure.parquet")
        headline = f"How long {model_path} keeps {atoms.get_chemical_formula()} whole"
        html = page.html(
            tables, chapters=chapters, n_structures=options.n_replicas, headline=headline, units="replicas"
        )
        write_text(folder / PAGE, html)
        summary = {
            "schema": SCHEMA,
            "what": "molecular dynamics of replicas, and when each broke",
            "versions": package_versions(),
            "command": command,
            "options": settings,
            "model": model_summary(info),
            "structure": structure_name,
            "notes": list(reading_notes(atoms)),
            "outside": list(outside(model.facts, atoms)),
            "warnings": list(warnings),
            "bond_lengths_from": simulation.bonds.source,
            "verdict": to_plain(verdict),
            "survival": to_plain(survival(simulation)),
            "fates": [_plain_fate(fate) for fate in simulation.fates],
            "seconds": round(simulation.seconds, 3),
        }
        write_text(folder / MARK, json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        return MDRun(folder, simulation, verdict, failure, warnings)


def _plain_fate(fate: Fate) -> dict[str, Any]:
    kind = None if fate.kind is None else fate.kind.value
    return {"replica": fate.replica, "time_ps": fate.time, "broke_by": kind, "pair": fate.pair}


def _failure_chapter(failure: Failure) -> Chapter:
    i, j = failure.pair
    symbols = failure.frames[0].symbols
    mine = failure.terms.filter(failure.terms["gave_way"])
    first, last = mine.row(0, named=True), mine.row(-1, named=True)
    kind = failure.fate.kind.value if failure.fate.kind is not None else ""
    sentence = (
        f"Replica {failure.fate.replica} broke first, after {failure.fate.time:.4g} ps, by {kind}: "
        f"{symbols[i]}{i}\u2013{symbols[j]}{j} went from {first['distance']:.2f} to {last['distance']:.2f} Å, "
        f"its pair term from {first['term_eV']:+.3f} to {last['term_eV']:+.3f} eV.".replace("-", "\u2212")
    )
    claim = "The model responds to the pair that gave way as the reference does."
    if last["reference_coupling"] is None:
        finding = Finding(claim, Outcome.CANNOT_TELL, f"No reference: {failure.reference}.")
    else:
        text = (
            f"Response coupling {mine['model_coupling'].mean():.3g} eV/Å² (model) against "
            f"{mine['reference_coupling'].mean():.3g} eV/Å² ({failure.reference}), mean of {len(mine)} frames."
        )
        finding = Finding(claim, Outcome.DESCRIPTIVE, f"{text} One break is not enough for statistics.")
    return Chapter(
        "failure",
        "What gave way",
        "Which interaction failed first, and what does the reference say about it?",
        Verdict("failure", finding.outcome, sentence, (finding,)),
        svg_address(failure_figure(failure)),
        Markup(HOW_FAILURE),
        headline=sentence,
    )
