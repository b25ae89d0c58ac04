"""`make_organic`: a data set of organic molecules and their contacts at the level of GFN2-xTB, made on the spot."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rdkit import Chem, rdBase

from atomlens.data.dataset import Column, Dataset
from atomlens.data.organic_molecules import contact_pairs, entries, organic_molecules
from atomlens.data.organic_tasks import Task, free_atom_energies, make_block
from atomlens.data.storage import load_dataset, save_dataset
from atomlens.data.writing import keeping
from atomlens.folders import alone_in, claim, reading, write_text
from atomlens.structures import InputError

_BLOCK = 25  # molecules or pairs that a kill may cost
_NOTE = "organic.json"
_IONIC = "+-"
# Each free atom stands in the set so often, or one in some thousand frames would teach nothing.
_COPIES = 20
# Largest counts of a set, and of processes.
_MOST, _MOST_WORKERS = 10**7, 1024
_OF_ATOMS = ("numbers", "positions", "forces", "charges")
_AGAIN = "delete it, then the same command makes it again"


@dataclass(frozen=True)
class OrganicSettings:
    """What the set holds.

    Attributes
    ----------
    molecules
        Number of molecules.
    frames
        Geometries of each: all thermal (300 to 1000 K) but one, whose bond is stretched.
    relaxed
        Every so manieth molecule is relaxed by GFN2-xTB, too; 0: none.
    pairs
        Number of pairs of small molecules and ions in contact; None for all.
    contacts
        Geometries of every pair.
    clusters
        Number of clusters of three to five small molecules, of which five geometries each.
    seed
        Of molecules, geometries, dynamics and contacts.
    """

    molecules: int = 8_000
    frames: int = 5
    relaxed: int = 3
    pairs: int | None = None
    contacts: int = 6
    clusters: int = 700
    seed: int = 0

    def __post_init__(self) -> None:
        for names, low, high in (
            (("molecules", "frames", "contacts"), 1, _MOST),
            (("relaxed", "clusters"), 0, _MOST),
            (("seed",), 0, 2**31 - 1),
        ):
            for name in names:
                if not low <= getattr(self, name) <= high:
                    raise InputError(
                        f"{name} is {str(getattr(self, name))[:40]}; give a number from {low:,} to {high:,}"
                    )
        if self.pairs is not None and not 0 <= self.pairs <= len(contact_pairs()):
            raise InputError(f"pairs is {self.pairs}; the list makes {len(contact_pairs())}")


def make_organic(
    out: str | Path,
    settings: OrganicSettings | None = None,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Dataset:
    """Compute organic molecules, their contacts and free atoms by GFN2-xTB.

    Work goes in blocks, which are files in ``out/blocks``; calling again makes the missing ones only. Every item has
    random numbers of its own, so the set does not depend on `workers` or on interruptions. The finished set is
    ``out/dataset``, which `atomlens.data.read_dataset` reads. Its column ``group`` numbers molecules, pairs and
    clusters, -1 for free atoms: a split by groups tests on molecules that were never seen.

    Parameters
    ----------
    out
        Folder of the set.
    settings
        What it holds.
    workers
        Processes, of one thread each.
    progress
        Receives blocks done and blocks wanted.

    Raises
    ------
    InputError
        If the list has too few molecules, tblite is missing (`ReferenceUnavailable`), a worker was killed, or `out`
        holds something else, is written by another process, or cannot be written.
    """
    out, settings = Path(out), settings or OrganicSettings()
    if not 1 <= workers <= _MOST_WORKERS:
        raise InputError(f"workers is {workers}; give 1 to {_MOST_WORKERS}")
    if out.is_dir():
        _check_ours(out)
    with alone_in(out):
        _claim(out, settings)
        if not (out / "dataset").exists():
            _make(out, settings, workers, progress)
        return load_dataset(out / "dataset")


def _make(out: Path, settings: OrganicSettings, workers: int, progress: Callable[[int, int], None]) -> None:
    free = free_atom_energies()
    tasks = _tasks(settings, _molecules(out, settings))
    paths = [out / "blocks" / f"{k:05d}.npz" for k in range(len(tasks))]
    with keeping(out):
        paths[0].parent.mkdir(exist_ok=True)
    wanted = [(task, path) for task, path in zip(tasks, paths, strict=True) if not path.exists()]
    done = len(tasks) - len(wanted)
    progress(done, len(tasks))
    try:
        with keeping(out):
            for _ in _made(wanted, workers):
                done += 1
                progress(done, len(tasks))
    except BrokenProcessPool as error:
        raise InputError(
            f"{out}: a worker was killed, which is what systems do when memory runs out; the same command resumes "
            f"({done} of {len(tasks)} blocks are kept), fewer --workers need less memory"
        ) from error
    with keeping(out):
        save_dataset(_collect(paths, settings, free), out / "dataset")


def _check_ours(out: Path) -> None:
    if not (out / _NOTE).exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty and holds no organic data set; give another --out")


def _claim(out: Path, settings: OrganicSettings) -> None:
    _check_ours(out)
    wanted = {"set": "organic", **asdict(settings)}
    with reading(out / _NOTE, "give another --out"):
        found, changed = claim(out / _NOTE, wanted)
    if changed:
        raise InputError(
            f"{out} holds a set with {changed} = {found.get(changed)!r}, asked for {wanted[changed]!r}; "
            "give another --out"
        )


def _molecules(out: Path, settings: OrganicSettings) -> tuple[str, ...]:
    # Kept: choosing takes a minute, and the set must not change with RDKit while it is made.
    path = out / "molecules.json"
    if not path.exists():
        text = json.dumps(organic_molecules(settings.molecules, settings.seed), indent=0)
        with keeping(out):
            write_text(path, text)
    with reading(path, "give another --out"):
        found = json.loads(path.read_text("utf-8"))
        if not isinstance(found, list) or len(found) != settings.molecules:
            raise ValueError(f"it is no list of {settings.molecules} molecules")
        if not all(isinstance(smiles, str) for smiles in found):
            raise TypeError("it lists something else than SMILES strings")
        with rdBase.BlockLogs():
            if not all(Chem.MolFromSmiles(smiles) for smiles in found):
                raise ValueError("it lists something else than SMILES strings")
    return tuple(found)


def _tasks(settings: OrganicSettings, molecules: tuple[str, ...]) -> list[Task]:
    rng = np.random.default_rng(settings.seed)
    pairs = contact_pairs()
    if settings.pairs is not None:
        pairs = tuple(pairs[k] for k in np.sort(rng.permutation(len(pairs))[: settings.pairs]))
    neutral = [s for s in entries("contacts") if not any(sign in s.replace("[N+](=O)[O-]", "") for sign in _IONIC)]
    clusters = tuple(
        tuple(neutral[k] for k in rng.integers(len(neutral), size=int(rng.integers(3, 6))))
        for _ in range(settings.clusters)
    )
    tasks: list[Task] = []
    group = 0
    for kind, items, frames in (
        ("molecules", tuple((s,) for s in molecules), settings.frames),
        ("contacts", pairs, settings.contacts),
        ("contacts", clusters, 5),
    ):
        for first in range(0, len(items), _BLOCK):
            part = items[first : first + _BLOCK]
            tasks.append(Task(kind, group, part, frames, settings.relaxed, settings.seed))
            group += len(part)
    return tasks


def _made(wanted: list[tuple[Task, Path]], workers: int) -> Iterator[int]:
    if workers == 1 or len(wanted) < 2:
        for task, path in wanted:
            yield make_block(task, path)
        return
    # Spawned and not forked: libraries with threads of their own do not survive a fork.
    with _one_thread_each(), ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(make_block, task, path) for task, path in wanted]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that start meanwhile use one thread each."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _collect(paths: list[Path], settings: OrganicSettings, free: dict[int, float]) -> Dataset:
    blocks = []
    for path in paths:
        with reading(path, _AGAIN), path.open("rb") as file, np.load(file) as block:
            blocks.append({name: block[name] for name in block.files})
            _check_block(blocks[-1])
    blocks.append(_free_atoms(free))
    names = [name for name in blocks[-1] if name != "failed"]
    data = {name: np.concatenate([b[name] for b in blocks if name in b]) for name in names}
    failed = sum(int(b["failed"]) for b in blocks)
    frames = len(data["energy"])
    kinds, counts = np.unique(data["kind"], return_counts=True)
    return Dataset(
        name="organic",
        source="GFN2-xTB (tblite) of organic molecules, thermal, stretched and relaxed, and of contacts between them",
        numbers=data["numbers"].astype(np.int64),
        positions=data["positions"],
        cells=np.zeros((frames, 3, 3)),
        periodic=np.zeros((frames, 3), dtype=bool),
        starts=np.concatenate([[0], np.cumsum(data["size"])]),
        columns=(
            Column("energy", "eV", data["energy"], False, "total energy", tuple(sorted(free.items()))),
            Column("forces", "eV/Å", data["forces"], True, "forces on the nuclei"),
            Column("charges", "e", data["charges"], True, "Mulliken charges"),
            Column("charge", "e", data["charge"], meaning="total charge"),
            Column("group", "", data["group"], meaning="number of the molecule, pair or cluster; -1 for free atoms"),
            Column("kind", "", data["kind"], meaning="relaxed, thermal, stretched, contact, cluster or atom"),
            Column("temperature", "K", data["temperature"], meaning="of the sampling, 0 where there was none"),
            Column("smiles", "", data["smiles"], meaning="of the molecule, or of those in contact"),
        ),
        notes=(
            "frames: " + ", ".join(f"{n} {kind}" for kind, n in zip(kinds.tolist(), counts.tolist(), strict=True)),
            f"{failed} geometries were left out: no parameters of MMFF94, not converged, or forces above 25 eV/Å",
            f"seed {settings.seed}",
        ),
    )


def _check_block(block: dict[str, np.ndarray]) -> None:
    sizes = block["size"]
    atoms, frames = int(sizes.sum()), len(sizes)
    for name in _free_atoms({1: 0.0}):
        length = 1 if name == "failed" else atoms if name in _OF_ATOMS else frames
        found = block[name].reshape(1) if name == "failed" else block[name]
        if len(found) != length:
            raise ValueError(f"its {name} has {len(found)} entries where {length} belong")
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            raise ValueError(f"its {name} are not all finite")


def _free_atoms(free: dict[int, float]) -> dict[str, np.ndarray]:
    numbers = np.repeat(np.array(sorted(free)), _COPIES)
    n = len(numbers)
    return {
        "size": np.ones(n, dtype=np.int64),
        "numbers": numbers,
        "positions": np.zeros((n, 3)),
        "energy": np.array([free[z] for z in numbers.tolist()]),
        "forces": np.zeros((n, 3)),
        "charges": np.zeros(n),
        "charge": np.zeros(n, dtype=np.int64),
        "group": np.full(n, -1),
        "kind": np.full(n, "atom"),
        "smiles": np.full(n, ""),
        "temperature": np.zeros(n),
        "failed": np.array(0),
    }
