"""How often verdicts are wrong: every claim judged in made-up worlds whose truth is known.

For every claim: power (how often the right answer is found where there is one), how often a model that deviates, or of
which nothing can be known, is said to agree, and how often one that agrees, or nothing can be known of, is said to
deviate. Trials are kept in FILE as they are done, so a run that was stopped goes on.

Usage: python benchmarks/verdicts.py [--trials N] [--only TEXT] [--file FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from atomlens.analyses import Outcome
from atomlens.folders import write_text
from made_up import World, all_worlds

# Counts of outcomes by world and claim.
Counts = dict[str, dict[str, dict[str, int]]]


def trial(world: World, number: int) -> dict[str, str]:
    """Outcome of every claim in one drawing of a world; the number is the seed."""
    found = world.make(np.random.default_rng([number, *world.name.encode()]))
    return {claim: found[claim].outcome.value for claim in world.expected}


def rates(worlds: list[World], counts: Counts) -> dict[str, dict[str, float]]:
    """By claim: trials per world, ``power_<outcome>`` in the hardest world, ``false_<outcome>`` in the worst."""
    found: dict[str, dict[str, float]] = {}
    for world in worlds:
        for claim, expected in world.expected.items():
            here = Counter(counts.get(world.name, {}).get(claim, {}))
            n = here.total()
            if not n:
                continue
            row = found.setdefault(claim, {"trials": n})
            row["trials"] = min(row["trials"], n)
            shares = {outcome: here[outcome.value] / n for outcome in (Outcome.AGREES, Outcome.DEVIATES)}
            for outcome, share in shares.items():
                if outcome is expected:
                    # The hardest world counts.
                    row[f"power_{outcome.value}"] = min(row.get(f"power_{outcome.value}", 1.0), share)
                else:
                    row[f"false_{outcome.value}"] = max(row.get(f"false_{outcome.value}", 0.0), share)
    return found


def table(found: Mapping[str, Mapping[str, float]]) -> str:
    """The rates as Markdown."""
    keys = ("power_agrees", "power_deviates", "false_agrees", "false_deviates")
    lines = ["| claim | trials | says agrees, rightly | says deviates, rightly | agrees, wrongly | deviates, wrongly |"]
    lines.append("|---|---|---|---|---|---|")
    for claim, row in found.items():
        cells = [f"{row[key]:.0%}".replace("%", " %") if key in row else "" for key in keys]
        lines.append(f"| {claim} | {row['trials']:.0f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--only", default="", help="worlds of claims whose name holds this text")
    parser.add_argument("--file", type=Path, default=Path("verdicts.json"))
    asked = parser.parse_args()
    worlds = [world for world in all_worlds() if any(asked.only in claim for claim in world.expected)]
    counts: Counts = json.loads(asked.file.read_text("utf-8")) if asked.file.is_file() else {}
    started = time.perf_counter()
    for number in range(asked.trials):
        for world in worlds:
            here = counts.setdefault(world.name, {})
            done = sum(here.get(next(iter(world.expected)), {}).values())
            if done > number:
                continue
            for claim, outcome in trial(world, number).items():
                kinds = here.setdefault(claim, {})
                kinds[outcome] = kinds.get(outcome, 0) + 1
        write_text(asked.file, json.dumps(counts, indent=1) + "\n")
    print(table(rates(worlds, counts)))
    print(f"\n{len(worlds)} worlds, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
