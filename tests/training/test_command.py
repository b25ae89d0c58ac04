"""``atomlens train`` and ``atomlens data`` as a user meets them."""

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from atomlens import InputError
from atomlens.cli import main
from atomlens.training import train

RESUMED = ("--resume", "--device", "cpu")


def process(*args: str | Path) -> tuple[int, str, str]:
    """Run the command as a user does: it remembers what was typed."""
    command = [sys.executable, "-m", "atomlens", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def here(capsys: pytest.CaptureFixture[str], *args: str | Path) -> tuple[int, str, str]:
    """Run the command in this process, which has torch already."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as end:
            main(list(map(str, args)))
    finally:
        signal.signal(signal.SIGTERM, handler)
    return int(end.value.code or 0), *capsys.readouterr()


def test_resume(make_config: Callable[..., Path], tmp_path: Path) -> None:
    config, out = make_config(epochs=2), tmp_path / "run"
    train(config, out, max_hours=0.0, report=lambda line: None)
    code, said, _ = process("train", config, "--out", out, *RESUMED)
    assert code == 0
    assert "epoch 2/2" in said
    assert "epoch 1/2" not in said
    assert "meV/Å" in said
    card = json.loads((out / "card.json").read_text())
    assert card["command"] == shlex.join(["atomlens", "train", str(config), "--out", str(out), *RESUMED])
    assert card["epochs"] == 2


def test_a_misspelt_setting_is_bad_input(
    make_config: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config()
    config.write_text(config.read_text().replace("lr = 5e-3", "leraning_rate = 5e-3"))
    code, _, said = here(capsys, "train", config, "--out", tmp_path / "run")
    assert code == 2
    assert "unknown setting 'fit.leraning_rate'" in said
    assert said.count("\n") == 1


def test_check_tells_units(
    make_config: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_config()
    path = tmp_path / "springs.npz"
    code, said, _ = here(capsys, "data", "check", path)
    assert code == 0
    assert "units assumed: energies kcal/mol" in said
    assert "match energies" in said


@pytest.mark.parametrize("out", ["file", "file/run", "/dev/null", "/dev/null/run"])
def test_a_file_in_place_of_the_folder(make_config: Callable[..., Path], tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"name another folder|name a folder") as refused:  # exit code 2
        train(make_config(epochs=1), tmp_path / out, report=lambda line: None)
    assert "\n" not in str(refused.value)
    assert (tmp_path / "file").read_text() == "mine"
