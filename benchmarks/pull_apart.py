"""Frames of two molecules, half of them moved apart, with GFN2-xTB energies and forces: what a dissociation looks like.

Usage: python benchmarks/pull_apart.py runs/xtb-ions/frames.xyz --by 8 --out runs/xtb-ions/apart.xyz

Every second frame keeps its geometry; in the others the second molecule moves along the line through both centres, by a
length that is drawn evenly between 0 and --by. Needs the extra xtb.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import ase
import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from atomlens.reference import Gfn2, ReferenceUnavailable
from atomlens.structures import fragments, read_structures


def separated(atoms: ase.Atoms, parts: list[list[int]], by: float) -> ase.Atoms:
    """The second molecule moved away from the first by a length in Å."""
    moved, (first, second) = atoms.copy(), parts
    line = atoms.positions[second].mean(axis=0) - atoms.positions[first].mean(axis=0)
    moved.positions[second] += by * line / np.linalg.norm(line)
    return moved


def labelled(atoms: ase.Atoms, moved: ase.Atoms) -> ase.Atoms | None:
    """The moved frame with energy in eV and forces in eV/Å of GFN2-xTB; None where it does not converge.

    The density of the frame before it was moved is where it starts from: from none, ions far apart may not converge.
    """
    xtb = Gfn2(atoms)
    try:
        xtb.compute(atoms.positions)
        found = xtb.compute(moved.positions)
    except ReferenceUnavailable:
        return None
    frame = ase.Atoms(moved.numbers, moved.positions)
    frame.calc = SinglePointCalculator(frame, energy=found.energy, forces=found.forces)
    return frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path)
    parser.add_argument("--by", type=float, required=True, help="largest shift, Å")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    structures = read_structures(options.frames)
    parts = fragments(structures[0])
    if len(parts) != 2:
        parser.error(f"{options.frames}: the first frame has {len(parts)} molecules; two are pulled apart")
    frames = [
        labelled(atoms, atoms if k % 2 == 0 else separated(atoms, parts, rng.uniform(0, options.by)))
        for k, atoms in enumerate(structures)
    ]
    found = [frame for frame in frames if frame is not None]
    ase.io.write(options.out, found, format="extxyz")
    print(f"{len(found)} frames: {options.out}; {len(frames) - len(found)} did not converge and are left out")


if __name__ == "__main__":
    main()
