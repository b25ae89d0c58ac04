"""Questions answered, in this process or in several, each kept in a folder as soon as it is done."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from pathlib import Path

import polars as pl

from atomlens.analyses import AnalysisInputs, Question
from atomlens.folders import atomic_folder, load_result, reading, save_result
from atomlens.models import keep_memory, one_thread
from atomlens.potentials import CalculatorModel
from atomlens.report import Chapter, make_chapter, unanswered_chapter
from atomlens.surveys import Progress, no_progress, write_table

# Beside the result of a question: why an ASE calculator had no energy, and how often.
FAILURES = "failures.parquet"
_FAILURES = {"reason": pl.String, "count": pl.Int64}


def answer(
    questions: Sequence[Question], inputs: AnalysisInputs, folder: Path, n_workers: int, progress: Progress
) -> list[Chapter]:
    """Chapters of all questions, in their order; results that are stored already are not computed again.

    Parameters
    ----------
    questions
        What to answer.
    inputs
        Model, structures and tables.
    folder
        Where results are kept, one folder per question.
    n_workers
        Processes of this machine that share the questions; 1 is this process itself.
    progress
        Called with what is being done.
    """
    reasons = {question.slug: question.why_not(inputs.model) for question in questions}
    missing = [q for q in questions if not reasons[q.slug] and not (folder / q.slug).is_dir()]
    if n_workers > 1 and len(missing) > 1:
        _compute_in_processes(missing, inputs, folder, n_workers, progress)
    chapters = []
    for question in questions:
        if reason := reasons[question.slug]:
            chapters.append(unanswered_chapter(question, question.inapplicable(reason)))
            continue
        home = folder / question.slug
        if not home.is_dir():
            progress(question.title, 0, 1)
            _compute(question, inputs, folder, progress)
        result = load_result(question.result_type, home)
        # What an earlier run stored may be anything by now; mistakes of our own on fresh results stay visible.
        with nullcontext() if question in missing else reading(home, "delete it, then the same command goes on"):
            chapters.append(make_chapter(question, result, question.judge(result)))
    return chapters


def _compute(question: Question, inputs: AnalysisInputs, folder: Path, progress: Progress = no_progress) -> None:
    keep_memory()  # a process that gives pages back at once takes twice the time
    calculator = inputs.model if isinstance(inputs.model, CalculatorModel) else None
    if calculator is not None:
        calculator.failures.clear()
    with one_thread():  # as in a worker: the same numbers, and small molecules gain nothing from threads
        result = question.compute(inputs, progress)
    with atomic_folder(folder / question.slug) as part:
        save_result(result, part)
        if calculator is not None and calculator.failures:
            failures = [*calculator.failures.items()]
            write_table(pl.DataFrame(failures, schema=_FAILURES, orient="row"), part / FAILURES)


def failed_at(question: Question, folder: Path) -> str:
    """At how many geometries of a stored question an ASE calculator failed, in one sentence; empty where it did not."""
    path = folder / question.slug / FAILURES
    if not path.is_file():
        return ""
    with reading(path, "delete its folder, then the same command answers the question again"):
        stored = pl.read_parquet(path).sort("count", descending=True)
        reason, count = stored.row(0)
        total = int(stored["count"].sum())
    places = "1 geometry was" if total == 1 else f"{total} geometries were"
    times = "" if count == total else f", at {count} of them"
    return f"{question.slug}: {places} left out, as the calculator has no energy there ({reason}{times})"


def _compute_in_processes(
    questions: Sequence[Question], inputs: AnalysisInputs, folder: Path, n_workers: int, progress: Progress
) -> None:
    """One question per process at a time: they take from seconds to a minute, and none waits for another."""
    pool = ProcessPoolExecutor(
        min(n_workers, len(questions)),
        mp_context=multiprocessing.get_context("spawn"),  # threads of torch do not survive a fork
        initializer=_start_worker,
    )
    try:
        waiting = {pool.submit(_compute, question, inputs, folder) for question in questions}
        progress("questions", 0, len(waiting))
        for done, future in enumerate(as_completed(waiting), start=1):
            future.result()
            progress("questions", done, len(waiting))
    except BrokenProcessPool as error:
        raise OSError("a worker process died while it answered a question (out of memory?); run it again") from error
    finally:  # what is finished is kept
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches all processes, and one of them says so
