import ase
import ase.build
import numpy as np
import pytest
import torch

from atomlens.dynamics import AtomlensCalculator
from atomlens.models import ModelConfig, Potential, ReadoutConfig, RepresentationConfig
from atomlens.structures import InputError

torch_sim = pytest.importorskip("torch_sim", reason="needs the extra md: pip install 'atomlens[md]'")


def make_model(architecture: str, dtype: torch.dtype = torch.float64) -> Potential:
    torch.manual_seed(0)
    representation = RepresentationConfig(architecture=architecture, n_features=8, n_layers=2)  # pyright: ignore[reportArgumentType]
    return Potential(ModelConfig(representation, ReadoutConfig(widths=(8, 1)))).cast(dtype)


def molecules() -> list[ase.Atoms]:
    found = [ase.build.molecule(name) for name in ("CH3CH2OH", "H2O", "C6H6")]
    for atoms in found:
        atoms.set_cell(20 * np.eye(3))
    return found


def crystals() -> list[ase.Atoms]:
    found = [ase.build.bulk("Si", cubic=True), ase.build.bulk("MgO", "rocksalt", a=4.2)]
    for k, atoms in enumerate(found):
        atoms.rattle(0.05, seed=k)
    found[1].set_cell(found[1].cell.array + np.array([[0, 0, 0], [0.3, 0, 0], [0, 0, 0]]), scale_atoms=True)
    return found


@pytest.mark.parametrize("architecture", ["schnet", "painn"])
@pytest.mark.parametrize("periodic", [False, True], ids=["molecules", "crystals"])
def test_a_batch_equals_the_ase_calculator_one_by_one(architecture: str, periodic: bool) -> None:
    from atomlens.dynamics.torchsim import TorchSimModel

    model = make_model(architecture)
    structures = crystals() if periodic else molecules()
    state = torch_sim.io.atoms_to_state(structures, torch.device("cpu"), torch.float64)
    positions = state.positions.clone()
    wrapped = TorchSimModel(model, compute_stress=periodic)
    for _ in range(2):  # the second time pairs come from memory
        found = wrapped(state)
    assert torch.equal(state.positions, positions)
    first = 0
    for k, atoms in enumerate(structures):
        atoms.calc = AtomlensCalculator(model)
        assert float(found["energy"][k]) == pytest.approx(atoms.get_potential_energy(), rel=1e-10)
        rows = found["forces"][first : first + len(atoms)].numpy()
        np.testing.assert_allclose(rows, atoms.get_forces(), rtol=1e-8, atol=1e-10)
        if periodic:
            np.testing.assert_allclose(found["stress"][k].numpy(), atoms.get_stress(voigt=False), rtol=1e-7, atol=1e-12)
        first += len(atoms)


def test_torch_sim_accepts_the_interface() -> None:
    from torch_sim.models.interface import validate_model_outputs

    from atomlens.dynamics.torchsim import TorchSimModel

    validate_model_outputs(TorchSimModel(make_model("painn"), compute_stress=True), torch.device("cpu"), torch.float64)


@pytest.mark.smoke
def test_batched_dynamics_equal_single_ones() -> None:
    from atomlens.dynamics.torchsim import TorchSimModel

    wrapped = TorchSimModel(make_model("painn"))

    def relax(structures: list[ase.Atoms]) -> torch.Tensor:
        state = torch_sim.io.atoms_to_state(structures, torch.device("cpu"), torch.float64)
        for _ in range(5):
            state.positions = state.positions + 0.01 * wrapped(state)["forces"]
        return state.positions

    together = relax(molecules())
    torch.testing.assert_close(together, torch.cat([relax([atoms]) for atoms in molecules()]))


def test_what_is_no_energy_is_refused() -> None:
    from dataclasses import replace

    from atomlens.dynamics.torchsim import TorchSimModel

    model = make_model("schnet")
    model.config = replace(model.config, output=replace(model.config.output, unit="D"))
    with pytest.raises(InputError, match="no energy"):
        TorchSimModel(model)
