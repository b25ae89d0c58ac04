"""Two of the set's own molecules, pulled apart along the line between their centres."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import ase
import numpy as np
import polars as pl
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from atomlens.analyses.assemblies import predictions
from atomlens.analyses.inputs import AnalysisInputs
from atomlens.interactions import Explanation
from atomlens.structures import InputError, fragments
from atomlens.surveys import Progress, no_progress

Answer = TypeVar("Answer")

# Nearest atoms of the two molecules at the start, in Å: about a hydrogen bond.
START = 2.0
_STEP = 0.35
MAX_ATOMS = 40

SCAN_SCHEMA = {
    "dimer": pl.Int64,
    "name": pl.String,
    "separation": pl.Float64,
    "gap": pl.Float64,
    "heavy_distance": pl.Float64,
    "group_term": pl.Float64,
    "heavy_term": pl.Float64,
    "interaction": pl.Float64,
    "gfn2": pl.Float64,
    "dispersion": pl.Float64,
}


@dataclass(frozen=True)
class Pair:
    """Two molecules in one structure.

    Attributes
    ----------
    atoms
        Both, the first before the second.
    n_first
        Atoms of the first.
    name
        Formulas of both.
    """

    atoms: ase.Atoms
    n_first: int
    name: str

    @property
    def parts(self) -> tuple[list[int], list[int]]:
        """Atoms of either molecule."""
        return list(range(self.n_first)), list(range(self.n_first, len(self.atoms)))

    @property
    def gap(self) -> float:
        """Smallest distance between their atoms in Å."""
        return float(self._between(*self.parts).min())

    @property
    def separation(self) -> float:
        """Distance of their centres of mass in Å."""
        first, second = (self.atoms[part].get_center_of_mass() for part in self.parts)
        return float(np.linalg.norm(second - first))

    @property
    def closest_heavy(self) -> tuple[int, int]:
        """The nearest two atoms, one of each, that are not hydrogen where a molecule has such."""
        first, second = ([k for k in part if self.atoms.numbers[k] > 1] or part for part in self.parts)
        i, j = np.unravel_index(np.argmin(self._between(first, second)), (len(first), len(second)))
        return first[i], second[j]

    def _between(self, first: list[int], second: list[int]) -> Float[np.ndarray, "a b"]:
        x = self.atoms.positions
        return np.linalg.norm(x[first][:, None] - x[second][None], axis=-1)

    def pulled(self, by: float) -> Pair:
        """The second molecule moved `by` Å away along the line between the centres."""
        first, second = (self.atoms[part].get_center_of_mass() for part in self.parts)
        atoms = self.atoms.copy()
        atoms.positions[self.n_first :] += by * (second - first) / np.linalg.norm(second - first)
        return replace(self, atoms=atoms)


def make_dimers(structures: Sequence[ase.Atoms], n: int, seed: int = 0) -> list[Pair]:
    """Random pairs of single molecules, turned at random, their nearest atoms 2.0 Å apart.

    Periodic structures, several molecules in one, and molecules above 40 atoms are left out.
    """
    rng = np.random.default_rng(seed)
    found: list[Pair] = []
    fit: dict[int, bool] = {}

    def usable(k: int) -> bool:
        if k not in fit:
            atoms = structures[k]
            fit[k] = not atoms.pbc.any() and 1 <= len(atoms) <= MAX_ATOMS and len(fragments(atoms)) == 1
        return fit[k]

    for _ in range(20 * n if structures else 0):
        if len(found) == n:
            break
        i, j = rng.integers(len(structures), size=2).tolist()
        if usable(i) and usable(j):
            found.append(_placed(structures[i], structures[j], rng))
    return found


def scan_dimers(
    inputs: AnalysisInputs,
    dimers: Sequence[Pair],
    energy: Callable[[ase.Atoms], float] | None,
    dispersion: Callable[[ase.Atoms], Float[np.ndarray, "N N"]] | None,
    end: float,
    progress: Progress = no_progress,
) -> tuple[pl.DataFrame, dict[str, int]]:
    r"""Pull every dimer apart until its nearest atoms are at `end` (Å), and ask model and references at every step.

    ``group_term`` is I({A, B}), all walks that visit both molecules; ``heavy_term`` the pair term of the nearest heavy
    atoms; ``interaction`` and ``gfn2`` are :math:`E_{AB} - E_A - E_B` at fixed geometries; ``dispersion`` the sum of
    pair energies between the molecules. Lengths in Å, model columns in the model's unit, references in eV; null where a
    reference has nothing to say, and for terms of a model without any. Distances at which an ASE calculator fails are
    left out.

    Returns
    -------
    The table, and how often a reference failed, by reason.
    """
    rows: list[tuple[object, ...]] = []
    failures: dict[str, int] = {}
    for number, dimer in enumerate(dimers):
        progress("dimer scans", number, len(dimers))
        alone = [dimer.atoms[part] for part in dimer.parts]
        own = sum(_asked(inputs, one)[0] for one in alone)
        known = [_or_none(energy, one, failures) for one in alone]
        for by in np.arange(0.0, max(end - START, 0.0), _STEP):
            pair = dimer.pulled(float(by))
            atoms, (first, second), heavy = pair.atoms, pair.parts, pair.closest_heavy
            y, explained = _asked(inputs, atoms)
            if not math.isfinite(y - own):  # the calculator failed
                continue
            both = _or_none(energy, atoms, failures) if None not in known else None
            d4 = _or_none(dispersion, atoms, failures)
            rows.append(
                (
                    number,
                    dimer.name,
                    pair.separation,
                    pair.gap,
                    float(np.linalg.norm(atoms.positions[heavy[0]] - atoms.positions[heavy[1]])),
                    None if explained is None else _group_term(explained, [first, second]),
                    None if explained is None else _group_term(explained, [[heavy[0]], [heavy[1]]]),
                    y - own,
                    None if both is None else both - sum(e for e in known if e is not None),
                    None if d4 is None else float(d4[np.ix_(first, second)].sum()),
                )
            )
    progress("dimer scans", len(dimers), len(dimers))
    return pl.DataFrame(rows, schema=SCAN_SCHEMA, orient="row"), failures


def _placed(first: ase.Atoms, second: ase.Atoms, rng: np.random.Generator) -> Pair:
    """Both molecules turned at random, the second along x from the first, so that their nearest atoms are at START."""
    a, b = (ase.Atoms(m.numbers, _turned(m, rng)) for m in (first, second))
    names = f"{first.get_chemical_formula()} {second.get_chemical_formula()}"
    # Of the distances at which some two atoms are at START, the largest: from there outwards nothing is nearer.
    across = b.positions[None] - a.positions[:, None]
    room = START**2 - np.square(across[..., 1:]).sum(-1)
    along = np.where(room >= 0, np.sqrt(np.maximum(room, 0)) - across[..., 0], -np.inf)
    b.positions[:, 0] += max(float(along.max()), START)
    return Pair(a + b, len(a), names)


def _turned(molecule: ase.Atoms, rng: np.random.Generator) -> Float[np.ndarray, "N 3"]:
    centred = molecule.positions - molecule.get_center_of_mass()
    return centred @ Rotation.random(rng=rng).as_matrix().T


def _asked(inputs: AnalysisInputs, atoms: ase.Atoms) -> tuple[float, Explanation | None]:
    """The prediction of a structure, and its explanation where the model has terms."""
    if not inputs.model.facts.has_terms:
        return float(predictions(inputs.model, [atoms])[0]), None
    explained = inputs.explained(atoms)
    return explained.prediction, explained


def _group_term(explanation: Explanation, groups: list[list[int]]) -> float:
    """0 where the groups are out of each other's sight."""
    return float(explanation.group_interactions(groups, max_order=2).order(2).relevance.sum())


def _or_none(ask: Callable[[ase.Atoms], Answer] | None, atoms: ase.Atoms, failures: dict[str, int]) -> Answer | None:
    if ask is None:
        return None
    try:
        return ask(atoms)
    except InputError as error:
        failures[str(error)] = failures.get(str(error), 0) + 1
        return None
