"""Ways out of the 48 models of ethanol, and how well two numbers made of them tell fragile models.

The form of the thermal exit barrier was chosen by this table, docs/forecast.md tests it on other molecules.

    python benchmarks/equal_accuracy.py runs/xtb-ethanol --out runs/equal-accuracy
    python benchmarks/exit_barriers.py runs/xtb-ethanol runs/equal-accuracy --out docs/forecast/ethanol.csv
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl
import torch
from ase import units

from atomlens.dynamics import AtomlensCalculator, find_exits
from atomlens.folders import read_json
from atomlens.potentials import load_potential
from equal_accuracy import ARMS, SEEDS, TEMPERATURE, World, log_hazard, make_world


def barriers(world: World) -> pl.DataFrame:
    """One row for each model: its fate, its lowest way out and its thermal exit barrier in kT."""
    thermal = units.kB * TEMPERATURE
    found = []
    for seed in SEEDS:
        for arm in ARMS:
            folder = world.out / f"{arm}-seed{seed}"
            row = read_json(folder / "row.json")
            model = load_potential(folder / "train" / "model.safetensors", dtype=torch.float64)
            exits = find_exits(AtomlensCalculator(model), world.start)
            hazard = float(log_hazard(pl.DataFrame([row]))[0])
            fate = {"breaks": sum(row["broke"]), "replicas": len(row["broke"]), "log_hazard": hazard}
            lowest, barrier = exits.ways[0].energy / thermal, exits.barrier(TEMPERATURE) / thermal
            found.append({"arm": arm, "seed": seed, **fate, "lowest": lowest, "barrier": barrier})
    return pl.DataFrame(found)


def area(low: np.ndarray, fragile: np.ndarray) -> float:
    """How often a fragile model has the smaller number of a fragile and another one."""
    difference = low[~fragile] - low[fragile][:, None]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="folder of `atomlens data xtb`")
    parser.add_argument("run", type=Path, help="folder of benchmarks/equal_accuracy.py")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    given = parser.parse_args()
    torch.set_num_threads(1)
    table = barriers(make_world(given.dataset, given.run.resolve()))
    table.write_csv(given.out, float_precision=6)
    fragile = (2 * table["breaks"] >= table["replicas"]).to_numpy()
    rng = np.random.default_rng(0)
    drawn = [rows for rows in rng.integers(len(table), size=(4_000, len(table))) if 0 < fragile[rows].sum() < len(rows)]
    for name in ("lowest", "barrier"):
        values = table[name].to_numpy()
        low, high = np.quantile([area(values[rows], fragile[rows]) for rows in drawn], [0.025, 0.975])
        print(f"{name}: AUC {area(values, fragile):.2f} [{low:.2f}, {high:.2f}]")
    barrier, hazard = table["barrier"].to_numpy(), table["log_hazard"].to_numpy()
    slope, intercept = np.polyfit(barrier, hazard, 1)
    rest = np.std(hazard - intercept - slope * barrier, ddof=2)
    print(f"ln h = {intercept:.3f} {slope:+.3f} barrier / kT, standard deviation about it {rest:.2f}")
    print(f"half of the replicas broken after 5 ps: {(np.log(np.log(2) / 5) - intercept) / slope:.2f} kT")


if __name__ == "__main__":
    main()
