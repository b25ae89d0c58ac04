"""Files of graph-pes: random networks, made on the spot."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

if find_spec("graph_pes") is None:
    pytest.skip("needs graph-pes: bash environments/test graphpes", allow_module_level=True)

from foreign_samples import STRUCTURES, assert_same, compare_with_chain, ethanol, recorded

from atomlens.interactions import explain_module
from atomlens.potentials.foreign import float64_default, quietly, require_library
from atomlens.potentials.graphpes import GraphPesModel, load_graphpes, recognises_graphpes
from atomlens.recording import RecordedModel
from atomlens.structures import InputError

library: Any = require_library("graph_pes.models", "")
with quietly():
    from graph_pes.utils.calculator import GraphPESCalculator

ALONE = {"H": -13.6, "C": -1025.3, "O": -2035.6}
ORB = {"channels": 8, "mlp_hidden_dim": 8, "layers": 2, "conservative": True}
KINDS: dict[str, Callable[[], torch.nn.Module]] = {
    "SchNet": lambda: library.SchNet(channels=8, expansion_features=8),
    "PaiNN": lambda: library.PaiNN(channels=8),
    "TensorNet": lambda: library.TensorNet(channels=4),
    "Orb": lambda: library.Orb(**ORB),
    "Orb, softmax": lambda: library.Orb(**ORB, attention_gate="softmax", norm_type="rms"),
    "offset and SchNet": lambda: library.AdditionModel(
        offset=library.FixedOffset(**ALONE), network=library.SchNet(channels=8, expansion_features=8)
    ),
}


def build(kind: str) -> Any:
    torch.manual_seed(0)
    with quietly():
        module = KINDS[kind]()
    for part in module.modules():  # as a training does it
        for parameter in part.parameters(recurse=False):
            if hasattr(parameter, "register_elements"):
                parameter.register_elements((1, 6, 8))
    return module


@pytest.fixture(scope="module", params=KINDS)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graphpes") / f"{request.param.replace(' ', '-')}.pt"
    torch.save(build(request.param), path)
    return path


@pytest.fixture(scope="module")
def model(file: Path) -> GraphPesModel:
    return load_graphpes(file, trust=True)


def test_energies_and_forces_are_those_of_its_own_calculator(file, model):
    assert isinstance(model, RecordedModel)
    assert model.elements == (1, 6, 8)
    with quietly():
        theirs = GraphPESCalculator(library.load_model(file).double())
    for make in STRUCTURES.values():
        assert_same(model, theirs, make())


def test_recordings_pass_the_checks(model):
    assert max(recorded(model, ethanol())) <= 1e-12


def test_walks_where_messages_read_their_source_alone(file, model):
    explanation = explain_module(model, ethanol())
    size = abs(explanation.prediction - explanation.constant)
    assert abs(explanation.residual) <= 1e-10 * max(size, 1.0)
    why = {"TensorNet": "receives", "Orb": "states of edges"}.get(file.name.split(".")[0].split(",")[0])
    if why is not None:
        assert why in (explanation.no_walks or "")
        with pytest.raises(InputError, match=why):
            explanation.walks()
    else:
        assert explanation.no_walks is None
        compare_with_chain(explanation, 3)


def test_offsets_are_no_terms():
    first = explain_module(GraphPesModel(build("SchNet")), ethanol())
    second = explain_module(GraphPesModel(build("offset and SchNet")), ethanol())
    assert second.constant - first.constant == pytest.approx(6 * ALONE["H"] + 2 * ALONE["C"] + ALONE["O"])
    a, b = (explanation.interactions(2).order(2).relevance for explanation in (first, second))
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-11)


def test_what_is_not_explained_is_named():
    refused = {
        r"ZEmbeddingMACE of graph-pes does not run in float64": lambda: library.ZEmbeddingMACE(channels=4),
        r"ZEmbeddingNequIP of graph-pes does not run in float64": lambda: library.ZEmbeddingNequIP(),
        r"LennardJones is not explained; one of SchNet": lambda: library.LennardJones(),
        r"LennardJones \+ SchNet is not explained": lambda: library.AdditionModel(
            a=library.LennardJones(), b=library.SchNet()
        ),
        r"Orb predicts forces apart from its energy": lambda: library.Orb(**(ORB | {"conservative": False})),
        r"Orb keeps 4 neighbours": lambda: library.Orb(**ORB, max_neighbours=4),
    }
    for message, make in refused.items():
        with quietly():
            module = make()
        with pytest.raises(InputError, match=message):
            GraphPesModel(module)


def test_other_files_are_refused(tmp_path):
    torch.save(torch.nn.Linear(1, 1), tmp_path / "linear.pt")
    with pytest.raises(InputError, match="holds a Linear, not a graph-pes model"):
        load_graphpes(tmp_path / "linear.pt", trust=True)
    torch.save(build("SchNet"), tmp_path / "model.pt")
    assert recognises_graphpes(tmp_path / "model.pt")
    with pytest.raises(InputError, match="--trust"):
        load_graphpes(tmp_path / "model.pt")


def test_nothing_of_the_process_is_changed(tmp_path):
    torch.save(build("PaiNN"), tmp_path / "model.pt")
    started, real = multiprocessing.get_start_method(allow_none=True), torch.get_default_dtype()
    model = load_graphpes(tmp_path / "model.pt", trust=True)
    with float64_default():
        pass
    model.energy(model.inputs(ethanol()).tensors)
    assert multiprocessing.get_start_method(allow_none=True) == started
    assert torch.get_default_dtype() == real
