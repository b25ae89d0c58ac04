"""Calculators that raise, or give something else than an energy and forces: one line that names them."""

from __future__ import annotations

import ase
import ase.build
import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from atomlens.potentials import CalculatorFailed, CalculatorModel
from atomlens.potentials.calculated import CalculatorOrigin

WATER = ase.build.molecule("H2O")


class Gives(Calculator):
    """Gives what a test asks for; an exception is raised."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, energy, forces=None) -> None:
        super().__init__()
        self.energy, self.forces = energy, np.zeros((3, 3)) if forces is None else forces

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:
        super().calculate(atoms, list(properties), list(system_changes))
        if isinstance(self.energy, Exception):
            raise self.energy
        self.results = {"energy": self.energy, "forces": self.forces}


def opened(calculator: Calculator) -> CalculatorModel:
    return CalculatorModel(calculator, CalculatorOrigin("mine:Calculator"))


@pytest.mark.parametrize(
    ("calculator", "said"),
    [
        (Gives(RuntimeError("no\nlicence")), r"^mine:Calculator failed \(RuntimeError: no licence\)$"),
        (Gives(KeyError()), r"^mine:Calculator failed \(KeyError\)$"),
        (Gives("low"), r"^mine:Calculator failed \(ValueError"),
        (Gives(np.zeros(3)), r"^mine:Calculator gives an energy of shape \(3,\); one number in eV is needed$"),
        (Gives(np.nan), "not finite"),
        (Gives(0.0, np.full((3, 3), np.inf)), "not finite"),
        (Gives(0.0, np.zeros((4, 3))), r"^mine:Calculator gives forces of shape \(4, 3\); \(3, 3\) is needed$"),
    ],
)
def test_what_is_no_energy_and_forces_is_named(calculator: Calculator, said: str) -> None:
    model = opened(calculator)
    with pytest.raises(CalculatorFailed, match=said):
        model.predict(WATER)
    atoms = WATER.copy()
    atoms.calc = model.calculator()  # as the check of a molecule asks
    with pytest.raises(CalculatorFailed, match=said):
        atoms.get_forces()


def test_one_number_in_an_array_and_forces_in_a_list_are_taken() -> None:
    found = opened(Gives(np.array([-1.5]), np.eye(3).tolist())).predict(WATER)
    assert found.energy == -1.5
    np.testing.assert_array_equal(found.forces, np.eye(3))


def test_energies_alone_are_missing_where_a_calculator_fails_and_are_counted() -> None:
    good, bad = opened(Gives(2.0)), opened(Gives(RuntimeError("no licence")))
    assert good.energy(WATER) == 2.0
    assert not good.failures
    assert np.isnan([bad.energy(WATER), bad.energy(WATER)]).all()
    assert bad.failures == {"mine:Calculator failed (RuntimeError: no licence)": 2}


def test_constraints_of_a_structure_do_not_reach_its_forces() -> None:
    held = WATER.copy()
    held.set_constraint(FixAtoms([0]))
    np.testing.assert_array_equal(opened(EMT()).predict(held).forces, opened(EMT()).predict(WATER).forces)
