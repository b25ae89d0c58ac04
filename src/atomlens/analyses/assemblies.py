"""Several molecules as one structure: pairs at a given gap, clusters in contact; and what a model predicts for them."""

from __future__ import annotations

from collections.abc import Sequence

import ase
import numpy as np
import torch
from ase.data import vdw_radii
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from atomlens.chain import scalar_output
from atomlens.models import to_internal
from atomlens.potentials import AnyPotential, CalculatorModel, OpenedModel
from atomlens.structures import InputError, collate, fragments

# Elements without a van der Waals radius in ASE's table; no model of organic molecules meets one.
_RADIUS = 2.0
_BATCH = 64
# Directions from which a molecule is brought to a cluster; the one that ends nearest to its middle is taken.
_DIRECTIONS = 20


def predictions(model: AnyPotential, structures: Sequence[ase.Atoms]) -> Float[np.ndarray, " S"]:
    """Scalar prediction of every structure in the internal unit: norms of vectors, mean diagonals of tensors.

    NaN where an ASE calculator fails, which it counts (`CalculatorModel.failures`).
    """
    if isinstance(model, CalculatorModel):
        return np.array([model.energy(atoms) for atoms in structures])
    if isinstance(model, OpenedModel):
        return np.array([model.predict(atoms).energy for atoms in structures])
    factor = to_internal(model.facts.unit)[0]
    values = []
    with torch.no_grad():
        for start in range(0, len(structures), _BATCH):
            graphs = [model.graph(atoms) for atoms in structures[start : start + _BATCH]]
            values.append(scalar_output(model(collate(graphs))).cpu().numpy().astype(np.float64))
    return np.concatenate(values) * factor if values else np.zeros(0)


def knows_element(model: AnyPotential, symbol: str) -> bool:
    """Whether a model can be asked about an element; of an ASE calculator, which does not say, True."""
    atom = ase.Atoms(symbol)
    if isinstance(model, CalculatorModel):
        return True
    try:
        model.check_elements(atom)
        model.graph(atom)  # a model that does not say what it was trained on may still have no place for an element
    except InputError:
        return False
    return True


def lone_molecules(model: AnyPotential, structures: Sequence[ase.Atoms], frames: Sequence[int]) -> list[int]:
    """Those of the frames that are one molecule in the open, of elements that the model knows."""
    found = []
    for frame in frames:
        atoms = structures[frame]
        try:
            model.check_elements(atoms)
        except InputError:
            continue
        if not atoms.pbc.any() and len(fragments(atoms)) == 1:
            found.append(frame)
    return found


def turned(atoms: ase.Atoms, rng: np.random.Generator) -> ase.Atoms:
    """A copy with the centre of its atoms at the origin, turned at random."""
    positions = atoms.positions - atoms.positions.mean(axis=0)
    return ase.Atoms(atoms.numbers, Rotation.random(rng=rng).apply(positions))


def shift_to_contact(
    fixed: Float[np.ndarray, "A 3"],
    moved: Float[np.ndarray, "B 3"],
    direction: Float[np.ndarray, " d"],
    contact: Float[np.ndarray, "A B"] | float,
) -> float:
    r"""How far the second set of atoms moves along a unit vector u until its last contact with the first.

    The largest root s over all pairs of :math:`|r_{ij} + s u| = c_{ij}`: beyond it every distance is larger than its
    contact distance. NaN where they pass each other without contact.

    Examples
    --------
    >>> shift_to_contact(np.zeros((1, 3)), np.zeros((1, 3)), np.array([1.0, 0.0, 0.0]), 2.5)
    2.5
    """
    r = moved[None] - fixed[:, None]
    along = r @ direction
    inside = along**2 - (r**2).sum(axis=-1) + np.square(contact)
    if not (inside >= 0).any():
        return float("nan")
    return float((np.sqrt(inside[inside >= 0]) - along[inside >= 0]).max())


def moved_apart(
    first: ase.Atoms, second: ase.Atoms, gaps: Sequence[float], rng: np.random.Generator
) -> tuple[ase.Atoms, list[ase.Atoms]]:
    """Two molecules, turned at random, whose nearest atoms are `gaps` Å apart.

    Returns
    -------
    The first molecule, and the second one at every gap: the same orientation throughout, moved along a straight line.
    """
    direction = np.array([1.0, 0.0, 0.0])
    while True:
        a, b = turned(first, rng), turned(second, rng)
        shifts = [shift_to_contact(a.positions, b.positions, direction, gap) for gap in gaps]
        # Orientations in which they slip past each other at the smallest gap are drawn again.
        if np.isfinite(shifts).all():
            break
    placed = []
    for shift in shifts:
        there = b.copy()
        there.positions += shift * direction
        placed.append(there)
    return a, placed


def cluster_of(molecules: Sequence[ase.Atoms], tightness: float, rng: np.random.Generator) -> list[ase.Atoms]:
    """Molecules turned at random and brought into contact one after the other.

    Parameters
    ----------
    molecules
        One or more.
    tightness
        Contact is where the first two atoms are this many times the sum of their van der Waals radii apart.
    rng
        Source of orientations and directions.
    """
    placed = [turned(molecules[0], rng)]
    for molecule in molecules[1:]:
        there = turned(molecule, rng)
        around = np.concatenate([m.positions for m in placed])
        numbers = np.concatenate([m.numbers for m in placed])
        contact = tightness * (_radii(numbers)[:, None] + _radii(there.numbers)[None])
        centre = around.mean(axis=0)
        best: np.ndarray | None = None
        while best is None:
            for direction in Rotation.random(_DIRECTIONS, rng=rng).as_matrix()[:, 0]:
                shift = shift_to_contact(around, there.positions + centre, direction, contact)
                vector = centre + shift * direction
                if np.isfinite(shift) and (best is None or abs(shift) < np.linalg.norm(best - centre)):
                    best = vector
        there.positions += best
        placed.append(there)
    return placed


def joined(molecules: Sequence[ase.Atoms]) -> ase.Atoms:
    """Several molecules as one structure, atoms in their order."""
    return ase.Atoms(np.concatenate([m.numbers for m in molecules]), np.concatenate([m.positions for m in molecules]))


def _radii(numbers: np.ndarray) -> Float[np.ndarray, " N"]:
    found = vdw_radii[np.minimum(numbers, len(vdw_radii) - 1)]
    return np.where(np.isnan(found), _RADIUS, found)
