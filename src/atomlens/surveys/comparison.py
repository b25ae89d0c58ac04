"""Finished runs of several models on the same structures, compared term by term."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from atomlens.folders import MARK, read_summary, reading
from atomlens.potentials import is_import_path
from atomlens.structures import BOND_CLASSES, InputError
from atomlens.tables import RELATIONS, SCHEMA

# Kinds of pairs, from strong bonds to strangers: bonds by their order, all other pairs by the bonds between them.
PAIR_KINDS = (*reversed(BOND_CLASSES[:-2]), BOND_CLASSES[-2], *RELATIONS[1:])
_KEYS = ["frame", "atom_1", "atom_2"]
_NEEDED = ("schema", "frames", "unit", "model", "rule", "property", "structures")
# Two runs are of one structure if no coordinate differs by more (Å).
_SAME = 1e-4


@dataclass(frozen=True)
class ComparedRun:
    """One run, read back from its folder.

    Attributes
    ----------
    name
        Short name, different for every run of a comparison.
    folder
        Where it lies.
    summary
        Its ``summary.json``.
    atoms, pairs
        Its tables; the relevance of a pair is in the column ``relevance``.
    """

    name: str
    folder: Path
    summary: dict[str, Any]
    atoms: pl.DataFrame
    pairs: pl.DataFrame


@dataclass(frozen=True)
class Comparison:
    """Runs on the same structures.

    Attributes
    ----------
    runs
        The runs.
    unit
        Unit of all terms.
    pairs
        One row per pair of atoms that any run has a term for: ``frame``, ``atom_1``, ``atom_2``, ``element_1``,
        ``element_2``, ``distance`` (Å), ``kind`` (one of `PAIR_KINDS`), and ``term_0``, ``term_1``, ... of the runs,
        null beyond a model's cutoff.
    """

    runs: tuple[ComparedRun, ...]
    unit: str
    pairs: pl.DataFrame

    def terms(self, pairs: pl.DataFrame | None = None) -> np.ndarray:
        """Terms as an array (pairs, runs); a pair beyond a model's cutoff has the term 0."""
        table = self.pairs if pairs is None else pairs
        return table.select(pl.col(f"term_{k}").fill_null(0.0) for k in range(len(self.runs))).to_numpy()


def compare_runs(folders: Sequence[str | Path]) -> Comparison:
    """Read finished runs of ``atomlens explain`` on the same structures and join their pair terms.

    Parameters
    ----------
    folders
        Two or more run folders.

    Raises
    ------
    InputError
        If a folder holds no such run, or the runs differ in structures or in the unit of their terms.
    """
    if len(folders) < 2:
        raise InputError("a comparison needs at least two runs; give two or more folders that atomlens explain wrote")
    found = [_read(Path(folder)) for folder in folders]
    runs = tuple(
        ComparedRun(name, run.folder, run.summary, run.atoms, run.pairs)
        for name, run in zip(
            run_names([run.summary["model"]["path"] for run in found], [_rules(run.summary) for run in found]),
            found,
            strict=True,
        )
    )
    first = runs[0]
    for run in runs[1:]:
        _check_same(first, run)
    every = pl.concat([run.pairs.drop("relevance") for run in runs]).unique(_KEYS, keep="first").sort(_KEYS)
    kind = pl.when(pl.col("bond") != "none").then(pl.col("bond")).otherwise(pl.col("relation")).alias("kind")
    pairs = every.select(*_KEYS, "element_1", "element_2", "distance", kind)
    for number, run in enumerate(runs):
        terms = run.pairs.select(*_KEYS, pl.col("relevance").alias(f"term_{number}"))
        pairs = pairs.join(terms, on=_KEYS, how="left")
    return Comparison(runs, first.summary["unit"], pairs)


def correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Pearson's correlation of two lists of terms; None for fewer than three terms, or where one list is constant."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def kind_strengths(comparison: Comparison, pairs: pl.DataFrame | None = None) -> list[dict[str, Any]]:
    """Mean strength, mean |I|, and mean term of every kind of pair that is there, one value per run."""
    table = comparison.pairs if pairs is None else pairs
    result = []
    for kind in PAIR_KINDS:
        terms = comparison.terms(table.filter(pl.col("kind") == kind))
        if len(terms):
            strength, net = np.abs(terms).mean(axis=0).tolist(), terms.mean(axis=0).tolist()
            result.append({"kind": kind, "count": len(terms), "strength": strength, "net": net})
    return result


def order_shares(run: ComparedRun, frames: Sequence[int] | None = None) -> list[dict[str, Any]]:
    """Summed strength of the listed terms of every order, over some frames (all if None), and its share."""
    chosen = run.summary["frames"] if frames is None else [run.summary["frames"][k] for k in frames]
    strengths = [sum(entry["orders"][k]["strength"] for entry in chosen) for k in range(len(chosen[0]["orders"]))]
    whole = sum(strengths)
    return [
        {"order": k, "strength": strength, "share": strength / whole if whole else 0.0}
        for k, strength in enumerate(strengths, start=1)
    ]


def _read(folder: Path) -> ComparedRun:
    try:
        summary = read_summary(folder)
    except FileNotFoundError as error:
        raise InputError(f"{folder}: no run there ({MARK} is missing); give a folder of atomlens explain") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: its {MARK} cannot be read ({error}); explain again") from error
    if any(key not in summary for key in _NEEDED) or not summary["frames"]:
        raise InputError(f"{folder}: not a run of atomlens explain; give folders that it wrote")
    if summary["schema"] != SCHEMA:
        raise InputError(
            f"{folder}: written by another version (schema {summary['schema']}, here {SCHEMA}); explain again"
        )
    atoms, pairs = folder / "atoms.parquet", folder / "pairs.parquet"
    if not os.path.lexists(pairs):
        raise InputError(f"{folder}: has no table of pairs; explain with --max-order 2 or 3")
    with reading(atoms, "explain again"):
        atoms = pl.read_parquet(atoms)
    with reading(pairs, "explain again"):
        pairs = pl.read_parquet(pairs)
    column = f"relevance_{summary['unit']}"
    if column not in pairs.columns:
        raise InputError(f"{folder}: its pairs have no column {column}; explain again")
    kept = ["element_1", "element_2", "distance", "bond", "relation", pl.col(column).alias("relevance")]
    return ComparedRun("", folder, summary, atoms, pairs.select(*_KEYS, *kept))


def _rules(summary: dict[str, Any]) -> str:
    return summary["rule"] + (f"/{summary['product_rule']}" if summary.get("product_rule") else "")


def run_names(models: Sequence[str], tags: Sequence[str]) -> list[str]:
    """Zoo, file or class name of every model; its run's tag, and at last a number, distinguishes two that are one.

    Examples
    --------
    >>> run_names(["zoo:a", "b.safetensors", "ase.calculators.emt:EMT"], ["gate", "gate", "gate"])
    ['a', 'b', 'EMT']
    >>> run_names(["zoo:a", "zoo:a"], ["gate", "gamma"])
    ['a gate', 'a gamma']
    """
    names = [
        name.rpartition(":")[2] if is_import_path(name) else Path(name.removeprefix("zoo:")).stem or "model"
        for name in map(str, models)
    ]
    if len(set(names)) < len(names):
        names = [f"{name} {tag}" for name, tag in zip(names, tags, strict=True)]
    return [name if names.count(name) == 1 else f"{name} #{k + 1}" for k, name in enumerate(names)]


def _check_same(a: ComparedRun, b: ComparedRun) -> None:
    units = a.summary["unit"], b.summary["unit"]
    if units[0] != units[1]:
        raise InputError(f"{a.folder} is in {units[0]}, {b.folder} in {units[1]}; compare models of one unit")
    orders = {len(frame["orders"]) for run in (a, b) for frame in run.summary["frames"]}
    if len(orders) > 1:
        low, high = next(pairwise(sorted(orders)))
        raise InputError(f"{a.folder} and {b.folder} list orders up to {low} and {high}; explain with one --max-order")
    different = f"{a.folder} and {b.folder} explain different structures"
    if a.atoms.height != b.atoms.height or not a.atoms.select("frame", "element").equals(
        b.atoms.select("frame", "element")
    ):
        raise InputError(f"{different}; explain the same file with each model")
    gap = np.abs(a.atoms.select("x", "y", "z").to_numpy() - b.atoms.select("x", "y", "z").to_numpy()).max()
    if not gap <= _SAME:
        raise InputError(f"{different} (atoms lie up to {gap:.1g} Å apart); explain the same file with each model")
