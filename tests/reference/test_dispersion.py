from __future__ import annotations

import ase
import ase.build
import numpy as np
import pytest

from atomlens.reference import ReferenceUnavailable, bond_energies, bond_energy, d4_dispersion


def waters(distance: float) -> ase.Atoms:
    """Two water molecules head to tail, oxygens `distance` Å apart."""
    first, second = ase.build.molecule("H2O"), ase.build.molecule("H2O")
    second.translate([0, 0, distance])
    return first + second


def exponent(function, near: float, far: float) -> float:
    """Mean of d ln|f| / d ln r from near to far."""
    return float(np.log(abs(function(far) / function(near))) / np.log(far / near))


@pytest.mark.smoke
def test_dispersion_of_two_waters_decays_like_its_law():
    pytest.importorskip("dftd4", reason="needs the extra reference")
    between = lambda r: d4_dispersion(waters(r)).pair_energies[:3, 3:].sum()  # noqa: E731
    # -6.1 to -6.2 from 5 to 19 Å; the C8 term still shows where they are near.
    assert -6.2 < exponent(between, 5.0, 19.0) < -6.05
    assert exponent(between, 30.0, 60.0) == pytest.approx(-6.0, abs=0.01)


@pytest.mark.parametrize("functional", ["pbe", "b3lyp"])
def test_pairs_and_triples_sum_to_the_energy(functional):
    pytest.importorskip("dftd4", reason="needs the extra reference")
    found = d4_dispersion(ase.build.molecule("C6H6"), functional)
    np.testing.assert_allclose(found.pair_energies, found.pair_energies.T, atol=1e-15)
    pairs = np.triu(found.pair_energies, 1).sum()
    assert pairs + found.three_body_energy == pytest.approx(found.energy, rel=1e-10)
    assert found.three_body_energy != 0
    assert np.abs(np.diag(found.pair_energies)).max() == 0


def test_far_pairs_are_their_c6():
    pytest.importorskip("dftd4", reason="needs the extra reference")
    atoms = ase.Atoms("ArAr", [[0, 0, 0], [0, 0, 40.0]])
    found = d4_dispersion(atoms)
    assert found.pair_energies[0, 1] == pytest.approx(-found.c6[0, 1] / 40.0**6, rel=0.02)
    assert found.polarizabilities[0] == pytest.approx(1.64, rel=0.05)  # argon, Å^3


def test_what_d4_refuses():
    pytest.importorskip("dftd4", reason="needs the extra reference")
    with pytest.raises(ReferenceUnavailable, match="D4 failed"):
        d4_dispersion(ase.build.molecule("H2O"), "no-such-functional")
    with pytest.raises(ReferenceUnavailable, match="periodic"):
        d4_dispersion(ase.build.bulk("Si"))


def test_bond_energies_by_pair_and_class():
    table = bond_energies()
    assert len(table) == 20
    assert all(entry.elements == tuple(sorted(entry.elements)) for entry in table)
    for entry in table:
        assert bond_energy(*reversed(entry.elements), entry.bond) == pytest.approx(entry.kj_per_mol / 96.485, rel=1e-5)
        assert entry.ev == bond_energy(*entry.elements, entry.bond)
    for pair in (("C", "C"), ("C", "N"), ("N", "N")):
        single, double, triple = (bond_energy(*pair, bond) for bond in ("single", "double", "triple"))
        assert single is not None
        assert double is not None
        assert triple is not None
        assert single < double < triple
    assert bond_energy("C", "C", "aromatic") is None
    assert bond_energy("Si", "O", "single") is None
