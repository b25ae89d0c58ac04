"""State on disk comes back bit for bit, and is never more than plain data."""

from __future__ import annotations

import ast
import math
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import atomlens
from atomlens import InputError
from atomlens.folders import load_state, save_state

SOURCES = sorted(Path(atomlens.__file__).parent.rglob("*.py"))

numbers = st.floats(allow_nan=False) | st.integers(-(2**80), 2**80) | st.booleans() | st.none() | st.text(max_size=5)
tensors = st.builds(
    lambda kind, shape, seed: torch.from_numpy(np.random.default_rng(seed).integers(-9, 9, shape)).to(kind),
    st.sampled_from([torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool]),
    st.lists(st.integers(0, 3), max_size=3),
    st.integers(0, 99),
)
states = st.recursive(
    numbers | tensors,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    | st.lists(inner, max_size=3).map(tuple),
    max_leaves=12,
)  # fmt: skip


def same(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@given(state=st.dictionaries(st.text(max_size=3), states, max_size=4))
def test_a_state_comes_back_as_it_was(state: dict, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("state") / "state"
    save_state(path, state)
    assert same(load_state(path), state)


def test_what_json_has_no_word_for_comes_back(tmp_path: Path) -> None:
    array = np.arange(6.0).reshape(2, 3)[:, ::2]
    save_state(tmp_path / "s", {"a": array, "inf": math.inf, "nan": math.nan, "one": np.float64(0.1)})
    found = load_state(tmp_path / "s")
    assert isinstance(found["a"], np.ndarray)
    assert (found["a"] == array).all()
    assert (found["inf"], found["one"]) == (math.inf, 0.1)
    assert math.isnan(found["nan"])
    with pytest.raises(TypeError, match="Path cannot be part"):
        save_state(tmp_path / "s", {"path": [tmp_path]})


class Runs:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (os.mkdir, (str(self.path),))


def foreign(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header


@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_a_planted_pickle_does_nothing(tmp_path: Path, how: str) -> None:
    if how == "pickle":
        (tmp_path / "state").write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
    else:
        torch.save({"state": Runs(tmp_path / "ran")}, tmp_path / "state")
    with pytest.raises(InputError, match="not the state of a run"):
        load_state(tmp_path / "state")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"x", b"\xff" * 100,
        foreign(b"{}"),
        foreign(b'{"__metadata__":{"format":"atomlens-state"}}'),
        foreign(b'{"__metadata__":{"format":"atomlens-state","state":"[]"}}'),
        foreign(b'{"__metadata__":{"format":"atomlens-state","state":"{}"}}'),
        foreign(b'{"__metadata__":{"format":"atomlens-state","state":"{\\"tensor\\":\\"0\\"}"}}'),
        foreign(b'{"__metadata__":{"format":"atomlens-state","state":"{\\"dict\\":[[1]]}"}}'),
        foreign(b'{"__metadata__":{"format":"atomlens-state","state":"{\\"dict\\":[[[],1]]}"}}'),
        foreign(b'{"__metadata__":{"format":"atomlens-state","state":"{\\"code\\":1}"}}'),
        foreign(b'{"__metadata__":{"format":"atomlens-state","state":"' + b"[" * 200_000 + b'"}}'),
        foreign(b'{"0":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]}}'),
    ],
)  # fmt: skip
def test_what_is_no_state_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "state").write_bytes(data)
    with pytest.raises(InputError, match="not the state of a run"):
        load_state(tmp_path / "state")


def calls(source: Path) -> list[tuple[str, ast.Call]]:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def option(call: ast.Call, name: str) -> object:
    return next((ast.literal_eval(word.value) for word in call.keywords if word.arg == name), None)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_file_is_read_in_a_way_that_can_run_code(source: Path) -> None:
    for name, call in calls(source):
        last = name.rpartition(".")[2]
        if name == "torch.load":
            trusted = source.name == "foreign.py"  # `open_pickle`, behind `require_trust` (tests/potentials)
            assert option(call, "weights_only") is (not trusted)
        if name in ("np.load", "numpy.load"):
            assert option(call, "allow_pickle") in (None, False)
        if name in ("yaml.load", "yaml.load_all", "yaml.parse"):
            loader = next(word.value for word in call.keywords if word.arg == "Loader")
            assert ast.unparse(loader) in ("yaml.BaseLoader", "yaml.SafeLoader")
        assert last not in ("unsafe_load", "full_load", "Unpickler", "eval", "exec", "read_pickle_file") or (
            name.endswith(".eval") and not call.args  # torch's switch of modules
        )
        assert name not in ("marshal.load", "marshal.loads", "shelve.open", "dill.load", "joblib.load", "pickle.load")
        if name == "pickle.loads":  # a task that our own process packed for its workers
            assert source.name == "workers.py"
