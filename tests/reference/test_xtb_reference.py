from __future__ import annotations

import ase
import ase.build
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomlens.reference import Gfn2, Gfn2Calculator, Orbitals, ReferenceUnavailable, gfn2, gfn2_bond_orders, gfn2_energy
from atomlens.structures import structure_from_smiles

pytest.importorskip("tblite", reason="needs the extra xtb")


@pytest.mark.parametrize(("name", "order"), [("C2H6", 1), ("C2H4", 2), ("C2H2", 3), ("N2", 3), ("H2CO", 2)])
def test_bond_orders(name, order):
    atoms = ase.build.molecule(name)
    found = gfn2_bond_orders(atoms)
    a, b = np.flatnonzero(atoms.numbers > 1)
    assert found[a, b] == pytest.approx(order, abs=0.1)
    np.testing.assert_allclose(found, found.T, atol=1e-12)
    np.testing.assert_array_equal(np.diag(found), 0.0)


@pytest.mark.smoke
def test_forces_are_the_gradient_and_charges_make_the_dipole():
    atoms = ase.build.molecule("CH3CH2OH")
    found, h = gfn2(atoms), 1e-4
    atoms.positions[2, 1] += h
    up = gfn2_energy(atoms)
    atoms.positions[2, 1] -= 2 * h
    assert found.forces[2, 1] == pytest.approx(-(up - gfn2_energy(atoms)) / (2 * h), abs=1e-4)
    assert found.charges.sum() == pytest.approx(0.0, abs=1e-6)
    water = gfn2(ase.build.molecule("H2O"))
    assert np.linalg.norm(water.dipole) == pytest.approx(0.46, abs=0.06)  # 1.85 D measured is 0.385; GFN2 gives 2.2 D


def test_where_the_homo_of_formaldehyde_sits():
    orbitals = gfn2(ase.build.molecule("H2CO")).orbitals
    assert orbitals is not None
    share = orbitals.homo_population()
    assert share is not None
    assert share.sum() == pytest.approx(1.0)
    assert share.argmax() == 0  # oxygen
    assert share[0] > 0.5
    assert orbitals.occupations.sum() == pytest.approx(12.0)
    assert orbitals.homo == 5
    assert orbitals.homo_energy == pytest.approx(-11.6, abs=0.3)


def test_a_degenerate_homo_keeps_the_symmetry():
    orbitals = gfn2(ase.build.molecule("C6H6")).orbitals
    assert orbitals is not None
    np.testing.assert_allclose(orbitals.homo_population(), [1 / 6] * 6 + [0] * 6, atol=1e-3)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 6))
@settings(max_examples=20)
def test_populations_of_any_orbitals_sum_to_one(seed, n):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, n)) + 2 * np.eye(n)
    overlap = root @ root.T + 0.1 * np.eye(n)
    values, vectors = np.linalg.eigh(overlap)
    rotation = np.linalg.qr(rng.normal(size=(n, n)))[0]
    coefficients = vectors @ np.diag(values**-0.5) @ rotation
    occupations = np.where(np.arange(n) <= n // 2, 2.0, 0.0)
    orbitals = Orbitals(np.arange(n, dtype=float), occupations, coefficients, overlap, np.arange(n))
    share = orbitals.homo_population()
    assert share is not None
    assert share.sum() == pytest.approx(1.0)
    assert Orbitals(np.arange(n, dtype=float), 0 * occupations, coefficients, overlap, np.arange(n)).homo is None


@pytest.mark.parametrize(
    ("atoms", "options", "reason"),
    [
        (ase.Atoms("ThO", [[0, 0, 0], [0, 0, 1.9]]), {}, r"no parameters for Th \(atom 0\)"),
        (ase.build.molecule("OH"), {}, "9 electrons do not go with 0 unpaired"),
        (ase.build.molecule("OH"), {}, "uhf=1 for a radical"),
        (ase.build.molecule("H2O"), {"charge": 1}, "9 electrons"),
        (ase.build.molecule("H2O"), {"uhf": 1}, "10 electrons do not go with 1"),
        (ase.build.bulk("Si"), {}, "periodic"),
        (ase.Atoms("HH", [[0, 0, 0], [0, 0, 0]]), {}, "GFN2-xTB (failed|refuses)"),
        (ase.Atoms("He", info={"charge": "some"}), {}, "charge is 'some'"),
        (ase.Atoms("He", info={"charge": True}), {}, "charge is 'True'"),
        (ase.Atoms("He", info={"charge": 10**26}), {}, "charge is '1000"),
        (ase.build.molecule("H2"), {"uhf": 4}, "2 valence electrons cannot have 4 unpaired"),
        (ase.build.molecule("H2"), {"uhf": -2}, "cannot have -2 unpaired"),
        (ase.Atoms("He", info={"uhf": 0.5}), {}, "uhf is '0.5'"),
        (ase.build.molecule("H2O"), {"charge": 8}, r"\+8 e leaves none of the 8 valence electrons"),
        (ase.Atoms(), {}, "no atoms"),
    ],
)
def test_what_gfn2_is_not_defined_for(atoms, options, reason):
    with pytest.raises(ReferenceUnavailable, match=reason) as caught:
        gfn2(atoms, **options)
    assert caught.value.reason == str(caught.value)


def test_no_convergence_is_told_and_does_not_stick():
    xtb = Gfn2(ase.build.molecule("H2CO"))
    xtb._calculator.set("max-iter", 1)
    with pytest.raises(ReferenceUnavailable, match="not converged"):
        xtb.compute(ase.build.molecule("H2CO").positions)
    xtb._calculator.set("max-iter", 250)
    assert xtb.compute(ase.build.molecule("H2CO").positions).energy < -100


def test_unpaired_electrons_are_those_of_the_structure():
    methylene = ase.build.molecule("CH2_s3B1d")
    singlet, triplet = gfn2(methylene, uhf=0).energy, gfn2(methylene, uhf=2).energy
    assert abs(singlet - triplet) > 0.05
    assert gfn2(methylene).energy == singlet
    for name, value in (("uhf", 2), ("multiplicity", 3)):
        told = methylene.copy()
        told.info[name] = value
        assert gfn2(told).energy == triplet
        assert gfn2_energy(told) == triplet  # which remembers what it was asked before
        told.calc = Gfn2Calculator()
        assert told.get_potential_energy() == pytest.approx(triplet, abs=1e-6)
    methyl = structure_from_smiles("[CH3]")
    assert gfn2(methyl).energy == gfn2(methyl, uhf=1).energy


def test_one_calculator_follows_charge_and_spin_of_its_structures():
    calculator = Gfn2Calculator()
    told = ({"uhf": 0}, {"uhf": 2}, {"charge": 1, "uhf": 1}, {})
    oxygen = ase.build.molecule("O2")
    expected = [gfn2(oxygen, charge=info.get("charge"), uhf=info.get("uhf")).energy for info in told]
    assert len({round(energy, 3) for energy in expected}) == 3
    for info, energy in zip(told, expected, strict=True):
        oxygen.info = dict(info)
        assert calculator.get_potential_energy(oxygen) == pytest.approx(energy, abs=1e-5)
        other = ase.Atoms(oxygen, positions=oxygen.positions, info=dict(info))
        other.calc = calculator
        assert other.get_potential_energy() == pytest.approx(energy, abs=1e-5)


def test_ions_and_radicals_where_they_are_told():
    hydroxide = ase.build.molecule("OH")
    hydroxide.info["charge"] = -1
    assert gfn2(hydroxide).charges.sum() == pytest.approx(-1.0, abs=1e-6)
    assert gfn2(ase.build.molecule("OH"), uhf=1).charges.sum() == pytest.approx(0.0, abs=1e-6)
    proton = gfn2(ase.Atoms("H"), charge=1).orbitals
    assert proton is not None
    assert proton.homo_population() is None
    assert proton.homo_energy is None


def test_the_calculator_gives_the_same():
    atoms = ase.build.molecule("CH3OH")
    single = gfn2(atoms)
    atoms.calc = Gfn2Calculator()
    assert atoms.get_potential_energy() == pytest.approx(single.energy, abs=1e-8)
    np.testing.assert_allclose(atoms.get_forces(), single.forces, atol=1e-5)
    atoms.symbols[2:] = "F"  # another molecule in the same calculator
    assert atoms.get_potential_energy() == pytest.approx(gfn2_energy(atoms), abs=1e-6)
