"""Structures explained side by side: the same as one by one."""

from __future__ import annotations

import ase
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import atomlens
from atomlens.interactions import batch as module
from atomlens.interactions import explain_batch
from samples import FORMS, RULES, branched, crowded_cell, crystals, molecules, small_model

READOUTS = {
    "sum": {"aggregation": "sum"},
    "avg": {"aggregation": "avg"},
    "softmax": {"aggregation": "softmax"},
    "dipole": {"kind": "dipole", "magnitude": True, "correct_charges": False},
    "dipole vector": {"kind": "dipole", "magnitude": False},
    "neutral dipole": {"kind": "dipole", "magnitude": True},
    "atomic dipoles": {"kind": "dipole", "magnitude": True, "vectors": True},
    "polarizability": {"kind": "polarizability"},
}
VECTORS = {"atomic dipoles", "polarizability"}


def model_of(form: tuple[str, str], readout: str, n_layers: int = 3) -> atomlens.Potential:
    """A small model with a readout by name."""
    intensive = {"extensive": readout == "sum", "property": "p", "unit": "eV"}
    return small_model(form[0], readout=READOUTS[readout], output=intensive, n_layers=n_layers)


def assert_same_as_single(model, structures, max_order, **rules):
    batch = explain_batch(model, structures, max_order=max_order, **rules)
    assert len(batch) == len(structures)
    for k, atoms in enumerate(structures):
        single = atomlens.explain(model, atoms, **rules)
        expected = single.interactions(max_order)
        size = max([1.0, *(abs(r) for n in range(1, max_order + 1) for r in expected.order(n).relevance)])
        close = {"rtol": 0, "atol": 1e-12 * size}
        found = batch.interactions(k)
        for n in range(1, max_order + 1):
            np.testing.assert_array_equal(found.order(n).atoms, expected.order(n).atoms)
            np.testing.assert_allclose(found.order(n).relevance, expected.order(n).relevance, **close)
            mine = batch.terms[n - 1].relevance[batch.owners(n) == k]
            np.testing.assert_array_equal(mine, found.order(n).relevance)
        np.testing.assert_allclose(found.remainder, expected.remainder, **close)
        np.testing.assert_allclose(batch.remainders[k], expected.remainder, **close)
        np.testing.assert_allclose(batch.predictions[k], single.prediction, **close)
        np.testing.assert_allclose(batch.constants[k], single.constant, **close)
        assert abs(batch.residuals[k]) <= 1e-12 * size
        for share, of_single in zip(batch.atom_shares(k), single.atom_shares(), strict=True):
            np.testing.assert_allclose(share, of_single, **close)


@settings(max_examples=40)
@given(
    structures=st.lists(molecules(), min_size=1, max_size=4),
    readout=st.sampled_from(sorted(READOUTS)),
    form=st.sampled_from(FORMS),
    rule=st.sampled_from(RULES),
)
def test_molecules(structures, readout, form, rule):
    assume(readout not in VECTORS or form[0] == "painn")
    model = model_of(form, readout)
    # Where vectors cancel, rounding decides in which direction the norm of their sum is taken.
    assume(
        "dipole" not in readout or all(len(a) == 1 or float(model.predict(a).value.max()) > 1e-3 for a in structures)
    )
    assert_same_as_single(model, structures, 3, rule=rule, product_rule=form[1])


def test_no_dipole_no_direction():
    """Rounding in a batch must not make a direction for a dipole that is zero by symmetry."""
    nitrogen = ase.Atoms("N2", positions=[[0.3, 0.1, 0.7], [0.9, 1.0, 0.8]])
    model = model_of(("painn", "scalar"), "neutral dipole")
    batch = explain_batch(model, [branched(), nitrogen])
    np.testing.assert_array_equal(batch.interactions(1).order(2).relevance, 0.0)
    assert np.abs(batch.interactions(0).order(2).relevance).max() > 1e-3


@pytest.mark.parametrize("form", FORMS, ids="/".join)
@settings(max_examples=5)
@given(structures=st.lists(crystals() | molecules(), min_size=2, max_size=3))
def test_cells_among_molecules(structures, form):
    assert_same_as_single(model_of(form, "sum"), structures, 2, product_rule=form[1])


@pytest.mark.parametrize("n_layers", [1, 2, 4])
def test_any_number_of_layers(n_layers):
    structures = [branched(), crowded_cell(), ase.Atoms("H")]
    assert_same_as_single(model_of(("painn", "scalar"), "sum", n_layers), structures, 3)


def test_parts_do_not_show(monkeypatch):
    structures = [branched(), crowded_cell(), ase.Atoms("H"), branched()]
    model = model_of(("painn", "scalar"), "sum")
    whole = explain_batch(model, structures, max_order=3)
    monkeypatch.setattr(module, "_EDGES", 1)
    parts = explain_batch(model, structures, max_order=3)
    np.testing.assert_array_equal(parts.starts, whole.starts)
    for a, b in zip(parts.terms, whole.terms, strict=True):
        np.testing.assert_array_equal(a.atoms, b.atoms)
        np.testing.assert_allclose(a.relevance, b.relevance, rtol=0, atol=1e-12)


def test_unit_is_turned_to_ours():
    model = small_model(output={"unit": "kcal/mol"})
    assert explain_batch(model, [branched()]).unit == "eV"
    assert_same_as_single(model, [branched(), branched()], 2)


def test_single_precision():
    batch = explain_batch(small_model(), [branched(), branched()], dtype=torch.float32)
    single = atomlens.explain(small_model(), branched())
    np.testing.assert_allclose(batch.predictions, single.prediction, rtol=1e-4)


def test_recordings_are_in_double_precision():
    so3net = small_model("so3net")
    for explained in (
        lambda: explain_batch(so3net, [branched()], dtype=torch.float32),
        lambda: atomlens.explain(so3net, branched(), dtype=torch.float32),
    ):
        with pytest.raises(
            atomlens.InputError, match=r"so3net is explained by a recording, in float64; received torch\.float32"
        ):
            explained()
    published = atomlens.explain(so3net, branched(), "published", dtype=torch.float32)  # written down, not recorded
    assert published.prediction == pytest.approx(atomlens.explain(so3net, branched(), "published").prediction, rel=1e-5)


def test_bad_input():
    with pytest.raises(ValueError, match="no structure"):
        explain_batch(small_model(), [])
    with pytest.raises(ValueError, match="max_order"):
        explain_batch(small_model(), [branched()], max_order=4)
    with pytest.raises(ValueError, match="product rule"):
        explain_batch(small_model(), [branched()], product_rule="half")
    with pytest.raises(atomlens.InputError, match="no atoms"):
        explain_batch(small_model(), [branched(), ase.Atoms()])
