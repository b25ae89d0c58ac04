"""`atomlens zoo`: names, table, cards and paths."""

import pytest
from cli_samples import run

from atomlens.models import zoo_config, zoo_names, zoo_path


def test_names_one_a_line(capsys):
    done = run(capsys, "zoo")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == zoo_names()


def test_the_table_names_every_model_with_its_error(capsys):
    done = run(capsys, "zoo", "list")
    assert (done.code, done.err) == (0, "")
    for name in zoo_names():
        (line,) = (line for line in done.out.splitlines() if line.strip().startswith(name + " "))
        assert zoo_config(name).output.property in line
        assert "MAE" in line


@pytest.mark.parametrize("prefix", ["", "zoo:"])
def test_the_card_shows_everything_it_has(capsys, prefix):
    name = zoo_names()[0]
    done = run(capsys, "zoo", "card", prefix + name)
    assert (done.code, done.err) == (0, "")
    config = zoo_config(name)
    for key in config.card:
        assert key == "name" or key in done.out
    assert config.card["command"] in done.out
    for errors in config.card["errors"].values():
        assert all(str(value) in done.out for name, value in errors.items() if "MAE" in name)


@pytest.mark.slow
def test_the_path_is_the_file(capsys):
    for name in zoo_names():
        done = run(capsys, "zoo", "path", name)
        assert (done.code, done.out.strip()) == (0, str(zoo_path(name)))


@pytest.mark.parametrize("command", ["card", "path"])
def test_an_unknown_name_gets_a_suggestion(capsys, command):
    done = run(capsys, "zoo", command, "qm9-u0-pain")
    assert (done.code, done.out) == (2, "")
    assert "did you mean qm9-u0-painn?" in done.err
    assert done.err.count("\n") == 1


def test_a_card_writes_extremes_as_ranges_and_lists_with_commas(capsys):
    said = " ".join(run(capsys, "zoo", "card", "organic-schnet").out.split())
    assert "atoms 1 to 61; charges -1, 0, 1; odd electrons no; periodic no" in said
    assert "H-H 1.22 to 5.0 Å, H-C 0.922 to 5.0 Å" in said
