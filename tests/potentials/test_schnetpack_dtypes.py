"""Types of numbers are constants of a pickle, not code: a cast may hold a map of them."""

from __future__ import annotations

import pickle

import pytest
import torch

from atomlens.potentials.schnetpack import read_pickle
from atomlens.structures import InputError


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_maps_of_types(protocol):
    kept = {"type_map": {torch.float32: torch.float64}, "list": [torch.int64, torch.bfloat16]}
    root = read_pickle(pickle.dumps(kept, protocol)).root
    ((key, value),) = root["type_map"].items()
    assert (key.path, value.path) == ("torch.float32", "torch.float64")
    assert [name.path for name in root["list"]] == ["torch.int64", "torch.bfloat16"]


def test_other_names_of_torch_stay_refused():
    with pytest.raises(InputError, match=r"torch\.\S*load\S*, which is not part of a model; refused"):
        read_pickle(pickle.dumps({"a": torch.load}, 2))
