"""The published size: all walks of an SO3net (F = 128, T = 3, l_max = 2) on 125 beads, cold start included.

The beads are a liquid of one kind (one bead per molecule) in a periodic box, drawn with a fixed seed and pushed apart;
the box is as dense as gives 1,102 directed edges within 5 Å. Weights are random: time does not depend on them. Timed is
a process of its own: start of Python, loading the model, recording, all walks, writing them to a file.

Usage: python benchmarks/beads.py [--repeats N] [--threads N] [--rule gate] [--product-rule full]

Seconds are given by the clock and of the processor (all threads together): a busy machine's clock measures waiting.
That the list is complete is checked: as many walks as the bead graph has paths of three steps, no two alike.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import ase
import ase.io
import numpy as np
import torch

import atomlens
from atomlens.models import CutoffConfig, ModelConfig, Potential, RadialConfig, ReadoutConfig, RepresentationConfig
from atomlens.recording import DEFAULT_PRODUCT_RULE
from atomlens.structures import AtomGraph
from timing import paired

COMMAND = """
import sys
import ase.io, numpy, torch
import atomlens
model, structure, rule, product_rule, threads, out = sys.argv[1:]
torch.set_num_threads(int(threads))
walks = atomlens.explain(atomlens.load_model(model), ase.io.read(structure), rule, product_rule).walks()
numpy.savez(out, atoms=walks.atoms, relevance=walks.relevance)
"""


def beads(n: int = 125, spacing: float = 3.874, apart: float = 3.65, seed: int = 0) -> ase.Atoms:
    """Random beads in a periodic box, pushed apart until none is nearer than about `apart` Å to another."""
    length = n ** (1 / 3) * spacing
    places = np.random.default_rng(seed).uniform(0, length, (n, 3))
    for _ in range(500):
        vectors = places[:, None] - places
        vectors -= length * np.round(vectors / length)
        distances = np.linalg.norm(vectors, axis=-1) + 1e9 * np.eye(n)
        push = np.clip(apart - distances, 0.0, None) / distances
        places += 0.2 * (push[..., None] * vectors).sum(axis=1)
    return ase.Atoms("C" * n, positions=places % length, cell=[length] * 3, pbc=True)


def so3net(seed: int = 0) -> Potential:
    """SO3net of the published size, with random weights."""
    torch.manual_seed(seed)
    shape = RepresentationConfig(
        "so3net", n_features=128, n_layers=3, radial=RadialConfig(n_rbf=20), cutoff=CutoffConfig(), max_z=10, l_max=2
    )
    return Potential(ModelConfig(shape, ReadoutConfig(widths=(128, 64, 1))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rule", default="gate")
    parser.add_argument("--product-rule", default=DEFAULT_PRODUCT_RULE)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    atoms = beads()
    with tempfile.TemporaryDirectory() as folder:
        model, structure, out = (Path(folder) / name for name in ("model.safetensors", "beads.extxyz", "walks.npz"))
        atomlens.save_model(so3net(), model)
        ase.io.write(structure, atoms)
        arguments = [model, structure, options.rule, options.product_rule, options.threads, out]
        command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
        clock, cpu = [], []
        for _ in range(options.repeats):
            used, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": str(options.threads)})
            clock.append(time.perf_counter() - start)
            end = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu.append(end.ru_utime + end.ru_stime - used.ru_utime - used.ru_stime)
        walks = np.load(out)["atoms"]
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        loaded = atomlens.load_model(model)
    graph = loaded.graph(atoms)
    check_complete(walks, graph)
    print(f"{len(atoms)} beads, {graph.n_edges} edges, {len(walks)} walks, rule {options.rule}/{options.product_rule}")
    print(
        f"cold start to file: {spread(clock)} s by the clock (must be <= 10 s on 2 cores), "
        f"{spread(cpu)} s of the processor, {memory:.2f} GB"
    )
    explain = partial(atomlens.explain, loaded, atoms, options.rule, options.product_rule)
    explain()  # learns the model's rows
    explained = explain()
    works = [explain, explained.walks, partial(loaded.predict, atoms)]
    chain, listed, call = paired(works, options.repeats)
    print(f"warm, by the clock: chain {chain:.2f} s, walks {listed:.2f} s; one energy and force call {call:.2f} s")


def check_complete(walks: np.ndarray, graph: AtomGraph) -> None:
    """Raise `RuntimeError` unless every path of three steps between neighbours, or of staying, is there once."""
    step = np.eye(graph.n_atoms, dtype=np.int64)
    step[graph.target.numpy(), graph.source.numpy()] = 1
    paths, different = int(np.linalg.matrix_power(step, 3).sum()), len(np.unique(walks, axis=0))
    if not len(walks) == different == paths or not step[walks[:, :-1], walks[:, 1:]].all():
        raise RuntimeError(f"{len(walks)} walks, {different} of them different; the beads have {paths}")


def spread(seconds: list[float]) -> str:
    """Median, and the range."""
    return f"{statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"


if __name__ == "__main__":
    main()
