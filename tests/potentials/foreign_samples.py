"""What tests of other libraries' models share: structures, answers of their own calculators, terms by two ways."""

from __future__ import annotations

import ase
import ase.build
import numpy as np
from ase.calculators.calculator import Calculator

from atomlens.chain import make_rule
from atomlens.interactions import Explanation, interaction_terms
from atomlens.potentials.foreign import ForeignModel, energy_and_forces, float64_default, quietly
from atomlens.recording import Checks, record


def ethanol() -> ase.Atoms:
    return ase.build.molecule("CH3CH2OH")


def crystal() -> ase.Atoms:
    """Water in a skewed cell smaller than the cutoff: edges to several images, and of atoms to themselves."""
    atoms = ase.build.molecule("H2O")
    atoms.set_cell([[4.1, 0.0, 0.0], [0.7, 4.4, 0.0], [-0.4, 0.6, 4.8]])
    atoms.pbc = True
    return atoms


def slab() -> ase.Atoms:
    """Periodic in two directions."""
    atoms = crystal()
    atoms.pbc = (True, True, False)
    return atoms


STRUCTURES = {"open": ethanol, "crystal": crystal, "slab": slab}


def assert_same(model: ForeignModel, calculator: Calculator, atoms: ase.Atoms) -> None:
    """Energies (relative to their part without lone atoms) and forces are those of the library's calculator."""
    energy, forces = energy_and_forces(model, atoms)
    theirs = atoms.copy()
    theirs.calc = calculator
    with quietly(), float64_default():
        expected, pulled = theirs.get_potential_energy(), theirs.get_forces()
    size = abs(energy - sum(model.references[z] for z in atoms.numbers.tolist()))
    assert size > 0
    assert abs(energy - expected) <= 1e-6 * size + 1e-10
    np.testing.assert_allclose(forces, pulled, rtol=0, atol=1e-6 * np.abs(pulled).max())


def recorded(model: ForeignModel, atoms: ase.Atoms, rule: str = "gate", product_rule: str = "full") -> Checks:
    return record(model, atoms).check(make_rule(rule), product_rule)


def compare_with_chain(explanation: Explanation, max_order: int) -> None:
    """Terms by the recording's own execution on sets of atoms are those of the chain that is read off it."""
    by_sets, by_chain = explanation.interactions(max_order), interaction_terms(explanation.chain, max_order)
    for order in range(1, max_order + 1):
        a, b = by_sets.order(order), by_chain.order(order)
        np.testing.assert_array_equal(a.atoms, b.atoms)
        size = np.abs(a.relevance).max(initial=1e-3)
        np.testing.assert_allclose(a.relevance, b.relevance, rtol=0, atol=1e-10 * size)
