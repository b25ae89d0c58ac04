"""The benchmarks of one GPU, one after the other, into one page: walks, terms, training step, energy and forces, MD.

Every part is one of the scripts beside this one with ``--device``, each against SchNetPack or the masked passes on the
same card in the same run. A part that fails, or takes longer than its time, is on the page as such. The environment of
benchmarks/README.md has what the parts need; without SchNetPack those that compare with it fail and the rest runs.

Usage: python benchmarks/gpu.py [--device cuda] [--out gpu.md] [--model FILE] [--seconds 600]
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import time
from pathlib import Path

import torch

from systems import MODEL
from timing import use_device

# Title, script and arguments, and its share of all the time.
PARTS = (
    ("Walks, float64", ("walks.py", "--repeats", "5"), 0.15),
    ("Walks, float32", ("walks.py", "--repeats", "5", "--single"), 0.15),
    ("Terms of order 2 and 3, float64 and float32", ("interactions.py", "--repeats", "9"), 0.15),
    ("Training step; energy and forces, float32 and float64", ("training.py", "--repeats", "9"), 0.25),
    ("MD, 16 replicas, float32", ("md.py", "--repeats", "5"), 0.15),
    ("MD, 256 replicas, float32", ("md.py", "--repeats", "5", "--replicas", "256"), 0.15),
)


def name_of(device: torch.device) -> str:
    """What a reader of the page knows the device by."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type} ({platform.processor()})"


def run_part(script: str, arguments: list[str], seconds: float) -> str:
    """What a script prints, and why it ended where it did not end well."""
    command = [sys.executable, str(Path(__file__).with_name(script)), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as late:
        printed = late.stdout.decode() if isinstance(late.stdout, bytes) else late.stdout or ""
        return f"{printed.rstrip()}\nnot finished after {seconds:.0f} s".strip()
    if done.returncode == 0:
        return done.stdout.rstrip()
    last = (done.stderr.strip() or "no message").splitlines()[-1]
    return f"{done.stdout.rstrip()}\nfailed with exit code {done.returncode}: {last}".strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path("gpu.md"))
    parser.add_argument("--model", default=str(MODEL))
    parser.add_argument("--seconds", type=float, default=600.0, help="for all parts together")
    parser.add_argument("--only", default="", help="parts whose title holds this text")
    arguments = parser.parse_args()
    device = use_device(arguments.device)
    page = [f"# {name_of(device)}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}"]
    for title, (script, *options), share in PARTS:
        if arguments.only in title:
            given = [*options, "--model", arguments.model, "--device", arguments.device]
            printed = run_part(script, given, share * arguments.seconds)
            page.append(f"## {title}\n\n    python benchmarks/{script} {' '.join(given)}\n\n```\n{printed}\n```")
            arguments.out.write_text("\n\n".join(page) + "\n")  # after every part: a lent card may be taken back
            print(page[-1], flush=True)


if __name__ == "__main__":
    main()
