"""Do models of one force error that differ in physics alone last for different times? The registered test.

The design, written down before any simulation of it, is on ``docs/equal-accuracy.md``. Every part is kept; the same
command resumes.

    atomlens data xtb CCO --frames 1500 --interval 20 --seed 1 --out runs/xtb-ethanol
    python benchmarks/equal_accuracy.py runs/xtb-ethanol --out runs/equal-accuracy
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import ase
import numpy as np
import polars as pl
import torch
from ase import units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from ase.optimize import BFGS
from torch import Tensor

from atomlens.analyses import rank_correlation, scan_deviation
from atomlens.data import load_dataset, make_split
from atomlens.dynamics import AtomlensCalculator, MDOptions, find_exits, simulate
from atomlens.folders import read_json, write_text
from atomlens.models import Potential
from atomlens.potentials import load_potential
from atomlens.reference import BondScan, Gfn2, Gfn2Calculator, gfn2_bond_scan, gfn2_response, model_response, open_bonds
from atomlens.structures import perceive_bonds, side_of
from atomlens.studies.correlation import partial_rank_correlation
from atomlens.training import load_errors, train

ARMS = ("plain", "powers", "one-layer", "couplings", "shuffled", "stretched")
SEEDS = tuple(range(1, 9))
N_TRAIN, N_VAL, N_TEST, N_STRETCHED, N_COUPLED = 400, 100, 500, 100, 40
# eV/Å on the validation structures: where training stops, in every arm.
FORCE_ERROR = 0.040
WEIGHT = 0.005
EPOCHS = 400
# Distances between which couplings are compared, in Å.
NEAR, FAR = 2.5, 4.5
SCAN_POINTS = 60
TEMPERATURE, TIME_PS, REPLICAS = 1300.0, 5.0, 16
PREDICTORS = ("response", "fsd", "exit", "force_error")


@dataclass(frozen=True)
class Coupled:
    """What the penalty and the response distance compare with.

    Attributes
    ----------
    frames
        Structures.
    couplings
        GFN2's response couplings in eV/Å^2, shape (K, N, N).
    free
        Pairs three bonds or more apart, shape (P, 2), i < j.
    """

    frames: list[ase.Atoms]
    couplings: np.ndarray
    free: np.ndarray


class CouplingPenalty:
    r"""Mean squared difference of logarithms of response couplings, one atom of one structure a step.

    .. math:: w\, \frac{1}{P_j} \sum_i \Big( \ln \frac{\lVert H_{ij} \rVert_F}{t_{ij}} \Big)^2

    over all i three bonds or more from j. Which structure and atom is a function of the step.

    Parameters
    ----------
    target
        Structures and couplings to pull towards.
    shuffled
        Give every pair the couplings of another pair, the same one in every structure: as strong, but wrong.
    """

    def __init__(self, target: Coupled, shuffled: bool) -> None:
        self.__name__ = "shuffled couplings" if shuffled else "couplings"
        self.frames = target.frames
        self.free, couplings = target.free, target.couplings
        i, j = self.free.T
        values = couplings[:, i, j]
        if shuffled:
            values = values[:, np.random.default_rng(0).permutation(len(self.free))]
        self.target = np.zeros_like(couplings)
        self.target[:, i, j] = self.target[:, j, i] = values

    def __call__(self, model: Potential, step: int) -> Tensor:
        """The weighted term of one step."""
        rng = np.random.default_rng([1, step])
        number, atom = int(rng.integers(len(self.frames))), int(rng.choice(np.unique(self.free)))
        graph = model.graph(self.frames[number])
        positions = graph.positions.detach().requires_grad_()
        energy = model(replace(graph, positions=positions)).sum()
        (gradient,) = torch.autograd.grad(energy, positions, create_graph=True)
        rows = [torch.autograd.grad(gradient[atom, a], positions, create_graph=True)[0] for a in range(3)]
        others = self.free[(self.free == atom).any(axis=1)].sum(axis=1) - atom
        norms = torch.stack(rows)[:, others].square().sum(dim=(0, 2)).clamp(min=1e-12).sqrt()
        target = torch.as_tensor(self.target[number, atom, others], dtype=norms.dtype)
        return WEIGHT * (norms / target).log().square().mean()


def make_sets(folder: Path, out: Path) -> None:
    """Training sets without and with stretched bonds, the test set, and GFN2's couplings of some frames of both."""
    data = load_dataset(folder / "dataset")
    order = np.random.default_rng(0).permutation(len(data))[: N_TRAIN + N_VAL + N_TEST]
    frames = [data.atoms(int(k)) for k in order.tolist()]
    xtb = Gfn2(frames[0])
    learned, test = frames[: N_TRAIN + N_VAL], frames[N_TRAIN + N_VAL :]
    rng = np.random.default_rng(1)
    replaced = [stretched(atoms, rng) for atoms in learned[:N_STRETCHED]]
    sets = {"plain": learned, "stretched": replaced + learned[N_STRETCHED:]}
    # Training takes the front of a shuffle and validates on its end: frames are laid where that finds them.
    places = make_split(len(learned), N_TRAIN, N_VAL, 0, seed=0)
    assert len(places.test) == 0
    shuffle = np.random.default_rng(0).permutation(len(learned))
    for name, chosen in sets.items():
        laid: list[ase.Atoms] = [chosen[0]] * len(chosen)
        for atoms, place in zip(chosen, shuffle.tolist(), strict=True):
            laid[place] = labelled(atoms, xtb)
        write(out / f"{name}.xyz", laid, format="extxyz")
    write(out / "test.xyz", [labelled(atoms, xtb) for atoms in test], format="extxyz")
    for name, some in (("pulled", learned[N_STRETCHED : N_STRETCHED + N_COUPLED]), ("compared", test[:N_COUPLED])):
        found = np.stack([gfn2_response(atoms).couplings for atoms in some])
        np.savez(out / f"{name}.npz", numbers=some[0].numbers, places=[a.positions for a in some], couplings=found)


def stretched(atoms: ase.Atoms, rng: np.random.Generator) -> ase.Atoms:
    """One bond longer by up to 0.5 Å, with what hangs on it."""
    bonds = perceive_bonds(atoms).pairs
    i, j = bonds[rng.integers(len(bonds))].tolist()
    line = atoms.positions[j] - atoms.positions[i]
    longer = atoms.copy()
    longer.positions[side_of(atoms, bonds, i, j)] += rng.uniform(0.0, 0.5) * line / np.linalg.norm(line)
    return longer


def labelled(atoms: ase.Atoms, xtb: Gfn2) -> ase.Atoms:
    """The structure with GFN2's energy and forces."""
    found = xtb.compute(atoms.positions)
    atoms = ase.Atoms(atoms.numbers, atoms.positions)
    atoms.calc = SinglePointCalculator(atoms, energy=found.energy, forces=found.forces)
    return atoms


def read_coupled(path: Path, free: np.ndarray) -> Coupled:
    """What `make_sets` kept of GFN2's couplings."""
    kept = np.load(path)
    return Coupled([ase.Atoms(kept["numbers"], places) for places in kept["places"]], kept["couplings"], free)


def config(arm: str, seed: int) -> str:
    """Training configuration of one model."""
    return f"""\
name = "{arm}-seed{seed}"
seed = {seed}
[data]
path = "../{"stretched" if arm == "stretched" else "plain"}.xyz"
test_path = "../test.xyz"
property = "energy"
forces = true
check_forces = false
n_train = {N_TRAIN}
n_val = {N_VAL}
n_test = 0
split_seed = 0
[model]
architecture = "painn"
n_features = 32
n_layers = {1 if arm == "one-layer" else 3}
cutoff = 6.0
radial = "{"inverse_powers" if arm == "powers" else "gaussian"}"
references = "fit"
scale = 1.0
[fit]
epochs = {EPOCHS}
batch_size = 10
lr = 1e-3
plateau_patience = {EPOCHS}
energy_weight = 0.01
force_weight = 0.99
ema_decay = 0.995
stop_force_mae = {FORCE_ERROR}
"""


def response_distance(model: Potential, target: Coupled) -> float:
    """Root mean square of ln(c / c of GFN2) over pairs three bonds or more and 2.5 to 4.5 Å apart."""
    found = []
    i, j = target.free.T
    for atoms, couplings in zip(target.frames, target.couplings, strict=True):
        distances = np.linalg.norm(atoms.positions[i] - atoms.positions[j], axis=1)
        seen = (distances >= NEAR) & (distances <= FAR)
        own = model_response(model, atoms).couplings[i, j]
        found.append(np.log(own / couplings[i, j])[seen])
    return float(np.sqrt(np.square(np.concatenate(found)).mean()))


def scanned(model: Potential, scans: list[BondScan]) -> float:
    """Median over bonds of the force smoothness deviation from GFN2, 1/Å."""
    return float(np.median([scan_deviation(model, one) for one in scans]))


@dataclass(frozen=True)
class World:
    """What all models are compared with, made once.

    Attributes
    ----------
    out
        Folder of the test.
    start
        Ethanol at GFN2's minimum, where simulations and scans begin.
    pulled, compared
        GFN2's couplings of training frames, for the penalty, and of test frames, for the response distance.
    scans
        GFN2 along every bond.
    reference
        Frames that mean bond lengths are taken from.
    """

    out: Path
    start: ase.Atoms
    pulled: Coupled
    compared: Coupled
    scans: list[BondScan]
    reference: list[ase.Atoms]


def make_world(folder: Path, out: Path) -> World:
    """Data, couplings and scans."""
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "compared.npz").exists():
        make_sets(folder, out)
    reference = read(out / "test.xyz", ":")
    start = reference[0].copy()
    start.calc = Gfn2Calculator()
    BFGS(start, logfile=None).run(fmax=0.005, steps=500)
    start = ase.Atoms(start.numbers, start.positions)
    near = perceive_bonds(start).topological_distances(2) > 0
    free = np.argwhere(np.triu(~near, 1))
    scans = [gfn2_bond_scan(start, i, j, SCAN_POINTS) for i, j in open_bonds(start)]
    coupled = [read_coupled(out / f"{name}.npz", free) for name in ("pulled", "compared")]
    return World(out, start, *coupled, scans, reference)


def fit_model(world: World, arm: str, seed: int) -> Path:
    """Train one model to the common force error; the folder of its run."""
    folder = world.out / f"{arm}-seed{seed}"
    if not (folder / "train" / "model.safetensors").exists():
        folder.mkdir(exist_ok=True)
        write_text(folder / "config.toml", config(arm, seed))
        pull = CouplingPenalty(world.pulled, arm == "shuffled") if arm in ("couplings", "shuffled") else None
        train(folder / "config.toml", folder / "train", resume=True, report=lambda line: None, penalty=pull)
    return folder


def measure(world: World, arm: str, seed: int, temperature: float = TEMPERATURE) -> dict[str, Any]:
    """One model's row: whether it got to the common error, predictors, lifetimes."""
    folder = fit_model(world, arm, seed)
    path, kept = folder / "train" / "model.safetensors", folder / "row.json"
    if kept.exists():
        return read_json(kept)
    card = read_json(folder / "train" / "card.json")
    errors = load_errors(folder / "train" / "errors.json")["test"]
    model = load_potential(path, dtype=torch.float64)
    assert errors.force_mae is not None
    row: dict[str, Any] = {
        "arm": arm,
        "seed": seed,
        "epochs": card["epochs"],
        "reached": card["epochs"] < EPOCHS,
        "force_error": errors.force_mae,
        "energy_error": errors.mae,
        "response": response_distance(model, world.compared),
        "fsd": scanned(model, world.scans),
    }
    exits = find_exits(AtomlensCalculator(model), world.start)
    row["exit"] = exits.ways[0].energy / (units.kB * temperature) if exits.ways else math.inf
    options = MDOptions.lasting(temperature=temperature, timestep=0.5, time=TIME_PS, n_replicas=REPLICAS, seed=seed)
    found = simulate(model.converted(torch.float32), world.start, folder / "md", options, reference=world.reference)
    row["times_ps"] = [fate.time for fate in found.fates]
    row["broke"] = [fate.kind is not None for fate in found.fates]
    write_text(kept, json.dumps(row, indent=1) + "\n")
    return row


def log_hazard(rows: pl.DataFrame) -> np.ndarray:
    """ln((breaks + 1/2) / simulated ps) of every model."""
    breaks = rows["broke"].list.sum().to_numpy()
    return np.log((breaks + 0.5) / rows["times_ps"].list.sum().to_numpy())


def sign_flips(difference: np.ndarray) -> float:
    """One-sided probability of a mean at most this under all changes of signs of paired differences."""
    signs = np.array(list(product((-1.0, 1.0), repeat=len(difference))))
    return float((signs @ np.abs(difference) <= difference.sum() + 1e-12).mean())


def contrasts(rows: pl.DataFrame) -> pl.DataFrame:
    """Every arm beside plain, and couplings beside shuffled ones, paired by seed: difference of ln hazard."""
    table = rows.filter(pl.col("reached")).with_columns(log_hazard=log_hazard(rows.filter(pl.col("reached"))))
    found = []
    for arm, other in [("couplings", "shuffled"), *((arm, "plain") for arm in ARMS if arm != "plain")]:
        pair = table.filter(arm=arm).join(table.filter(arm=other), on="seed", suffix="_other").sort("seed")
        difference = (pair["log_hazard"] - pair["log_hazard_other"]).to_numpy()
        if len(difference) < 2:
            continue
        draws = np.random.default_rng(0).choice(difference, (4_000, len(difference))).mean(axis=1)
        low, high = np.quantile(draws, [0.025, 0.975])
        found.append((arm, other, len(difference), difference.mean(), low, high, sign_flips(difference)))
    names = ["arm", "beside", "pairs", "ln_hazard_ratio", "low", "high", "p_one_sided"]
    return pl.DataFrame(found, schema=names, orient="row")


def predictions(rows: pl.DataFrame, draws: int = 2_000) -> pl.DataFrame:
    """Rank correlation of every predictor with the hazard, alone and given the force error, with 95 % over models."""
    table = rows.filter(pl.col("reached"))
    hazard, given = log_hazard(table), table["force_error"].to_numpy()
    found = []
    for name, which in product(PREDICTORS, ("all", *ARMS)):
        kept = np.flatnonzero((table["arm"] == which).to_numpy() | (which == "all"))
        x, y, z = table[name].to_numpy()[kept], hazard[kept], given[kept]
        partial, interval = math.nan, (math.nan, math.nan)
        if name != "force_error" and len(kept) > 2:
            drawn = np.random.default_rng(0).integers(len(kept), size=(draws, len(kept)))
            partial = partial_rank_correlation(x, y, z)
            interval = np.nanquantile([partial_rank_correlation(x[k], y[k], z[k]) for k in drawn], [0.025, 0.975])
        found.append((name, which, len(kept), rank_correlation(x, y), partial, *map(float, interval)))
    names = ["predictor", "arm", "models", "spearman", "partial", "low", "high"]
    return pl.DataFrame(found, schema=names, orient="row")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="folder of `atomlens data xtb`")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    world = make_world(given.dataset, given.out.resolve())
    done: list[dict[str, Any]] = []
    for seed, arm in product(SEEDS, ARMS):  # seed by seed, so that whatever is finished is a whole design
        done.append(measure(world, arm, seed))
        print(f"{len(done)} of {len(SEEDS) * len(ARMS)}: {arm}, seed {seed}", flush=True)
        write_tables(done, world.out)
    rows = pl.DataFrame(done, infer_schema_length=None)
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=200):
        print(contrasts(rows), predictions(rows))


def write_tables(done: list[dict[str, Any]], out: Path) -> None:
    """All models so far with their sound times, contrasts of arms, and what predicts the hazard."""
    rows = pl.DataFrame(done, infer_schema_length=None)
    lists = {name: [json.dumps(row[name]) for row in done] for name in ("times_ps", "broke")}
    rows.with_columns(pl.Series(name, texts) for name, texts in lists.items()).write_csv(out / "models.csv")
    contrasts(rows).write_csv(out / "contrasts.csv")
    predictions(rows).write_csv(out / "predictions.csv")


if __name__ == "__main__":
    main()
