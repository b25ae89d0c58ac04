"""Pair forces: the sum rule, finite differences, pair potentials, and what has none."""

from __future__ import annotations

import ase
import ase.build
import numpy as np
import pytest
import torch

import atomlens
from atomlens import InputError
from samples import branched, long_range_model, small_model


def cases() -> list[tuple[str, object, ase.Atoms]]:
    cell = ase.Atoms("OHC", [[0, 0, 0.1], [0.9, 1.0, 0.3], [0.2, -0.8, 1.5]], cell=[4, 4, 4], pbc=True)
    return [
        ("schnet", small_model("schnet"), branched()),
        ("painn", small_model("painn"), branched()),
        ("long range", long_range_model("painn", "coulomb+dispersion"), branched()),
        ("cell", small_model("painn"), cell),
        ("single atom", small_model("schnet"), ase.Atoms("O", [[0.0, 0, 0]])),
    ]


@pytest.mark.parametrize(("model", "atoms"), [case[1:] for case in cases()], ids=[case[0] for case in cases()])
def test_pair_forces_sum_to_the_forces(model: atomlens.Potential, atoms: ase.Atoms) -> None:
    ex = atomlens.explain(model, atoms)
    found = ex.pair_forces()
    forces = model.predict(atoms).forces
    assert forces is not None
    assert found.matrix.shape == (len(atoms), len(atoms), 3)
    np.testing.assert_allclose(found.forces, forces, rtol=0, atol=1e-10)
    # No energy changes when everything moves together.
    np.testing.assert_allclose(found.matrix.sum(axis=0), 0.0, rtol=0, atol=1e-10)
    parts = model.atom_parts(model.graph(atoms))
    assert float(parts.sum()) == pytest.approx(float(model(model.graph(atoms))), abs=1e-10)
    assert len(found.table()) == len(atoms) * (len(atoms) - 1)


def test_pair_forces_are_differences_of_atomic_energies() -> None:
    model, atoms = small_model("painn"), branched()
    found = atomlens.explain(model, atoms).pair_forces()
    h = 1e-4
    for i in range(2):
        for axis in range(3):
            energies = []
            for step in (h, -h):
                moved = atoms.copy()
                moved.positions[i, axis] += step
                with torch.no_grad():
                    energies.append(model.atom_parts(model.graph(moved)).numpy())
            slope = -(energies[0] - energies[1]) / (2 * h)
            np.testing.assert_allclose(found.matrix[i, :, axis], slope, rtol=1e-5, atol=1e-7)


def test_one_layer_without_angles_pulls_along_the_line() -> None:
    """SchNet of one layer: E_j is a sum over neighbours within its non-linearity, so F_ij is along the line i to j."""
    atoms = branched()
    table = atomlens.explain(small_model("schnet", n_layers=1), atoms).pair_forces().table()
    pulled = table.drop_nulls("angle")
    assert len(pulled)
    assert pulled["angle"].max() < 1e-4
    assert (pulled["along"].abs() - pulled["size"]).abs().max() < 1e-12
    deeper = atomlens.explain(small_model("schnet", n_layers=3), atoms).pair_forces().table()
    assert deeper.drop_nulls("angle")["angle"].max() > 1.0


def test_rotation_turns_pair_forces() -> None:
    model, atoms = small_model("painn"), branched()
    turned = atoms.copy()
    turned.rotate(40.0, (1.0, 2.0, 3.0))
    before, after = (atomlens.explain(model, a).pair_forces().table() for a in (atoms, turned))
    for name in ("distance", "size", "along"):
        np.testing.assert_allclose(before[name], after[name], rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (small_model(output={"property": "HOMO", "extensive": False, "has_forces": False}), "HOMO"),
        (small_model(output={"property": "Cv", "unit": "cal/mol/K", "has_forces": False}), "Cv"),
    ],
)
def test_what_has_no_atomic_energies_says_so(model: atomlens.Potential, says: str) -> None:
    ex = atomlens.explain(model, ase.build.molecule("H2O"))
    with pytest.raises(InputError, match=says):
        ex.pair_forces()
    dipole = small_model(readout={"kind": "dipole"}, output={"property": "dipole", "unit": "D", "has_forces": False})
    with pytest.raises(InputError, match="gives no energy to an atom"):
        dipole.atom_parts(dipole.graph(ase.build.molecule("H2O")))
