"""Models read from SchNetPack's files predict what SchNetPack predicts (see reference/make_schnetpack.py)."""

import numpy as np
import pytest
import torch

from atomlens.models import save_model
from atomlens.potentials import load_model, save_schnetpack_state_dict


def assert_close(ours, theirs):
    theirs = np.array(theirs)
    assert np.abs(np.asarray(ours) - theirs).max() <= 1e-10 * max(1.0, np.abs(theirs).max())


def test_predictions_equal_schnetpack(reference_name, references, load_reference, reference_graph):
    reference = references[reference_name]
    model = load_reference(reference_name)
    assert model.config.output.property == reference["property"]
    assert model.config.output.has_forces == ("forces" in reference)
    with torch.no_grad():
        assert_close(model(reference_graph(model)), reference["value"])
    if "forces" in reference:
        assert_close(model.energy_and_forces(reference_graph(model))[1], reference["forces"])


def test_own_format_keeps_what_was_read(reference_name, load_reference, reference_graph, tmp_path):
    model = load_reference(reference_name, dtype=None)
    save_model(model, tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors", dtype=None)
    assert again.config == model.config
    state = again.state_dict()
    for name, tensor in model.state_dict().items():
        assert state[name].dtype == tensor.dtype
        assert torch.equal(state[name], tensor)


def test_single_precision_is_near(load_reference, references, reference_graph):
    model = load_reference("energy_painn", dtype=torch.float32)
    assert model.dtype == torch.float32
    assert model.mean.dtype == torch.float64
    with torch.no_grad():
        ours = model(reference_graph(model)).numpy()
    np.testing.assert_allclose(ours, references["energy_painn"]["value"], rtol=1e-5)


def test_the_types_of_the_file_are_kept_on_request(load_reference, reference_graph):
    assert load_reference("energy_schnet", dtype=None).dtype == torch.float32
    assert load_reference("energy_double", dtype=None).dtype == torch.float64
    # The sum of table and electron configuration is not rounded, so the rest becomes as wide as it.
    model = load_reference("energy_painn_nuclear", dtype=None)
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float64}
    assert torch.isfinite(model(reference_graph(model))).all()


def test_another_output_can_be_chosen(load_reference, reference_graph):
    assert load_reference("energy_and_dipole").config.output.property == "energy"
    model = load_reference("energy_and_dipole", output="dipole_moment")
    assert model.config.readout.kind == "dipole"
    assert not model.config.output.has_forces
    assert model(reference_graph(model)).shape == (3, 3)


SHARED = {"energy_schnet_shared": "layers", "energy_painn_shared": "interactions", "energy_so3net_shared": "layers"}


def test_shared_layers_stay_one(load_reference):
    for name, layers in SHARED.items():
        found = getattr(load_reference(name).representation, layers)
        assert len(found) == 3
        assert found[0] is found[1] is found[2]


def test_offsets_are_kept_in_double_precision(load_reference):
    model = load_reference("energy_atomrefs", dtype=torch.float32)
    assert float(model.mean) == -7.25
    assert model.atomrefs[[1, 6, 7, 8]].tolist() == [-13.6, -1029.5, -1485.25, -2041.125]
    assert model.config.elements == (1, 6, 7, 8)
    assert model.config.output.extensive
    assert not load_reference("energy_intensive").config.output.extensive


def test_order_of_scale_and_offsets(load_reference):
    first = load_reference("energy_scale_then_offsets")
    assert (float(first.scale), float(first.mean)) == (2.5, -7.25)
    after = load_reference("energy_offsets_then_scale")
    assert (float(after.scale), float(after.mean), float(after.atomrefs[1])) == (2.5, -7.25 * 2.5 + 1.5, -13.6 * 2.5)
    assert "forces" not in first.config.card


def test_old_files_have_no_version(load_reference):
    assert load_reference("energy_painn").config.card["spk_version"] == "2.1.1"
    assert "spk_version" not in load_reference("energy_painn_of_2.0.0").config.card


def test_numbers_of_the_configuration_are_readable(load_reference):
    config = load_reference("energy_schnet_trainable").config.representation
    assert (config.cutoff.cutoff, config.radial.n_rbf, config.radial.trainable) == (3.2, 6, True)
    config = load_reference("energy_painn_bessel_mollifier").config.representation
    assert (config.radial.kind, config.radial.cutoff, config.cutoff.kind) == ("bessel", 3.2, "mollifier")
    assert config.epsilon == 1e-3


# Of these the state dict has the same layout as the model that the reference was made with.
@pytest.mark.parametrize(
    "name",
    [
        "energy_schnet",
        "energy_painn",
        "energy_atomrefs",
        "energy_schnet_shared",
        "dipole_vectors_hidden",
        "energy_so3net",
    ],
)
def test_state_dict_has_schnetpacks_names(name, references, load_reference, tmp_path):
    model = load_reference(name)
    save_schnetpack_state_dict(model, tmp_path / "state")
    state = torch.load(tmp_path / "state", weights_only=True)
    theirs = set(references[name]["state_dict"])
    assert {key for key in state if not key.startswith("postprocessors.")} == {
        key for key in theirs if not key.startswith("postprocessors.")
    }
    if any(key.startswith("postprocessors.") for key in theirs):
        assert set(state) == theirs
    assert torch.equal(state["representation.embedding.weight"], model.representation.embedding.weight)
    assert not (tmp_path / "state").with_suffix(".tmp").exists()
