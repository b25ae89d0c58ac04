"""Names and signatures that others rely on: a change here is a change of the public interface."""

from __future__ import annotations

import inspect
from dataclasses import fields

import ase.io
import numpy as np
import polars as pl
import pytest
import torch

import atomlens
from atomlens.structures import as_dtype
from samples import branched, small_model

pytestmark = pytest.mark.smoke
NAMES = {
    "AtomGraph",
    "AtomShares",
    "AtomlensCalculator",
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
    "explain_batch",
    "explain_chain",
    "explain_module",
    "load_model",
    "read_structures",
    "save_model",
    "zoo_names",
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
            [("model", "required"), ("atoms", "required"), ("rule", "gate"), ("product_rule", "full")],
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


def test_terms_and_walks_are_tables():
    model, atoms = small_model(), branched()
    ex = atomlens.explain(model, atoms)
    terms = ex.interactions(max_order=3)
    table = terms.to_frame()
    assert table.columns == ["order", "atom_1", "atom_2", "atom_3", "elements", f"relevance_{ex.unit}"]
    assert len(table) == sum(len(terms.order(n).relevance) for n in (1, 2, 3))
    total = ex.constant + table[f"relevance_{ex.unit}"].sum() + terms.remainder
    assert total == pytest.approx(ex.prediction, abs=1e-10)
    symbols = atoms.get_chemical_symbols()
    for order, *members, elements, _ in table.rows():
        kept = [k for k in members if k is not None]
        assert len(kept) == order
        assert elements == "-".join(symbols[k] for k in kept)

    groups = ex.group_interactions([[0, 1], [2, 3]]).to_frame()
    assert groups.columns == ["order", "group_1", "group_2", f"relevance_{ex.unit}"]

    walks = ex.walks().to_frame()
    assert walks["elements"].to_list() == ["-".join(symbols[k] for k in walk) for walk in ex.walks().atoms]
    assert walks.equals(atomlens.Walks(*ex.walks()).to_frame(symbols))
    pairs = walks.filter(pl.concat_list(pl.selectors.starts_with("atom_")).list.n_unique() == 1)
    biased = sum(w.relevance[(w.atoms == w.atoms[:, :1]).all(1)].sum() for w in ex.bias_walks())
    assert pairs["relevance"].sum() + biased == pytest.approx(terms.order(1).relevance.sum(), abs=1e-10)


def test_reprs_name_the_elements():
    model, atoms = small_model(), branched()
    ex = atomlens.explain(model, atoms)
    terms = ex.interactions(max_order=2)
    best = terms.order(2).atoms[np.abs(terms.order(2).relevance).argmax()].tolist()
    assert "-".join(f"{atoms.symbols[k]}{k}" for k in best) in repr(terms)
    assert repr(terms).endswith("eV)")
    (walk,) = ex.top_walks(1).atoms.tolist()
    named = " -> ".join(f"{atoms.symbols[k]}{k}" for k in walk)
    for walks in (ex.walks(), ex.top_walks(3)):
        assert f"strongest {named}: " in repr(walks)
        assert repr(walks).endswith("eV)")


@pytest.mark.parametrize(
    ("structure", "word"),
    [([branched(), branched()], "list of 2"), ("ethanol.xyz", "a str as structure"), (None, "NoneType")],
)
def test_what_is_no_structure_is_named(structure, word):
    # Tests check annotations, users' programs do not: the function itself is asked.
    with pytest.raises(TypeError, match=word):
        inspect.unwrap(atomlens.explain)(small_model(), structure)


def test_a_name_in_place_of_a_model_is_explained():
    with pytest.raises(TypeError, match="load_model"):
        inspect.unwrap(atomlens.explain)("zoo:rmd17-ethanol-painn", branched())
    assert "rmd17-ethanol-painn" in atomlens.zoo_names()


@pytest.mark.parametrize(
    ("function", "arguments", "says"),
    [
        (atomlens.Potential.predict, (small_model(), "CCO"), "predict received a str as structure"),
        (atomlens.explain_batch, (small_model(), branched()), "takes a list of structures"),
        (atomlens.read_structures, (branched(),), "received Atoms; give the path"),
        (atomlens.read_structures, ("a.xyz", slice(3)), "received slice as frames"),
        (atomlens.load_model, (3,), "received int; give the path"),
        (atomlens.AtomlensCalculator.__init__, (atomlens.AtomlensCalculator(small_model()), "zoo:a"), "load_model"),
    ],
    ids=["predict", "batch", "read", "frames", "load", "calculator"],
)
def test_other_wrong_types_get_a_sentence(function, arguments, says):
    with pytest.raises(TypeError, match=says):
        inspect.unwrap(function)(*arguments)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_precision_may_be_named(dtype, tmp_path):
    model, atoms, named = small_model(), branched(), getattr(torch, dtype)
    atomlens.save_model(model, tmp_path / "a.safetensors")
    assert atomlens.load_model(tmp_path / "a.safetensors", dtype=dtype).dtype == named
    assert atomlens.build_graph(atoms, 3.0, dtype=dtype).positions.dtype == named
    ex, batch = atomlens.explain(model, atoms, dtype=dtype), atomlens.explain_batch(model, [atoms], dtype=dtype)
    assert ex.prediction == atomlens.explain(model, atoms, dtype=named).prediction
    assert batch.predictions[0] == pytest.approx(ex.prediction, rel=1e-6)


@pytest.mark.parametrize("dtype", ["double", "int32", torch.int64, 64])
def test_precision_that_is_none_is_refused(dtype):
    with pytest.raises(ValueError, match=f"dtype {dtype!r} is not known; give float32 or float64"):
        inspect.unwrap(as_dtype)(dtype)


def test_no_function_computes_with_whole_numbers(tmp_path):
    model, atoms = small_model(), branched()
    path = tmp_path / "a.safetensors"
    atomlens.save_model(model, path)
    for function, given in (
        (atomlens.load_model, (path,)),
        (atomlens.build_graph, (atoms, 3.0)),
        (atomlens.explain, (model, atoms)),
        (atomlens.explain_batch, (model, [atoms])),
    ):
        with pytest.raises(ValueError, match=r"dtype torch\.int64 is not known"):
            function(*given, dtype=torch.int64)


def test_a_frame_may_be_a_number(tmp_path):
    ase.io.write(tmp_path / "two.xyz", [ase.Atoms("H"), ase.Atoms("He")])
    for frame in (-1, np.int64(1)):
        (last,) = atomlens.read_structures(tmp_path / "two.xyz", frame)
        assert last.symbols[0] == "He"


def test_figures_are_drawn_on_the_axes_given():
    from matplotlib.figure import Figure

    ex = atomlens.explain(small_model(), branched())
    for name in ("pairs", "decay", "orders"):
        axes = Figure().add_subplot()
        assert getattr(ex.plot, name)(axes) is axes
        assert axes.has_data()
