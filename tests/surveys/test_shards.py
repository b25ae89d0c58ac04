"""Data sets in shards: nothing lost, nothing twice, whatever happens on the way."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import ase
import ase.io
import numpy as np
import polars as pl
import pytest

import atomlens
from atomlens.models import save_model
from atomlens.structures import InputError
from atomlens.surveys import XyzFrames, shards, stream, survey_structures
from atomlens.surveys.shard import make_shard, shard_folder
from samples import branched, small_model

NAMES = ("frames", "atoms", "pairs", "triples", "skipped")


def shaken(count: int, seed: int = 0) -> list[ase.Atoms]:
    rng = np.random.default_rng(seed)
    structures = [branched() for _ in range(count)]
    for atoms in structures:
        atoms.positions += rng.normal(0, 0.05, (5, 3))
    return structures


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / f"{name}.parquet").read_bytes() for name in NAMES}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    save_model(small_model(), path)
    return path


@pytest.fixture(scope="module")
def xyz(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("frames") / "many.xyz"
    ase.io.write(path, shaken(24))
    return path


@pytest.fixture(scope="module")
def undisturbed(model, xyz, tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    result = survey_structures(model, xyz, folder, shard_size=2, max_order=3)
    assert (result.n_done, result.n_skipped) == (24, 0)
    return contents(folder)


def test_tables_hold_what_explain_says(model, tmp_path):
    structures = shaken(5)
    folder = survey_structures(model, structures, tmp_path / "run", shard_size=2, max_order=2).folder
    tables = {name: pl.read_parquet(folder / f"{name}.parquet") for name in ("frames", "atoms", "pairs")}
    assert not (folder / "triples.parquet").exists()
    assert tables["frames"]["frame"].to_list() == [0, 1, 2, 3, 4]
    for k, atoms in enumerate(structures):
        terms = atomlens.explain(small_model(), atoms).interactions(2)
        rows = tables["pairs"].filter(pl.col("frame") == k)
        np.testing.assert_array_equal(rows.select("atom_1", "atom_2").to_numpy(), terms.order(2).atoms)
        np.testing.assert_allclose(rows["relevance_eV"], terms.order(2).relevance, rtol=0, atol=1e-12)
        assert tables["frames"]["remainder_eV"][k] == pytest.approx(terms.remainder, abs=1e-12)


def test_walks_on_request(model, tmp_path):
    folder = survey_structures(model, shaken(3), tmp_path / "run", levels=["walks"], top_walks=4).folder
    walks = pl.read_parquet(folder / "walks.parquet")
    assert walks["frame"].to_list() == [0] * 4 + [1] * 4 + [2] * 4
    assert walks["rank"].to_list() == [1, 2, 3, 4] * 3
    assert not (folder / "pairs.parquet").exists()


def answer(process: subprocess.Popen[str]) -> str:
    """Next line of a process, asked for by a line to it."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline()


@pytest.mark.slow
def test_twenty_kills(model, xyz, undisturbed, tmp_path):
    """Kill -9 twenty times, at random; the same call goes on, and ends with every byte as if nothing had happened."""
    chance = random.Random(0)
    script, folder = Path(__file__).with_name("survey_process.py"), tmp_path / "run"
    command = [sys.executable, str(script), str(model), str(xyz), str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    kills = goings_on = finished = 0
    longest = 0.3  # seconds; it settles where about half of the attempts finish a shard
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        while kills < 20 or not goings_on:
            child = int(answer(process))
            time.sleep(chance.uniform(0.0, longest))
            os.kill(child, signal.SIGKILL)  # it is there until it is waited for, even if it is done
            code = int(answer(process))
            if code == 0:
                assert contents(folder) == undisturbed
                shutil.rmtree(folder)
                finished = 0
                continue
            assert code == -signal.SIGKILL
            kills += 1
            now = len(list((folder / "shards").glob("[0-9]*")))
            merging = (folder / "frames.parquet").exists()
            assert now >= finished or merging, "a finished shard was lost"
            goings_on += finished > 0
            longest *= 1.3 if now == finished else 0.8
            finished = now
    assert goings_on > 0
    survey_structures(model, xyz, folder, shard_size=2, max_order=3)
    assert contents(folder) == undisturbed
    assert not list(folder.glob("**/.*.part*"))


@pytest.mark.parametrize("harm", ["truncated", "changed", "missing", "no note"])
def test_damaged_shards_are_made_again(harm, model, xyz, undisturbed, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as context:
        context.setattr(shards, "merge_tables", interrupted)
        with pytest.raises(KeyboardInterrupt):
            survey_structures(model, xyz, folder, shard_size=2, max_order=3)
    pairs = shard_folder(folder, 3) / "pairs.parquet"
    data = pairs.read_bytes()
    if harm == "truncated":
        pairs.write_bytes(data[:-10])
    elif harm == "changed":
        pairs.write_bytes(data[:50] + bytes([data[50] ^ 1]) + data[51:])
    elif harm == "missing":
        pairs.unlink()
    else:
        (shard_folder(folder, 3) / "shard.json").unlink()
    made = []
    survey_structures(model, xyz, folder, shard_size=2, max_order=3, progress=lambda *what: made.append(what))
    assert made[0] == ("explain", 22, 24)
    assert contents(folder) == undisturbed


def interrupted(*args: object) -> int:
    raise KeyboardInterrupt


def test_a_finished_run_is_not_made_again(model, tmp_path, monkeypatch):
    first = survey_structures(model, shaken(4), tmp_path / "run", shard_size=2)
    monkeypatch.setattr(shards, "work", interrupted)
    assert survey_structures(model, shaken(4), tmp_path / "run", shard_size=2) == first
    assert not (tmp_path / "run" / "shards").exists()


def test_runs_do_not_mix(model, tmp_path):
    run, structures = tmp_path / "run", shaken(4)
    survey_structures(model, structures, run)
    with pytest.raises(InputError, match="another model"):
        survey_structures(small_model(seed=1), structures, run)
    with pytest.raises(InputError, match="other structures"):
        survey_structures(model, shaken(4, seed=1), run)
    for other in ({"max_order": 3}, {"rule": "gamma"}, {"levels": ["frames"]}, {"shard_size": 2}):
        with pytest.raises(InputError, match="other settings"):
            survey_structures(model, structures, run, **other)
    assert survey_structures(small_model(), structures, run).n_done == 4  # the same model, however it is given


def test_two_at_once(model, tmp_path):
    def second(*what: object) -> None:
        with pytest.raises(InputError, match="another process"):
            survey_structures(model, shaken(2), tmp_path / "run")

    assert survey_structures(model, shaken(2), tmp_path / "run", progress=second).n_done == 2


def test_bad_structures_are_told_and_left_out(tmp_path):
    broken = branched()
    broken.positions[1, 0] = np.nan
    structures = [*shaken(2), broken, ase.Atoms("U"), ase.Atoms(), InputError("frame is torn"), *shaken(1)]
    folder = tmp_path / "run"
    result = survey_structures(small_model(), structures, folder, shard_size=3)
    assert (result.n_done, result.n_skipped) == (3, 4)
    skipped = pl.read_parquet(folder / "skipped.parquet")
    assert skipped["frame"].to_list() == [2, 3, 4, 5]
    for reason, word in zip(skipped["reason"], ("finite", "U", "no atoms", "torn"), strict=True):
        assert word in reason
    assert pl.read_parquet(folder / "frames.parquet")["frame"].to_list() == [0, 1, 6]


def test_predictions_that_are_not_finite_are_left_out(tmp_path, monkeypatch):
    model = small_model()
    model.atomrefs[3] = 1e308
    lithium = ase.Atoms("Li20", positions=[[1.2 * k, 0, 0] for k in range(20)])
    result = survey_structures(model, [branched(), lithium, branched()], tmp_path / "run")
    assert (result.n_done, result.n_skipped) == (2, 1)
    assert "cannot be a result" in pl.read_parquet(tmp_path / "run" / "skipped.parquet")["reason"][0]


def test_nothing_to_explain(model, tmp_path):
    with pytest.raises(InputError, match="none of the 2 structures"):
        survey_structures(model, [ase.Atoms("U"), ase.Atoms("U")], tmp_path / "run")
    with pytest.raises(InputError, match="no structure"):
        survey_structures(model, [], tmp_path / "other")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        survey_structures(model, shaken(1), tmp_path / "file")
    with pytest.raises(ValueError, match="triples"):
        survey_structures(model, shaken(1), tmp_path / "other", levels=["triples"])


@pytest.mark.parametrize("rows", [1, 2, 7, 10])
def test_tables_are_joined_whole_wherever_row_groups_end(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "_ROWS", rows)
    parts = [stream.write_table(pl.DataFrame({"a": [k, k]}), tmp_path / f"{k}.parquet") for k in range(5)]
    assert stream.merge_tables(parts, tmp_path / "all.parquet") == 10
    assert pl.read_parquet(tmp_path / "all.parquet")["a"].to_list() == sorted([*range(5), *range(5)])


class TestXyzFrames:
    def test_same_as_ase(self, xyz):
        frames = XyzFrames.of(xyz)
        expected = ase.io.read(xyz, ":")
        assert len(frames) == len(expected)
        for part in (slice(None), slice(3, 7), slice(None, None, -9)):
            assert list(frames[part]) == expected[part]

    def test_torn_frames(self, tmp_path):
        path = tmp_path / "x.xyz"
        path.write_text("1\n\nH 0 0 0\n1\n\nH 0 zero 0\n\n2\n\nH 0 0 0\nHe 0 0 9\n")
        good, torn, last = XyzFrames.of(path)
        assert (len(good), len(last)) == (1, 2)
        assert "'zero' is no coordinate" in str(torn)

    @pytest.mark.parametrize(
        ("text", "word"), [("", "no structure"), ("x\n", "number of atoms"), ("3\n\nH 0 0 0\n", "truncated")]
    )
    def test_no_xyz(self, text, word, tmp_path):
        (tmp_path / "x.xyz").write_text(text)
        with pytest.raises(InputError, match=word):
            XyzFrames.of(tmp_path / "x.xyz")
        with pytest.raises(InputError, match="cannot be read"):
            XyzFrames.of(tmp_path / "none.xyz")

    def test_one_frame_by_its_number(self, xyz):
        frames, expected = XyzFrames.of(xyz), ase.io.read(xyz, ":")
        for number in (0, 7, -1):
            assert frames[number] == expected[number]
        with pytest.raises(IndexError):
            frames[24]

    def test_a_torn_frame_by_its_number(self, tmp_path):
        path = tmp_path / "x.xyz"
        path.write_text("1\n\nH 0 0 0\n1\n\nH 0 zero 0\n")
        with pytest.raises(InputError, match=r"x\.xyz, frame 1: line 6 .*'zero' is no coordinate"):
            XyzFrames.of(path)[-1]

    def test_cell_vectors_below_the_atoms(self, tmp_path):
        path, cell = tmp_path / "x.xyz", "VEC1 5 0 0\nVEC2 0 5 0\nVEC3 0 0 5\n"
        path.write_text(f"1\n\nH 0 0 0\n{cell}1\n\nHe 0 0 0\n{cell}")
        assert list(XyzFrames.of(path)) == ase.io.read(path, ":")


@pytest.mark.slow
class TestWorkers:
    def test_any_number_of_workers(self, model, xyz, undisturbed, tmp_path):
        pytest.importorskip("distributed")
        survey_structures(model, xyz, tmp_path / "run", shard_size=2, max_order=3, n_workers=2)
        assert contents(tmp_path / "run") == undisturbed

    def test_a_killed_worker_costs_its_task_only(self, model, xyz, undisturbed, tmp_path):
        distributed = pytest.importorskip("distributed")
        folder, killed = tmp_path / "run", []
        with (
            distributed.LocalCluster(1, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster,
            distributed.Client(cluster) as client,
        ):

            def kill_once(what: str, done: int, total: int) -> None:
                if done >= 10 and not killed:
                    killed.extend(client.run(os.getpid).values())
                    os.kill(killed[0], signal.SIGKILL)

            address = cluster.scheduler_address
            survey_structures(model, xyz, folder, shard_size=2, max_order=3, scheduler=address, progress=kill_once)
            assert killed
            assert client.run(os.getpid) != dict.fromkeys(client.run(os.getpid), killed[0])
        assert contents(folder) == undisturbed

    def test_nobody_at_the_address(self, model, tmp_path, monkeypatch):
        distributed = pytest.importorskip("distributed")
        monkeypatch.setattr(distributed, "Client", refuse)
        with pytest.raises(InputError, match=r"--scheduler tcp://127.0.0.1:1: no Dask scheduler"):
            survey_structures(model, shaken(1), tmp_path / "run", scheduler="tcp://127.0.0.1:1")


def refuse(address: str, **options: object) -> None:
    raise OSError("timed out")


def test_a_shard_that_another_made_meanwhile_stays(model, tmp_path, monkeypatch):
    tasks = []
    monkeypatch.setattr(
        shards, "work", lambda given, *_: iter([tasks.append(task) or make_shard(task) for task in given])
    )
    monkeypatch.setattr(shards, "merge_tables", interrupted)
    with pytest.raises(KeyboardInterrupt):
        survey_structures(model, shaken(2), tmp_path / "run")
    note = shard_folder(tmp_path / "run", 0) / "shard.json"
    before = note.stat().st_ino
    assert make_shard(tasks[0]) == make_shard(tasks[0])
    assert note.stat().st_ino == before
    assert json.loads(note.read_text())["report"]["n_done"] == 2


def test_tables_that_go_on_keep_their_product_rule(tmp_path):
    model, structures = small_model("painn"), shaken(2)
    rules = {"rule": "gate", "levels": ["pairs"]}
    scalar = survey_structures(model, structures, tmp_path / "scalar", product_rule="scalar", **rules).folder
    found = [survey_structures(model, structures, tmp_path / name, **rules).folder for name in ("scalar", "new")]
    stored = [json.loads((folder / "survey.json").read_text())["options"]["product_rule"] for folder in found]
    assert (found[0], stored) == (scalar, ["scalar", "full"])
    with pytest.raises(InputError, match="other settings"):
        survey_structures(model, structures, scalar, product_rule="full", **rules)
