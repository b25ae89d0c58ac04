"""Every model in the zoo's folder opens, tells what it is, is small, and goes into the wheel."""

from __future__ import annotations

import tomllib
from pathlib import Path

import ase.build
import pytest

import atomlens
from atomlens import InputError, load_model
from atomlens.models import CARD_KEYS, is_zoo_name, save_model, zoo_config, zoo_names, zoo_path

ROOT = Path(__file__).parents[2]
SIZE, ALL_SIZES = 1e6, 12e6
METHANE, WATER = ase.build.molecule("CH4"), ase.build.molecule("H2O")


def test_there_are_models():
    assert len(zoo_names()) >= 3


@pytest.mark.parametrize("name", zoo_names())
def test_a_shipped_model_opens_and_its_card_is_whole(name):
    model = load_model(f"zoo:{name}")
    assert model.config.card["name"] == name
    assert [key for key in CARD_KEYS if key not in model.config.card] == []
    assert zoo_config(name).representation == model.config.representation
    card = zoo_config(name).card
    assert card["split"]["train"] > 0
    assert card["command"].startswith("atomlens train configs/")
    assert (ROOT / card["command"].split()[2]).is_file(), "the card's command needs its configuration"
    errors = [str(value) for found in card["errors"].values() for key, value in found.items() if key.endswith("MAE")]
    assert errors
    for error in errors:  # a number and its unit
        assert float(error.split()[0]) > 0
        assert error.split()[1]
    assert zoo_path(name).stat().st_size < SIZE
    known = METHANE if 6 in (model.config.elements or (6,)) else WATER
    assert abs(atomlens.explain(model, known).residual) < 1e-8


def test_the_zoo_is_small_altogether():
    assert sum(zoo_path(name).stat().st_size for name in zoo_names()) < ALL_SIZES


def test_the_wheel_is_to_hold_models_molecules_and_templates():
    """Which files the package asks for; .ci/run looks into the wheel itself."""
    source = ROOT / "src" / "atomlens"
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["atomlens"]
    packed = {path for pattern in patterns for path in source.glob(pattern)}
    wanted = {path for path in source.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc", ".so")}
    assert {zoo_path(name) for name in zoo_names()} <= wanted
    assert sorted(wanted - packed) == []


def test_the_organic_model_has_a_short_name(tmp_path, monkeypatch):
    assert zoo_path("organic") == zoo_path("zoo:organic-painn")
    assert load_model("organic").config.card["name"] == "organic-painn"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "organic").mkdir()  # what `atomlens data organic --out organic` makes
    assert is_zoo_name("organic")
    (tmp_path / "organic").rmdir()
    save_model(load_model("zoo:qm9-u0-schnet"), tmp_path / "organic")
    assert load_model("organic").config.card["name"] == "qm9-u0-schnet"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("qm9-u0-pain", "did you mean qm9-u0-painn"),
        ("zoo:qm9-u0-schnett", "did you mean qm9-u0-schnet"),
        ("xyz", "it has organic-painn"),
        ("../../secret", "no model of that name"),
        ("", "no model of that name"),
    ],
)
def test_a_name_that_is_not_there(asked, said):
    with pytest.raises(InputError) as error:
        zoo_path(asked)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_zoo_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr("atomlens.models.files.shipped._folder", lambda: tmp_path)
    with pytest.raises(InputError, match="the zoo is empty"):
        zoo_path("qm9-u0-painn")


def test_a_damaged_file_is_one_line(monkeypatch, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{broken")
    monkeypatch.setattr("atomlens.models.files.shipped._folder", lambda: tmp_path)
    with pytest.raises(InputError, match="damaged"):
        zoo_config("x")
