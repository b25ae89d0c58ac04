"""The whole command, from a cold start to the report: explain aspirin (21 atoms), order 3.

Usage: python benchmarks/cold_start.py [--model FILE] [--repeats N]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from systems import MODEL, SHARED
from timing import once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(MODEL))
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    program = Path(sys.executable).with_name("atomlens")
    structure = SHARED / "testdata" / "aspirin.xyz"
    with tempfile.TemporaryDirectory() as folder:

        def run(number: int) -> None:
            out = Path(folder) / str(number)
            command = [program, "explain", arguments.model, structure, "--max-order", "3", "--out", out]
            subprocess.run(command, check=True, capture_output=True)

        seconds = [once(lambda n=n: run(n)) for n in range(arguments.repeats)]
        page = (Path(folder) / "0" / "report.html").stat().st_size / 1e6
    helping = statistics.median(
        once(lambda: subprocess.run([program, "--help"], capture_output=True)) for _ in range(3)
    )
    print(
        f"explain, 21 atoms, order 3: {statistics.median(seconds):.1f} s (must be < 10 s), page {page:.1f} MB (< 10 MB)"
    )
    print(f"atomlens --help: {helping:.2f} s")


if __name__ == "__main__":
    main()
