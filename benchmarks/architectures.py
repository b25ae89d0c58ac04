"""What the models of a study say where molecules part: a cluster that expands, and two of its molecules pulled apart.

Energies relative to the start are held against GFN2-xTB, which the models were trained on. A row is a kind of model:
mean and deviation over seeds; `--curves FILE` adds paths with energies of their own (bonds that break).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import ase
import ase.io
import numpy as np
import polars as pl
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

import atomlens
from atomlens.dynamics.energies import energy_forces_stress
from atomlens.reference import Gfn2Calculator
from atomlens.structures import collate, perceive_bonds, read_structures
from atomlens.studies.page import mean_and_spread, setting_columns

FACTORS = np.array([1.0, 1.05, 1.1, 1.2, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0])
DISTANCES = np.arange(2.6, 12.01, 0.2)
TAIL = (5.0, 10.0)  # where the exponent of two molecules is fitted, Å
SHOWN = ("force_error", "sound_time_ps")


def molecules(atoms: ase.Atoms) -> list[np.ndarray]:
    pairs = perceive_bonds(atoms).pairs
    graph = csr_matrix((np.ones(len(pairs)), pairs.T), shape=(len(atoms), len(atoms)))
    n, label = connected_components(graph, directed=False)
    return [np.flatnonzero(label == k) for k in range(n)]


def expanded(atoms: ase.Atoms) -> list[ase.Atoms]:
    """The cluster with the centres of its molecules scaled."""
    parts, frames = molecules(atoms), []
    middle = atoms.positions.mean(axis=0)
    for factor in FACTORS:
        frame = atoms.copy()
        for part in parts:
            frame.positions[part] += (factor - 1) * (atoms.positions[part].mean(axis=0) - middle)
        frames.append(frame)
    return frames


def two_apart(atoms: ase.Atoms) -> list[ase.Atoms]:
    """The two closest molecules of a cluster at given distances of their centres."""
    parts = molecules(atoms)
    centre = np.array([atoms.positions[part].mean(axis=0) for part in parts])
    distance = np.linalg.norm(centre[:, None] - centre[None], axis=-1) + 1e9 * np.eye(len(parts))
    a, b = np.unravel_index(distance.argmin(), distance.shape)
    axis = (centre[b] - centre[a]) / distance[a, b]
    frames = []
    for r in DISTANCES:
        frame = atoms[np.concatenate([parts[a], parts[b]])]
        frame.positions[len(parts[a]) :] += (r - distance[a, b]) * axis
        frames.append(frame)
    return frames


def gfn2(frames: list[ase.Atoms]) -> np.ndarray:
    calculator = Gfn2Calculator()
    energies = []
    for frame in frames:
        frame.calc = calculator
        energies.append(frame.get_potential_energy())
        frame.calc = None
    return np.array(energies)


def predicted(model: atomlens.Potential, frames: list[ase.Atoms]) -> np.ndarray:
    graphs = [model.graph(frame) for frame in frames]
    return energy_forces_stress(model, collate(graphs)).energy.double().numpy()


def exponent(energy: np.ndarray) -> float:
    """Slope of log |E(r) - E(far)| over the tail, E(far) that of 200 Å; NaN where nothing is left."""
    inside = (TAIL[0] <= DISTANCES) & (TAIL[1] >= DISTANCES) & (np.abs(energy) > 1e-7)
    if inside.sum() < 10:
        return float("nan")
    return float(np.polyfit(np.log(DISTANCES[inside]), np.log(np.abs(energy[inside])), 1)[0])


def far(frames: list[ase.Atoms]) -> ase.Atoms:
    frame = frames[-1].copy()
    half = len(frame) // 2
    frame.positions[half:] += 200.0 * np.array([1.0, 0, 0])
    return frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="folder that atomlens study wrote")
    parser.add_argument("--home", type=Path, default=Path("configs/studies"), help="folder of the study's own file")
    parser.add_argument("--frames", default="::500", help="which frames of the study's structures start clusters")
    parser.add_argument("--curves", type=Path, action="append", default=[], help="paths with energies (extended XYZ)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = pl.read_parquet(options.study / "models.parquet")
    summary = json.loads((options.study / "summary.json").read_text())
    structures = read_structures(options.home / summary["settings"]["analysis"]["path"], options.frames)
    clusters = [atoms for atoms in structures if len(molecules(atoms)) > 1]
    scans = [(expanded(atoms), two_apart(atoms)) for atoms in clusters]
    known = [(gfn2(e), gfn2(d), gfn2([far(d)])[0]) for e, d in scans]
    paths = {path.stem: ase.io.read(path, ":") for path in options.curves}
    rows = []
    for name in table["model"]:
        path = options.study / "models" / name / "train" / "model.safetensors"
        model = atomlens.load_model(path, dtype=torch.float64)
        model.requires_grad_(False)
        row: dict[str, float] = {}
        errors, pair_errors, exponents = [], [], []
        for (clusters_out, dimers), (e_known, d_known, far_known) in zip(scans, known, strict=True):
            e = predicted(model, clusters_out)
            errors.append((e - e[0]) - (e_known - e_known[0]))
            d = predicted(model, [*dimers, far(dimers)])
            pair_errors.append((d[:-1] - d[-1]) - (d_known - far_known))
            exponents.append(exponent(d[:-1] - d[-1]))
        if scans:
            row["expansion RMSE, eV"] = float(np.sqrt(np.mean(np.square(errors))))
            row["two molecules RMSE, meV"] = 1e3 * float(np.sqrt(np.mean(np.square(pair_errors))))
            row[f"exponent {TAIL[0]:g}-{TAIL[1]:g} Å"] = float(np.median(exponents))
        for stem, frames in paths.items():
            usable = [f for f in frames if set(f.numbers) <= set(model.config.elements or f.numbers)]
            e, true = predicted(model, usable), np.array([f.get_potential_energy() for f in usable])
            # A constant for each composition: models of one molecule know no energies of atoms.
            kinds = np.unique([f.get_chemical_formula() for f in usable], return_inverse=True)[1]
            wrong = e - true
            means = np.bincount(kinds, wrong) / np.bincount(kinds)
            row[f"{stem} RMSE, eV"] = float(np.std(wrong - means[kinds]))
        rows.append(row)
    found = pl.concat([table, pl.DataFrame(rows)], how="horizontal")
    axes = setting_columns(table)
    columns = [*(c for c in SHOWN if c in found.columns), *rows[0]]
    print("| " + " | ".join([*axes, "seeds", *columns]) + " |\n" + "|---" * (len(axes) + 1 + len(columns)) + "|")
    for keys, part in found.group_by(axes, maintain_order=True):
        cells = [mean_and_spread(part[column]) or "none" for column in columns]
        print("| " + " | ".join([*map(str, keys), str(len(part)), *cells]) + " |")
    if scans:
        reference = [exponent(d - f) for _, d, f in known]
        print(f"\nGFN2-xTB: exponent {np.median(reference):.3g} (median of {len(reference)} dimers)")
        size = np.sqrt(np.mean(np.square([e - e[0] for e, _, _ in known])))
        print(f"root mean square of GFN2's own change on expansion: {size:.3g} eV")
    target = options.study / "architectures.csv"
    found.write_csv(target)
    print(f"all models: {target}")


if __name__ == "__main__":
    main()
