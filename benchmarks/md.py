"""Atom-steps a second of 16 (or more) replicas moved together, against SchNetPack's ASE calculator moving one.

Both run in this process, in turn, with the same model file, NVE, 0.5 fs, single precision. An atom-step is one atom
moved by one step. Every round starts anew: the model knows ethanol alone, and an aspirin that flies apart after some
hundred steps has ever fewer edges, which would be timed instead.
benchmarks/README.md says how to make an environment that has both.

Usage: python benchmarks/md.py [--model FILE] [--repeats N] [--threads N] [--device cuda] [--replicas 256]
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import mock

import ase
import torch
from ase import units
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet

import atomlens
from atomlens.dynamics.options import MDOptions
from atomlens.dynamics.replicas import Replicas
from atomlens.models import UnseenElementWarning
from systems import MODEL, molecule
from timing import once, use_device
from training import schnetpack

OUR_STEPS, THEIR_STEPS = 10, 40


def their_steps(model: Path, atoms: ase.Atoms, device: torch.device) -> Callable[[], Callable[[], object]]:
    """Starts one replica with SchNetPack's calculator in ASE; what it returns are its steps."""
    schnetpack()
    from schnetpack.interfaces import SpkCalculator
    from schnetpack.transform import ASENeighborList

    moved = atoms.copy()
    # Its calculator unpickles the whole model, which torch no longer does unasked.
    with mock.patch("torch.load", partial(torch.load, weights_only=False)):
        moved.calc = SpkCalculator(
            str(model),
            ASENeighborList(5.0),
            energy_unit="kcal/mol",
            position_unit="Ang",
            device=device,
            dtype=torch.float32,
        )

    def start() -> Callable[[], object]:
        moved.positions[:] = atoms.positions
        thermalize_momenta(moved, 300.0)
        integrator = VelocityVerlet(moved, 0.5 * units.fs)
        integrator.run(1)
        return lambda: integrator.run(THEIR_STEPS)

    return start


def our_steps(
    model: Path, atoms: ase.Atoms, device: torch.device, n_replicas: int
) -> Callable[[], Callable[[], object]]:
    """Starts all replicas in one batch; what it returns are their steps."""
    potential = atomlens.load_model(model, dtype=torch.float32).to(device)

    def start() -> Callable[[], object]:
        replicas = Replicas(potential, atoms, MDOptions("nve", 300.0, n_replicas=n_replicas))
        replicas.advance(1)
        return lambda: replicas.advance(OUR_STEPS)

    return start


def main() -> None:
    """Print a line a molecule."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--replicas", type=int, default=16)
    args = parser.parse_args()
    device = use_device(args.device)
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore", UnseenElementWarning)
    print(
        f"{'atom-steps/s':14s} {f'{args.replicas} replicas':>14s} {'SchNetPack, ASE':>16s} {'ratio':>8s} {'must':>6s}"
    )
    for name in ("ethanol", "aspirin"):
        atoms = molecule(name)
        ours, theirs = our_steps(args.model, atoms, device, args.replicas), their_steps(args.model, atoms, device)
        ours()(), theirs()()
        rounds = [(once(ours()), once(theirs())) for _ in range(args.repeats)]
        a = [args.replicas * OUR_STEPS * len(atoms) / seconds for seconds, _ in rounds]
        b = [THEIR_STEPS * len(atoms) / seconds for _, seconds in rounds]
        ratio = statistics.median(x / y for x, y in zip(a, b, strict=True))
        print(
            f"{name:14s} {statistics.median(a):14.0f} {statistics.median(b):16.0f} {ratio:8.2f} {'3':>6s}", flush=True
        )


if __name__ == "__main__":
    main()
