"""What must not change: by moving, turning, mirroring or renaming atoms, by neighbours out of reach, by asking."""

from __future__ import annotations

import copy

import ase
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import atomlens
from atomlens import Terms, Walks
from atomlens.structures import build_graph, collate
from samples import FORMS, RULES, branched, crowded_cell, crystals, molecules, small_model


def turned(atoms: ase.Atoms, seed: int, mirror: bool) -> ase.Atoms:
    """Turn a structure and its cell by a random rotation, with or without a mirror."""
    matrix, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    if (np.linalg.det(matrix) < 0) != mirror:
        matrix = -matrix
    result = atoms.copy()
    result.positions = atoms.positions @ matrix.T
    result.cell = atoms.cell.array @ matrix.T
    return result


def assert_same(found: Walks | Terms, expected: Walks | Terms, accuracy: float = 1e-10) -> None:
    """Same members with the same relevance, in whichever order they are listed."""
    (members, values), (other_members, other_values) = (
        (list_.atoms[order], list_.relevance[order])
        for list_, order in ((x, np.lexsort(x.atoms.T)) for x in (found, expected))
    )
    np.testing.assert_array_equal(members, other_members)
    size = max([1.0, *np.abs(other_values)])
    np.testing.assert_allclose(values, other_values, rtol=0, atol=accuracy * size)


def parts(ex: atomlens.Explanation) -> list[Walks | Terms]:
    """Everything that is listed by members."""
    terms = ex.interactions(3)
    return [ex.walks(), *ex.bias_walks(), *(terms.order(n) for n in (1, 2, 3))]


def assert_same_explanation(a: atomlens.Explanation, b: atomlens.Explanation) -> None:
    """Same prediction, walks, terms and shares."""
    size = max(1.0, abs(b.prediction))
    assert a.prediction == pytest.approx(b.prediction, abs=1e-10 * size)
    assert a.constant == pytest.approx(b.constant, abs=1e-10 * size)
    for first, second in zip(parts(a), parts(b), strict=True):
        assert_same(first, second)
    for first, second in zip(a.atom_shares(), b.atom_shares(), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-10 * size)


@pytest.mark.parametrize("atoms", [branched(), crowded_cell()], ids=["molecule", "cell"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_rotation_translation_and_mirror_image(architecture, product_rule, rule, atoms):
    model = small_model(architecture, n_layers=2, cutoff=2.7)
    before = atomlens.explain(model, atoms, rule, product_rule)
    for seed, mirror in ((1, False), (2, False), (3, True)):
        moved = turned(atoms, seed, mirror)
        moved.translate([1.3, -20.0, 0.4])
        assert_same_explanation(atomlens.explain(model, moved, rule, product_rule), before)


@pytest.mark.parametrize(
    "readout", [{"kind": "dipole"}, {"kind": "dipole", "vectors": True}, {"aggregation": "softmax"}]
)
@pytest.mark.parametrize("product_rule", ["scalar", "full"])
def test_rotation_of_other_properties(readout, product_rule):
    output = {"has_forces": False, "unit": "D", "extensive": False}
    model = small_model("painn", n_layers=2, readout=readout, output=output)
    before = atomlens.explain(model, branched(), "gamma", product_rule)
    moved = turned(branched(), 4, False)
    moved.translate([5.0, 5.0, 5.0])
    assert_same_explanation(atomlens.explain(model, moved, "gamma", product_rule), before)


@settings(max_examples=10)
@given(atoms=molecules(), seed=st.integers(0, 1000))
def test_renaming_atoms_renames_walks_and_terms(atoms, seed):
    order = np.random.default_rng(seed).permutation(len(atoms))
    for architecture, product_rule in FORMS:
        model = small_model(architecture, n_layers=2, n_features=3)
        before = atomlens.explain(model, atoms, "gate", product_rule)
        after = atomlens.explain(model, atoms[order], "gate", product_rule)
        for first, second in zip(parts(after), parts(before), strict=True):
            named = order[first.atoms]
            named = np.sort(named, axis=1) if isinstance(first, Terms) else named
            assert_same(first._replace(atoms=named), second)
        for first, second in zip(after.atom_shares(), before.atom_shares(), strict=True):
            np.testing.assert_allclose(first, second[order], atol=1e-10 * max(1.0, np.abs(second).max()))


@settings(max_examples=10)
@given(atoms=crystals(), image=st.tuples(*[st.integers(-3, 3)] * 3))
def test_any_image_of_an_atom_stands_for_it(atoms, image):
    model = small_model("painn", n_layers=2, n_features=3, cutoff=2.2)
    moved = atoms.copy()
    moved.positions[0] += np.array(image) * atoms.pbc @ atoms.cell.array
    assert_same_explanation(
        atomlens.explain(model, moved, "gate", "full"), atomlens.explain(model, atoms, "gate", "full")
    )


def test_a_molecule_across_the_faces_of_its_box_is_that_molecule():
    model, atoms = small_model("painn", n_layers=2), branched()[:4]
    before = atomlens.explain(model, atoms, "gate", "full")
    atoms.set_cell([12.0, 11.0, 13.0])
    atoms.pbc = True
    atoms.translate([11.5, 10.6, 0.3])
    atoms.wrap()
    assert_same_explanation(atomlens.explain(model, atoms, "gate", "full"), before)


@pytest.mark.parametrize("repeats", [(2, 1, 1), (1, 1, 3)])
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_a_supercell_repeats_the_terms_of_its_cell(architecture, product_rule, repeats):
    """Where no walk can go around the cell (T x cutoff below its width), atoms and their images stay apart."""
    model = small_model(architecture, n_layers=2, cutoff=2.0)
    cell = ase.Atoms("OCN", positions=[[0.1, 0, 0], [1.2, 0.4, 0.3], [3.9, 4.0, 4.1]], cell=[4.5, 4.6, 4.7], pbc=True)
    n = int(np.prod(repeats))
    single, many = (atomlens.explain(model, a, "gate", product_rule) for a in (cell, cell.repeat(repeats)))
    assert many.prediction == pytest.approx(n * single.prediction, rel=1e-12)
    assert many.constant == pytest.approx(n * single.constant, rel=1e-12)
    of_cell, of_many = single.interactions(3), many.interactions(3)
    assert len(of_cell.order(3).atoms) > 0
    for order in (1, 2, 3):
        first, second = of_cell.order(order), of_many.order(order)
        home = np.sort(second.atoms % 3, axis=1)
        assert len(home) == n * len(first.atoms)
        for members, relevance in zip(first.atoms, first.relevance, strict=True):
            images = second.relevance[(home == members).all(axis=1)]
            np.testing.assert_allclose(images, [relevance] * n, atol=1e-11)
    for shares, all_shares in zip(single.atom_shares(), many.atom_shares(), strict=True):
        np.testing.assert_allclose(all_shares.reshape(n, 3), np.tile(shares, (n, 1)), atol=1e-11)


def test_shares_of_a_supercell_are_those_of_its_cell_however_small_it_is():
    model = small_model("painn", n_layers=2, cutoff=3.1)
    single, many = (atomlens.explain(model, a) for a in (crowded_cell(), crowded_cell().repeat((1, 2, 1))))
    assert many.prediction == pytest.approx(2 * single.prediction, rel=1e-12)
    for shares, all_shares in zip(single.atom_shares(), many.atom_shares(), strict=True):
        np.testing.assert_allclose(all_shares.reshape(2, 3), np.tile(shares, (2, 1)), atol=1e-11)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("architecture", "product_rule"), FORMS)
def test_an_atom_beyond_every_cutoff_adds_its_own_term_and_nothing_else(architecture, product_rule, rule):
    model = small_model(architecture)
    atoms, far = branched()[:4], ase.Atoms("N", positions=[[0, 50.0, 0]])
    alone, apart, both = (atomlens.explain(model, a, rule, product_rule) for a in (atoms, far, atoms + far))
    assert both.prediction == pytest.approx(alone.prediction + apart.prediction, abs=1e-12)
    assert both.constant == pytest.approx(alone.constant + apart.constant, abs=1e-12)
    own = apart.interactions(3).order(1).relevance
    assert own == pytest.approx([apart.prediction - apart.constant], abs=1e-12)
    for found, expected, added in zip(parts(both), parts(alone), parts(apart), strict=True):
        new = (found.atoms == 4).any(axis=1)
        assert_same(found._replace(atoms=found.atoms[~new], relevance=found.relevance[~new]), expected, 1e-13)
        assert (found.atoms[new] == 4).all()
        np.testing.assert_allclose(found.relevance[new], added.relevance, rtol=0, atol=1e-13)


@pytest.mark.parametrize("architecture", ["schnet", "painn"])
def test_a_batch_predicts_what_each_structure_does_alone(architecture):
    model = small_model(architecture)
    structures = [branched(), crowded_cell(), ase.Atoms("F"), branched()[[4, 0]]]
    graphs = [build_graph(a, model.cutoff) for a in structures]
    y, forces = model.energy_and_forces(collate(graphs))
    alone = [model.energy_and_forces(g) for g in graphs]
    torch.testing.assert_close(y, torch.cat([a[0] for a in alone]), rtol=0, atol=1e-11)
    torch.testing.assert_close(forces, torch.cat([a[1] for a in alone]), rtol=0, atol=1e-11)


@pytest.mark.parametrize("architecture", ["schnet", "painn"])
def test_forces_are_slopes_of_the_prediction_that_is_explained(architecture):
    model, atoms, h = small_model(architecture), branched(), 1e-4
    forces = model.predict(atoms).forces
    for atom, axis in ((0, 0), (1, 2), (3, 1), (4, 0)):
        energies = []
        for step in (-h, h):
            moved = atoms.copy()
            moved.positions[atom, axis] += step
            energies.append(atomlens.explain(model, moved).prediction)
        assert forces[atom, axis] == pytest.approx(-(energies[1] - energies[0]) / (2 * h), rel=1e-6, abs=1e-6)


# What a user hands in stays as it was


def everything(ex: atomlens.Explanation) -> None:
    ex.walks(), ex.bias_walks(), ex.top_walks(3), ex.interactions(3), ex.interactions(2, walks="full")
    ex.interactions(3, walks="bias"), ex.group_interactions([[0, 1], [2]], 2), ex.atom_shares(), repr(ex), ex.residual


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("requires_grad", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("rule", RULES)
def test_the_model_is_left_as_it_was_found(rule, dtype, requires_grad, training):
    model = small_model("painn", dtype=dtype, readout={"aggregation": "softmax"})
    model.train(training)
    model.requires_grad_(requires_grad)
    state = copy.deepcopy(model.state_dict())
    modules, attributes = list(model.modules()), [sorted(vars(m)) for m in model.modules()]
    everything(atomlens.explain(model, branched(), rule, "full"))
    assert model.training is training
    assert all(p.requires_grad is requires_grad and p.grad is None for p in model.parameters())
    for name, value in model.state_dict().items():
        assert value.dtype == state[name].dtype
        assert torch.equal(value, state[name])
    assert list(model.modules()) == modules
    assert [sorted(vars(m)) for m in model.modules()] == attributes


def test_the_structure_is_left_as_it_was_found():
    model, atoms = small_model(), crowded_cell()
    atoms.info["note"], before = "mine", crowded_cell()
    everything(atomlens.explain(model, atoms))
    model.predict(atoms)
    assert np.array_equal(atoms.positions, before.positions)
    assert np.array_equal(atoms.cell.array, before.cell.array)
    assert np.array_equal(atoms.numbers, before.numbers)
    assert atoms.info == {"note": "mine"}
    assert set(atoms.arrays) == set(before.arrays)


def test_an_explanation_keeps_its_own_structure():
    # As in a loop over MD steps that moves one Atoms object along.
    model, atoms = small_model(), branched()
    ex = atomlens.explain(model, atoms)
    atoms.positions[1] += 0.3
    assert np.array_equal(ex.atoms.positions, branched().positions)
    assert_same_explanation(ex, atomlens.explain(model, branched()))


def test_an_explanation_can_be_asked_twice():
    ex = atomlens.explain(small_model(), branched(), "gamma", "full")
    first, second = ex.interactions(3), ex.interactions(3)
    for n in (1, 2, 3):
        assert np.array_equal(first.order(n).relevance, second.order(n).relevance)
    assert np.array_equal(ex.walks().relevance, ex.walks().relevance)


def test_a_failing_explanation_leaves_the_model_alone():
    model = small_model().requires_grad_(True).train()
    state = copy.deepcopy(model.state_dict())
    with pytest.raises(atomlens.InputError):
        atomlens.explain(model, ase.Atoms("H2"))  # both on one spot
    with pytest.raises(ValueError, match="rule 'what' is not known"):
        atomlens.explain(model, branched(), "what")
    with pytest.raises(ValueError, match="product rule 'what' is not known"):
        atomlens.explain(model, branched(), "gate", "what")
    assert model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
