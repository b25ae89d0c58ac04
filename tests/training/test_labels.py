"""Bad labels end in one line before the first epoch, and leave no folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from atomlens import InputError
from atomlens.data import Column, Dataset, Units, read_dataset, save_dataset
from atomlens.training import train

RNG = np.random.default_rng(0)


def quiet(line: str) -> None:
    pass


def labelled(path: Path) -> Dataset:
    """The springs with properties of every kind."""
    springs = read_dataset(path, Units(energy="eV"))
    n = len(springs)
    more = (
        Column("charges", "e", np.tile([-0.6, 0.35, 0.25], n), per_atom=True),
        Column("temperature", "K", np.linspace(200, 400, n)),
        Column("bond_orders", "", np.ones((n, 3, 3))),
        Column("smiles", "", np.array([b"O"] * n)),
        Column("unused", "eV", np.full(n, np.nan)),
    )
    return replace(springs, columns=(*springs.columns, *more))


def changed(dataset: Dataset, name: str, row: int, value: float) -> Dataset:
    """With one entry of a property, or of the positions, replaced."""
    if name == "positions":
        positions = dataset.positions.copy()
        positions[row] = value
        return replace(dataset, positions=positions)
    columns = [replace(c, values=c.values.copy()) for c in dataset.columns]
    next(c for c in columns if c.name == name).values[row] = value
    return replace(dataset, columns=tuple(columns))


def refusal(config: Path, out: Path) -> str:
    """The one line that a training ends with before it wrote anything."""
    with pytest.raises(InputError) as refused:
        train(config, out, report=quiet)
    assert "\n" not in str(refused.value)
    assert not out.exists()
    return str(refused.value)


@pytest.fixture
def folder_config(make_config: Callable[..., Path], tmp_path: Path) -> Path:
    """A configuration for the labelled springs in a data-set folder."""
    config = make_config(epochs=1)
    save_dataset(labelled(tmp_path / "springs.npz"), tmp_path / "set")
    text = config.read_text().replace('"springs.npz"', '"set"').replace('energy_unit = "eV"\n', "")
    config.write_text(text)
    return config


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "charges",
            "'charges' belongs to atoms; a model learns one number per structure: energy, temperature",
        ),
        ("forces", "property = 'forces' belongs to atoms"),
        ("bond_orders", "property = 'bond_orders' has 3 x 3 numbers per structure"),
        ("smiles", "property = 'smiles' is no number"),
    ],
)
def test_a_property_is_one_number_per_structure(folder_config: Path, tmp_path: Path, name: str, message: str) -> None:
    text = folder_config.read_text().replace("forces = true", f'property = "{name}"')
    folder_config.write_text(text.replace("force_weight = 0.99", ""))
    assert message in refusal(folder_config, tmp_path / "run")


def test_forces_are_those_of_an_energy(folder_config: Path, tmp_path: Path) -> None:
    folder_config.write_text(folder_config.read_text().replace("forces =", 'property = "temperature"\nforces ='))
    assert "property = 'temperature' in K; forces are those of an energy" in refusal(folder_config, tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "part", "value"),
    [
        ("energy", "val", np.nan),
        ("energy", "train", np.inf),
        ("forces", "test", np.nan),
        ("positions", "test", np.inf),
    ],
)
def test_numbers_that_are_none_are_found_first(
    folder_config: Path, tmp_path: Path, name: str, part: str, value: float
) -> None:
    train(folder_config, tmp_path / "whole", report=quiet)  # what is not used may hold anything
    k = json.loads((tmp_path / "whole" / "split.json").read_text())[part][0]
    dataset = labelled(tmp_path / "springs.npz")
    save_dataset(changed(dataset, name, k if name == "energy" else 3 * k + 1, value), tmp_path / "bad")
    folder_config.write_text(folder_config.read_text().replace('"set"', '"bad"'))
    assert f"{name} of structure {k} (from 0): {value} is no finite number" in refusal(folder_config, tmp_path / "run")


CHARGED = (("n_layers = 2", 'n_layers = 2\nlong_range = "coulomb"'), ("forces =", 'charges = "charges"\nforces ='))


def with_charges(config: Path, *more: tuple[str, str]) -> None:
    text = config.read_text() + "charge_weight = 10.0\n"
    for old, new in (*CHARGED, *more):
        text = text.replace(old, new)
    config.write_text(text)


def test_charges_of_ions_need_atoms_that_keep_theirs(folder_config: Path, tmp_path: Path) -> None:
    ions = changed(labelled(tmp_path / "springs.npz"), "charges", 3 * 7, 0.4)
    save_dataset(ions, tmp_path / "ions")
    with_charges(folder_config, ('"set"', '"ions"'))
    said = refusal(folder_config, tmp_path / "run")
    assert (
        "charges of structure 7 (from 0) add up to 1 e, but charge_balance = 'mean' gives every structure 0 e" in said
    )
    assert said.endswith("set charge_balance = 'none'")
    text = folder_config.read_text()
    folder_config.write_text(text.replace('"coulomb"', '"coulomb"\ncharge_balance = "neighbors"'))
    assert "charge_balance = 'neighbors' gives" in refusal(folder_config, tmp_path / "run")
    folder_config.write_text(text.replace('"coulomb"', '"coulomb"\ncharge_balance = "none"'))
    assert train(folder_config, tmp_path / "run", report=quiet).test["test"].charge_mae is not None


def test_ions_of_one_charge_may_have_a_total_charge(folder_config: Path, tmp_path: Path) -> None:
    cations = labelled(tmp_path / "springs.npz")
    columns = [replace(c, values=c.values + 1 / 3) if c.name == "charges" else c for c in cations.columns]
    save_dataset(replace(cations, columns=tuple(columns)), tmp_path / "cations")
    with_charges(folder_config, ('"set"', '"cations"'))
    assert "'none', or total_charge = 1.0" in refusal(folder_config, tmp_path / "run")
    folder_config.write_text(folder_config.read_text().replace('"coulomb"', '"coulomb"\ntotal_charge = 1.0'))
    assert train(folder_config, tmp_path / "run", report=quiet).test["test"].charge_mae is not None


@pytest.mark.parametrize(
    ("path", "name"), [("test.npz", "test.npz"), ("test", "test_path"), ("more.npz", "more"), ("in/test", "test_path")]
)
def test_errors_of_another_file_have_a_name_of_their_own(
    folder_config: Path, tmp_path: Path, path: str, name: str
) -> None:
    dataset = labelled(tmp_path / "springs.npz")
    if path.endswith(".npz"):
        (tmp_path / path).write_bytes((tmp_path / "springs.npz").read_bytes())
        path += '"\nenergy_unit = "eV'
    else:
        save_dataset(dataset.subset(np.arange(60)), tmp_path / path)
    folder_config.write_text(folder_config.read_text().replace("forces =", f'test_path = "{path}"\nforces ='))
    result = train(folder_config, tmp_path / "run", report=quiet)
    stored = json.loads((tmp_path / "run" / "errors.json").read_text())
    for found in (result.card["errors"], stored):
        assert list(found) == ["test", name]
    assert [stored[key]["n"] for key in stored] == [10, 60]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('energy_unit = "kcal/mol"', r"leave out --energy-unit (energy_unit), received 'kcal/mol'"),
        ('forces_key = "DFT_forces"', r"leave out --forces-key (forces_key), received 'DFT_forces'"),
    ],
)
def test_a_folder_has_its_own_units(folder_config: Path, tmp_path: Path, setting: str, message: str) -> None:
    folder_config.write_text(folder_config.read_text().replace("forces =", f"{setting}\nforces ="))
    said = refusal(folder_config, tmp_path / "run")
    assert "set: is a data set folder, which has its own units and entries" in said
    assert message in said


def test_a_device_that_is_not_there_and_hours_that_are_none(folder_config: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"device 'cuda:77' cannot be used here \(.*\); give 'cpu'"):
        train(folder_config, tmp_path / "run", report=quiet, device="cuda:77")
    with pytest.raises(InputError, match="device 'meta' computes nothing"):
        train(folder_config, tmp_path / "run", report=quiet, device="meta")
    for hours in (float("nan"), -1.0):
        with pytest.raises(InputError, match=f"max_hours = {hours}; give 0 or more hours"):
            train(folder_config, tmp_path / "run", report=quiet, max_hours=hours)
    assert not (tmp_path / "run").exists()
