"""What the tests of every other library's models ask for: structures, its own calculator's answers, terms by sets."""

from __future__ import annotations

from itertools import combinations

import ase
import ase.build
import numpy as np
import torch
from ase.calculators.calculator import Calculator

from atomlens.chain import make_rule
from atomlens.potentials.foreign import ForeignModel, energy_and_forces, float64_default, quietly
from atomlens.recording import Checks, Union, record


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
    """Energies and forces are those of the library's calculator, relative to what is left of them without lone atoms."""
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


def terms(
    model: ForeignModel, atoms: ase.Atoms, max_order: int = 3
) -> tuple[dict[tuple[int, ...], float], float, float]:
    """Terms by inclusion-exclusion over all sets, the constant, and what no term holds."""
    recording = record(model, atoms)
    layers = recording.layers(make_rule("gate"))
    found: dict[tuple[int, ...], float] = {}
    for order in range(1, max_order + 1):
        sets = torch.tensor(list(combinations(range(len(atoms)), order)))
        values = Union(layers).sums(sets.flatten(), torch.full((len(sets),), order)).tolist()
        for atoms_in, value in zip(sets.tolist(), values, strict=True):
            parts = [part for k in range(1, order) for part in combinations(atoms_in, k)]
            found[tuple(atoms_in)] = value - sum(found[part] for part in parts)
    rest = recording.prediction - layers.constant - sum(found.values())
    return found, layers.constant, rest
