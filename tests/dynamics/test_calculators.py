import ase
import ase.build
import numpy as np
import pytest
import torch
from ase.calculators.calculator import PropertyNotImplementedError
from ase.md.verlet import VelocityVerlet
from ase.units import fs, kcal, mol

from atomlens.dynamics import AtomlensCalculator, energy_forces_stress
from atomlens.models import (
    CutoffConfig,
    ModelConfig,
    OutputConfig,
    Potential,
    RadialConfig,
    ReadoutConfig,
    RepresentationConfig,
)
from atomlens.structures import InputError, collate

ARCHITECTURES = ["schnet", "painn"]


def make_model(architecture: str, unit: str = "eV", cutoff: float = 4.0, extensive: bool = True) -> Potential:
    torch.manual_seed(0)
    representation = RepresentationConfig(
        architecture=architecture,  # pyright: ignore[reportArgumentType]
        n_features=8,
        n_layers=2,
        radial=RadialConfig(cutoff=cutoff),
        cutoff=CutoffConfig(cutoff=cutoff),
    )
    output = OutputConfig(unit=unit, extensive=extensive, has_forces=extensive)
    model = Potential(ModelConfig(representation, ReadoutConfig(widths=(8, 4, 1)), output)).cast(torch.float64)
    model.atomrefs[[1, 6, 8]] = torch.tensor([-13.0, -1000.0, -2000.0], dtype=torch.float64)
    return model


def ethanol() -> ase.Atoms:
    atoms = ase.build.molecule("CH3CH2OH")
    atoms.rattle(0.1, seed=1)
    return atoms


def crystal() -> ase.Atoms:
    atoms = ase.build.bulk("MgO", "rocksalt", a=4.2)  # a primitive cell: atoms meet their own images
    strain = np.array([[0.02, 0.03, 0], [0, -0.01, 0.02], [0, 0, 0.01]])
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms.rattle(0.1, seed=1)
    return atoms


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("atoms", [ethanol(), crystal()], ids=["ethanol", "MgO"])
def test_forces_are_finite_differences(architecture: str, atoms: ase.Atoms) -> None:
    atoms.calc = AtomlensCalculator(make_model(architecture))
    forces, h = atoms.get_forces(), 1e-4
    for i, axis in ((0, 0), (1, 1), (1, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.calc = atoms.calc
            moved.positions[i, axis] += sign * h
            energies.append(moved.get_potential_energy())
        assert forces[i, axis] == pytest.approx(-(energies[0] - energies[1]) / (2 * h), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_stress_is_a_finite_difference(architecture: str) -> None:
    atoms = crystal()
    atoms.calc = AtomlensCalculator(make_model(architecture))
    stress, h = atoms.get_stress(voigt=False), 1e-5
    assert np.abs(stress).max() > 1e-6
    for a, b in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2)):
        energies = []
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            strain[a, b] += 0.5 * sign * h
            strain[b, a] += 0.5 * sign * h
            moved = atoms.copy()
            moved.calc = atoms.calc
            moved.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
            energies.append(moved.get_potential_energy())
        expected = (energies[0] - energies[1]) / (2 * h) / atoms.get_volume()
        assert stress[a, b] == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_model_units_are_converted() -> None:
    a, b = ethanol(), ethanol()
    a.calc, b.calc = AtomlensCalculator(make_model("painn")), AtomlensCalculator(make_model("painn", "kcal/mol"))
    assert b.get_potential_energy() == pytest.approx(a.get_potential_energy() * kcal / mol)
    np.testing.assert_allclose(b.get_forces(), a.get_forces() * kcal / mol)
    assert a.calc.model.predict(a).energy == pytest.approx(a.get_potential_energy())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_batch_equals_single_structures(architecture: str) -> None:
    model = make_model(architecture)
    structures = [crystal(), crystal().repeat((2, 1, 1))]
    batch = energy_forces_stress(model, collate([model.graph(a) for a in structures]), stress=True)
    singles = [energy_forces_stress(model, model.graph(a), stress=True) for a in structures]
    assert batch.stress is not None
    torch.testing.assert_close(batch.energy, torch.cat([s.energy for s in singles]))
    torch.testing.assert_close(batch.forces, torch.cat([s.forces for s in singles]))
    torch.testing.assert_close(batch.stress, torch.cat([s.stress for s in singles if s.stress is not None]))


def test_dynamics_conserve_energy() -> None:
    atoms = ethanol()
    atoms.calc = AtomlensCalculator(make_model("painn"))
    start = atoms.get_total_energy()
    VelocityVerlet(atoms, timestep=0.5 * fs).run(20)
    assert atoms.get_total_energy() == pytest.approx(start, abs=1e-5)


def test_what_is_no_energy_is_refused() -> None:
    with pytest.raises(InputError, match="no energy"):
        AtomlensCalculator(make_model("schnet", "D"))
    with pytest.raises(InputError, match="no energy"):
        AtomlensCalculator(make_model("schnet", extensive=False))
    atoms = ethanol()
    atoms.calc = AtomlensCalculator(make_model("schnet"))
    with pytest.raises(PropertyNotImplementedError, match="needs a cell"):
        atoms.get_stress()
    with pytest.raises(InputError, match="needs a cell"):
        energy_forces_stress(atoms.calc.model, atoms.calc.model.graph(atoms), stress=True)


def test_input_is_not_changed() -> None:
    atoms = ethanol()
    atoms.set_array("tag", np.arange(9))
    before = atoms.copy()
    AtomlensCalculator(make_model("painn")).calculate(atoms)
    assert atoms == before
