"""A run of `analyze`: tables of all structures, the chosen questions, one page; it resumes where it was stopped."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import polars as pl

from atomlens.analyses import (
    ANALYSIS_SCHEMA,
    QUESTIONS,
    AnalysisInputs,
    ForceCheck,
    Question,
    Settings,
    Verdict,
    check_forces,
    chosen_questions,
    untrained_models,
)
from atomlens.folders import MARK, PAGE, below, open_run, remove_if_empty, to_plain, write_text
from atomlens.models import Potential, outside, to_internal
from atomlens.potentials import AnyModel, AnyPotential, CalculatorModel
from atomlens.recording import DEFAULT_PRODUCT_RULE
from atomlens.reference import property_words
from atomlens.report import Chapter, Page, calculated_html, frames_on_page
from atomlens.runs.answering import FAILURES, answer, failed_at
from atomlens.runs.calculated import calculated_sample
from atomlens.structures import InputError
from atomlens.surveys import (
    SAMPLE_SIZE,
    SURVEY_FILES,
    Progress,
    Sample,
    StructureSource,
    evenly_spread,
    no_progress,
    read_sample,
    read_tables,
    renumbered,
    survey_structures,
    write_table,
)
from atomlens.tables import RunInfo, explained_frame, model_summary, package_versions

# Each untrained model is asked about so many structures, evenly spread: a null control needs no more.
N_FRESH = 40
# Of models of other libraries, which are recorded structure by structure, so many.
N_FRESH_RECORDED = 10
# The page shows so many structures in full.
N_SHOWN = 5


def analysis_files() -> tuple[str, ...]:
    """Patterns of all files that a run writes besides page and summary."""
    results = (
        f"{question.slug}/{name}"
        for question in QUESTIONS
        for name in ("result.json", FAILURES, *(f"{item.name}.parquet" for item in fields(question.result_type)))
    )
    return (
        *below("tables", SURVEY_FILES),
        *below("untrained/seed-*", SURVEY_FILES),
        *below("questions", ("sample.parquet", *results)),
    )


@dataclass(frozen=True)
class AnalysisOptions:
    """Settings of a run; with the model and the structures they decide every number of it.

    Attributes
    ----------
    questions
        Which questions to answer.
    rule, product_rule
        How predictions are explained.
    max_order
        Largest order of the terms in the tables.
    seed
        Of controls, intervals and drawn pairs.
    trained_range
        Largest distance in Å between atoms of one training structure, where that is known.
    distances
        Range of pair distances in Å over which decay is judged, one for all models of a comparison; the model's own
        if None.
    s66x8
        COMP6's file of S66x8, where it is at hand.
    dimers
        Archives or folders of NCIAtlas, which the question ``contacts`` needs.
    scans
        Folder of bond scans to compare smoothness with; GFN2-xTB's own if None.
    sample
        From how many structures at most questions are answered, spread evenly over the explained ones: what is in
        memory at a time.
    """

    questions: tuple[Question, ...] = chosen_questions("all")
    rule: str = "gate"
    product_rule: str = DEFAULT_PRODUCT_RULE
    max_order: int = 3
    seed: int = 0
    trained_range: float | None = None
    distances: tuple[float, float] | None = None
    s66x8: Path | None = None
    dimers: tuple[Path, ...] = ()
    scans: Path | None = None
    sample: int = SAMPLE_SIZE

    def __post_init__(self) -> None:
        if self.trained_range is not None and not 0 < self.trained_range < math.inf:
            raise InputError(f"the trained range is {self.trained_range:g} Å; it must be positive")
        if self.distances is not None and not 0 < self.distances[0] < self.distances[1] < math.inf:
            low, high = self.distances
            raise InputError(
                f"the range of distances is {low:g} to {high:g} Å; give two lengths above 0, the smaller first"
            )
        if self.sample < 1:
            raise InputError(f"{self.sample} structures to judge; give at least 1")

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON allows them."""
        plain = {**asdict(self), "questions": [question.slug for question in self.questions]}
        files: dict[str, Any] = {
            "s66x8": None if self.s66x8 is None else str(self.s66x8),
            "dimers": [str(path) for path in self.dimers],
            "scans": None if self.scans is None else str(self.scans),
        }
        # Runs that were begun before there was an option go on without it.
        newer = {name for name in ("dimers", "scans") if not files[name]}
        return {name: value for name, value in (plain | files).items() if name not in newer}

    @property
    def settings(self) -> Settings:
        """What the analyses receive."""
        return Settings(
            self.rule,
            self.product_rule,
            self.seed,
            self.trained_range,
            self.distances,
            self.s66x8,
            self.dimers,
            self.scans,
        )


@dataclass(frozen=True)
class AnalysisRun:
    """What a finished run leaves in memory.

    Attributes
    ----------
    folder
        Where everything was written.
    verdicts
        The answers in the order of the questions.
    n_structures, n_skipped
        How many structures were explained, and how many could not be.
    n_sampled
        From how many of the explained ones the questions were answered.
    """

    folder: Path
    verdicts: tuple[Verdict, ...]
    n_structures: int
    n_skipped: int = 0
    n_sampled: int = 0
    summary: dict[str, Any] = field(default_factory=dict)


def run_analysis(
    model: AnyPotential,
    model_path: str | Path,
    structures: StructureSource,
    structures_name: str,
    out: Path,
    options: AnalysisOptions | None = None,
    *,
    n_workers: int = 1,
    scheduler: str | None = None,
    progress: Progress = no_progress,
    command: str = "",
    overwrite: bool = False,
) -> AnalysisRun:
    """Explain all structures, answer the questions, and write tables, results, page and summary.

    A run that was killed resumes when it is called again with the same arguments: explained shards and answered
    questions are kept.

    Parameters
    ----------
    model, model_path
        The model, and where workers load it from; or an ASE calculator (`load_calculator`), which is asked only what
        needs no terms.
    structures, structures_name
        What to ask it about; picklable where there are workers. Tables hold all of them; only those that are judged
        are in memory together.
    out
        Folder to write.
    options
        Settings; the defaults if None.
    n_workers, scheduler
        Worker processes of this machine, which share structures and then questions; or the address of a Dask scheduler
        for the structures. Scripts that ask for processes need the guard ``if __name__ == "__main__"``.
    progress
        Called with what is being done.
    command
        Command line, for the page's foot.
    overwrite
        Whether a run of ours in `out` may be replaced.

    Raises
    ------
    InputError
        If there is no structure, none can be explained, or `out` cannot be used. A folder that this call made is
        removed where none can be explained.
    """
    started = time.perf_counter()
    options = options or AnalysisOptions()
    if not len(structures):
        raise InputError(f"{structures_name}: holds no structure")
    predicted = model.facts.quantity
    calculator = {}
    if isinstance(model, CalculatorModel):
        calculator = {"kwargs": dict(model.origin.arguments), "box": model.origin.box}
    settings = {
        "model": str(model_path),
        "property": predicted,
        "structures": structures_name,
        "n": len(structures),
        **calculator,
        **options.as_dict(),
    }
    if options.scans is None:
        settings.pop("scans", None)  # runs that were begun without the option go on
    if len(structures) <= options.sample:
        del settings["sample"]  # all are judged, whatever the limit: a run goes on under any other
    with remove_if_empty(out), open_run(out, settings, analysis_files(), overwrite) as folder:
        forces = None
        if isinstance(model, CalculatorModel):
            sample, n_skipped = calculated_sample(model, structures, folder / "tables", options.sample, progress)
            untrained = []
            progress("forces against energies", 0, 1)
            forces = check_forces(model, sample.structures, options.seed)
        else:
            sample, untrained, n_skipped = _explained(
                model, structures, folder, options, n_workers, scheduler, progress
            )
        inputs = AnalysisInputs(
            model=model,
            structures=sample.structures,
            tables=sample.tables,
            untrained=untrained,
            unit=to_internal(model.facts.unit)[1],
            settings=options.settings,
        )
        (folder / "questions").mkdir(exist_ok=True)
        write_table(sample.table, folder / "questions" / "sample.parquet")
        chapters = answer(options.questions, inputs, folder / "questions", n_workers, progress)

        info = RunInfo(str(model_path), structures_name, model.facts, command, calculator | options.as_dict())
        if forces is None:
            html, warnings = _page(inputs, sample, info, chapters)
        else:
            failures = [failed_at(question, folder / "questions") for question in options.questions]
            html, warnings = _calculated_page(sample, info, chapters, forces, [said for said in failures if said])
        write_text(folder / PAGE, html)
        summary = {
            "schema": ANALYSIS_SCHEMA,
            "what": "verdicts of a model against known chemistry; see report.html for how each is computed",
            "versions": package_versions(),
            "command": command,
            "options": calculator | options.as_dict(),
            "model": model_summary(info),
            "structures": structures_name,
            "property": inputs.property,
            "unit": inputs.unit,
            "n_structures": sample.n_explained,
            "n_skipped": n_skipped,
            "n_sampled": len(sample.frames),
            "outside": _outside(model, sample),
            "warnings": warnings,
            **({} if forces is None else {"forces": to_plain(forces) | {"consistent": forces.consistent}}),
            "verdicts": [to_plain(chapter.verdict) for chapter in chapters],
            "seconds": round(time.perf_counter() - started, 3),
        }
        write_text(folder / MARK, json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        verdicts = tuple(chapter.verdict for chapter in chapters)
        return AnalysisRun(folder, verdicts, sample.n_explained, n_skipped, len(sample.frames), summary)


def _explained(
    model: AnyModel,
    structures: StructureSource,
    folder: Path,
    options: AnalysisOptions,
    n_workers: int,
    scheduler: str | None,
    progress: Progress,
) -> tuple[Sample, list[dict[str, pl.DataFrame]], int]:
    """Tables of all structures and of untrained models; which structures are judged, and how many are skipped."""
    common: dict[str, Any] = {
        "levels": _levels(options.max_order),
        "max_order": options.max_order,
        "rule": options.rule,
        "product_rule": options.product_rule,
    }
    place = folder / "tables"
    survey = survey_structures(
        model, structures, place, n_workers=n_workers, scheduler=scheduler, progress=progress, **common
    )
    sample = read_sample(structures, place, options.sample)
    count = N_FRESH if isinstance(model, Potential) else N_FRESH_RECORDED
    some = evenly_spread(len(sample.structures), count)
    untrained = []
    models = untrained_models(model, options.seed)
    for k, fresh in enumerate(models):
        home = folder / "untrained" / f"seed-{k}"
        named = _naming(progress, f"untrained model {k + 1} of {len(models)}: ")
        chosen = [sample.structures[number] for number in some]
        survey_structures(fresh, chosen, home, progress=named, **common)
        untrained.append(renumbered(read_tables(home), some))
    return sample, untrained, survey.n_skipped


def _naming(progress: Progress, what: str) -> Progress:
    """The same progress, of something that has a name."""
    return lambda step, done, total: progress(what + step, done, total)


def _outside(model: AnyPotential, sample: Sample) -> dict[str, Any]:
    """How many sampled structures lie outside of what the model was trained on, and in what the first of them does."""
    found = [
        (frame, outside(model.facts, atoms)) for frame, atoms in zip(sample.frames, sample.structures, strict=True)
    ]
    odd = [(frame, sentences) for frame, sentences in found if sentences]
    first = {"frame": int(odd[0][0]), "in": list(odd[0][1])} if odd else None
    return {"n_checked": len(found), "n_outside": len(odd), "first": first}


def _page(inputs: AnalysisInputs, sample: Sample, info: RunInfo, chapters: list[Chapter]) -> tuple[str, list[str]]:
    shown = frames_on_page(len(sample.structures), N_SHOWN)
    page = Page(info, len(sample.structures), N_SHOWN)
    warnings: list[str] = []
    for number in shown:
        explanation = inputs.explained(inputs.structures[number])
        odd = outside(inputs.model.facts, inputs.structures[number])
        frame = explained_frame(explanation, index=sample.frames[number], outside=odd)
        warnings += frame.warnings
        page.add(frame)
    headline = f"{Path(info.model_path).name}: what has it learned about the {property_words(inputs.property)}?"
    tables = [f"tables/{name}.parquet" for name in sorted([*sample.tables, "skipped"])]
    counts: dict[str, Any] = {"n_structures": sample.n_explained, "n_sampled": len(sample.frames)}
    return page.html(tables, chapters=chapters, headline=headline, **counts), warnings


def _calculated_page(
    sample: Sample, info: RunInfo, chapters: list[Chapter], forces: ForceCheck, failures: list[str]
) -> tuple[str, list[str]]:
    html = calculated_html(
        info,
        chapters,
        headline=f"{info.model.name}: what does it know of physics?",
        forces={"sentence": str(forces), "consistent": forces.consistent},
        failures=failures,
        n_structures=sample.n_explained,
        n_sampled=len(sample.frames),
        tables=[f"tables/{name}.parquet" for name in sorted([*sample.tables, "skipped"])],
    )
    return html, [*([] if forces.consistent else [str(forces)]), *failures]


def _levels(max_order: int) -> tuple[str, ...]:
    return ("frames", "atoms", "pairs", "triples")[: max_order + 1]
