import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ase
import ase.io
import numpy as np
import polars as pl
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator

from atomlens.data import (
    Column,
    Dataset,
    GraphStore,
    Units,
    find_edges,
    load_split,
    make_split,
    read_dataset,
    save_dataset,
)
from atomlens.interactions import explain
from atomlens.models import ModelConfig, OutputConfig, Potential, ReadoutConfig, RepresentationConfig
from atomlens.potentials import load_model
from atomlens.structures import InputError
from atomlens.training import FitSettings, TrainingError, evaluate, train
from atomlens.training.ema import WeightAverage
from atomlens.training.loop import Fit
from atomlens.training.standardise import composition, standardise


def quiet(line: str) -> None:
    pass


@pytest.mark.smoke
def test_training_learns_springs(make_config: Callable[..., Path], tmp_path: Path) -> None:
    said: list[str] = []
    result = train(make_config(epochs=40), tmp_path / "run", report=said.append)
    test = result.test["test"]
    assert test.force_mae is not None
    assert test.force_mae < 0.25  # springs pull by about 1.3 eV/Å
    card = json.loads(result.card_path.read_text())
    assert card == result.card
    assert card["errors"]["test"]["forces MAE"].endswith("meV/Å")
    assert "meV/Å" in said[-1]
    assert "meV," in said[-1]
    assert list((tmp_path / "run" / "tensorboard").iterdir())


@pytest.mark.parametrize("architecture", ["schnet", "painn"])
def test_long_range_models_learn_springs(make_config: Callable[..., Path], tmp_path: Path, architecture: str) -> None:
    config = make_config(epochs=8, architecture=architecture)
    options = 'long_range = "coulomb+dispersion"\nradial = "inverse_powers"\nenvelope = "polynomial"\nonset = 3.0\n'
    config.write_text(config.read_text().replace("n_layers = 2\n", "n_layers = 2\n" + options))
    result = train(config, tmp_path / "run", report=quiet)
    model = load_model(tmp_path / "run" / "model.safetensors")
    assert model.config.long_range.parts == ("coulomb", "dispersion")
    assert model.config.representation.radial.kind == "inverse_powers"
    assert model.long_range is not None
    torch.manual_seed(3)
    fresh = Potential(model.config)
    assert fresh.long_range is not None
    for name, parameter in model.long_range.named_parameters():
        if name != "charge.layers.1.bias":  # a shift of all charges is taken off again
            assert not torch.equal(parameter.float(), dict(fresh.long_range.named_parameters())[name]), name
    assert result.test["test"].force_mae is not None
    assert result.test["test"].force_mae < 1.3  # springs pull by about that


def with_charges(path: Path, folder: Path, charges: np.ndarray) -> None:
    """The springs as a data set whose atoms have charges."""
    springs = read_dataset(path, Units(energy="eV"))
    column = Column("charges", "e", np.tile(charges, len(springs)), per_atom=True)
    save_dataset(replace(springs, columns=(*springs.columns, column)), folder)


def test_learned_charges_are_those_that_they_are_fitted_to(make_config: Callable[..., Path], tmp_path: Path) -> None:
    config, charges = make_config(epochs=40, extra="charge_weight = 10.0\n"), np.array([-0.6, 0.35, 0.25])
    with_charges(tmp_path / "springs.npz", tmp_path / "charged", charges)
    text = config.read_text().replace(
        'path = "springs.npz"\nenergy_unit = "eV"', 'path = "charged"\ncharges = "charges"'
    )
    config.write_text(text.replace("n_layers = 2", 'n_layers = 2\nlong_range = "coulomb"\ncharge_balance = "none"'))
    result = train(config, tmp_path / "run", report=quiet)
    test = result.test["test"]
    assert test.charge_mae is not None
    assert test.charge_rmse is not None
    assert test.charge_mae <= test.charge_rmse < 0.06  # the two hydrogens are one kind of atom: 0.05 apart from 0.3
    assert result.card["errors"]["test"]["charges MAE"].endswith(" e")
    model = load_model(tmp_path / "run" / "model.safetensors")
    water = ase.Atoms("OH2", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    with torch.no_grad():
        _, found = model.with_charges(model.graph(water))
    assert found is not None
    assert found.tolist() == pytest.approx([-0.6, 0.3, 0.3], abs=0.06)
    # Forces are learned beside, and a run without the term has other charges.
    assert test.force_mae is not None
    assert test.force_mae < 0.6
    free = text.replace("charge_weight = 10.0\n", "").replace('\ncharges = "charges"', "")
    config.write_text(free.replace("n_layers = 2", 'n_layers = 2\nlong_range = "coulomb"\ncharge_balance = "none"'))
    other = train(config, tmp_path / "free", report=quiet)
    assert other.test["test"].charge_mae is None
    with torch.no_grad():
        _, left = load_model(other.model_path).with_charges(model.graph(water))
    assert left is not None
    assert float((left - found).abs().max()) > 0.1


def test_charges_that_are_none_are_refused(make_config: Callable[..., Path], tmp_path: Path) -> None:
    config = make_config(extra="charge_weight = 10.0\n")
    text = config.read_text().replace("n_layers = 2", 'n_layers = 2\nlong_range = "coulomb"')
    config.write_text(text.replace("forces = true", 'forces = true\ncharges = "forces"'))
    with pytest.raises(InputError, match="forces are no charges; name a property with one number for each atom"):
        train(config, tmp_path / "run", report=quiet)


def test_long_range_models_are_not_trained_on_cells(make_config: Callable[..., Path], tmp_path: Path) -> None:
    config = make_config()
    with np.load(tmp_path / "springs.npz") as data:
        frames = [ase.Atoms(data["z"], x, cell=[9.0] * 3, pbc=True) for x in data["R"]]
        for atoms, e, f in zip(frames, data["E"], data["F"], strict=True):
            atoms.calc = SinglePointCalculator(atoms, energy=float(e), forces=f)
    ase.io.write(tmp_path / "cells.xyz", frames)
    text = config.read_text().replace("springs.npz", "cells.xyz")
    config.write_text(text.replace("n_layers = 2", 'n_layers = 2\nlong_range = "coulomb"'))
    with pytest.raises(InputError, match="need an open structure"):
        train(config, tmp_path / "run", report=quiet)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_early_stopping_keeps_the_best_epoch(make_config: Callable[..., Path], tmp_path: Path) -> None:
    result = train(
        make_config(epochs=100, extra="stop_patience = 2\nema_decay = 0.0\n"), tmp_path / "run", report=quiet
    )
    assert result.card["epochs"] < 100
    assert result.card["best epoch"] == result.card["epochs"] - 3


def test_stopping_at_an_error_keeps_the_first_epoch_that_has_it(
    make_config: Callable[..., Path], tmp_path: Path
) -> None:
    extra = "stop_force_mae = 0.6\nema_decay = 0.0\n"
    result = train(make_config(epochs=60, extra=extra), tmp_path / "run", report=quiet)
    found = pl.read_csv(tmp_path / "run" / "metrics.csv")["val forces MAE [meV/Å]"].to_list()
    assert len(found) == result.card["epochs"] == result.card["best epoch"] < 60
    assert found[-1] <= 600 < min(found[:-1])
    again = train(tmp_path / "springs.toml", tmp_path / "run", resume=True, report=quiet)
    assert again.card["epochs"] == len(found)
    # A smaller error than the one that was reached, or none at all, is a reason to go on.
    config = tmp_path / "springs.toml"
    config.write_text(config.read_text().replace("stop_force_mae = 0.6", f"stop_force_mae = {0.95e-3 * found[-1]}"))
    further = train(config, tmp_path / "run", resume=True, report=quiet)
    assert len(found) < further.card["epochs"] < 60
    more = further.card["epochs"] + 1
    config.write_text(config.read_text().replace("stop_force_mae", "# ").replace("epochs = 60", f"epochs = {more}"))
    assert train(config, tmp_path / "run", resume=True, report=quiet).card["epochs"] == more


def test_a_penalty_is_part_of_every_step(make_config: Callable[..., Path], tmp_path: Path) -> None:
    config, steps = make_config(epochs=3), list[int]()

    def small_weights(model: Potential, step: int) -> torch.Tensor:
        steps.append(step)
        return 100.0 * sum((p.square().sum() for p in model.parameters()), torch.zeros(()))

    penalised = train(config, tmp_path / "penalised", report=quiet, penalty=small_weights)
    assert steps == list(range(15))  # 40 structures in batches of 8
    plain = train(config, tmp_path / "plain", report=quiet)
    norms = [sum(float(p.square().sum()) for p in load_model(r.model_path).parameters()) for r in (penalised, plain)]
    assert norms[0] < 0.9 * norms[1]
    assert (penalised.card["penalty"], "penalty" in plain.card) == ("small_weights", False)


def test_divergence_stops_with_one_line(make_config: Callable[..., Path], tmp_path: Path) -> None:
    config = make_config(epochs=50)
    config.write_text(config.read_text().replace("lr = 5e-3", "lr = 1e6\nclip = 1e9"))
    with pytest.raises(
        TrainingError, match=r"loss became .* in epoch \d+, step \d+ \(learning rate 1e\+06\)"
    ) as failure:
        train(config, tmp_path / "run", report=quiet)
    assert "\n" not in str(failure.value)


def tiny(dataset: Dataset, target: str, unit: str, readout: ReadoutConfig, extensive: bool = True) -> Fit:
    output = OutputConfig(target, unit, extensive=extensive, has_forces=False)
    torch.manual_seed(0)
    model = Potential(ModelConfig(RepresentationConfig(n_features=8, n_layers=1), readout, output)).cast(torch.float32)
    return Fit(model, FitSettings(epochs=3, batch_size=4), seed=0)


def test_nan_in_the_weights_stops(make_config: Callable[..., Path], tmp_path: Path) -> None:
    make_config()
    dataset = read_dataset(tmp_path / "springs.npz")
    fit = tiny(dataset, "energy", "eV", ReadoutConfig(widths=(8, 1)))
    store = GraphStore(dataset, find_edges(dataset, 5.0), "energy", None)
    with torch.no_grad():
        next(fit.model.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match="loss became nan in epoch 1, step 1"):
        fit.run_epoch(store, make_split(len(dataset), 10, 5, None, 0))


def molecules(value: Callable[[np.ndarray, int], float], name: str = "y", unit: str = "eV") -> Dataset:
    rng = np.random.default_rng(0)
    numbers = [rng.choice([1, 6, 8], size=rng.integers(2, 6)) for _ in range(80)]
    positions = [2.0 * np.arange(len(z))[:, None] * [1, 0, 0] + 0.2 * rng.random((len(z), 3)) for z in numbers]
    starts = np.concatenate([[0], np.cumsum([len(z) for z in numbers])])
    y = np.array([value(z, len(z)) for z in numbers])
    n = len(numbers)
    columns = (Column(name, unit, y, free_atoms=((1, -1.0), (6, -5.0), (8, -9.0))),)
    return Dataset(
        "rods", "made", np.concatenate(numbers), np.concatenate(positions), np.zeros((n, 3, 3)),
        np.zeros((n, 3), bool), starts, columns,
    )  # fmt: skip


ENERGY = {1: -13.6, 6: -1030.0, 8: -2040.0}


def test_references_by_least_squares_are_recovered() -> None:
    dataset = molecules(lambda z, n: sum(ENERGY[k] for k in z.tolist()))
    found = standardise(dataset, np.arange(40), "y", None, kind="fit", extensive=True)
    np.testing.assert_allclose(found.references[[1, 6, 8]], list(ENERGY.values()), rtol=1e-9)
    assert found.mean == 0.0
    assert found.scale == pytest.approx(1.0)  # nothing remains, and nothing is divided by zero
    np.testing.assert_array_equal(composition(dataset).sum(axis=1), dataset.sizes)


def test_free_atoms_and_the_mean_of_what_remains() -> None:
    dataset = molecules(lambda z, n: sum({1: -1.0, 6: -5.0, 8: -9.0}[k] for k in z.tolist()) - 0.5 * n)
    found = standardise(dataset, np.arange(80), "y", None, kind="free_atoms", extensive=True)
    assert found.mean == pytest.approx(-0.5)
    bare = replace(dataset, columns=(replace(dataset.columns[0], free_atoms=()),))
    with pytest.raises(InputError, match="brings no free-atom y"):
        standardise(bare, np.arange(80), "y", None, kind="free_atoms", extensive=True)


def test_without_a_centre_the_network_says_everything(make_config: Callable[..., Path], tmp_path: Path) -> None:
    config = make_config(epochs=12, schedule="cosine")
    whole = 'n_layers = 2\nreferences = "none"\ncentre = false\n'
    config.write_text(config.read_text().replace("n_layers = 2\n", whole))
    springs = np.load(tmp_path / "springs.npz")
    np.savez(tmp_path / "springs.npz", **{**springs, "E": springs["E"] + 1990.0})  # 10 eV a molecule remain
    train(config, tmp_path / "run", report=quiet)
    model = load_model(tmp_path / "run" / "model.safetensors", dtype=torch.float64)
    atoms = ase.Atoms("OHH", springs["R"][0])
    explained = explain(model, atoms)
    assert explained.constant == 0.0
    terms = explained.interactions(3)
    total = sum(float(terms.order(n).relevance.sum()) for n in (1, 2, 3))
    assert total == pytest.approx(explained.prediction, rel=1e-9)
    assert explained.prediction < -1  # forces weigh more, so few epochs go only part of the way to -10 eV
    assert float(model.state_dict()["readout.network.layers.1.bias"]) == 0.0


def test_the_scale_without_a_centre_is_that_of_an_atom() -> None:
    dataset = molecules(lambda z, n: -4.0 * n)
    found = standardise(dataset, np.arange(80), "y", None, kind="none", extensive=True, centred=False)
    assert (found.mean, found.scale) == (0.0, pytest.approx(4.0))
    assert not found.references.any()


def test_intensive_targets_have_a_plain_mean() -> None:
    dataset = molecules(lambda z, n: 3.0 + 0.1 * (n % 2))
    found = standardise(dataset, np.arange(80), "y", None, kind="none", extensive=False)
    assert found.mean == pytest.approx(dataset.columns[0].values.mean())
    assert found.scale == pytest.approx(dataset.columns[0].values.std())


def test_a_target_that_is_no_number_is_named() -> None:
    dataset = molecules(lambda z, n: np.nan)
    with pytest.raises(InputError, match="y of structure 0 is nan"):
        standardise(dataset, np.arange(80), "y", None, kind="fit", extensive=True)


@pytest.mark.parametrize("unit", ["D", "eV"])
@pytest.mark.parametrize(
    "readout",
    [
        ReadoutConfig(widths=(8, 1)),
        ReadoutConfig(widths=(8, 1), aggregation="avg"),
        ReadoutConfig(widths=(8, 1), aggregation="softmax"),
        ReadoutConfig(kind="dipole", widths=(8, 1), magnitude=True),
        ReadoutConfig(kind="dipole", widths=(8, 4, 1), magnitude=True, vectors=True),
    ],
    ids=["sum", "mean", "softmax", "charges", "dipoles"],
)
def test_every_readout_trains_and_reports_its_unit(readout: ReadoutConfig, unit: str) -> None:
    dataset = molecules(lambda z, n: float((z == 8).sum()), unit=unit)
    fit = tiny(dataset, "y", unit, readout)
    store = GraphStore(dataset, find_edges(dataset, 5.0), "y", None)
    split = make_split(len(dataset), 40, 20, None, 0)
    losses = [fit.run_epoch(store, split).train_loss for _ in range(3)]
    assert losses[2] < losses[0]
    shown = "meV" if unit == "eV" else "D"
    errors = evaluate(fit.model, store.batches(split.test, 7))
    assert errors.quantities()["y MAE"][1] == shown


def test_errors_are_those_of_the_definition(make_config: Callable[..., Path], tmp_path: Path) -> None:
    make_config()
    dataset = read_dataset(tmp_path / "springs.npz")
    store = GraphStore(dataset, find_edges(dataset, 5.0), "energy", "forces", torch.float64)
    torch.manual_seed(0)
    readout = ReadoutConfig(widths=(8, 1))
    model = Potential(ModelConfig(RepresentationConfig(n_features=8, n_layers=1), readout)).cast(torch.float64)
    errors = evaluate(model, store.batches(np.arange(20), 7))
    predictions = [model.predict(dataset.atoms(k)) for k in range(20)]
    energies = np.array([p.energy for p in predictions]) - dataset.column("energy").values[:20]
    forces = np.concatenate([p.forces for p in predictions]) - dataset.column("forces").values[:60]
    assert errors.mae == pytest.approx(np.abs(energies).mean())
    assert errors.rmse == pytest.approx(np.sqrt((energies**2).mean()))
    assert errors.force_mae == pytest.approx(np.abs(forces).mean())
    assert errors.force_rmse == pytest.approx(np.sqrt((forces**2).mean()))


def test_weight_average_is_put_in_and_taken_out() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, decay=0.5)
    start = model.weight.item()
    with torch.no_grad():
        model.weight.fill_(start + 1.0)
    average.update(model)
    # One step: decay min(0.5, 2/11).
    with average.applied(model):
        assert model.weight.item() == pytest.approx(start + 9 / 11)
    assert model.weight.item() == pytest.approx(start + 1.0)


def test_wrong_units_are_refused_before_training(make_config: Callable[..., Path], tmp_path: Path) -> None:
    config = make_config()
    config.write_text(config.read_text().replace("forces = true", 'forces = true\nforce_unit = "kcal/mol/Ang"'))
    with pytest.raises(InputError, match="kcal/mol against eV"):
        train(config, tmp_path / "run", report=quiet)


def test_missing_forces_and_properties_are_named(make_config: Callable[..., Path], tmp_path: Path) -> None:
    config = make_config()
    text = config.read_text()
    config.write_text(text.replace("forces = true", 'forces = true\nproperty = "homo"'))
    with pytest.raises(InputError, match="no property 'homo'"):
        train(config, tmp_path / "run", report=quiet)
    config.write_text(text)
    with np.load(tmp_path / "springs.npz") as data:
        np.savez(tmp_path / "springs.npz", z=data["z"], R=data["R"], E=data["E"])
    with pytest.raises(InputError, match="no property 'forces'"):
        train(config, tmp_path / "run", report=quiet)


def test_a_frame_with_other_elements(make_config: Callable[..., Path], tmp_path: Path) -> None:
    config = make_config(extra="")
    with np.load(tmp_path / "springs.npz") as data:
        np.savez(tmp_path / "other.npz", z=np.array([16, 1, 1]), R=data["R"], E=data["E"], F=data["F"])
    config.write_text(config.read_text().replace("forces = true", 'forces = true\ntest_path = "other.npz"'))
    with pytest.raises(InputError, match="other: structure 0 has S, which no training structure has"):
        train(config, tmp_path / "run", report=quiet)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_a_given_scale_is_the_unit_of_the_loss(make_config: Callable[..., Path], tmp_path: Path) -> None:
    config = make_config(epochs=1)
    config.write_text(config.read_text().replace("n_layers = 2\n", "n_layers = 2\nscale = 2.5\n"))
    train(config, tmp_path / "run", report=quiet)
    assert float(load_model(tmp_path / "run" / "model.safetensors").scale) == 2.5
    config.write_text(config.read_text().replace("scale = 2.5", "scale = -1.0"))
    with pytest.raises(InputError, match=r"scale = -1.0; it must be positive, or 0"):
        train(config, tmp_path / "other", report=quiet)


def test_a_split_by_groups_keeps_molecules_apart(make_config: Callable[..., Path], tmp_path: Path) -> None:
    dataset = read_dataset(make_config().parent / "springs.npz", Units(energy="eV", forces="eV/Å"))
    group = np.arange(len(dataset)) // 3 - 1  # the first three belong to no group
    save_dataset(replace(dataset, columns=(*dataset.columns, Column("group", "", group))), tmp_path / "springs")
    config = make_config(epochs=1)
    text = (
        config.read_text()
        .replace('springs.npz"\nenergy_unit = "eV"', 'springs"')
        .replace("n_train = 40\nn_val = 10", "n_train = 12\nn_val = 3")
    )
    config.write_text(text.replace("forces = true", 'forces = true\ngroups = "group"'))
    train(config, tmp_path / "run", report=quiet)
    split = load_split(tmp_path / "run" / "split.json", len(dataset))
    assert {0, 1, 2} <= set(split.train.tolist())
    assert [len(np.unique(group[part])) for part in (split.train, split.val, split.test)] == [13, 3, 4]
    assert [len(part) for part in (split.train, split.val, split.test)] == [39, 9, 12]
    config.write_text(config.read_text().replace('groups = "group"', 'groups = "energy"'))
    with pytest.raises(InputError, match="energy cannot group structures"):
        train(config, tmp_path / "other", report=quiet)
