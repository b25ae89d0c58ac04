"""What the organic models are worth on molecules that they never saw: errors by kind of frame, and whether MD holds.

Errors are of all frames that training left out. For MD, one replica each of molecules that training left out, all in
one batch, Langevin dynamics (0.5 fs, friction 10/ps, float32) from their GFN2 minima; a molecule breaks by the criteria
of ``atomlens md``. The trained folder says which frames were left out; docs/howto/organic-data.md says how data and
models are made.

Usage: python benchmarks/organic.py DATASET TRAINED [--molecules N] [--picoseconds T] [--temperature K]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import ase
import numpy as np
import polars as pl
import torch
import torch_sim as ts
from ase import units
from torch_sim.units import MetalUnits

import atomlens
from atomlens.data import Dataset, load_dataset
from atomlens.dynamics.energies import energy_forces_stress
from atomlens.dynamics.options import MDOptions
from atomlens.dynamics.replicas import thermal_momenta
from atomlens.dynamics.stability import Criteria, bond_reference, check_frames
from atomlens.dynamics.torchsim import TorchSimModel
from atomlens.models import Potential
from atomlens.structures import build_graph, collate

BATCH, FRAME = 64, 50


def errors(model: Potential, dataset: Dataset, rows: list[int]) -> pl.DataFrame:
    """Mean absolute errors by kind of frame: energies per atom in meV, force components in meV/Å."""
    found = []
    for start in range(0, len(rows), BATCH):
        picked = rows[start : start + BATCH]
        frames = [dataset.atoms(row) for row in picked]
        graph = collate([build_graph(atoms, model.cutoff, dtype=model.dtype) for atoms in frames])
        said = energy_forces_stress(model, graph)
        ends = np.cumsum([len(atoms) for atoms in frames])[:-1]
        forces = np.split(said.forces.detach().double().numpy(), ends)
        energies = said.energy.detach().double().numpy()
        for row, atoms, energy, force in zip(picked, frames, energies, forces, strict=True):
            true = dataset.column("forces").values[dataset.starts[row] : dataset.starts[row + 1]]
            found.append(
                {
                    "kind": str(dataset.column("kind").values[row]),
                    "energy [meV/atom]": 1e3 * abs(energy - dataset.column("energy").values[row]) / len(atoms),
                    "forces [meV/Å]": 1e3 * float(np.abs(force - true).mean()),
                }
            )
    table = pl.DataFrame(found)
    every = table.with_columns(kind=pl.lit("all"))
    return pl.concat([table, every]).group_by("kind").agg(pl.len().alias("frames"), pl.all().mean()).sort("kind")


def unseen_molecules(dataset: Dataset, rows: list[int], count: int, seed: int) -> list[ase.Atoms]:
    """Minima of GFN2-xTB of molecules that training left out, drawn at random."""
    kinds = dataset.column("kind").values
    minima = [row for row in rows if str(kinds[row]) == "relaxed"]
    picked = np.random.default_rng(seed).permutation(minima)[:count]
    return [dataset.atoms(int(row)) for row in picked]


def holds(model: Potential, molecules: list[ase.Atoms], picoseconds: float, temperature: float) -> list[float | None]:
    """Time in ps at which each molecule broke; None for those that stayed whole."""
    options = MDOptions("langevin", temperature)
    picosecond = float(MetalUnits.time)
    scalar = {"dtype": model.dtype, "device": model.device}
    kT = torch.tensor(temperature * units.kB, **scalar)
    dt = torch.tensor(options.timestep * 1e-3 * picosecond, **scalar)
    friction = torch.tensor(options.friction / picosecond, **scalar)
    start, step = ts.nvt_langevin(TorchSimModel(model), dt=dt, kT=kT, gamma=friction)
    state = ts.initialize_state(molecules, model.device, model.dtype)
    momenta = np.concatenate([thermal_momenta(atoms, options, k) for k, atoms in enumerate(molecules)])
    vars(state)["momenta"] = torch.as_tensor(momenta, **scalar)
    torch.manual_seed(options.seed)
    state = start(state, kT=kT, seed=options.seed)
    bonds = [bond_reference(atoms) for atoms in molecules]
    broke: dict[int, float] = {}
    running, earlier = list(range(len(molecules))), np.full(len(molecules), temperature)
    began, n_frames = time.perf_counter(), round(picoseconds * 1e3 / options.timestep / FRAME)
    for frame in range(1, n_frames + 1):
        for _ in range(FRAME):
            state = step(state)
        now = frame * FRAME * options.timestep * 1e-3
        ends = np.cumsum([len(molecules[k]) for k in running])[:-1]
        positions = np.split(state.positions.double().numpy(), ends)
        kinetic = 0.5 * (state.masses * state.velocities.square().sum(1)).double().numpy()
        left = []
        for place, (k, where, energy) in enumerate(zip(running, positions, np.split(kinetic, ends), strict=True)):
            warmth = np.array([2.0 * energy.sum() / (3 * len(where) * units.kB)])
            numbers = molecules[k].numbers
            check = check_frames(where[None], warmth, earlier[k : k + 1], numbers, bonds[k], Criteria())
            earlier[k] = warmth[0]
            if check.failed[0] or check.hydrogen_lost[0]:
                broke[k] = now
            else:
                left.append(place)
        if len(left) < len(running):
            running = [running[place] for place in left]
            if not running:
                break
            state = state[left]
        if frame % 20 == 0:
            print(f"{now:.1f} ps, {len(running)} whole, {time.perf_counter() - began:.0f} s", flush=True)
    return [broke.get(k) for k in range(len(molecules))]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("trained", type=Path, help="folder of atomlens train")
    parser.add_argument("--molecules", type=int, default=50)
    parser.add_argument("--picoseconds", type=float, default=10.0)
    parser.add_argument("--temperature", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    dataset = load_dataset(asked.dataset)
    rows = json.loads((asked.trained / "split.json").read_text())["test"]
    model = atomlens.load_model(asked.trained / "model.safetensors", dtype=torch.float32)
    print(errors(model, dataset, rows))
    if asked.molecules:
        molecules = unseen_molecules(dataset, rows, asked.molecules, asked.seed)
        fates = holds(model, molecules, asked.picoseconds, asked.temperature)
        whole = sum(fate is None for fate in fates)
        print(f"{whole} of {len(fates)} molecules whole after {asked.picoseconds:g} ps at {asked.temperature:g} K")
        for atoms, fate in zip(molecules, fates, strict=True):
            if fate is not None:
                print(f"  {atoms.get_chemical_formula()} broke at {fate:.2f} ps")


if __name__ == "__main__":
    main()
