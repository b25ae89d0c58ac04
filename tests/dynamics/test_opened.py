"""Models of other libraries in dynamics: many structures in one call, and a whole run."""

from __future__ import annotations

from pathlib import Path

import ase
import ase.build
import numpy as np
import pytest
import torch

pytest.importorskip("torch_sim", exc_type=ImportError)
import torch_sim

from atomlens import InputError, load_model
from atomlens.dynamics import MDOptions
from atomlens.dynamics.torchsim import TorchSimModel
from atomlens.potentials import OpenedModel
from atomlens.runs import run_md
from recorded_samples import opened
from samples import small_model

ETHANOL = ase.build.molecule("CH3CH2OH")


def rattled(atoms: ase.Atoms, n: int = 3) -> list[ase.Atoms]:
    copies = [atoms.copy() for _ in range(n)]
    for k, copy in enumerate(copies):
        copy.rattle(0.05, seed=k)
    return copies


def skewed_water() -> ase.Atoms:
    atoms = ase.build.molecule("H2O")
    atoms.set_cell([[4.1, 0.0, 0.0], [0.7, 4.4, 0.0], [-0.4, 0.6, 4.8]])
    atoms.pbc = True
    return atoms


@pytest.mark.parametrize("start", [ETHANOL, skewed_water()], ids=["open", "periodic"])
def test_one_call_on_many_structures_is_one_call_on_each(start: ase.Atoms) -> None:
    model = opened(small_model(cutoff=3.0))
    structures = rattled(start)
    state = torch_sim.io.atoms_to_state(structures, torch.device("cpu"), torch.float64)
    found = TorchSimModel(model)(state)
    forces = found["forces"].numpy().reshape(len(structures), len(start), 3)
    for k, atoms in enumerate(structures):
        alone = model.predict(atoms)
        assert float(found["energy"][k]) == pytest.approx(float(alone.value), rel=1e-12)
        np.testing.assert_allclose(forces[k], alone.forces, rtol=1e-10, atol=1e-10)


def test_structures_of_different_cells_do_not_share_a_call() -> None:
    model = opened(small_model(cutoff=3.0))
    wider = skewed_water()
    wider.cell[0, 0] = 5.0
    state = torch_sim.io.atoms_to_state([skewed_water(), wider], torch.device("cpu"), torch.float64)
    with pytest.raises(InputError, match="one and the same cell"):
        TorchSimModel(model)(state)


def test_a_run_of_an_opened_model_is_that_of_its_closed_form(tmp_path: Path) -> None:
    own = load_model("zoo:rmd17-ethanol-painn")
    options = MDOptions(n_replicas=3, n_steps=8, interval=4, temperature=300.0)
    runs = []
    for name, model in (("own", own), ("opened", opened(own))):
        assert isinstance(model, OpenedModel) is (name == "opened")
        # float32 is asked for: what another library made moves in float64 all the same.
        dtype = torch.float64 if name == "own" else torch.float32
        runs.append(run_md(model, name, ETHANOL, "ethanol", tmp_path / name, options, dtype=dtype))
    one, other = (run.simulation.observables for run in runs)
    np.testing.assert_allclose(one["potential_eV"].to_numpy(), other["potential_eV"].to_numpy(), rtol=1e-9)
    np.testing.assert_allclose(one["kinetic_eV"].to_numpy(), other["kinetic_eV"].to_numpy(), rtol=1e-6)
    assert "torch.float64" in (tmp_path / "opened" / "summary.json").read_text()
