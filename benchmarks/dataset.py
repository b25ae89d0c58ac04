"""Explained molecules a second over QM9, for one process and for two workers, against predicting energies alone.

Everything counts: neighbours, bonds, terms, Parquet files, joining. The anchor is the energy alone, of the same
molecules by the same model on one thread, one by one (neighbours included). Things are timed in turn, medians over
rounds. Processor time is given too: it changes less when others use the machine.

What two workers can gain at most on this machine is measured beside it: two processes that explain all molecules each,
at the same time and with nothing in common, against one that does it alone.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import ase
import numpy as np
import torch
from distributed import Client, LocalCluster

import atomlens
from atomlens.data import load_qm9
from atomlens.surveys import survey_structures


def molecules(count: int) -> list[ase.Atoms]:
    dataset = load_qm9()
    chosen = np.random.default_rng(0).choice(len(dataset), count, replace=False)
    return [dataset.atoms(int(k)) for k in np.sort(chosen)]


def energies(model: atomlens.Potential, structures: list[ase.Atoms]) -> None:
    with torch.no_grad():
        for atoms in structures:
            model(model.graph(atoms))


def processor_seconds(*clients: Client) -> float:
    """Of this process and of all workers."""
    return time.process_time() + sum(sum(client.run(time.process_time).values()) for client in clients)


@dataclass(frozen=True)
class Asked:
    """What is surveyed, and how."""

    model: str
    count: int
    max_order: int
    product_rule: str | None


def survey(asked: Asked, structures: list[ase.Atoms], folder: Path, scheduler: str | None = None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    rules = {"max_order": asked.max_order, "product_rule": asked.product_rule}
    survey_structures(asked.model, structures, folder, scheduler=scheduler, shard_size=64, **rules)


@cache
def loaded(count: int) -> list[ase.Atoms]:
    """Molecules of this process."""
    return molecules(count)


def survey_here(asked: Asked) -> None:
    """A survey in a folder of its own, by this process alone."""
    with tempfile.TemporaryDirectory() as scratch:
        survey(asked, loaded(asked.count), Path(scratch) / "run")


def run_alone(client: Client, asked: Asked) -> None:
    """Every worker makes a survey of its own, all at the same time."""
    client.run(survey_here, asked)


def profile(asked: Asked, structures: list[ase.Atoms], folder: Path) -> None:
    import cProfile
    import pstats

    from atomlens.chain import build
    from atomlens.interactions import batch, terms
    from atomlens.relevance import shares
    from atomlens.structures import bonds, neighbors
    from atomlens.surveys import shard, stream
    from atomlens.tables import rows

    named = {
        "neighbours and checks": neighbors.build_graph,
        "chain": build.make_chain_batch.__wrapped__,
        "terms": terms.interaction_terms,
        "shares of atoms": shares.atom_shares,
        "bonds": bonds.perceive_bonds,
        "rows of pairs": rows.pair_rows,
        "rows of triples": rows.triple_rows,
        "Parquet": stream.write_table,
        "joining": stream.merge_tables,
        "all of a shard": shard.make_shard,
        "all explaining": batch.explain_graphs,
    }
    watch = cProfile.Profile()
    watch.runcall(survey, asked, structures, folder)
    stats = pstats.Stats(watch)
    entries = {(where[0], where[2]): numbers[3] for where, numbers in stats.stats.items()}  # pyright: ignore
    for name, function in named.items():
        seconds = entries.get((function.__code__.co_filename, function.__name__), 0.0)
        print(f"  {name:22s} {seconds / stats.total_tt:6.1%}")  # pyright: ignore


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="zoo:qm9-u0-painn")
    parser.add_argument("--count", type=int, default=1024, help="molecules")
    parser.add_argument("--max-order", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="where the time of one process goes")
    parser.add_argument("--product-rule", choices=("full", "scalar"), help="of PaiNN; full unless named")
    options = parser.parse_args()
    torch.set_num_threads(1)
    asked = Asked(options.model, options.count, options.max_order, options.product_rule)
    model, structures = atomlens.load_model(options.model), molecules(options.count)
    n = len(structures)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        start = time.perf_counter()
        shape = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50}
        with (
            LocalCluster(n_workers=1, **shape) as one,
            LocalCluster(n_workers=2, **shape) as two,
            Client(one) as a,
            Client(two) as b,
        ):
            for client, n_workers in ((a, 1), (b, 2)):
                assert len(client.nthreads()) == n_workers
            print(f"workers ready in {time.perf_counter() - start:.1f} s (not counted below)")
            for client in (a, b):  # every process has imported everything and met the model
                survey(asked, structures[:512], folder, client.scheduler.address)
            works = {
                "energies one by one": lambda: energies(model, structures),
                "one process": lambda: survey(asked, structures, folder),
                "one worker": lambda: survey(asked, structures, folder, one.scheduler_address),
                "two workers": lambda: survey(asked, structures, folder, two.scheduler_address),
                "alone": lambda: run_alone(a, asked),
                "side by side": lambda: run_alone(b, asked),
            }
            works["alone"](), works["side by side"]()  # molecules are loaded
            rounds: list[dict[str, float]] = []
            busy: dict[str, list[float]] = {}
            for _ in range(options.rounds):
                seconds = {}
                for name, work in works.items():
                    start, used = time.perf_counter(), processor_seconds(a, b)
                    work()
                    seconds[name] = time.perf_counter() - start
                    busy.setdefault(name, []).append(processor_seconds(a, b) - used)
                rounds.append(seconds)
                print("  ".join(f"{name} {n / s:.0f}/s" for name, s in seconds.items()), flush=True)
        for name in list(works)[:4]:
            rate = statistics.median(n / r[name] for r in rounds)
            ratio = statistics.median(r["energies one by one"] / r[name] for r in rounds)
            used = statistics.median(busy[name]) / n
            print(
                f"{name:20s} {rate:6.1f} molecules/s, {ratio:.2f}x the rate of energies alone; "
                f"{1 / used:.0f} molecules per second of processor time"
            )
        gain = statistics.median(r["one worker"] / r["two workers"] for r in rounds)
        gains = ", ".join(f"{r['one worker'] / r['two workers']:.2f}" for r in rounds)
        print(f"two workers against one: {gain:.2f}x ({gains})")
        most = statistics.median(2 * r["alone"] / r["side by side"] for r in rounds)
        mosts = ", ".join(f"{2 * r['alone'] / r['side by side']:.2f}" for r in rounds)
        print(f"two processes with nothing in common against one: {most:.2f}x ({mosts})")
        if options.profile:
            print("share of one process's time:")
            profile(asked, structures[:256], folder)


if __name__ == "__main__":
    main()
