"""SO3net: symmetries, forces, files."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import molecule
from scipy.spatial.transform import Rotation

from atomlens import load_model, save_model
from atomlens.models import Potential, RepresentationConfig, SO3net
from atomlens.models.features import edge_features
from atomlens.structures import build_graph, collate
from samples import branched, crowded_cell, small_model

DIPOLE = {"kind": "dipole", "vectors": True}
OUTPUT = {"property": "dipole", "unit": "e Å", "has_forces": False, "extensive": False}


def so3net(l_max=2, **options):
    return small_model("so3net", l_max=l_max, n_layers=options.pop("n_layers", 2), cutoff=3.0, **options)


def turned(atoms, matrix):
    result = atoms.copy()
    result.positions = atoms.positions @ matrix.T
    result.cell = atoms.cell.array @ matrix.T
    return result


@pytest.mark.parametrize("atoms", [molecule("CH3CH2OH"), branched(), crowded_cell()], ids=["open", "lonely", "cell"])
@pytest.mark.parametrize("l_max", [0, 1, 3])
def test_rotation_and_inversion(l_max, atoms):
    model = so3net(l_max)
    before = model.predict(atoms)
    for matrix in (Rotation.from_euler("zyz", [0.3, 1.1, -2.0]).as_matrix(), -np.eye(3)):
        after = model.predict(turned(atoms, matrix))
        assert after.energy == pytest.approx(before.energy, abs=1e-11)
        np.testing.assert_allclose(after.forces, before.forces @ matrix.T, atol=1e-11)


def test_vectors_turn_with_the_molecule():
    model = small_model("so3net", l_max=2, readout=DIPOLE, output=OUTPUT)
    model.mean.zero_()  # offsets have no direction
    model.atomrefs.zero_()
    atoms, matrix = molecule("CH3CH2OH"), Rotation.from_euler("zyz", [-0.7, 2.1, 0.4]).as_matrix()
    before, after = model.predict(atoms).value, model.predict(turned(atoms, matrix)).value
    assert np.linalg.norm(before) > 1e-3
    np.testing.assert_allclose(after, matrix @ before, atol=1e-12)
    without = small_model("so3net", l_max=0, readout=DIPOLE, output=OUTPUT)
    with pytest.raises(ValueError, match="needs vector features"):
        without.predict(atoms)


def test_permutation_batches_and_cells():
    model, atoms = so3net(), molecule("CH3CH2OH")
    order = np.random.default_rng(0).permutation(len(atoms))
    before, after = model.predict(atoms), model.predict(atoms[order])
    assert after.energy == pytest.approx(before.energy, abs=1e-12)
    np.testing.assert_allclose(after.forces, before.forces[order], atol=1e-12)
    cell = crowded_cell()
    one, eight = model.predict(cell), model.predict(cell * (2, 2, 2))
    assert eight.energy == pytest.approx(8 * one.energy, abs=1e-10)
    np.testing.assert_allclose(eight.forces, np.tile(one.forces, (8, 1)), atol=1e-11)
    both = collate([build_graph(a, 3.0, dtype=torch.float64) for a in (atoms, cell)])
    assert model(both).tolist() == pytest.approx([before.energy, one.energy], abs=1e-12)


def test_forces_are_the_gradient():
    model, atoms, h = so3net(), crowded_cell(), 1e-5
    forces = model.predict(atoms).forces
    for i, k in ((0, 0), (1, 2), (2, 1)):
        ends = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[i, k] += sign * h
            ends.append(model.predict(moved).energy)
        assert forces[i, k] == pytest.approx(-(ends[0] - ends[1]) / (2 * h), rel=1e-6, abs=1e-7)


def test_forces_can_be_learned():
    model = so3net().requires_grad_(True)
    y, forces = model.energy_and_forces(model.graph(molecule("H2O")), create_graph=True)
    (y.sum() + forces.square().sum()).backward()
    names = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert [name for name in names if not name.endswith("network.layers.1.bias")] == []


def test_the_first_layer_sees_scalars_only():
    model = so3net()
    net = model.representation
    assert isinstance(net, SO3net)
    edges = edge_features(model.graph(molecule("H2O")), net.basis, net.cutoff)
    rotors = net.algebra.rotors(net.algebra.harmonics(edges.directions))
    x = torch.randn(3, 1, 4, dtype=torch.float64)
    padded = torch.nn.functional.pad(x, (0, 0, 0, 8))
    short, long = (net.layers[0](states, rotors, edges, net.algebra) for states in (x, padded))
    assert torch.allclose(short, long, atol=1e-14)


def test_own_files_keep_degree_and_constants(tmp_path):
    model = so3net(3, dtype=torch.float32)
    save_model(model, tmp_path / "m.safetensors")
    again = load_model(tmp_path / "m.safetensors")
    assert again.config.representation == model.config.representation
    assert again.config.representation.l_max == 3
    expected = model.converted(torch.float64).predict(molecule("H2O"))
    assert again.predict(molecule("H2O")).energy == expected.energy
    assert torch.equal(again.representation.algebra.coupling, model.representation.algebra.coupling)


def test_impossible_degrees_are_refused():
    for l_max in (-1, 9):
        with pytest.raises(ValueError, match=f"l_max={l_max}; it must lie between 0 and 8"):
            RepresentationConfig("so3net", l_max=l_max)


def test_shared_layers():
    model = so3net(n_layers=3, shared_interactions=True)
    config = replace(model.config.representation, shared_interactions=False)
    twin = Potential(replace(model.config, representation=config)).double()
    states = {name: model.state_dict()[name] for name in twin.state_dict()}
    twin.load_state_dict(states)
    assert twin.predict(molecule("H2O")).energy == model.predict(molecule("H2O")).energy
