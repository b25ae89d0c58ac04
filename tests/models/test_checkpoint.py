"""atomlens files: exact, complete or absent, and refused when they are not ours."""

import json
import os
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from atomlens.models import ModelConfig, OutputConfig, Potential, ReadoutConfig, RepresentationConfig, save_model
from atomlens.models.files.checkpoint import FORMAT, read_model, write_atomically
from atomlens.models.files.weights import named_tensors
from atomlens.potentials import load_model
from atomlens.structures import InputError

ACTIVATIONS = ("silu", "shifted_softplus", "tanh", "identity")


@st.composite
def settings_of_models(draw):
    """A configuration as `ModelConfig.from_dict` takes it."""
    architecture = draw(st.sampled_from(["schnet", "painn"]))
    features = draw(st.integers(1, 5))
    cutoff = draw(st.sampled_from([3.0, 5.2]))
    radial = {
        "kind": draw(st.sampled_from(["gaussian", "gaussian_centered", "bessel"])),
        "n_rbf": draw(st.integers(2, 5)),
        "cutoff": cutoff,
        "start": 0.5,
        "trainable": draw(st.booleans()),
    }
    representation = {
        "architecture": architecture,
        "n_features": features,
        "n_layers": draw(st.integers(1, 3)),
        "n_filters": draw(st.sampled_from([None, 4])),
        "radial": radial,
        "cutoff": {"kind": draw(st.sampled_from(["cosine", "mollifier"])), "cutoff": cutoff},
        "activation": draw(st.sampled_from(ACTIVATIONS)),
        "shared_interactions": draw(st.booleans()),
        "shared_filters": draw(st.booleans()),
        "epsilon": draw(st.sampled_from([1e-8, 1e-3])),
        "max_z": draw(st.integers(2, 12)),
    }
    readout = {
        "kind": draw(st.sampled_from(["atomwise", "dipole", "polarizability"][: 2 + (architecture == "painn")])),
        "aggregation": draw(st.sampled_from(["sum", "avg", "softmax"])),
        "widths": [features, *draw(st.lists(st.integers(1, 4), max_size=2)), 1],
        "activation": draw(st.sampled_from(ACTIVATIONS)),
        "magnitude": draw(st.booleans()),
        "correct_charges": draw(st.booleans()),
        "vectors": architecture == "painn" and draw(st.booleans()),
    }
    output = {
        "property": draw(st.text(max_size=5).filter(str.isprintable)),
        "unit": draw(st.sampled_from(["eV", "kcal/mol", "D"])),
        "extensive": draw(st.booleans()),
        "has_forces": draw(st.booleans()),
    }
    return {
        "representation": representation,
        "readout": readout,
        "output": output,
        "elements": draw(st.none() | st.lists(st.integers(1, 118), max_size=3)),
        "card": draw(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=5) | st.lists(st.none()))),
    }


def random_model(config=None, dtype=torch.float32):
    """Model whose every tensor is away from its start, references at full precision."""
    model = Potential(config or ModelConfig(RepresentationConfig(n_features=4, max_z=9), ReadoutConfig(widths=(4, 1))))
    with torch.no_grad():
        for tensor in named_tensors(model).values():
            tensor.add_(torch.rand(tensor.shape, dtype=tensor.dtype) / 3)
    return model.cast(dtype)


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)


@given(
    fields=settings_of_models(), dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16])
)
@settings(max_examples=60)
def test_round_trip_is_exact(fields, dtype, tmp_path_factory):
    config = ModelConfig.from_dict(fields)
    path = tmp_path_factory.mktemp("round") / "model"
    model = random_model(config, dtype)
    save_model(model, path)
    again = read_model(path)
    assert again.config == config
    assert not again.training
    ours, theirs = named_tensors(model), named_tensors(again)
    assert list(ours) == list(theirs)
    assert all(same_bits(ours[name], theirs[name]) for name in ours)
    assert again.scale.dtype == again.mean.dtype == again.atomrefs.dtype == torch.float64
    # Layers that were one are one again.
    assert len(again.state_dict()) == len(model.state_dict())
    path.unlink()


def test_loading_turns_only_the_network_to_the_asked_type(tmp_path):
    model = random_model()
    save_model(model, tmp_path / "model")
    assert load_model(tmp_path / "model").dtype == torch.float64
    again = load_model(tmp_path / "model", dtype=torch.float32)
    assert again.dtype == torch.float32
    assert same_bits(again.atomrefs, model.atomrefs)
    assert not again.training
    assert not any(parameter.requires_grad for parameter in again.parameters())


def test_a_model_is_neither_changed_by_saving_nor_tied_to_the_file(tmp_path):
    model = random_model()
    model.train()
    before = {name: tensor.clone() for name, tensor in named_tensors(model).items()}
    save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model", dtype=None)
    (tmp_path / "model").write_bytes(b"\0" * 100_000)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(same_bits(before[name], tensor) for name, tensor in named_tensors(again).items())


def test_the_same_model_gives_the_same_bytes(tmp_path):
    model = random_model()
    for name in ("a", "b"):
        save_model(model, tmp_path / name)
    data = (tmp_path / "a").read_bytes()
    assert data == (tmp_path / "b").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert list(header["__metadata__"]) == ["config", "format", "format_version"]
    assert json.loads(header["__metadata__"]["config"])["output"]["unit"] == "eV"


def test_loading_draws_no_random_numbers(tmp_path):
    save_model(random_model(), tmp_path / "model")
    state = torch.random.get_rng_state()
    load_model(tmp_path / "model")
    assert torch.equal(torch.random.get_rng_state(), state)


def test_where_the_unit_comes_from(tmp_path):
    model = random_model()
    model.config = replace(model.config, output=OutputConfig(unit="kcal/mol"))
    save_model(model, tmp_path / "model")
    assert load_model(tmp_path / "model").config.card["unit_source"] == "file header"
    # An assumption does not become knowledge by being written down.
    model.config = replace(model.config, card={"unit_source": "assumed eV"})
    save_model(model, tmp_path / "model")
    with pytest.raises(InputError, match=r"not known, eV was assumed.*--unit"):
        load_model(tmp_path / "model")
    assert load_model(tmp_path / "model", energy_unit="Hartree").config.output.unit == "Hartree"
    model.config = replace(model.config, card={})
    save_model(model, tmp_path / "model")
    assert load_model(tmp_path / "model", energy_unit="kcal/mol").config.output.unit == "kcal/mol"
    with pytest.raises(InputError, match="its header gives energy in kcal/mol, energy_unit says eV"):
        load_model(tmp_path / "model", energy_unit="eV")
    with pytest.raises(InputError, match="predicts energy; output='dipole'"):
        load_model(tmp_path / "model", output="dipole")


@pytest.mark.parametrize("failing", ["os.replace", "os.fsync"])
def test_a_failure_leaves_the_old_file_and_nothing_else(failing, tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing.removeprefix("os."), fail)
    with pytest.raises(InputError, match=r"model: cannot be written .No space left on device"):
        save_model(random_model(), path)
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
    assert path.read_bytes() == b"old"


def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "model", b"data")
    assert list(tmp_path.iterdir()) == []


def test_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    save_model(random_model(), tmp_path / "model")
    assert (tmp_path / "model").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_where_no_file_can_be_is_told(tmp_path):
    for path in (tmp_path / "none" / "model", tmp_path):
        with pytest.raises(InputError, match="cannot be written"):
            save_model(random_model(), path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("card", [{"a": {1: "b"}}, {"a": (1, 2)}, {"a": float("nan")}, {"a": {1, 2}}])
def test_cards_that_json_changes_are_refused(card, tmp_path):
    model = random_model()
    model.config = replace(model.config, card=card)
    with pytest.raises(InputError, match="JSON"):
        save_model(model, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_not_its_configuration_is_refused(tmp_path):
    model = random_model()
    model.register_buffer("extra", torch.zeros(1))
    with pytest.raises(InputError, match="disagree about the tensor extra"):
        save_model(model, tmp_path / "model")
    model = random_model()
    model.mean = torch.zeros(2)
    with pytest.raises(InputError, match=r"the tensor mean has shape \(2,\)"):
        save_model(model, tmp_path / "model")


def written(tmp_path, change=None, metadata=None, **tensors):
    """A file of save_model with parts of it replaced."""
    model = random_model()
    save_model(model, tmp_path / "model")
    with safetensors.safe_open(tmp_path / "model", "pt") as file:
        header = {**file.metadata(), **(metadata or {})}
        held = {name: file.get_tensor(name) for name in file.keys()} | tensors  # noqa: SIM118
    if change:
        config = json.loads(header["config"])
        change(config)
        header["config"] = json.dumps(config)
    held = {name: tensor for name, tensor in held.items() if tensor is not None}
    safetensors.torch.save_file(held, tmp_path / "model", metadata=header)
    return tmp_path / "model"


def nested(name, key, value):
    def change(config):
        config[name][key] = value

    return change


BROKEN = {
    "somebody else's": ({"metadata": {"format": "pt"}}, "not one of atomlens"),
    "newer": ({"metadata": {"format_version": "2"}}, "format version 2; this atomlens reads up to 1, update atomlens"),
    "no version": ({"metadata": {"format_version": "new"}}, "is no number"),
    "no JSON": ({"metadata": {"config": "{"}}, "model definition cannot be read"),
    "deep JSON": ({"metadata": {"config": "[" * 100_000}}, "model definition cannot be read"),
    "a list": ({"metadata": {"config": "[]"}}, "model definition cannot be read"),
    "unknown setting": ({"change": lambda config: config.update(colour="red")}, "unknown setting 'colour'"),
    "unknown activation": ({"change": nested("readout", "activation", "nice")}, "'nice'"),
    "wrong type": ({"change": nested("output", "unit", 3)}, "'output.unit' is 3"),
    "another width": ({"change": nested("representation", "n_features", 5)}, "has shape"),
    "huge width": ({"change": nested("representation", "n_features", 10**9)}, "n_features = 1000000000; it must be"),
    "impossible width": ({"change": nested("representation", "n_features", 10**30)}, "whole numbers go up to"),
    "no grid": (
        {"change": lambda config: config["representation"]["radial"].update(n_rbf=0)},
        "n_rbf = 0; it must",
    ),
    "endless layers": ({"change": nested("representation", "n_layers", 10**9)}, "n_layers = 1000000000; it must be"),
    "endless elements": ({"change": nested("representation", "max_z", 10**12)}, "max_z = 1000000000000; it must be"),
    "missing tensor": ({"mean": None}, "lacks the tensor mean"),
    "extra tensor": ({"more": torch.zeros(1)}, "holds the tensor more"),
    "whole numbers": ({"mean": torch.zeros((), dtype=torch.int64)}, r"is of type torch\.int64"),
    "not finite": ({"mean": torch.tensor(float("nan"), dtype=torch.float64)}, "not finite"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused(name, tmp_path):
    changes, message = BROKEN[name]
    path = written(tmp_path, **changes)
    with pytest.raises(InputError, match=message) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_file_without_metadata_is_somebody_elses(tmp_path):
    safetensors.torch.save_file({"weight": torch.zeros(2)}, tmp_path / "model")
    with pytest.raises(InputError, match="not one of atomlens: its header does not define a model"):
        load_model(tmp_path / "model")
    assert FORMAT == "atomlens-model"
