"""What earlier runs left may be anything by now: the result is the same, or one line names what is damaged."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.build
import ase.io
import numpy as np
import polars as pl
import pytest
from damages import DAMAGES, copied, json_damages

from atomlens import InputError, load_model, save_model
from atomlens.folders import RunFolder, load_result, open_run, save_result
from samples import small_model

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("rough_pictures")]
WATER = [ase.build.molecule("H2O") for _ in range(4)]
for _k, _atoms in enumerate(WATER):
    _atoms.positions[1, 0] += 0.01 * _k


@dataclass(frozen=True)
class Kind:
    """Something that is left and read again: how it is made, which of its files are damaged, how it is read."""

    make: Callable[[Path], Any]
    read: Callable[[Path], object]
    files: tuple[str, ...]
    needs: tuple[str, ...] = ()
    slow: bool = False  # only some damages then


def _explained(folder: Path) -> None:
    from atomlens.runs import explained_frames, write_run
    from atomlens.tables import RunInfo

    model = small_model()
    for name in ("a", "b"):
        with RunFolder(folder / name) as run:
            info = RunInfo("m", "w.xyz", model.facts, "", {"rule": "gate"}, 1)
            write_run(run, explained_frames(model, WATER[:1], max_order=2), 1, info, time.perf_counter())


def _compared(folder: Path) -> list[dict[str, Any]]:
    from atomlens.cli.compare import compare

    compare([folder / "a", folder / "b"], folder / "both")
    return pl.read_parquet(folder / "both" / "pairs.parquet").drop("model").to_dicts()


def _analysed(folder: Path) -> None:
    from atomlens.analyses import chosen_questions
    from atomlens.runs import AnalysisOptions, run_analysis

    options = AnalysisOptions(chosen_questions("species"), max_order=2)
    run_analysis(small_model(), "m", [ase.build.molecule(n) for n in ("H2O", "CH3OH")], "w.xyz", folder / "a", options)
    copied(folder / "a", folder / "b")


def _judged(folder: Path) -> None:
    """Runs without what their pictures are drawn from, since drawing takes most of the time of a comparison."""
    _analysed(folder)
    for name in ("a", "b"):
        shutil.rmtree(folder / name / "questions")


def _verdicts(folder: Path) -> list[str]:
    from atomlens.cli.compare import compare

    compare([folder / "a", folder / "b"], folder / "both")
    return pl.read_parquet(folder / "both" / "verdicts.parquet").columns


def _answers(folder: Path) -> list[str]:
    from atomlens.analyses import AnalysisInputs, chosen_questions
    from atomlens.runs import answering
    from atomlens.surveys import no_progress

    nothing = AnalysisInputs(small_model(), [], {})  # what is answered already is not asked again
    chapters = answering.answer(chosen_questions("species"), nothing, folder / "a" / "questions", 1, no_progress)
    return [chapter.title for chapter in chapters]


def _surveyed(folder: Path) -> None:
    from atomlens.surveys import shards

    merge = shards.merge_tables
    shards.merge_tables = _stop
    try:
        _survey(folder)
    except KeyboardInterrupt:
        pass
    finally:
        shards.merge_tables = merge


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def _survey(folder: Path) -> list[dict[str, Any]]:
    from atomlens.surveys import read_tables, survey_structures

    survey_structures(small_model(), WATER, folder, shard_size=2, max_order=2)
    return [table.to_dicts() for table in read_tables(folder).values()]


def _simulated(folder: Path, stop: int = 4) -> object:
    from atomlens.dynamics import MDOptions, simulate, simulation

    before, simulation.FRAMES_PER_PART = simulation.FRAMES_PER_PART, 2
    options = MDOptions(n_replicas=2, n_steps=12, interval=2, temperature=300.0)

    def report(frame: int, *_: object) -> None:
        if frame == stop:
            raise KeyboardInterrupt

    try:
        model = load_model("zoo:rmd17-ethanol-schnet")
        done = simulate(model, ase.build.molecule("CH3CH2OH"), folder, options, report=report)  # pyright: ignore[reportArgumentType]
        return [done.observables.to_dicts(), done.frames(1)[1].tolist()]
    except KeyboardInterrupt:
        return None
    finally:
        simulation.FRAMES_PER_PART = before


def _trained(folder: Path) -> object:
    from atomlens.training import train

    config = folder.parent / "springs.toml"
    if not config.exists():
        frames = []
        for k in range(12):
            atoms = ase.build.molecule("H2O")
            atoms.positions[1, 0] += 0.01 * k
            atoms.info["energy"] = -2000.0 + 0.01 * k**2
            frames.append(atoms)
        ase.io.write(config.with_suffix(".xyz"), frames, format="extxyz")
        config.write_text(
            'name = "w"\n[data]\npath = "springs.xyz"\nn_train = 10\nn_val = 2\n'
            "[model]\nn_features = 4\nn_layers = 1\n[fit]\nepochs = 2\nbatch_size = 4\n"
        )
    result = train(config, folder, resume=True, report=lambda _: None)
    return str(result.test)


def _dataset(folder: Path) -> None:
    from atomlens.data import read_dataset, save_dataset

    for atoms in WATER:
        atoms.info["energy"] = -76.0
    ase.io.write(folder / "w.xyz", WATER, format="extxyz")
    save_dataset(read_dataset(folder / "w.xyz"), folder / "set")


def _loaded(folder: Path) -> list[str]:
    from atomlens.data import load_dataset

    dataset = load_dataset(folder / "set")
    return [dataset.atoms(k).get_chemical_formula() for k in range(len(dataset))]


def _xtb(folder: Path) -> object:
    from atomlens.data import XtbSettings, make_xtb

    ase.io.write(folder.parent / "w.xyz", WATER[0])
    dataset = make_xtb(folder.parent / "w.xyz", folder, XtbSettings(frames=2, interval=1, burn_in=0))
    return np.asarray(dataset.positions).tolist()


def _xtb_stopped(folder: Path) -> None:
    _xtb(folder)
    shutil.rmtree(folder / "dataset")
    (folder / "frames.xyz").unlink()


def _organic(folder: Path) -> None:
    from atomlens.data import organic

    np.savez(folder / "00000.npz", **organic._free_atoms({1: -10.0, 8: -90.0}))
    (folder / "molecules.json").write_text('["C", "CC"]')


def _organic_again(folder: Path) -> object:
    from atomlens.data import OrganicSettings, organic

    settings = OrganicSettings(molecules=2)
    found = organic._collect([folder / "00000.npz"], settings, {1: -10.0, 8: -90.0})
    return organic._molecules(folder, settings), found.starts.tolist()


@dataclass(frozen=True)
class Stored:
    """A result of every kind of field."""

    table: pl.DataFrame
    number: float
    count: int
    texts: tuple[str, ...]
    named: dict[str, float]


KINDS = {
    "the marker of a folder": Kind(
        lambda folder: open_run(folder / "run", {}, ("a.txt",)).__enter__() and (folder / "run/a.txt").write_text("a"),
        lambda folder: open_run(folder / "run", {}, ("a.txt",), True).__enter__() and None,
        ("run/.atomlens.json",),
    ),
    "what a run was asked": Kind(
        lambda folder: open_run(folder / "run", {"seed": 1}, ()).__enter__(),
        lambda folder: open_run(folder / "run", {"seed": 1}, ()).__enter__() and None,
        ("run/started.json",),
    ),
    "an explanation": Kind(_explained, _compared, ("a/summary.json", "a/pairs.parquet", "b/atoms.parquet")),
    "an analysis": Kind(
        _judged, _verdicts, ("a/summary.json", "b/tables/survey.json", "b/tables/atoms.parquet"), slow=True
    ),
    "answers": Kind(
        _analysed, _answers, ("a/questions/species/result.json", "a/questions/species/classes.parquet"), slow=True
    ),
    "a survey": Kind(_surveyed, _survey, ("survey.json", "shards/000001/shard.json", "shards/000000/pairs.parquet")),
    "a result": Kind(
        lambda folder: save_result(Stored(pl.DataFrame({"x": [1.0]}), 1.5, 2, ("a",), {"b": 0.5}), folder / "r"),
        lambda folder: load_result(Stored, folder / "r").table.to_dicts(),
        ("r/result.json", "r/table.parquet"),
    ),
    "a simulation": Kind(
        _simulated,
        lambda folder: _simulated(folder, stop=-1),
        ("settings.json", "checkpoint.safetensors", "observables-00000.parquet", "frames-00000.npz"),
        ("torch_sim",),
        slow=True,
    ),
    "a training": Kind(
        _trained,
        _trained,
        ("checkpoint.pt", "split.json", "metrics.csv", "card.json"),
        ("tensorboard",),
        slow=True,
    ),
    "a data set": Kind(_dataset, _loaded, ("set/meta.json", "set/numbers.npy", "set/starts.npy", "set/column0.npy")),
    "a trajectory": Kind(_xtb_stopped, _xtb, ("trajectory.json", "block-00000.npz"), ("tblite",)),
    "an organic set": Kind(_organic, _organic_again, ("molecules.json", "00000.npz")),
    "a model": Kind(
        lambda folder: save_model(small_model(), folder / "m.safetensors"),
        lambda folder: load_model(folder / "m.safetensors").facts.architecture,
        ("m.safetensors",),
    ),
}
CASES = [(kind, file) for kind, one in KINDS.items() for file in one.files]
SOME = ("gone", "cut off", "one bit in the middle", "nested without end", "a folder", "a pipe")
DAMAGED = [(*case, damage) for case in CASES for damage in (SOME if KINDS[case[0]].slow else DAMAGES)]


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, object]]:
    """The folder of a kind, made once, and what is read from a copy of it."""
    made: dict[str, tuple[Path, object]] = {}

    def home(name: str) -> tuple[Path, object]:
        for library in KINDS[name].needs:
            pytest.importorskip(library, exc_type=ImportError)
        if name not in made:
            folder = tmp_path_factory.mktemp("kind") / "home"
            folder.mkdir()
            KINDS[name].make(folder)
            made[name] = folder, KINDS[name].read(copied(folder, folder.parent / "sound"))
        return made[name]

    return home


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _check(kind: Kind, folder: Path, expected: object, what: str) -> None:
    """The same result, or one line, after which every file is as it was."""
    before = _files(folder)
    try:
        found = kind.read(folder)
    except InputError as error:
        message = str(error)
        assert "\n" not in message, what
        assert len(message) < 1000, what
        after = _files(folder)
        assert {name for name in before if after.get(name) != before[name]} <= {"checkpoint.safetensors"}, what
    except BaseException as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error
    else:
        assert found == expected, what


@pytest.mark.parametrize(("kind", "file", "damage"), DAMAGED, ids=lambda value: value.replace(" ", "-"))
def test_a_damaged_file_is_named_or_made_again(
    homes: Callable[[str], tuple[Path, object]], tmp_path: Path, kind: str, file: str, damage: str
) -> None:
    home, expected = homes(kind)
    folder = copied(home, home.parent / "damaged")
    DAMAGES[damage](folder / file)
    _check(KINDS[kind], folder, expected, f"{file} {damage}")


@pytest.mark.parametrize(("kind", "file"), [case for case in CASES if case[1].endswith(".json")])
def test_entries_that_are_missing_or_something_else(
    homes: Callable[[str], tuple[Path, object]], kind: str, file: str
) -> None:
    home, expected = homes(kind)
    for what, damage in json_damages(home / file, 4 if KINDS[kind].slow else 15):
        folder = copied(home, home.parent / "damaged")
        damage(folder / file)
        _check(KINDS[kind], folder, expected, what)
    assert json.loads((home / file).read_text())
