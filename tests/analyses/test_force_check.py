"""Forces against energies, of calculators whose mistake is known."""

from __future__ import annotations

import ase.build
import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones

from atomlens import load_model
from atomlens.analyses import check_forces
from atomlens.potentials import CalculatorModel
from atomlens.potentials.calculated import CalculatorOrigin

MOLECULES = [ase.build.molecule(name) for name in ("CH3CH2OH", "H2O", "CH4")]


class Off(LennardJones):
    """Forces off by some eV/Å everywhere, or energies rounded as in single precision."""

    off, rounded = 0.0, False

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:
        super().calculate(atoms, list(properties), list(system_changes))
        self.results["forces"] = self.results["forces"] + self.off
        if self.rounded:  # about a total energy of some 10,000 eV
            self.results["energy"] = float(np.float32(self.results["energy"] + 1e4))


class Never(Calculator):
    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def calculate(self, *args: object, **kwargs: object) -> None:
        raise RuntimeError("no licence")


def model_of(calculator: Calculator) -> CalculatorModel:
    return CalculatorModel(calculator, CalculatorOrigin("made.up:Calculator"))


@pytest.mark.parametrize("off", [0.0, 0.02, 0.5])
def test_a_known_mismatch_is_reported_as_it_is(off: float) -> None:
    calculator = Off()
    calculator.off = off
    found = check_forces(model_of(calculator), MOLECULES)
    assert found.consistent == (off == 0.0)
    assert found.largest == pytest.approx(off, abs=1e-3)
    assert (found.n_structures, found.n_components) == (3, 18)
    assert ("do not match" in str(found)) == (off > 0.0)


def test_rounded_energies_are_no_mismatch() -> None:
    calculator = Off()
    calculator.rounded = True
    found = check_forces(model_of(calculator), MOLECULES)
    assert found.error > 1e-3
    assert found.consistent


def test_our_own_networks_have_forces_that_match() -> None:
    model = load_model("zoo:rmd17-ethanol-painn")
    found = check_forces(model, MOLECULES[:1], n_each=3)
    assert found.consistent
    assert found.largest < 1e-3


def test_a_calculator_that_never_answers_is_not_called_inconsistent() -> None:
    found = check_forces(model_of(Never()), MOLECULES)
    assert found.n_components == 0
    assert found.consistent
    assert "failed at every structure" in str(found)
