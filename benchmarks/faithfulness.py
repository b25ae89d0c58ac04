"""Fit models to potentials with known terms, and hold learned terms against them.

Usage: python benchmarks/faithfulness.py --out runs/known [--only NAME ...]

Makes data, models and scores of every known potential and both architectures, three trainings each; what is there
already is kept, so a run that was stopped goes on. In the end writes known_terms.csv beside the question (unless
--only was given) and prints the tables of docs/faithfulness.md. Needs the package shapiq. About an hour of one core.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as columns
import shapiq
import torch

from atomlens import load_model
from atomlens.analyses.faithfulness.known_terms import known_scores
from atomlens.data import save_dataset
from atomlens.data.known import make_known
from atomlens.folders.results import to_plain
from atomlens.reference.known import known_names, known_potential
from atomlens.training import train

ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / "src" / "atomlens" / "analyses" / "faithfulness" / "known_terms.csv"
ARCHITECTURES = ("schnet", "painn")
SEEDS = (1, 2, 3)  # of training; data are the same
N_STRUCTURES = 1_700  # 1,500 to learn from, 100 to validate, 100 to test


def shapley_interactions(values: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Shapley interaction index of order two over atoms (Grabisch and Roubens 1999), from all subsets."""
    n = len(values).bit_length() - 1
    bits = 1 << np.arange(n)
    found = shapiq.ExactComputer(lambda sets: values[sets.astype(np.int64) @ bits], n_players=n)("SII", order=2)
    return np.array([float(found[tuple(sorted(p))]) for p in pairs.tolist()])


def rows_of(name: str, architecture: str, seed: int, out: Path) -> list[dict[str, Any]]:
    """Data, model and scores of one potential, architecture and seed, each made only where it is missing."""
    folder = out / name
    run = folder / f"{architecture}-{seed}"
    scores = run / "scores.json"
    if scores.exists():
        return json.loads(scores.read_text())
    if not (folder / "dataset").exists():
        save_dataset(make_known(name, N_STRUCTURES, seed=1), folder / "dataset")
    if not (run / "model.safetensors").exists():
        text = (ROOT / "configs" / f"known-{architecture}.toml").read_text()
        config = folder / f"{architecture}-{seed}.toml"
        config.write_text(re.sub(r"(?m)^seed = .*$", f"seed = {seed}", text))
        train(config, run, resume=True)
    card = json.loads((run / "card.json").read_text())
    forces = np.load(folder / "dataset" / "column1.npy")
    about = {
        "potential": name,
        "architecture": architecture,
        "seed": seed,
        **errors_of(card),
        "force_rms_meV_per_A": float(1e3 * np.sqrt((forces**2).mean())),
    }
    model = load_model(run / "model.safetensors")
    table = known_scores(model, known_potential(name), of_subsets={"Shapley interactions": shapley_interactions})
    rows = [about | row for row in table.to_dicts()]
    scores.write_text(json.dumps(to_plain(rows)))
    return json.loads(scores.read_text())


def errors_of(card: dict[str, Any]) -> dict[str, float]:
    """Errors on the test set from a model's card."""
    test = card["errors"]["test"]
    read = lambda key: float(test[key].split()[0])  # noqa: E731
    return {"energy_mae_meV": read("energy MAE"), "force_mae_meV_per_A": read("forces MAE")}


def stored_text(table: pl.DataFrame) -> str:
    """The stored table, five digits."""
    rounded = table.with_columns(columns.float().round_sig_figs(5))
    return f"# python benchmarks/faithfulness.py --out runs/known\n{rounded.write_csv()}"


def show(table: pl.DataFrame) -> None:
    """Tables of docs/faithfulness.md."""
    for order in (2, 3):
        part = table.filter((pl.col("order") == order) & pl.col("correlation").is_not_null())
        for architecture in ARCHITECTURES:
            mine = part.filter(pl.col("architecture") == architecture)
            names = mine["potential"].unique(maintain_order=True).to_list()
            print(f"\norder {order}, {architecture}: correlation (lowest to highest) / centred / slope\n")
            print("| method | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
            for method in mine["method"].unique(maintain_order=True):
                cells = [cell(mine.filter((pl.col("potential") == n) & (pl.col("method") == method))) for n in names]
                print(f"| {method} | " + " | ".join(cells) + " |")
    print("\nforce errors, lowest to highest, share of the root mean square force:")
    share = 100 * pl.col("force_mae_meV_per_A") / pl.col("force_rms_meV_per_A")
    kinds = table.group_by("potential", "architecture", maintain_order=True)
    for (name, architecture), part in kinds:
        found = part.select(share)[:, 0]
        print(f"{name} {architecture}: {found.min():.2g} to {found.max():.2g} %")


def cell(trainings: pl.DataFrame) -> str:
    """Means over trainings, and the lowest and highest correlation."""
    found = trainings["correlation"]
    mean = {name: trainings[name].mean() for name in ("correlation", "centred", "slope")}
    spread = f"({found.min():.3f} to {found.max():.3f})"
    return f"{mean['correlation']:.3f} {spread} / {mean['centred']:.3f} / {mean['slope']:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=None, help="potentials; without it all, and the table is stored")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [
        row
        for name in arguments.only or known_names()
        for architecture in ARCHITECTURES
        for seed in SEEDS
        for row in rows_of(name, architecture, seed, arguments.out)
    ]
    table = pl.DataFrame(rows, infer_schema_length=None)
    if arguments.only is None:
        STORED.write_text(stored_text(table))
    show(table)


if __name__ == "__main__":
    main()
