r"""What else could predict stability: ways out, rough bond scans, energies that do not add, models that disagree."""

from __future__ import annotations

from collections.abc import Sequence

import ase
import numpy as np
import torch
from ase import units
from jaxtyping import Float, Int

from atomlens.analyses import scan_deviation
from atomlens.dynamics import AtomlensCalculator, energy_forces_stress, find_exits
from atomlens.models import Potential
from atomlens.potentials import AnyPotential
from atomlens.reference import BondScan, ReferenceUnavailable, gfn2_bond_scan, once_per_geometry, open_bonds
from atomlens.structures import collate, perceive_bonds, side_of

# Two structures are moved so far apart, in Å.
_SEPARATION = 200.0
# Sums of energies differ by so much of their size for no reason.
_ROUNDING = 1e-14
# Bonds are scanned from 0.3 Å shorter to 0.7 Å longer.
_SCAN = np.arange(-0.30, 0.701, 0.02)
# Lengths at which a bond of a scan against GFN2 is looked at.
_POINTS = 60


def exit_barrier(model: Potential, atoms: ase.Atoms, temperature: float) -> float:
    """Thermal exit barrier of a molecule at a temperature in K, in units of k_B T; see `atomlens.dynamics.exits`."""
    return find_exits(AtomlensCalculator(model), atoms).barrier(temperature) / (units.kB * temperature)


@once_per_geometry(1)
def _scans(atoms: ase.Atoms) -> list[BondScan]:
    """GFN2 along all bonds outside of rings; all models of a study are asked about one structure."""
    return [gfn2_bond_scan(atoms, i, j, _POINTS) for i, j in open_bonds(atoms)]


def smoothness(model: AnyPotential, atoms: ase.Atoms) -> float:
    """Median force smoothness deviation from GFN2 over all bonds outside of rings (`scan_deviation`), in 1/Å.

    NaN where there is no such bond, or GFN2-xTB cannot be had for the molecule.
    """
    try:
        values = [scan_deviation(model, one) for one in _scans(atoms)]
    except ReferenceUnavailable:
        return float("nan")
    return float(np.median(values)) if values else float("nan")


def roughness(model: Potential, atoms: ase.Atoms) -> float:
    r"""Mean over bonds of the excess variation of the force along a stretch; 0 for one well with one inflection.

    .. math:: \rho = \frac{1}{B} \sum_b \Big( \frac{\sum_k |f_{k+1} - f_k|}{\max f - \min f} - V_b \Big)_+

    f is the derivative of the energy along the bond, :math:`V_b` the value of a force that rises once to its maximum
    and then falls, :math:`(2 \max f - f_0 - f_K) / (\max f - \min f)`. What hangs on the second atom of the bond moves
    with it; in a ring, that atom alone. In the spirit of smoothness tests along bond scans (arXiv:2602.04861); the
    formula is our choice.
    """
    bonds = perceive_bonds(atoms).pairs
    values = [_excess(_scanned_forces(model, atoms, bonds, i, j)) for i, j in bonds.tolist()]
    return float(np.mean(values)) if values else float("nan")


def _excess(f: np.ndarray) -> float:
    spread = float(np.ptp(f))
    if not np.isfinite(f).all() or spread == 0:
        return float("nan")
    wanted = (2 * f.max() - f[0] - f[-1]) / spread
    return max(0.0, float(np.abs(np.diff(f)).sum() / spread - wanted))


def _scanned_forces(
    model: Potential, atoms: ase.Atoms, bonds: Int[np.ndarray, "B 2"], i: int, j: int
) -> Float[np.ndarray, " K"]:
    moved = side_of(atoms, bonds, i, j)
    axis = atoms.positions[j] - atoms.positions[i]
    axis /= np.linalg.norm(axis)
    frames = []
    for shift in _SCAN:
        frame = atoms.copy()
        frame.positions[moved] += shift * axis
        frames.append(model.graph(frame))
    found = energy_forces_stress(model, collate(frames))
    forces = found.forces.double().cpu().numpy().reshape(len(_SCAN), len(atoms), 3)
    return -(forces[:, moved] @ axis).sum(axis=1)


def size_error(model: Potential, one: ase.Atoms, other: ase.Atoms) -> float:
    r"""How far two structures 200 Å apart are from the sum of both: :math:`|E(AB) - E(A) - E(B)|` in eV.

    Zero for a model that ends at a cutoff. One with energies of all pairs has to have learned that each is neutral:
    otherwise charge is exchanged at any distance. Two frames of a trajectory will do; two copies of one structure would
    hide it, since by symmetry neither gives charge to the other. What is below the rounding of float64 sums is 0.
    """
    first, second = one.copy(), other.copy()
    first.pbc = second.pbc = False
    second.positions[:, 0] += first.positions[:, 0].max() - second.positions[:, 0].min() + _SEPARATION
    graphs = [model.graph(atoms) for atoms in (first, second, first + second)]
    a, b, both = energy_forces_stress(model, collate(graphs)).energy.double().cpu().tolist()
    error = abs(both - a - b)
    return error if error > _ROUNDING * (abs(a) + abs(b)) else 0.0


def disagreement(models: Sequence[Potential], structures: Sequence[ase.Atoms]) -> float:
    """Standard deviation of forces between models of one ensemble, root mean square over structures, in eV/Å.

    NaN for fewer than two models.
    """
    if len(models) < 2:
        return float("nan")
    squares, count = 0.0, 0
    for atoms in structures:
        with torch.no_grad():
            graphs = [model.graph(atoms) for model in models]
        forces = np.stack(
            [
                energy_forces_stress(model, graph).forces.double().cpu().numpy()
                for model, graph in zip(models, graphs, strict=True)
            ]
        )
        variance = forces.var(axis=0, ddof=1)
        squares, count = squares + float(variance.sum()), count + variance.size
    return float(np.sqrt(squares / max(count, 1)))
