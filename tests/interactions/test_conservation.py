"""Everything adds up to the prediction: |residual| <= 1e-10 max(1, |y - c|) in float64, on every structure."""

from __future__ import annotations

import ase
import ase.build
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import atomlens
from atomlens.relevance import AtomSets, restricted_sums
from samples import FORMS, RULES, branched, crowded_cell, crystals, molecules, small_model

pytestmark = pytest.mark.smoke


def assert_conserved(ex: atomlens.Explanation, accuracy: float = 1e-10) -> None:
    size = max(1.0, abs(ex.prediction - ex.constant))
    assert abs(ex.residual) <= accuracy * size
    # The same identity through one set of all atoms, and through shares of atoms.
    (whole,) = restricted_sums(ex.chain, AtomSets.of([list(range(len(ex.atoms)))])).tolist()
    assert ex.constant + whole == pytest.approx(ex.prediction, abs=10 * accuracy * size)
    for share in ex.atom_shares():
        assert ex.constant + share.sum() == pytest.approx(ex.prediction, abs=10 * accuracy * size)


@settings(max_examples=50)
@given(atoms=molecules(), form=st.sampled_from(FORMS), rule=st.sampled_from(RULES))
def test_random_molecules(atoms, form, rule):
    model = small_model(form[0], seed=len(atoms))
    ex = atomlens.explain(model, atoms, rule, form[1])
    assert_conserved(ex)
    with torch.no_grad():  # `predict` refuses the energies of atoms that nearly coincide
        y = float(model(model.graph(atoms))[0])
    assert ex.prediction == pytest.approx(y, rel=1e-12, abs=1e-12)


@settings(max_examples=50)
@given(atoms=crystals(), form=st.sampled_from(FORMS), rule=st.sampled_from(RULES))
def test_random_cells_periodic_in_some_directions(atoms, form, rule):
    model = small_model(form[0], n_features=3, cutoff=2.4)
    ex = atomlens.explain(model, atoms, rule, form[1])
    assert_conserved(ex)
    assert ex.prediction == pytest.approx(model.predict(atoms).energy, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_cells_where_atoms_see_their_own_images(architecture, product_rule, rule):
    # Every atom has dozens of images within reach of itself and of the others.
    assert_conserved(atomlens.explain(small_model(architecture, cutoff=5.0), crowded_cell(), rule, product_rule))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
@pytest.mark.parametrize(
    "atoms",
    [
        ase.Atoms("H"),
        ase.Atoms("OHF", positions=[[0, 0, 0], [9, 0, 0], [0, 30, 0]]),
        ase.Atoms("C", cell=[2.0, 2.0, 2.0], pbc=True),
        ase.Atoms("C", cell=[50.0, 50.0, 50.0], pbc=True),
        ase.build.molecule("CH4"),
    ],
    ids=["one atom", "no edges", "own images alone", "empty box", "symmetric"],
)
def test_structures_at_the_edge(architecture, product_rule, rule, atoms):
    ex = atomlens.explain(small_model(architecture), atoms, rule, product_rule)
    assert_conserved(ex)
    assert ex.prediction == pytest.approx(small_model(architecture).predict(atoms).energy, rel=1e-12)


@pytest.mark.parametrize(
    "readout",
    [
        {"aggregation": "avg"},
        {"aggregation": "softmax"},
        {"kind": "dipole"},
        {"kind": "dipole", "magnitude": True},
        {"kind": "dipole", "vectors": True},
        {"kind": "polarizability"},
    ],
)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("product_rule", ["scalar", "full"])
def test_other_properties(readout, rule, product_rule):
    output = {"property": "p", "unit": "D", "extensive": False, "has_forces": False}
    model = small_model("painn", readout=readout, output=output)
    model.atomrefs.zero_()
    model.mean.zero_()
    atoms = branched()
    ex = atomlens.explain(model, atoms, rule, product_rule)
    assert_conserved(ex)
    value = model.predict(atoms).value
    expected = {0: lambda: value, 1: lambda: np.linalg.norm(value), 2: lambda: np.trace(value) / 3}[value.ndim]()
    assert ex.prediction == pytest.approx(float(expected), rel=1e-12)
    assert ex.unit == "D"


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_single_precision_on_request(architecture, product_rule, rule):
    model, atoms = small_model(architecture), branched()
    ex = atomlens.explain(model, atoms, rule, product_rule, dtype=torch.float32)
    assert_conserved(ex, accuracy=2e-5)
    assert ex.walks().relevance.dtype == np.float32
    exact = atomlens.explain(model, atoms, rule, product_rule).interactions(3)
    for n in (1, 2, 3):
        size = max(1.0, float(np.abs(exact.order(n).relevance).max()))
        np.testing.assert_allclose(ex.interactions(3).order(n).relevance, exact.order(n).relevance, atol=1e-4 * size)


def test_a_model_in_single_precision_is_explained_in_double():
    model = small_model(dtype=torch.float32)
    ex = atomlens.explain(model, branched())
    assert_conserved(ex)
    assert ex.prediction == pytest.approx(model.predict(branched()).energy, rel=1e-5)
    assert model.dtype == torch.float32


def test_units_are_converted_once():
    model = small_model(output={"unit": "kcal/mol"})
    in_ev = small_model(output={"unit": "eV"})
    factor = ase.units.kcal / ase.units.mol
    ex, other = atomlens.explain(model, branched()), atomlens.explain(in_ev, branched())
    assert ex.unit == "eV"
    assert ex.prediction == pytest.approx(factor * other.prediction, rel=1e-12)
    assert ex.constant == pytest.approx(factor * other.constant, rel=1e-12)
    np.testing.assert_allclose(ex.walks().relevance, factor * other.walks().relevance, rtol=1e-12)
    assert_conserved(ex)


@pytest.mark.slow
def test_a_hundred_frames_of_ethanol(ethanol_painn, ethanol_frames):
    assert len(ethanol_frames) == 100
    for atoms in ethanol_frames:
        assert_conserved(atomlens.explain(ethanol_painn, atoms))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("product_rule", ["scalar", "full"])
def test_ethanol_under_every_rule(ethanol_painn, ethanol_frames, rule, product_rule):
    for atoms in ethanol_frames[::20]:
        assert_conserved(atomlens.explain(ethanol_painn, atoms, rule, product_rule))
