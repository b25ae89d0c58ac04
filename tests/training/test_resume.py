"""A run that is killed at any moment ends like one that is not."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from atomlens.structures import InputError
from atomlens.training import TrainingError, train

SCRIPT = "import sys; from atomlens.training import train; train(sys.argv[1], sys.argv[2], resume=True)"
EPOCHS = 16


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "model.safetensors")


def quiet(line: str) -> None:
    pass


def same(a: Path, b: Path) -> bool:
    left, right = weights(a), weights(b)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def epochs_logged(folder: Path) -> list[int]:
    with (folder / "metrics.csv").open(newline="") as file:
        return [int(row["epoch"]) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_killed_runs_end_bit_for_bit_like_whole_ones(make_config: Callable[..., Path], tmp_path: Path) -> None:
    config = make_config(epochs=EPOCHS)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(config, whole, report=quiet)
    moments = random.Random(5)
    kills = 0
    for attempt in range(2):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(config), str(killed)], stdout=subprocess.PIPE)
        with process:
            assert process.stdout is not None
            # Let it finish some epochs, then strike anywhere in the next: steps, validation or writing.
            for _ in range(3 + 2 * attempt):
                process.stdout.readline()
            time.sleep(moments.uniform(0.0, 0.05))
            os.kill(process.pid, signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
    train(config, killed, report=quiet, resume=True)
    assert kills == 2
    assert same(whole, killed)
    assert epochs_logged(killed) == epochs_logged(whole) == list(range(1, EPOCHS + 1))
    assert (killed / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()


@pytest.mark.parametrize("schedule", ["plateau", "cosine"])
@pytest.mark.parametrize("architecture", ["schnet", "painn"])
def test_runs_are_reproducible_and_seeds_matter(
    make_config: Callable[..., Path], tmp_path: Path, architecture: str, schedule: str
) -> None:
    config = make_config(architecture=architecture, schedule=schedule)
    first = train(config, tmp_path / "a", report=quiet)
    torch.rand(7)
    train(config, tmp_path / "b", report=quiet)
    assert same(tmp_path / "a", tmp_path / "b")
    config.write_text(config.read_text().replace("seed = 3", "seed = 4"))
    train(config, tmp_path / "c", report=quiet)
    assert not same(tmp_path / "a", tmp_path / "c")
    assert first.card["split"] == {"train": 40, "validation": 10, "test": 10, "seed": 0}


def test_a_stopped_run_goes_on(make_config: Callable[..., Path], tmp_path: Path) -> None:
    config = make_config(epochs=6)
    train(config, tmp_path / "whole", report=quiet)
    train(config, tmp_path / "parts", report=quiet, max_hours=0.0)
    assert epochs_logged(tmp_path / "parts") == [1]
    train(config, tmp_path / "parts", report=quiet, resume=True)
    assert same(tmp_path / "whole", tmp_path / "parts")


def test_what_is_drawn_at_random_goes_on(make_config: Callable[..., Path], tmp_path: Path) -> None:
    def noise(model: torch.nn.Module, step: int) -> torch.Tensor:
        return 1e-2 * sum((torch.randn_like(p) * p).sum() for p in model.parameters())

    config = make_config(epochs=3)
    train(config, tmp_path / "whole", report=quiet, penalty=noise)
    train(config, tmp_path / "parts", report=quiet, penalty=noise, max_hours=0.0)
    torch.rand(7)
    train(config, tmp_path / "parts", report=quiet, penalty=noise, resume=True)
    assert same(tmp_path / "whole", tmp_path / "parts")


def test_optimisation_may_change_between_parts(make_config: Callable[..., Path], tmp_path: Path) -> None:
    config = make_config(epochs=2, extra="clip = 5.0\n")
    train(config, tmp_path / "run", report=quiet)
    config.write_text(config.read_text().replace("lr = 5e-3", "lr = 1e-3").replace("epochs = 2", "epochs = 4"))
    train(config, tmp_path / "run", resume=True, report=quiet)
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        rates = [float(row["lr"]) for row in csv.DictReader(file)]
    assert rates == pytest.approx([5e-3, 5e-3, 1e-3, 1e-3])


def test_resume_refuses_another_run(make_config: Callable[..., Path], tmp_path: Path) -> None:
    config = make_config(epochs=1)
    train(config, tmp_path / "run", report=quiet)
    with pytest.raises(InputError, match="--resume"):
        train(config, tmp_path / "run", report=quiet)
    text = config.read_text()
    config.write_text(text.replace("n_features = 8", "n_features = 9"))
    with pytest.raises(InputError, match=r"another model\.n_features"):
        train(config, tmp_path / "run", resume=True, report=quiet)
    config.write_text(text)
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"PK half a checkpoint")
    with pytest.raises(InputError, match="not a checkpoint"):
        train(config, tmp_path / "run", resume=True, report=quiet)


def shuffle(path: Path) -> None:
    with np.load(path) as data:
        order = np.random.default_rng(1).permutation(len(data["E"]))
        np.savez(path, z=data["z"], R=data["R"][order], E=data["E"][order], F=data["F"][order])


@pytest.mark.parametrize("lost", ["", "split.json"])
def test_resume_refuses_other_data(make_config: Callable[..., Path], tmp_path: Path, lost: str) -> None:
    config, out = make_config(epochs=2), tmp_path / "run"
    train(config, out, report=quiet, max_hours=0.0)
    before = (out / "checkpoint.pt").read_bytes()
    shuffle(tmp_path / "springs.npz")
    if lost:
        (out / lost).unlink()
    with pytest.raises(InputError, match=r"structures, their order, or .* changed|changed since the run") as refused:
        train(config, out, resume=True, report=quiet)
    assert "\n" not in str(refused.value)
    assert "restore" in str(refused.value)
    assert (out / "checkpoint.pt").read_bytes() == before
    make_config(epochs=2)  # writes the same data again
    assert train(config, out, resume=True, report=quiet).card["epochs"] == 2


def test_runs_of_versions_without_a_digest_go_on(make_config: Callable[..., Path], tmp_path: Path) -> None:
    config, out = make_config(epochs=3), tmp_path / "run"
    train(config, out, report=quiet, max_hours=0.0)
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    del state["data"], state["config"]["fit"]["charge_weight"]
    torch.save(state, out / "checkpoint.pt")
    split = json.loads((out / "split.json").read_text())
    (out / "split.json").write_text(json.dumps({name: split[name] for name in ("seed", "train", "val", "test")}))
    train(config, out, resume=True, report=quiet)
    train(config, tmp_path / "whole", report=quiet)
    assert same(out, tmp_path / "whole")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("energy_weight = 0.01", "energy_weight = 20.0", r"started with fit.energy_weight = 0.01, received 20; losses"),
        ("force_weight = 0.99", "force_weight = 0.5", r"started with fit.force_weight = 0.99, received 0.5; losses"),
    ],
)
def test_resume_refuses_other_weights_of_the_loss(
    make_config: Callable[..., Path], tmp_path: Path, old: str, new: str, message: str
) -> None:
    config = make_config(epochs=1)
    train(config, tmp_path / "run", report=quiet)
    text = config.read_text()
    config.write_text(text.replace(old, new).replace("epochs = 1", "epochs = 2"))
    with pytest.raises(InputError, match=message):
        train(config, tmp_path / "run", resume=True, report=quiet)
    config.write_text(text.replace("epochs = 1", "epochs = 2"))
    assert train(config, tmp_path / "run", resume=True, report=quiet).card["epochs"] == 2


@pytest.mark.parametrize("changed", ["split_seed = 7", "n_test = 5"])
def test_a_split_that_no_epoch_belongs_to_is_made_again(
    make_config: Callable[..., Path], tmp_path: Path, changed: str
) -> None:
    config, out = make_config(epochs=1), tmp_path / "run"
    text = config.read_text()
    config.write_text(text.replace("lr = 5e-3", "lr = 1e9"))
    with pytest.raises(TrainingError, match="no epoch was finished, nothing is kept"):
        train(config, out, report=quiet)
    left = (out / "split.json").read_text()
    config.write_text(text.replace("n_val = 10", f"n_val = 10\n{changed}"))
    train(config, out, report=quiet)
    train(config, tmp_path / "fresh", report=quiet)
    assert (out / "split.json").read_text() == (tmp_path / "fresh" / "split.json").read_text() != left
    assert same(out, tmp_path / "fresh")


def test_a_split_that_the_user_gives_is_taken_as_it_is(make_config: Callable[..., Path], tmp_path: Path) -> None:
    config, out = make_config(epochs=1), tmp_path / "run"
    text = config.read_text()
    train(config, tmp_path / "first", report=quiet)
    out.mkdir()
    (out / "split.json").write_text((tmp_path / "first" / "split.json").read_text())
    wanted = json.loads((out / "split.json").read_text())
    other = text.replace("n_val = 10", "n_val = 10\nsplit_seed = 7")
    config.write_text(other.replace("lr = 5e-3", "lr = 1e9"))
    with pytest.raises(TrainingError, match="nothing is kept"):
        train(config, out, report=quiet)
    config.write_text(other)
    train(config, out, report=quiet)
    kept = json.loads((out / "split.json").read_text())
    assert all(kept[name] == wanted[name] for name in ("seed", "train", "val", "test"))
    (tmp_path / "third").mkdir()
    (tmp_path / "third" / "split.json").write_text(json.dumps(wanted))
    config.write_text(text.replace("n_val = 10", "n_val = 10\nn_test = 5"))
    with pytest.raises(InputError, match=r"10 test structures, the configuration asks for .* 5 test"):
        train(config, tmp_path / "third", report=quiet)
    # A model of another property of the same structures may have the split, one of other structures may not.
    data = dict(np.load(tmp_path / "springs.npz"))
    np.savez(tmp_path / "springs.npz", **(data | {"E": 2.0 * data["E"], "F": 2.0 * data["F"]}))
    (tmp_path / "twice").mkdir()
    (tmp_path / "twice" / "split.json").write_text(json.dumps(wanted))
    config.write_text(text)
    train(config, tmp_path / "twice", report=quiet)
    shared = json.loads((tmp_path / "twice" / "split.json").read_text())
    assert [shared[name] for name in ("train", "val", "test")] == [wanted[name] for name in ("train", "val", "test")]
    shuffle(tmp_path / "springs.npz")
    with pytest.raises(InputError, match="belongs to other data: structures, their order, or energy, forces have"):
        train(config, tmp_path / "third", report=quiet)
    assert json.loads((tmp_path / "third" / "split.json").read_text()) == wanted
