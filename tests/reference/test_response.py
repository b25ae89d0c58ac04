from __future__ import annotations

from itertools import pairwise

import ase
import numpy as np
import pytest
import torch
from ase.calculators.lj import LennardJones
from test_dispersion import exponent

from atomlens.models import LongRangeConfig
from atomlens.reference import forces_response, gfn2_energy, gfn2_response, model_response
from atomlens.structures import InputError
from samples import branched, small_model


def springs(k: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Hessian and positions of a chain with springs between neighbours along x, at rest."""
    hessian = np.zeros((n, 3, n, 3))
    for i in range(n - 1):
        for a, b, sign in ((i, i, 1), (i + 1, i + 1, 1), (i, i + 1, -1), (i + 1, i, -1)):
            hessian[a, 0, b, 0] += sign * k
    return hessian, np.arange(n)[:, None] * np.eye(1, 3)


def test_differences_of_harmonic_springs_are_exact():
    hessian, rest = springs(3.0, 4)
    forces = lambda x: -np.einsum("iajb,jb->ia", hessian, x - rest)  # noqa: E731
    found = forces_response(forces, rest, 0.3)
    np.testing.assert_allclose(found.hessian, hessian, atol=1e-12)
    assert found.couplings[1, 2] == pytest.approx(3.0)
    assert found.couplings[0, 2] == pytest.approx(0.0, abs=1e-12)
    assert found.asymmetry < 1e-12
    assert found.sum_rule < 1e-12
    assert found.evaluations == 2 * 3 * 4


def test_forces_that_are_no_gradient_show_in_the_diagnostics():
    swirl = lambda x: np.stack([-x[:, 1], x[:, 0], 0 * x[:, 0]], axis=1)  # noqa: E731
    found = forces_response(swirl, np.zeros((2, 3)))
    assert found.asymmetry == pytest.approx(2.0)
    assert found.sum_rule == pytest.approx(1.0)


def test_an_interrupted_run_goes_on():
    hessian, rest = springs(1.0, 3)
    calls, rows = [], {}

    def forces(x):
        calls.append(x)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return -np.einsum("iajb,jb->ia", hessian, x - rest)

    with pytest.raises(KeyboardInterrupt):
        forces_response(forces, rest, rows=rows)
    assert sorted(rows) == [0, 1, 2]
    seen = []
    found = forces_response(forces, rest, rows=rows, progress=lambda *p: seen.append(p))
    np.testing.assert_allclose(found.hessian, hessian, atol=1e-12)
    assert found.evaluations == 2 * 6
    assert seen[-1] == (9, 9)


def test_lennard_jones_against_its_formula():
    r = 1.4
    atoms = ase.Atoms("Ar2", [[0, 0, 0], [0, 0, r]])
    atoms.calc = LennardJones(sigma=1.0, epsilon=1.0, rc=20.0)

    def forces(x):
        atoms.positions = x
        return atoms.get_forces()

    # Along the axis V'', across it V'/r twice.
    first, second = 4 * (-12 * r**-13 + 6 * r**-7), 4 * (156 * r**-14 - 42 * r**-8)
    expected = np.sqrt(second**2 + 2 * (first / r) ** 2)
    errors = [
        abs(forces_response(forces, np.array([[0, 0, 0], [0, 0, r]]), h).couplings[0, 1] - expected)
        for h in (0.02, 0.01)
    ]
    assert errors[1] < 0.01 * expected
    assert errors[0] / errors[1] == pytest.approx(4.0, abs=0.3)  # second order in the step


def forces_of(model, atoms):
    """Forces of a model on the atoms at given positions."""

    def forces(x):
        moved = atoms.copy()
        moved.positions = x
        return model.predict(moved).forces

    return forces


@pytest.mark.parametrize("architecture", ["schnet", "painn"])
def test_models_against_differences_of_their_forces(architecture):
    model, atoms = small_model(architecture), branched()
    exact = model_response(model, atoms)

    found = forces_response(forces_of(model, atoms), atoms.positions, 1e-4)
    scale = exact.couplings.max()
    assert scale > 1e-3
    np.testing.assert_allclose(exact.hessian, found.hessian, atol=1e-4 * scale)
    assert exact.asymmetry < 1e-11 * scale
    assert exact.sum_rule < 1e-11 * scale


def test_rows_in_batches_of_any_size_are_the_same(monkeypatch):
    model, atoms = small_model("painn"), branched()
    whole = model_response(model, atoms).hessian
    monkeypatch.setattr("atomlens.reference.response._BATCH", 1)
    np.testing.assert_allclose(model_response(model, atoms).hessian, whole, rtol=1e-10, atol=1e-13)


def test_couplings_do_not_turn_with_the_molecule():
    model, atoms = small_model("painn"), branched()
    before = model_response(model, atoms).couplings
    atoms.rotate(50, (1, 2, 3))
    np.testing.assert_allclose(model_response(model, atoms).couplings, before, atol=1e-10 * before.max())


def test_nothing_acts_on_a_lone_atom():
    found = model_response(small_model("painn"), ase.Atoms("O"))
    assert found.couplings.tolist() == [[0.0]]


def test_what_has_no_response():
    dipole = small_model(readout={"kind": "dipole"}, output={"unit": "D", "has_forces": False})
    with pytest.raises(InputError, match="no energy"):
        model_response(dipole, branched())
    with pytest.raises(InputError, match="step"):
        forces_response(lambda x: x, np.zeros((1, 3)), 0.0)
    with pytest.raises(InputError, match="not finite where atom 0"):
        forces_response(lambda x: x * np.nan, np.zeros((1, 3)))


def test_a_model_in_use_is_left_as_it_was():
    model, atoms = small_model("painn"), branched()
    before = atoms.copy()
    model_response(model, atoms)
    assert atoms == before
    assert all(p.grad is None for p in model.parameters())
    assert torch.is_grad_enabled()


# The hydrogen-bonded water dimer of S66 at its equilibrium distance, Å.
DIMER = ase.Atoms(
    "OHHOHH",
    [
        [-1.551, 0.0004, -0.1206],
        [-1.9142, -0.0028, 0.7659],
        [-0.5971, -0.0002, 0.0238],
        [1.4127, -0.0004, 0.1053],
        [1.8091, -0.7548, -0.3359],
        [1.8085, 0.7572, -0.3311],
    ],
)


def at(distance: float) -> ase.Atoms:
    """Molecules of the dimer moved along the line of their oxygens, which are `distance` Å apart then."""
    atoms = DIMER.copy()
    line = atoms.positions[3] - atoms.positions[0]
    atoms.positions[3:] += line * (distance / np.linalg.norm(line) - 1)
    return atoms


def test_gfn2_couplings_of_two_waters_decay_like_the_field_of_a_dipole():
    pytest.importorskip("tblite", reason="needs the extra xtb")
    between = lambda r: gfn2_response(at(r)).couplings[0, 3]  # noqa: E731
    for near, far in pairwise((3.9, 6.5, 11.0, 20.9)):
        assert -3.15 < exponent(between, near, far) < -2.85
    found = gfn2_response(at(4.0))
    assert found.sum_rule < 1e-8
    assert found.asymmetry < 1e-3 * found.couplings.max()


def test_gfn2_interaction_of_two_waters():
    pytest.importorskip("tblite", reason="needs the extra xtb")
    between = lambda r: gfn2_energy(at(r)) - gfn2_energy(at(r)[:3]) - gfn2_energy(at(r)[3:])  # noqa: E731
    for near, far in pairwise((4.9, 6.5, 11.0, 20.9)):
        assert -3.25 < exponent(between, near, far) < -2.95


def test_energies_of_all_pairs_respond_beyond_the_cutoff():
    model = small_model("schnet", cutoff=3.0, long_range=LongRangeConfig("dispersion"))
    atoms = ase.Atoms("C2", [[0, 0, 0], [3.4, 0, 0]])
    found = model_response(model, atoms)

    expected = forces_response(forces_of(model, atoms), atoms.positions, 1e-4)
    assert found.couplings[0, 1] > 1e-6
    assert found.hessian == pytest.approx(expected.hessian, abs=1e-6 * abs(expected.hessian).max())
