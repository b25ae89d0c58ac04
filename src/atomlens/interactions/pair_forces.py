r"""Pair forces: how the energy that a read-out gives to one atom pulls at another.

.. math:: \mathbf F_{ij} = -\frac{\partial E_j}{\partial \mathbf R_i}, \qquad
    \sum_j \mathbf F_{ij} = \mathbf F_i

with E = Σ_j E_j the energy as the read-out adds it up; with j = i included, the sum is the force on atom i. They are no
pair potential's forces: :math:`\mathbf F_{ij} \ne -\mathbf F_{ji}` in general, and they need not point along the line
between the atoms. After arXiv:2605.28960, by its abstract.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from jaxtyping import Float
from torch import Tensor

AtomEnergies = Callable[[Float[Tensor, "N 3"]], Float[Tensor, " N"]]


@dataclass(frozen=True)
class PairForces:
    """Pair forces of one structure.

    Attributes
    ----------
    matrix
        Force on atom i from the energy of atom j, in eV/Å, shape (N, N, 3); the diagonal is each atom's own energy.
    lines
        Shortest vector from atom i to atom j in Å, shape (N, N, 3); periodic images taken into account.
    """

    matrix: Float[np.ndarray, "N N 3"]
    lines: Float[np.ndarray, "N N 3"]

    @property
    def forces(self) -> Float[np.ndarray, "N 3"]:
        """Force on every atom, the sum over all energies."""
        return self.matrix.sum(axis=1)

    def table(self) -> pl.DataFrame:
        """One row per ordered pair i ≠ j.

        Columns ``atom`` (i), ``of`` (j), ``distance`` in Å, ``fx``, ``fy``, ``fz`` and ``size`` in eV/Å, ``along`` (the
        part along the line from i to j: positive pulls i towards j), ``angle`` off that line in degrees, 0 to 90.
        """
        i, j = np.nonzero(~np.eye(len(self.matrix), dtype=bool))
        force, line = self.matrix[i, j], self.lines[i, j]
        distance, size = np.linalg.norm(line, axis=1), np.linalg.norm(force, axis=1)
        along = (force * line).sum(axis=1) / distance
        with np.errstate(invalid="ignore"):
            angle = np.degrees(np.arccos(np.clip(np.abs(along) / size, 0.0, 1.0)))
        columns = {"atom": i.astype(np.int32), "of": j.astype(np.int32), "distance": distance}
        columns |= {"fx": force[:, 0], "fy": force[:, 1], "fz": force[:, 2], "size": size, "along": along}
        # No force has no direction.
        return pl.DataFrame(columns | {"angle": angle}).with_columns(pl.col("angle").fill_nan(None))


def pair_forces(
    atom_energies: AtomEnergies, positions: Float[Tensor, "N 3"], lines: Float[np.ndarray, "N N 3"]
) -> PairForces:
    """Pair forces of one structure: one way back for the energy of each atom.

    Parameters
    ----------
    atom_energies
        From positions in Å, shape (N, 3), to the energy of every atom in eV, shape (N,), differentiable. Any model
        whose read-out gives energies to atoms will do.
    positions
        Positions of the structure in Å.
    lines
        Vector from every atom to every other in Å.
    """
    leaf = positions.detach().clone().requires_grad_()
    parts = atom_energies(leaf)
    rows = [torch.autograd.grad(part, leaf, retain_graph=True, materialize_grads=True)[0] for part in parts.unbind()]
    return PairForces(-torch.stack(rows, dim=1).cpu().numpy().astype(np.float64), lines)
