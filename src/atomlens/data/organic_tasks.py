"""What one block of `make_organic` holds: geometries of some molecules or contacts, computed by GFN2-xTB."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np
from ase.data import atomic_numbers
from ase.optimize import BFGS

from atomlens.data.organic_geometries import Geometry, Sampler, contact
from atomlens.data.organic_molecules import ELEMENTS
from atomlens.folders import atomic_file
from atomlens.reference import Gfn2, Gfn2Calculator, ReferenceUnavailable

# Unpaired electrons of the free atoms' ground states (Hund).
_UNPAIRED = {"H": 1, "C": 2, "N": 3, "O": 2, "F": 1, "S": 2, "Cl": 1}
_STEPS = 200  # of MMFF94 dynamics, 1 fs each, before every frame
_COLDEST, _HOTTEST = 300.0, 1000.0
_RELAXED = 0.05  # eV/Å
_RELAXATION_STEPS = 80
# Larger forces (eV/Å) belong to atoms on top of each other, which no model needs.
_LARGEST_FORCE = 25.0


@dataclass(frozen=True)
class Task:
    """A block of frames to make.

    Attributes
    ----------
    kind
        ``molecules``, or ``contacts`` of two or more.
    group
        Number of the first item; items are numbered on from there.
    items
        SMILES strings: of one molecule, or of those in contact.
    frames
        Frames of an item.
    relaxed
        Every so manieth molecule is relaxed, too; 0 for none.
    seed
        Of the whole set.
    """

    kind: str
    group: int
    items: tuple[tuple[str, ...], ...]
    frames: int
    relaxed: int
    seed: int


def make_block(task: Task, path: Path) -> int:
    """Compute a block and write it; returns how many frames it got.

    Numbers depend on the task alone, never on which process makes it.
    """
    found: dict[str, list[np.ndarray]] = {}
    failed = 0
    for k, item in enumerate(task.items):
        group = task.group + k
        rng = np.random.default_rng([task.seed, group])
        make = _of_molecule if task.kind == "molecules" else _of_contact
        # Frames of a molecule start from each other's density.
        xtb: dict[bytes, Gfn2] = {}
        for geometry in make(item, group, task, rng):
            row = None if geometry is None else _computed(geometry, xtb)
            if row is None:
                failed += 1
                continue
            for name, values in (row | {"group": np.array([group])}).items():
                found.setdefault(name, []).append(values)
    arrays = {name: np.concatenate(values) for name, values in found.items()}
    arrays["failed"] = np.array(failed)
    with atomic_file(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
    return len(found.get("group", []))


def free_atom_energies() -> dict[int, float]:
    """GFN2-xTB energies in eV of the free atoms in their ground states, by atomic number."""
    found = {}
    for symbol in ELEMENTS:
        atom = ase.Atoms(symbol, [[0.0, 0.0, 0.0]])
        found[atomic_numbers[symbol]] = Gfn2(atom, 0, _UNPAIRED[symbol]).compute(atom.positions).energy
    return found


def _of_molecule(item: tuple[str, ...], group: int, task: Task, rng: np.random.Generator) -> Iterator[Geometry | None]:
    sampler = Sampler.of_smiles(item[0], seed=int(rng.integers(2**31)))
    if sampler is None:
        yield None
        return

    def geometry(positions: np.ndarray, kind: str, temperature: float = 0.0) -> Geometry:
        return Geometry(sampler.numbers, positions, sampler.charge, kind, sampler.smiles, temperature)

    if task.relaxed and group % task.relaxed == 0:
        relaxed = _relaxed(sampler)
        yield None if relaxed is None else geometry(relaxed, "relaxed")
    thermal = max(1, task.frames - 1)
    # One temperature per part of the range, in order: a later frame starts hotter than the one before ended.
    edges = np.geomspace(_COLDEST, _HOTTEST, thermal + 1)
    positions = sampler.positions
    for k in range(thermal):
        temperature = float(rng.uniform(edges[k], edges[k + 1]))
        moved = sampler.heat(positions, temperature, _STEPS, rng)
        if moved is None:
            yield None
            continue
        positions = moved
        yield geometry(positions, "thermal", temperature)
        if k == 0 and task.frames > 1:
            yield geometry(sampler.stretched(positions, rng), "stretched", temperature)


def _of_contact(item: tuple[str, ...], group: int, task: Task, rng: np.random.Generator) -> Iterator[Geometry | None]:
    parts = [Sampler.of_smiles(smiles, seed=int(rng.integers(2**31))) for smiles in item]
    whole = [part for part in parts if part is not None]
    if len(whole) < len(parts):
        yield None
        return
    for k in range(task.frames):
        docked = bool(k % 2)
        if len(item) > 2:
            closeness = float(rng.uniform(0.8, 1.3))
        else:
            # Half below 1.3, where terms change fastest; docked contacts are closer than their radii from the start.
            near = bool(rng.integers(2))
            closeness = float(rng.uniform(0.9 if docked else 0.8, 1.3) if near else rng.uniform(1.3, 3.0))
        yield contact(whole, closeness, docked, rng)


def _relaxed(sampler: Sampler) -> np.ndarray | None:
    atoms = ase.Atoms(sampler.numbers, sampler.positions)
    atoms.calc = Gfn2Calculator(sampler.charge)
    try:
        done = BFGS(atoms, logfile=None).run(fmax=_RELAXED, steps=_RELAXATION_STEPS)
    except ReferenceUnavailable:
        return None
    return atoms.positions - atoms.positions.mean(axis=0) if done else None


def _computed(geometry: Geometry, xtb: dict[bytes, Gfn2]) -> dict[str, np.ndarray] | None:
    key = geometry.numbers.tobytes()
    try:
        if key not in xtb:
            xtb[key] = Gfn2(ase.Atoms(geometry.numbers, geometry.positions), geometry.charge)
        result = xtb[key].compute(geometry.positions)
    except ReferenceUnavailable:
        return None
    if not np.isfinite(result.energy) or not np.abs(result.forces).max() < _LARGEST_FORCE:
        return None
    return {
        "size": np.array([len(geometry.numbers)]),
        "numbers": geometry.numbers,
        "positions": geometry.positions,
        "energy": np.array([result.energy]),
        "forces": result.forces,
        "charges": result.charges,
        "charge": np.array([geometry.charge]),
        "kind": np.array([geometry.kind]),
        "smiles": np.array([geometry.smiles]),
        "temperature": np.array([geometry.temperature]),
    }
