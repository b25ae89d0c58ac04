"""Geometries of molecules and of contacts between them, before any quantum mechanics: MMFF94 samples them.

A force field is a sampler here and nothing else: its dynamics cost 0.1 ms per step, those of GFN2-xTB 20 ms, and
energies and forces of what it visits are then GFN2's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import ase.units as u
import numpy as np
from ase.data import atomic_masses, vdw_radii
from jaxtyping import Float, Int
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from scipy.spatial.distance import cdist

_FORCE = u.kcal / u.mol  # RDKit's kcal/mol/Å in eV/Å
_STEP = 1.0 * u.fs
_FRICTION = 0.02 / u.fs  # strong: nothing is asked of the dynamics but its distribution
_MINIMUM_STEPS = 300
# Atoms this much closer than their bond or van der Waals distances mean that a run has gone astray.
_COLLAPSED = 0.6


@dataclass(frozen=True)
class Geometry:
    """One geometry to be computed.

    Attributes
    ----------
    numbers, positions
        Atoms; positions in Å.
    charge
        Total charge in e.
    kind
        What it is: relaxed, thermal, stretched, contact, cluster or atom.
    smiles
        Of its molecule, or of its molecules with dots between.
    temperature
        Of the sampling in K, 0 where there was none.
    """

    numbers: Int[np.ndarray, " N"]
    positions: Float[np.ndarray, "N 3"]
    charge: int
    kind: str
    smiles: str
    temperature: float = 0.0


class Sampler:
    """One molecule, or several side by side, under MMFF94.

    Parameters
    ----------
    molecule
        RDKit's molecule with hydrogens and a conformer.
    smiles
        What it is called.
    """

    def __init__(self, molecule: Any, smiles: str) -> None:
        self.molecule, self.smiles = molecule, smiles
        self.numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], dtype=np.int64)
        self.charge = int(Chem.GetFormalCharge(molecule))
        with rdBase.BlockLogs():
            self._field = rdForceFieldHelpers.MMFFGetMoleculeForceField(
                molecule, rdForceFieldHelpers.MMFFGetMoleculeProperties(molecule), ignoreInterfragInteractions=False
            )
        self._field.Initialize()

    @classmethod
    def of_smiles(cls, smiles: str, seed: int) -> Sampler | None:
        """Embed and relax a molecule; None where RDKit finds no geometry or has no parameters."""
        with rdBase.BlockLogs():
            molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
            if rdDistGeom.EmbedMolecule(molecule, randomSeed=seed) != 0:
                return None
            if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule):
                return None
        sampler = cls(molecule, smiles)
        sampler.relax()
        return sampler

    @property
    def positions(self) -> Float[np.ndarray, "N 3"]:
        """Where the conformer's atoms are, in Å."""
        return self.molecule.GetConformer().GetPositions()

    def relax(self, steps: int = _MINIMUM_STEPS) -> None:
        """Move the conformer downhill."""
        self._field.Minimize(maxIts=steps)

    def heat(
        self, positions: Float[np.ndarray, "N 3"], temperature: float, steps: int, rng: np.random.Generator
    ) -> Float[np.ndarray, "N 3"] | None:
        """Positions after Langevin dynamics (BAOAB) at `temperature` in K; None where the molecule came apart.

        Leimkuhler, Matthews, Appl. Math. Res. Express 2013, 34.
        """
        mass = atomic_masses[self.numbers][:, None]
        decay, spread = np.exp(-_FRICTION * _STEP), np.sqrt(u.kB * temperature / mass)
        noise = spread * np.sqrt(1.0 - decay**2)
        x, v = positions.copy(), spread * rng.standard_normal(positions.shape)
        kicks = rng.standard_normal((steps, *x.shape))
        push = (-0.5 * _STEP * _FORCE) / mass
        kick = push * self._gradient(x)
        for k in range(steps):
            x += 0.5 * _STEP * (v := v + kick)
            v = decay * v + noise * kicks[k]
            x += 0.5 * _STEP * v
            kick = push * self._gradient(x)
            v = v + kick
        return x - x.mean(axis=0) if self._whole(x) else None

    def stretched(self, positions: Float[np.ndarray, "N 3"], rng: np.random.Generator) -> Float[np.ndarray, "N 3"]:
        """One bond outside of rings longer by up to 0.5 Å: what hangs on its second atom moves along the bond."""
        bonds = [b for b in self.molecule.GetBonds() if not b.IsInRing()]
        if not bonds:
            return positions
        bond = bonds[int(rng.integers(len(bonds)))]
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        editable = Chem.RWMol(self.molecule)
        editable.RemoveBond(i, j)
        fragment = next(list(f) for f in Chem.GetMolFrags(editable) if j in f)
        moved = positions.copy()
        along = positions[j] - positions[i]
        moved[fragment] += rng.uniform(0.0, 0.5) * along / np.linalg.norm(along)
        return moved

    def _gradient(self, x: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
        flat = x.ravel().tolist()
        self._field.CalcEnergy(flat)  # RDKit keeps distances until an energy is asked for
        return np.array(self._field.CalcGrad(flat)).reshape(x.shape)

    def _whole(self, x: Float[np.ndarray, "N 3"]) -> bool:
        if not np.isfinite(x).all():
            return False
        before = self.positions
        ends = np.array([(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in self.molecule.GetBonds()], dtype=np.int64)
        ends = ends.reshape(-1, 2)
        lengths = [np.linalg.norm(p[ends[:, 0]] - p[ends[:, 1]], axis=1) for p in (x, before)]
        return bool((np.abs(lengths[0] - lengths[1]) < (1.0 - _COLLAPSED) * lengths[1]).all())


def contact(parts: list[Sampler], closeness: float, docked: bool, rng: np.random.Generator) -> Geometry | None:
    r"""Molecules in random orientations, each as close to those before as `closeness` says.

    Closeness is :math:`\min_{ij} r_{ij} / (R_i + R_j)` over pairs of atoms of two molecules, R their van der Waals
    radii (Bondi, J. Phys. Chem. 68, 441 (1964)). Docked molecules start at 1, go downhill by MMFF94 for a few
    steps, so that hydrogen bonds form, and are then moved apart along their centres to `closeness` times what they
    reached.

    Parameters
    ----------
    parts
        The molecules; the first stays where it is.
    closeness
        As above.
    docked
        Whether MMFF94 draws them together first.
    rng
        Of orientations, directions and conformations.

    Returns
    -------
    The geometry, or None where a molecule came apart.
    """
    temperature = float(rng.uniform(100.0, 400.0))
    bodies = [part.heat(part.positions, temperature, 60, rng) for part in parts]
    if any(body is None for body in bodies):
        return None
    placed = [body @ _rotation(rng) for body in bodies if body is not None]
    numbers = [part.numbers for part in parts]
    for k in range(1, len(parts)):
        direction = rng.standard_normal(3)
        direction /= np.linalg.norm(direction)
        before = np.concatenate(placed[:k]), np.concatenate(numbers[:k])
        want = 1.0 if docked else closeness
        placed[k] = _approached(placed[k], numbers[k], *before, direction, want)
    if docked:
        placed = _docked(parts, placed, rng)
        for k in range(1, len(parts)):
            before = np.concatenate(placed[:k]), np.concatenate(numbers[:k])
            direction = placed[k].mean(axis=0) - before[0].mean(axis=0)
            length = float(np.linalg.norm(direction))
            direction = np.array([0.0, 0.0, 1.0]) if length < 1e-3 else direction / length
            reached = _closeness(placed[k], numbers[k], *before)
            centred = placed[k] - placed[k].mean(axis=0) + before[0].mean(axis=0)
            placed[k] = _approached(centred, numbers[k], *before, direction, closeness * reached)
    positions = np.concatenate(placed)
    return Geometry(
        np.concatenate(numbers),
        positions - positions.mean(axis=0),
        sum(part.charge for part in parts),
        "contact" if len(parts) == 2 else "cluster",
        ".".join(part.smiles for part in parts),
        temperature,
    )


def _docked(parts: list[Sampler], placed: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    whole = Chem.Mol(reduce(Chem.CombineMols, [part.molecule for part in parts]))
    Chem.SanitizeMol(whole)
    whole.GetConformer().SetPositions(np.concatenate(placed))
    together = Sampler(whole, "")
    together.relax(int(rng.integers(5, 60)))
    return np.split(together.positions, np.cumsum([len(p) for p in placed])[:-1])


def _closeness(a: np.ndarray, z_a: np.ndarray, b: np.ndarray, z_b: np.ndarray) -> float:
    return float((cdist(a, b) / (vdw_radii[z_a][:, None] + vdw_radii[z_b])).min())


def _approached(
    body: np.ndarray, z: np.ndarray, others: np.ndarray, z_others: np.ndarray, direction: np.ndarray, want: float
) -> np.ndarray:
    """`body` moved out from where it is along `direction`, just so far that from there on its closeness is `want`."""
    reach = want * (vdw_radii[z][:, None] + vdw_radii[z_others])
    offsets = body[:, None] - others
    along = offsets @ direction
    # |offset + t direction| = reach has the later root t below, where there is one.
    root = along**2 - (offsets**2).sum(-1) + reach**2
    t = np.where(root > 0, -along + np.sqrt(np.maximum(root, 0.0)), -np.inf).max()
    return body + max(float(t), 0.0) * direction


def _rotation(rng: np.random.Generator) -> np.ndarray:
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))
