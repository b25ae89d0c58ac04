"""Cost of explaining recorded models, in units of one energy and force call (E+F) of the same model.

Run where the model's library is installed, one thread per process:

    OMP_NUM_THREADS=1 python benchmarks/recorded.py sevenn:7net-0 [--cpu-time]

Prints, for molecules of 9, 21 and 42 atoms, the time of E+F, of recording, and of all terms up to order 2 and 3 without
the recording (with what preparing the linear program takes), each the fastest of a few calls; and the peak of memory.

    OMP_NUM_THREADS=1 python benchmarks/recorded.py sevenn:7net-0 --water 4 5 6 7

Prints, for periodic boxes of n³ water molecules, each in a process of its own, the time of all terms up to order 2 with
the recording, what of it the program and the kernel took (which hands out memory page by page), and the peak of memory;
then the exponent of time against atoms.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from atomlens import explain_module
from atomlens.chain import make_rule, recorded_sums
from atomlens.interactions import interaction_terms
from atomlens.potentials.foreign import energy_and_forces
from atomlens.potentials.sevennet import load_sevennet
from atomlens.recording import Recording, record
from atomlens.structures import structure_from_smiles
from systems import water_box
from timing import once, use_cpu_time

MOLECULES = {
    "ethanol": "CCO",
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "tetrapeptide": "CC(=O)NC(C)C(=O)NC(C)C(=O)NC(C)C(=O)NC",
}


def fastest(call: Callable[[], object], repeats: int = 3) -> float:
    """Seconds of the fastest of several calls."""
    return min(once(call) for _ in range(repeats))


def box(name: str, n: int) -> tuple[int, float, float, float, float]:
    """Atoms of a box of n³ molecules; seconds of its terms up to order 2, of program and kernel alone; peak in GB."""
    model = load_sevennet(name)
    explain_module(model, water_box(2))
    atoms = water_box(n)
    before = resource.getrusage(resource.RUSAGE_SELF)
    seconds = once(lambda: explain_module(model, atoms).interactions(2))
    after = resource.getrusage(resource.RUSAGE_SELF)
    own, kernel = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return len(atoms), seconds, own, kernel, after.ru_maxrss / 1e6


def boxes(name: str, sizes: Sequence[int]) -> None:
    """Print one line per box, and the exponent."""
    print("atoms  order 2 [s]  program [s]  kernel [s]  peak [GB]")
    found = []
    for n in sizes:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
            found.append(alone.submit(box, name, n).result())
        n_atoms, seconds, own, kernel, peak = found[-1]
        print(f"{n_atoms:5d}  {seconds:11.1f}  {own:11.1f}  {kernel:10.1f}  {peak:9.1f}", flush=True)
    atoms, *times = np.log(np.array(found)[:, :3]).T
    whole, own = (np.polyfit(atoms, time, 1)[0] for time in times)
    print(f"exponent {whole:.2f}, of the program's own time {own:.2f}")


def main(name: str) -> None:
    """Print one line per molecule."""
    model = load_sevennet(name)
    print("atoms  E+F [s]  recording  order 2  order 3  [E+F]   peak [GB]")
    for smiles in MOLECULES.values():
        atoms = structure_from_smiles(smiles)
        assert atoms is not None
        explain_module(model, atoms)
        whole = fastest(lambda atoms=atoms: energy_and_forces(model, atoms))
        recording = fastest(lambda atoms=atoms: record(model, atoms)) / whole
        recorded = record(model, atoms)

        def terms(order: int, recorded: Recording = recorded) -> None:
            interaction_terms(recorded_sums(recorded, make_rule("gate")), order)

        orders = [fastest(lambda terms=terms, n=n: terms(n), 4 - n) / whole for n in (2, 3)]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"{len(atoms):5d}  {whole:7.3f}  {recording:9.2f}  {orders[0]:7.2f}  {orders[1]:7.2f}  {'':5}  {peak:9.1f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="sevenn:7net-0")
    parser.add_argument("--cpu-time", action="store_true", help="on a busy machine")
    parser.add_argument("--water", nargs="+", type=int, metavar="N", help="periodic boxes of N³ water molecules")
    options = parser.parse_args()
    if options.cpu_time:
        use_cpu_time()
    if options.water:
        boxes(options.model, options.water)
    else:
        main(options.model)
