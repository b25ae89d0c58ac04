"""Deleted messages against predicted changes, for shipped models: the second table of docs/faithfulness.md.

Usage: python benchmarks/deletions.py [--structures 60]

QM9 models are asked about random molecules (extra qm9), ethanol models about frames of rMD17 (looked for in
../shared/data). SchNetPack's ethanol model takes part where it is in ../shared/testdata. About two minutes on one core.
"""

from __future__ import annotations

import argparse

import ase
import ase.io
import numpy as np
import torch

from atomlens import load_model
from atomlens.analyses import AnalysisInputs
from atomlens.analyses.faithfulness.question import compute
from atomlens.data import load_qm9
from systems import MODEL, SHARED


def qm9_molecules(n: int) -> list[ase.Atoms]:
    data = load_qm9()
    return [data.atoms(int(k)) for k in np.random.default_rng(0).integers(0, len(data), n)]


def ethanol_frames(n: int) -> list[ase.Atoms]:
    frames = ase.io.read(SHARED / "data" / "rmd17_ethanol" / "test_MD.xyz", index=":")
    return [frames[k] for k in np.linspace(0, len(frames) - 1, n).astype(int)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=int, default=60)
    n = parser.parse_args().structures
    torch.set_num_threads(1)
    molecules, frames = qm9_molecules(n), ethanol_frames(n)
    models = {"zoo:qm9-u0-schnet": molecules, "zoo:qm9-u0-painn": molecules, "zoo:rmd17-ethanol-painn": frames}
    if MODEL.exists():
        models[str(MODEL)] = frames
    for name, structures in models.items():
        result = compute(AnalysisInputs(load_model(name), structures, {}), n_structures=n)
        print(f"\n{name}, {result.n_structures} structures: correlation [interval], slope, rank correlation; areas\n")
        print("| method | pairs | atoms |\n|---|---|---|")
        cells: dict[str, dict[str, str]] = {}
        for row in result.scores.to_dicts():
            interval = f"[{row['correlation_low']:.2f}, {row['correlation_high']:.2f}]"
            text = f"{row['correlation']:.2f} {interval}, {row['slope']:.2f}, {row['rank']:.2f}"
            if row["kind"] == "pair":
                text += f"; {row['deletion_area']:.2f}, {row['insertion_area']:.2f}"
            cells.setdefault(row["method"], {})[row["kind"]] = text
        for method, found in cells.items():
            print(f"| {method} | {found.get('pair', '')} | {found.get('atom', '')} |")
        pairs, atoms = result.controls["pair"], result.controls["atom"]
        for pair, atom in zip(pairs, atoms, strict=True):
            print(f"| *{pair.name}* | {pair.value:.2f} | {atom.value:.2f} |")


if __name__ == "__main__":
    main()
