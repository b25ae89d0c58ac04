"""Files of torch that are no whole model."""

import warnings

import pytest
import torch
from torch import nn

from atomlens.potentials import load_model
from atomlens.structures import InputError


def save(thing, path, **options):
    torch.save(thing, path, **options)
    return path


def test_what_torch_saves_besides_models(tmp_path):
    linear = nn.Linear(2, 3)
    nested = nn.Sequential(linear)
    for options in ({}, {"_use_new_zipfile_serialization": False}):
        with pytest.raises(
            InputError, match=r"a state dict, which holds weights but no model; .*torch\.save\(model, path\)"
        ):
            load_model(save(nested.state_dict(), tmp_path / "weights.pt", **options))
        with pytest.raises(InputError, match="a training checkpoint"):
            load_model(save({"state_dict": nested.state_dict(), "epoch": 3}, tmp_path / "last.ckpt", **options))
        with pytest.raises(InputError, match=r"holds a torch\.nn\.modules\.linear\.Linear, not a whole model"):
            load_model(save(linear, tmp_path / "linear", **options))
        with pytest.raises(InputError, match="holds a list, not a model"):
            load_model(save([1, 2], tmp_path / "list", **options))


def test_torchscript_is_refused(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch has deprecated what makes such files
        torch.jit.save(torch.jit.trace(nn.Linear(2, 3), torch.zeros(1, 2)), tmp_path / "scripted")
    with pytest.raises(InputError, match="a TorchScript file, which holds a program"):
        load_model(tmp_path / "scripted")
