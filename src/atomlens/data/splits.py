"""Which structures a model learns from, is tuned on and is tested on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from atomlens.folders import read_json, whole, write_text
from atomlens.structures import InputError


@dataclass(frozen=True)
class Split:
    """Disjoint sets of structure indices.

    Attributes
    ----------
    seed
        Seed of the shuffle that made it.
    train, val, test
        Indices into the data set.
    """

    seed: int
    train: Int[np.ndarray, " A"]
    val: Int[np.ndarray, " B"]
    test: Int[np.ndarray, " C"]


@dataclass(frozen=True)
class SplitOrigin:
    """What a stored split was made for.

    Attributes
    ----------
    data
        `digest` of the data set that the indices belong to; empty where it is not known.
    settings
        What it was made from, by name; None where somebody gave it.
    structures
        `digest` of the structures alone: a split may serve models of other properties.
    """

    data: str = ""
    settings: Mapping[str, Any] | None = None
    structures: str = ""


def make_split(n: int, n_train: int, n_val: int, n_test: int | None, seed: int) -> Split:
    """Shuffle `n` structures by `seed` and cut; all that remain are test structures where `n_test` is None.

    Training structures come from the front of the shuffle, validation from its end, test before validation:
    with another `n_train`, the other two stay the same.

    Raises
    ------
    InputError
        If there are too few structures.

    Examples
    --------
    >>> split = make_split(10, 6, 2, None, seed=0)
    >>> len(split.train), len(split.val), len(split.test)
    (6, 2, 2)
    """
    return _cut(n, n_train, n_val, n_test, seed, "structures")


def _cut(n: int, n_train: int, n_val: int, n_test: int | None, seed: int, what: str) -> Split:
    if n_train < 1 or n_val < 1:
        raise InputError(f"a split of {n_train} training and {n_val} validation {what}; both must be at least 1")
    if n_test is not None and n_test < 0:
        raise InputError(f"a split with {n_test} test {what}; give 0 or more")
    if seed < 0:
        raise InputError(f"a split by the seed {seed}; give 0 or more")
    wanted = n_train + n_val + (n_test or 0)
    if wanted > n:
        raise InputError(f"the split asks for {wanted} {what}, the data set has {n}; ask for fewer")
    order = np.random.default_rng(seed).permutation(n)
    last = n - n_val
    first = n_train if n_test is None else last - n_test
    return Split(seed, np.sort(order[:n_train]), np.sort(order[last:]), np.sort(order[first:last]))


def make_group_split(groups: Int[np.ndarray, " S"], n_train: int, n_val: int, n_test: int | None, seed: int) -> Split:
    """As `make_split`, of groups: structures of one group are all trained on, or all tuned on, or all tested on.

    Parameters
    ----------
    groups
        Group of every structure; structures of negative groups are always trained on.
    n_train, n_val, n_test
        Numbers of groups.
    seed
        Of the shuffle.

    Raises
    ------
    InputError
        If there are too few groups.

    Examples
    --------
    >>> split = make_group_split(np.array([-1, 7, 7, 8, 9, 9]), 1, 1, 1, seed=0)
    >>> split.train.tolist(), split.val.tolist(), split.test.tolist()
    ([0, 4, 5], [3], [1, 2])
    """
    names = np.unique(groups[groups >= 0])
    whole = _cut(len(names), n_train, n_val, n_test, seed, "groups")
    train, val, test = (np.flatnonzero(np.isin(groups, names[part])) for part in (whole.train, whole.val, whole.test))
    return Split(seed, np.sort(np.concatenate([np.flatnonzero(groups < 0), train])), val, test)


def save_split(split: Split, path: Path, origin: SplitOrigin | None = None) -> None:
    """Write a split as JSON, with what it was made for."""
    parts = {name: getattr(split, name).tolist() for name in ("train", "val", "test")}
    path.parent.mkdir(parents=True, exist_ok=True)
    origin = origin or SplitOrigin()
    told: dict[str, Any] = {name: made for name in ("data", "structures") if (made := getattr(origin, name))}
    if origin.settings is not None:
        told["settings"] = dict(origin.settings)
    write_text(path, json.dumps({"seed": split.seed, **told, **parts}))


def load_origin(path: Path) -> SplitOrigin:
    """What a stored split was made for; versions up to 0.2 did not write it down.

    Raises
    ------
    InputError
        If the file is no split.
    """
    try:
        stored = read_json(path)
        data, structures, settings = stored.get("data", ""), stored.get("structures", ""), stored.get("settings")
        if not (isinstance(data, str) and isinstance(structures, str) and isinstance(settings, dict | None)):
            raise ValueError("it does not say what it was made for")
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not a split ({error}); delete it, or give another --out") from error
    return SplitOrigin(data, settings, structures)


def load_split(path: Path, n: int) -> Split:
    """Read a split of a data set of `n` structures.

    Raises
    ------
    InputError
        If the file is no split, its sets overlap, or they do not fit the data set.
    """
    try:
        data = read_json(path)
        for name in ("train", "val", "test"):
            for index in data[name]:
                whole(index, 0, n - 1)
        seed = whole(data["seed"], 0, 2**64)
        split = Split(seed, *(np.array(data[k], dtype=np.int64) for k in ("train", "val", "test")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a split of a data set of {n} structures ({error}); delete it, or give another --out"
        ) from error
    if not len(split.train) or not len(split.val):
        raise InputError(f"{path}: has no training or no validation structures; delete it, or give another --out")
    everything = np.concatenate([split.train, split.val, split.test])
    if len(np.unique(everything)) != len(everything):
        raise InputError(f"{path}: training, validation and test structures overlap")
    return split
