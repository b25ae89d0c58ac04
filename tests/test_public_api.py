"""Names and signatures that others rely on: a change here is a change of the public interface."""

from __future__ import annotations

import inspect
from dataclasses import fields

import numpy as np
import pytest

import atomlens
from samples import branched, small_model

NAMES = {
    "AtomGraph",
    "AtomShares",
    "Explanation",
    "InputError",
    "Interactions",
    "ModelConfig",
    "Potential",
    "Prediction",
    "Terms",
    "Walks",
    "__version__",
    "build_graph",
    "explain",
    "explain_chain",
    "explain_module",
    "load_model",
    "read_structures",
    "save_model",
}


def test_the_package_exports_these_names():
    assert set(atomlens.__all__) == NAMES
    assert {*dir(atomlens), "__version__"} == NAMES  # for completion in notebooks
    for name in NAMES:
        assert getattr(atomlens, name) is not None
    with pytest.raises(AttributeError, match="No atomlens attribute explane"):
        atomlens.explane  # noqa: B018


def parameters(function: object) -> list[tuple[str, object]]:
    """Names and defaults, in order; what has no default is marked as such."""
    return [
        (p.name, p.default if p.default is not p.empty else "required")
        for p in inspect.signature(function).parameters.values()  # type: ignore[arg-type]
        if p.name != "self"
    ]


@pytest.mark.parametrize(
    ("function", "first"),
    [
        (atomlens.load_model, [("path", "required")]),
        (atomlens.Potential.predict, [("atoms", "required")]),
        (
            atomlens.explain,
            [("model", "required"), ("atoms", "required"), ("rule", "gate"), ("product_rule", "scalar")],
        ),
        (atomlens.Explanation.walks, []),
        (atomlens.Explanation.bias_walks, []),
        (atomlens.Explanation.top_walks, [("k", "required")]),
        (atomlens.Explanation.interactions, [("max_order", 3)]),
        (atomlens.Interactions.order, [("n", "required")]),
    ],
    ids=lambda value: getattr(value, "__qualname__", None),
)
def test_arguments_by_position(function, first):
    found = parameters(function)
    assert found[: len(first)] == first
    # What came later has a default: calls written against the first version go on working.
    assert all(default != "required" for _, default in found[len(first) :])


def test_an_explanation_answers_as_promised():
    model, atoms = small_model(), branched()
    ex = atomlens.explain(model, atoms, rule="gate", product_rule="full")
    assert isinstance(ex, atomlens.Explanation)
    for number in (ex.prediction, ex.constant, ex.residual):
        assert type(number) is float
    assert ex.residual == pytest.approx(ex.prediction - ex.constant - ex.chain.sum_of_walks())

    walks = ex.walks()
    assert isinstance(walks, atomlens.Walks)
    assert np.issubdtype(walks.atoms.dtype, np.integer)
    assert walks.atoms.shape == (len(walks.relevance), ex.n_layers + 1)
    assert walks.relevance.ndim == 1
    assert [type(w) for w in ex.bias_walks()] == [atomlens.Walks] * ex.n_layers
    assert len(ex.top_walks(4).relevance) == 4

    terms = ex.interactions(max_order=3)
    assert isinstance(terms, atomlens.Interactions)
    assert type(terms.remainder) is float
    for n in (1, 2, 3):
        of_order = terms.order(n)
        assert isinstance(of_order, atomlens.Terms)
        assert of_order.atoms.shape == (len(of_order.relevance), n)
    assert repr(terms).startswith("Interactions(order 1: 5")
    assert "residual=" in repr(ex)


def test_a_prediction_has_energy_and_forces():
    prediction = small_model().predict(branched())
    assert isinstance(prediction, atomlens.Prediction)
    assert [f.name for f in fields(prediction)] == ["quantity", "value", "unit", "forces"]
    assert type(prediction.energy) is float
    assert prediction.forces is not None
    assert prediction.forces.shape == (5, 3)
    dipole = small_model(readout={"kind": "dipole"}, output={"unit": "D", "has_forces": False}).predict(branched())
    assert dipole.forces is None
    assert dipole.value.shape == (3,)
    with pytest.raises(AttributeError, match="not an energy"):
        dipole.energy  # noqa: B018


def test_bad_input_is_a_value_error():
    assert issubclass(atomlens.InputError, ValueError)
