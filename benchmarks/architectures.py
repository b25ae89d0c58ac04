"""What the models of a study say where molecules part: a cluster that expands, and two of its molecules pulled apart.

A cluster of two molecules is pulled apart only.

Energies relative to the start are compared with GFN2-xTB, which the models were trained on. A row is a kind of model:
mean and deviation over seeds. `--curves FILE` adds paths with energies of their own (bonds that break), `--s66x8 FILE`
the dimers of S66x8 from their equilibrium to the double distance.
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

import atomlens
from atomlens.dynamics.energies import energy_forces_stress
from atomlens.reference import Gfn2, read_s66x8
from atomlens.reference.s66x8 import Dimer
from atomlens.structures import collate, fragments, read_structures
from atomlens.studies.page import mean_and_spread, setting_columns

FACTORS = np.array([1.0, 1.05, 1.1, 1.2, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0])
DISTANCES = np.arange(2.6, 12.01, 0.2)
TAIL = (5.0, 10.0)  # where the exponent of two molecules is fitted, Å
SHOWN = ("force_error", "sound_time_ps")


def expanded(atoms: ase.Atoms) -> list[ase.Atoms]:
    """The cluster with the centres of its molecules scaled."""
    parts, frames = fragments(atoms), []
    middle = atoms.positions.mean(axis=0)
    for factor in FACTORS:
        frame = atoms.copy()
        for part in parts:
            frame.positions[part] += (factor - 1) * (atoms.positions[part].mean(axis=0) - middle)
        frames.append(frame)
    return frames


def further(start: float) -> np.ndarray:
    """Distances beyond a start, which is the first of them."""
    return np.concatenate([[start], DISTANCES[start + 0.1 < DISTANCES]])


def separating_pair(atoms: ase.Atoms) -> list[ase.Atoms]:
    """The two closest molecules of a cluster, from where they are to the distances of their centres beyond."""
    parts = fragments(atoms)
    centre = np.array([atoms.positions[part].mean(axis=0) for part in parts])
    distance = np.linalg.norm(centre[:, None] - centre[None], axis=-1) + 1e9 * np.eye(len(parts))
    a, b = np.unravel_index(distance.argmin(), distance.shape)
    axis = (centre[b] - centre[a]) / distance[a, b]
    frames = []
    for r in further(distance[a, b]):
        frame = atoms[np.concatenate([parts[a], parts[b]])]
        frame.positions[len(parts[a]) :] += (r - distance[a, b]) * axis
        frames.append(frame)
    return frames


def gfn2(frames: list[ase.Atoms]) -> np.ndarray:
    xtb = Gfn2(frames[0])  # every frame starts from the density of the one before
    return np.array([xtb.compute(frame.positions).energy for frame in frames])


def charge_of_first(model: atomlens.Potential, atoms: ase.Atoms) -> float:
    """Size of the charge that a model gives to the first molecule, e; NaN for a model without charges."""
    if model.long_range is None or model.long_range.charge is None:
        return float("nan")
    graph = model.graph(atoms)
    features = model.representation(graph)
    charges = model.long_range.charges(features, graph, model.representation.cutoff).numpy()
    return float(abs(charges[fragments(atoms)[0]].sum()))


def rms(parts: list[np.ndarray]) -> float:
    return float(np.sqrt(np.mean(np.square(np.concatenate(parts)))))


def predicted(model: atomlens.Potential, frames: list[ase.Atoms]) -> np.ndarray:
    graphs = [model.graph(frame) for frame in frames]
    return energy_forces_stress(model, collate(graphs)).energy.double().numpy()


def exponent(start: float, energy: np.ndarray) -> float:
    """Slope of log |dE/dr| over log r in the tail, plus one: p of an energy r^p, whatever its value far away.

    NaN where nothing is left.
    """
    distances = further(start)
    slopes, middle = np.diff(energy) / np.diff(distances), 0.5 * (distances[1:] + distances[:-1])
    inside = (TAIL[0] <= middle) & (TAIL[1] >= middle) & (np.abs(slopes) > 1e-7)
    if inside.sum() < 10:
        return float("nan")
    return float(np.polyfit(np.log(middle[inside]), np.log(np.abs(slopes[inside])), 1)[0]) + 1.0


def centre_distance(frame: ase.Atoms) -> float:
    """Distance of the centres of the two molecules of a frame of `separating_pair`."""
    first, second = fragments(frame)
    return float(np.linalg.norm(frame.positions[first].mean(axis=0) - frame.positions[second].mean(axis=0)))


def s66x8_curves(path: Path) -> list[tuple[list[ase.Atoms], np.ndarray, np.ndarray]]:
    """Frames of every dimer from 1.0 to 2.0 of the equilibrium distance, with energies of GFN2-xTB and of the file."""
    curves: dict[int, list[Dimer]] = {}
    for dimer in read_s66x8(path):
        if dimer.factor >= 1.0:
            curves.setdefault(dimer.system, []).append(dimer)
    frames = [[dimer.atoms for dimer in curve] for curve in curves.values()]
    known = [np.array([dimer.energy for dimer in curve]) for curve in curves.values()]
    return [(f, gfn2(f), e) for f, e in zip(frames, known, strict=True)]


def from_the_last(energy: np.ndarray) -> np.ndarray:
    """Energies of a curve relative to its last point, without that point."""
    return energy[:-1] - energy[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="folder that atomlens study wrote")
    parser.add_argument("--home", type=Path, default=Path("configs/studies"), help="folder of the study's own file")
    parser.add_argument("--structures", type=Path, help="where clusters start, instead of the study's structures")
    parser.add_argument("--frames", default="::500", help="which frames start clusters")
    parser.add_argument("--s66x8", type=Path, help="COMP6's file of S66x8")
    parser.add_argument("--curves", type=Path, action="append", default=[], help="paths with energies (extended XYZ)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = pl.read_parquet(options.study / "models.parquet")
    summary = json.loads((options.study / "summary.json").read_text())
    home = options.structures or options.home / summary["settings"]["analysis"]["path"]
    structures = read_structures(home, options.frames)
    clusters = [atoms for atoms in structures if len(fragments(atoms)) > 1]
    scans = [(expanded(atoms) if len(fragments(atoms)) > 2 else [], separating_pair(atoms)) for atoms in clusters]
    starts = [centre_distance(d[0]) for _, d in scans]
    known = [(gfn2(e) if e else np.zeros(0), gfn2(d)) for e, d in scans]
    curves = s66x8_curves(options.s66x8) if options.s66x8 else []
    paths = {path.stem: ase.io.read(path, ":") for path in options.curves}
    rows = []
    for name in table["model"]:
        path = options.study / "models" / name / "train" / "model.safetensors"
        model = atomlens.load_model(path, dtype=torch.float64)
        model.requires_grad_(False)
        row: dict[str, float] = {}
        errors, pair_errors, exponents, charges = [], [], [], []
        for (clusters_out, dimers), (e_known, d_known), start in zip(scans, known, starts, strict=True):
            d = predicted(model, dimers)
            if clusters_out:
                e = predicted(model, clusters_out)
                errors.append((e - e[0]) - (e_known - e_known[0]))
            pair_errors.append((d - d[0]) - (d_known - d_known[0]))
            exponents.append(exponent(start, d))
            charges.append(charge_of_first(model, dimers[-1]))
        if errors:
            row["expansion RMSE, eV"] = rms(errors)
        if scans:
            row["two molecules RMSE, meV"] = 1e3 * rms(pair_errors)
            row[f"exponent {TAIL[0]:g}-{TAIL[1]:g} Å"] = float(np.median(exponents))
            row["charge of one, e"] = float(np.mean(charges))
        wrong, of_file = [], []
        for frames, e_gfn2, e_file in curves:
            if set(frames[0].numbers) <= set(model.config.elements or frames[0].numbers):
                own = from_the_last(predicted(model, frames))
                wrong.append(own - from_the_last(e_gfn2))
                of_file.append(own - from_the_last(e_file))
        if wrong:
            row["S66x8, GFN2: RMSE, meV"] = 1e3 * rms(wrong)
            row["S66x8, ωB97X: RMSE, meV"] = 1e3 * rms(of_file)
        for stem, frames in paths.items():
            usable = [f for f in frames if set(f.numbers) <= set(model.config.elements or f.numbers)]
            e, true = predicted(model, usable), np.array([f.get_potential_energy() for f in usable])
            # A constant for each composition: models of one molecule know no energies of atoms.
            kinds = np.unique([f.get_chemical_formula() for f in usable], return_inverse=True)[1]
            off = e - true
            means = np.bincount(kinds, off) / np.bincount(kinds)
            row[f"{stem} RMSE, eV"] = float(np.std(off - means[kinds]))
        rows.append(row)
    found = pl.concat([table, pl.DataFrame(rows)], how="horizontal")
    axes = setting_columns(table)
    columns = [*(c for c in SHOWN if c in found.columns), *rows[0]]
    print("| " + " | ".join([*axes, "seeds", *columns]) + " |\n" + "|---" * (len(axes) + 1 + len(columns)) + "|")
    for keys, part in found.group_by(axes, maintain_order=True):
        cells = [mean_and_spread(part[column]) or "none" for column in columns]
        print("| " + " | ".join([*map(str, keys), str(len(part)), *cells]) + " |")
    if scans:
        reference = [exponent(start, d) for start, (_, d) in zip(starts, known, strict=True)]
        print(f"\nGFN2-xTB: exponent {np.median(reference):.3g} (median of {len(reference)} dimers)")
        if expansions := [e - e[0] for e, _ in known if len(e)]:
            print(f"root mean square of GFN2's own change on expansion: {rms(expansions):.3g} eV")
        print(f"and of two molecules: {1e3 * rms([d - d[0] for _, d in known]):.3g} meV")
    if curves:
        own = rms([from_the_last(e) for _, e, _ in curves])
        off = rms([from_the_last(e) - from_the_last(f) for _, e, f in curves])
        print(f"S66x8: GFN2's own change {1e3 * own:.3g} meV, its difference from ωB97X {1e3 * off:.3g} meV")
    target = options.study / "architectures.csv"
    found.write_csv(target)
    print(f"all models: {target}")


if __name__ == "__main__":
    main()
