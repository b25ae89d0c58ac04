"""Every benchmark that needs no GPU, one after another: all figures of benchmarks/README.md in one sitting.

    python benchmarks/sitting.py --out runs/sitting [--peer PYTHON] [--sevennet PYTHON] [--only NAME ...]

Each runs in a process of its own; what it prints is kept in OUT/NAME.txt with command, time and the machine's load
before and after. What has been kept is not run again: the same command goes on after an interruption. A figure whose
load is not near zero was not measured on a quiet machine, and the summary says so.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
# Other work than the benchmark that just ended: above this load the machine was not quiet.
QUIET = 1.5
HOURS = 1


@dataclass(frozen=True)
class Benchmark:
    """One script with its options.

    Attributes
    ----------
    name
        Of its file of results.
    words
        Script and options.
    where
        Whose Python: ``own``, ``peer`` (with SchNetPack) or ``sevennet``.
    threads
        Of OpenMP; all cores where None.
    """

    name: str
    words: str
    where: str = "own"
    threads: int | None = 1


BENCHMARKS = (
    Benchmark("walks", "walks.py --repeats 7"),
    Benchmark("walks-two-threads", "walks.py --repeats 7", threads=None),
    Benchmark("bias-share", "bias_share.py"),
    Benchmark("interactions", "interactions.py --repeats 9"),
    Benchmark("scaling-full", "scaling.py"),
    Benchmark("scaling-scalar", "scaling.py --product-rule scalar"),
    Benchmark("cold-start", "cold_start.py", threads=None),
    Benchmark("beads", "beads.py --threads 2 --repeats 3", threads=None),
    Benchmark("dataset-full", "dataset.py --count 1024"),
    Benchmark("dataset-scalar", "dataset.py --count 1024 --product-rule scalar"),
    Benchmark("memory", "memory.py"),
    Benchmark("training", "training.py --threads 1 --repeats 11", "peer"),
    Benchmark("md-one-thread", "md.py --threads 1", "peer"),
    Benchmark("md-two-threads", "md.py --threads 2", "peer", threads=None),
    Benchmark("sevennet", "recorded.py sevenn:7net-0", "sevennet"),
    Benchmark("sevennet-water", "recorded.py sevenn:7net-0 --water 4 5 6 7", "sevennet"),
)


def run(benchmark: Benchmark, python: str, out: Path) -> str:
    """Run one and keep what it prints; one line on how it went."""
    kept = out / f"{benchmark.name}.txt"
    if kept.exists():
        return "kept"
    command = [python, *benchmark.words.split()]
    environment = dict(os.environ)
    if benchmark.threads is not None:
        environment["OMP_NUM_THREADS"] = str(benchmark.threads)
    before, started = os.getloadavg()[0], time.monotonic()
    command[1] = str(HERE / command[1])
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=HOURS * 3600, check=False
        )
    except subprocess.TimeoutExpired:
        return f"stopped after {HOURS} h"
    seconds = time.monotonic() - started
    if done.returncode:
        return f"failed: {(done.stderr.strip() or 'no message').splitlines()[-1]}"
    quiet = "quiet" if before < QUIET else "NOT quiet"
    head = f"python benchmarks/{benchmark.words}\nthreads {benchmark.threads or os.cpu_count()}; {machine()}\n"
    head += f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {seconds:.0f} s; load before {before:.1f} ({quiet})\n\n"
    kept.write_text(head + done.stdout, "utf-8")
    return f"{seconds:.0f} s, load before {before:.1f} ({quiet})"


def machine() -> str:
    """Processor, cores, Python."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return (
        f"{os.cpu_count()} cores of {names[0] if names else platform.processor()}, Python {platform.python_version()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--peer", help="Python of an environment with SchNetPack (benchmarks/README.md says how)")
    parser.add_argument("--sevennet", help="Python of an environment with SevenNet (environments/)")
    parser.add_argument("--only", nargs="+", choices=[one.name for one in BENCHMARKS], metavar="NAME")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    pythons = {"own": sys.executable, "peer": given.peer, "sevennet": given.sevennet}
    for one in BENCHMARKS:
        if given.only and one.name not in given.only:
            continue
        python = pythons[one.where]
        said = run(one, python, given.out) if python else f"left out: give --{one.where}"
        print(f"{one.name}: {said}", flush=True)


if __name__ == "__main__":
    main()
