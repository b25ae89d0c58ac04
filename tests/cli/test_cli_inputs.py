"""`--overwrite` removes no input."""

from __future__ import annotations

import pytest
import typer.main
from cli_samples import run, write_inputs

from atomlens.cli.inputs import KeepsInputs
from atomlens.cli.main import app

pytestmark = pytest.mark.smoke


def test_every_command_that_overwrites_keeps_its_inputs():
    group = typer.main.get_command(app)
    commands = {name: group.get_command(None, name) for name in group.list_commands(None)}
    replacing = {n: c for n, c in commands.items() if {"overwrite", "out"} <= {p.name for p in c.params}}
    assert {"explain", "analyze", "compare", "md", "check", "response", "study"} <= set(replacing)
    reading = {name for name, command in replacing.items() if isinstance(command, KeepsInputs)}
    assert set(replacing) - reading == {"demo"}  # which reads nothing


@pytest.mark.parametrize("name", ["model.safetensors", "ethanol.xyz"])
def test_a_folder_with_an_input_in_it_is_not_replaced(tmp_path, monkeypatch, capsys, name):
    write_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "explain", "model.safetensors", "ethanol.xyz", "--out", "first").code == 0
    (tmp_path / name).rename(tmp_path / "first" / name)
    given = [f"first/{name}" if name == word else word for word in ("model.safetensors", "ethanol.xyz")]
    done = run(capsys, "explain", *given, "--out", "first", "--overwrite")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert f"--overwrite would remove first/{name}, which is read from" in done.err
    assert (tmp_path / "first" / name).is_file()


def test_a_comparison_does_not_replace_what_it_compares(tmp_path, monkeypatch, capsys):
    write_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    for out in ("a", "b"):
        assert run(capsys, "explain", "model.safetensors", "ethanol.xyz", "--out", out).code == 0
    done = run(capsys, "compare", "a", "b", "--out", "b", "--overwrite")
    assert (done.code, "--overwrite would remove b" in done.err) == (2, True)
    assert (tmp_path / "b" / "pairs.parquet").is_file()
    assert run(capsys, "compare", "a", "b", "--out", "both").code == 0
    assert run(capsys, "compare", "a", "b", "--out", "both", "--overwrite").code == 0
