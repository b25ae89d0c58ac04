"""The published size: all walks of an SO3net (F = 128, T = 3, l_max = 2) on 125 beads, cold start included.

The beads are a liquid of one kind (one bead per molecule) in a periodic box, drawn with a fixed seed and pushed apart;
the box is as dense as gives 1,102 directed edges within 5 Å. Weights are random: time does not depend on them. Timed is
a process of its own: start of Python, loading the model, recording, all walks, writing them to a file.

Usage: python benchmarks/beads.py [--repeats N] [--threads N] [--rule gate] [--product-rule full] [--cpu-time]
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
from pathlib import Path

import ase
import ase.io
import numpy as np
import torch

import atomlens
from atomlens.models import CutoffConfig, ModelConfig, Potential, RadialConfig, ReadoutConfig, RepresentationConfig

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
    parser.add_argument("--product-rule", default="full")
    parser.add_argument("--cpu-time", action="store_true", help="processor time of the process, for busy machines")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    atoms = beads()
    with tempfile.TemporaryDirectory() as folder:
        model, structure, out = (Path(folder) / name for name in ("model.safetensors", "beads.extxyz", "walks.npz"))
        atomlens.save_model(so3net(), model)
        ase.io.write(structure, atoms)
        arguments = [model, structure, options.rule, options.product_rule, options.threads, out]
        command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
        seconds = []
        for _ in range(options.repeats):
            used, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": str(options.threads)})
            end = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = end.ru_utime + end.ru_stime - used.ru_utime - used.ru_stime
            seconds.append(cpu if options.cpu_time else time.perf_counter() - start)
        walks = len(np.load(out)["relevance"])
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        loaded = atomlens.load_model(model)
        edges = loaded.graph(atoms).n_edges
        call = timed(lambda: loaded.predict(atoms), options.cpu_time)
        timed(lambda: atomlens.explain(loaded, atoms, options.rule, options.product_rule), options.cpu_time)
        recorded = timed(lambda: atomlens.explain(loaded, atoms, options.rule, options.product_rule), options.cpu_time)
        explained = atomlens.explain(loaded, atoms, options.rule, options.product_rule)
        listed = timed(explained.walks, options.cpu_time)
    kind = "of the processor" if options.cpu_time else "by the clock"
    print(f"{len(atoms)} beads, {edges} edges, {walks} walks, rule {options.rule}/{options.product_rule}")
    print(
        f"cold start to file: {statistics.median(seconds):.1f} s {kind} (must be <= 10 s on 2 cores; "
        f"{min(seconds):.1f} to {max(seconds):.1f}), {memory:.2f} GB"
    )
    print(f"warm: chain {recorded:.2f} s, walks {listed:.2f} s; one energy and force call {call:.2f} s")


def timed(work, cpu_time: bool) -> float:
    """Median seconds of three calls after one."""
    clock = time.process_time if cpu_time else time.perf_counter
    work()
    found = []
    for _ in range(3):
        start = clock()
        work()
        found.append(clock() - start)
    return statistics.median(found)


if __name__ == "__main__":
    main()
