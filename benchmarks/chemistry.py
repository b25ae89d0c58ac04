"""What makes a model learn chemistry? Small models that differ in labels, references and geometries, and their terms.

The design, written down before the first run, is on ``docs/chemistry.md``. Every part is kept; the same command
resumes.

    atomlens data organic --out runs/organic
    python benchmarks/chemistry.py runs/organic/dataset --out runs/chemistry
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import ase
import numpy as np
import polars as pl
from ase.io import write

from atomlens.analyses.species import SpeciesResult
from atomlens.data import Dataset, load_dataset, save_dataset
from atomlens.folders import load_result

SEEDS = (1, 2, 3)
STEPS, BATCH = 3_000, 16
N_TRAIN, N_VAL, N_SHOWN = 1_900, 100, 300
WIDTHS = {"painn": 32, "schnet": 64}
# What the page judges by.
SCORES = ("energies_signed", "multiplicity_signed", "orders_all", "topology", "bond_sign", "hydrogen_bonds")
# Name of every effect: its factor, and the two levels that are compared.
EFFECTS = {
    "forces": ("labels", "energies+forces", "energies"),
    "isolated atoms": ("references", "free_atoms", "fit"),
    "distorted": ("geometries", "distorted", "relaxed"),
}


@dataclass(frozen=True)
class Arm:
    """One model: what it learns from, and its seed."""

    architecture: str
    labels: str
    references: str
    geometries: str
    seed: int

    @property
    def name(self) -> str:
        """Folder of the model."""
        return f"{self.architecture}-{self.labels}-{self.references}-{self.geometries}-seed{self.seed}"

    def toml(self) -> str:
        """Its training configuration."""
        forces = self.labels == "energies+forces"
        frames = 4 * N_TRAIN if self.geometries == "distorted4" else N_TRAIN
        epochs = -(-STEPS // -(-frames // BATCH))
        return f"""\
name = "{self.name}"
seed = {self.seed}
[data]
path = "../sets/{self.geometries}"
test_path = "../sets/test"
property = "energy"
forces = {str(forces).lower()}
check_forces = false
groups = "group"
n_train = {N_TRAIN}
n_val = {N_VAL}
n_test = 0
split_seed = 1
[model]
architecture = "{self.architecture}"
n_features = {WIDTHS[self.architecture]}
n_layers = 3
cutoff = 5.0
references = "{self.references}"
centre = {str(self.references == "fit").lower()}
scale = 1.0
[fit]
epochs = {epochs}
batch_size = {BATCH}
lr = 1e-3
energy_weight = {0.2 if forces else 1.0}
force_weight = {0.8 if forces else 0.0}
schedule = "cosine"
ema_decay = 0.998
clip = 10.0
"""


def arms() -> list[Arm]:
    """All models, seed by seed, so that whatever is finished is a whole design."""
    levels = ("energies", "energies+forces"), ("fit", "free_atoms"), ("relaxed", "distorted")
    grid = product(WIDTHS, *levels)
    kinds = [*grid, *((name, "energies", "free_atoms", "distorted4") for name in WIDTHS)]
    return [Arm(*kind, seed) for seed in SEEDS for kind in kinds]


def make_sets(dataset: Dataset, out: Path) -> None:
    """Training sets of the same molecules, relaxed and distorted, a test set of others, and what is explained."""
    kind, group = np.asarray(dataset.column("kind").values), np.asarray(dataset.column("group").values)
    relaxed = {int(group[k]): k for k in np.flatnonzero(kind == "relaxed")}
    thermal: dict[int, list[int]] = {}
    for k in np.flatnonzero(kind == "thermal"):
        thermal.setdefault(int(group[k]), []).append(int(k))
    both = np.array(sorted(g for g in relaxed if len(thermal.get(g, ())) == 4))
    order = np.random.default_rng(0).permutation(both)
    learned = np.sort(order[: N_TRAIN + N_VAL])
    rest = np.sort(order[N_TRAIN + N_VAL :])
    if len(rest) < 10:
        raise SystemExit(f"{len(both)} molecules are relaxed and heated four times; {N_TRAIN + N_VAL + 10} are needed")

    def one(groups: np.ndarray) -> np.ndarray:
        # All four temperatures are equally frequent.
        return np.array([thermal[g][k % 4] for k, g in enumerate(groups.tolist())])

    sets = {
        "relaxed": np.array([relaxed[g] for g in learned.tolist()]),
        "distorted": one(learned),
        "distorted4": np.array([k for g in learned.tolist() for k in thermal[g]]),
        "test": one(rest),
    }
    for name, frames in sets.items():
        if not (out / "sets" / name).exists():
            save_dataset(dataset.subset(frames), out / "sets" / name)
    shown: list[ase.Atoms] = [dataset.atoms(relaxed[g]) for g in rest[:N_SHOWN].tolist()]
    write(out / "sets" / "molecules.xyz", shown, format="extxyz")


def run(out: Path, arm: Arm) -> None:
    """Train and explain one model."""
    folder, config = out / "models" / arm.name, out / "configs" / f"{arm.name}.toml"
    config.parent.mkdir(exist_ok=True)
    config.write_text(arm.toml())
    model = folder / "train" / "model.safetensors"
    if not model.exists():
        call("train", str(config), "--out", str(folder / "train"), "--resume")
    if not (folder / "analysis" / "summary.json").exists():
        molecules = str(out / "sets" / "molecules.xyz")
        options = ("--questions", "species")
        call("analyze", str(model), molecules, "--out", str(folder / "analysis"), *options)


def call(*words: str) -> None:
    """One command of atomlens in a process of its own."""
    subprocess.run([sys.executable, "-m", "atomlens", *words], check=True)


def row(out: Path, arm: Arm) -> dict[str, object]:
    """What is known of one finished model."""
    folder = out / "models" / arm.name
    found = load_result(SpeciesResult, folder / "analysis" / "questions" / "species")
    card = json.loads((folder / "train" / "card.json").read_text("utf-8"))
    strength = {}
    for order, level in enumerate(("atoms", "pairs", "triples"), start=1):
        table = pl.read_parquet(folder / "analysis" / "tables" / f"{level}.parquet")
        strength[order] = float(table[f"relevance_{found.unit}"].abs().sum())
    return {
        **vars(arm),
        **{name: found.scores[name].effect.value for name in SCORES},
        "one_atom_share": strength[1] / sum(strength.values()),
        "errors": json.dumps(card["errors"]),
        "hours": card["hours"],
    }


def effects(table: pl.DataFrame) -> pl.DataFrame:
    """Mean difference of every score between models alike in all but one factor; 95 % by bootstrap of pairs."""
    rows = []
    for architecture, (effect, (factor, high, low)), score in product(
        WIDTHS, EFFECTS.items(), (*SCORES, "one_atom_share")
    ):
        own = table.filter((pl.col("architecture") == architecture) & (pl.col("geometries") != "distorted4"))
        keys = [k for k in ("labels", "references", "geometries", "seed") if k != factor]
        pair = own.filter(pl.col(factor) == high).join(own.filter(pl.col(factor) == low), on=keys)
        difference = (pair[score] - pair[f"{score}_right"]).drop_nulls().drop_nans().to_numpy()
        if len(difference) < 2:
            continue
        draws = np.random.default_rng(0).choice(difference, (4_000, len(difference))).mean(axis=1)
        low_end, high_end = np.quantile(draws, [0.025, 0.975])
        rows.append((architecture, effect, score, len(difference), difference.mean(), low_end, high_end))
    names = ["architecture", "effect", "score", "pairs", "difference", "low", "high"]
    return pl.DataFrame(rows, schema=names, orient="row")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="data set of `atomlens data organic`")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    out = given.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "sets" / "molecules.xyz").exists():
        make_sets(load_dataset(given.dataset), out)
    done = []
    for arm in arms():
        run(out, arm)
        done.append(row(out, arm))
        print(f"{len(done)} of {len(arms())}: {arm.name}", flush=True)
        table = pl.DataFrame(done, infer_schema_length=None)
        table.write_csv(out / "models.csv")
        effects(table).write_csv(out / "effects.csv")
    with pl.Config(tbl_rows=-1, tbl_cols=-1):
        print(effects(pl.DataFrame(done, infer_schema_length=None)))


if __name__ == "__main__":
    main()
