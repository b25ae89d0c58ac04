"""Peak memory of `atomlens analyze` for few and for many frames of one xyz file: it must not grow with their number.

Each run is a process of its own, on one thread, whose peak resident memory the system tells when it has ended. Frames
are water, methanol and ammonia, shaken; questions are answered from the same number of structures in every run, since
what is judged is what is in memory.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import ase.build
import ase.io

ANALYZE = "import sys; from atomlens.cli import main; sys.argv[0] = 'atomlens'; main()"
# Growth that counts as none: allocators keep what they freed, and a process more or less is never the same.
MARGIN_MB = 60.0


def peak(command: list[str]) -> float:
    """Peak resident memory in MB of a process and of what it waited for."""
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(done.returncode)"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    told = subprocess.run(
        [sys.executable, "-c", code, *command], check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    return int(told.stdout) / (1024 if sys.platform != "darwin" else 1024**2)


def write_frames(path: Path, count: int) -> None:
    """An xyz file of that many shaken molecules."""
    molecules = [ase.build.molecule(name) for name in ("H2O", "CH3OH", "NH3")]
    with path.open("w") as file:
        for number in range(count):
            atoms = molecules[number % 3].copy()
            atoms.rattle(0.03, seed=number)
            ase.io.write(file, atoms, format="extxyz")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, nargs="+", default=[500, 4000])
    parser.add_argument("--sample", type=int, default=500)
    parser.add_argument("--model", default="zoo:qm9-u0-schnet")
    parser.add_argument("--questions", default="species")
    parser.add_argument("--margin", type=float, default=MARGIN_MB, help="growth in MB that counts as none")
    asked = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as home:
        for count in asked.frames:
            path = Path(home) / f"{count}.xyz"
            write_frames(path, count)
            options = ["--questions", asked.questions, "--max-order", "2", "--sample", str(asked.sample)]
            out = ["--out", str(Path(home) / f"run-{count}")]
            found.append(peak([sys.executable, "-c", ANALYZE, "analyze", asked.model, str(path), *options, *out]))
            print(f"{count:8d} frames: {found[-1]:.0f} MB", flush=True)
    grown = max(found) - found[0]
    said = "constant" if grown <= asked.margin else "NOT constant"
    print(f"growth {grown:.0f} MB, margin {asked.margin:.0f} MB: {said}")
    sys.exit(grown > asked.margin)


if __name__ == "__main__":
    main()
