r"""Response couplings: how strongly the force on one atom answers to the displacement of another.

.. math:: H_{ij} = \frac{\partial^2 E}{\partial \mathbf r_i\, \partial \mathbf r_j}, \qquad
    c_{ij} = \lVert H_{ij} \rVert_F = \Big(\sum_{ab} (H_{ij})_{ab}^2\Big)^{1/2}

Defined for everything that has an energy, hence the same number for a model, GFN2-xTB and any other calculator. The
choice of the Frobenius norm, which no rotation changes, is ours.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, replace

import ase
import numpy as np
import torch
from ase.units import Bohr
from jaxtyping import Float

from atomlens.models import ENERGY_UNITS
from atomlens.potentials import AnyPotential, CalculatorModel, OpenedModel
from atomlens.reference.xtb import Gfn2
from atomlens.structures import InputError

# Rows of the Hessian go through the network together as long as a tensor of their edges stays in the processor's cache
# (edges x channels x rows). Larger batches are slower: aspirin, QM9 PaiNN, 0.75 s with 4 rows, 1.6 s with 8 (one core).
_BATCH = 80_000
# Displacement in Å of differences of forces.
RESPONSE_STEP = 0.01

Forces = Callable[[Float[np.ndarray, "N 3"]], Float[np.ndarray, "N 3"]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Response:
    """Second derivatives of an energy.

    Attributes
    ----------
    hessian
        H in eV/Å^2, made symmetric, shape (N, 3, N, 3).
    asymmetry
        Largest |H - H^T| before that, in eV/Å^2. Zero for exact derivatives of one energy: what is left is the error of
        differences, or a force that is no gradient.
    sum_rule
        Largest entry of the sums of H_ij over j, in eV/Å^2. Zero where moving everything changes no force.
    evaluations
        Energies or forces computed.
    """

    hessian: Float[np.ndarray, "N 3 N 3"]
    asymmetry: float
    sum_rule: float
    evaluations: int

    @property
    def couplings(self) -> Float[np.ndarray, "N N"]:
        """Norms of all 3 x 3 blocks in eV/Å^2."""
        return np.linalg.norm(self.hessian, axis=(1, 3))


def model_response(
    model: AnyPotential,
    atoms: ase.Atoms,
    *,
    step: float = RESPONSE_STEP,
    progress: Progress = lambda done, total: None,
) -> Response:
    """Response couplings of a model by automatic differentiation, exact to rounding; of an ASE calculator by
    differences.

    Parameters
    ----------
    model
        A model of the energy of a structure; use float64. One that never saw forces has derivatives all the same.
    atoms
        The structure. In a cell, all images of an atom move together.
    step, progress
        Of differences (`forces_response`), for ASE calculators.

    Raises
    ------
    InputError
        If the model predicts no energy of a structure, or the structure is not usable.
    """
    facts = model.facts
    if not facts.extensive or facts.unit not in ENERGY_UNITS:
        raise InputError(f"the model predicts {facts.quantity} in {facts.unit}, no energy; response needs an energy")
    if isinstance(model, CalculatorModel):
        return _calculated_response(model, atoms, step, progress)
    if isinstance(model, OpenedModel):
        return _recorded_response(model, atoms)
    graph = model.graph(atoms)
    n = graph.n_atoms
    if graph.n_edges == 0 and model.long_range is None:  # nothing acts on anything
        return _finished(np.zeros((3 * n, 3 * n)), n, 1)
    positions = graph.positions.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model(replace(graph, positions=positions)).sum(), positions, create_graph=True)
    rows = torch.eye(3 * n, dtype=gradient.dtype, device=gradient.device).reshape(3 * n, n, 3)
    batch = max(1, _BATCH // (max(graph.n_edges, 1) * (facts.n_features or 1)))

    def row(direction: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(gradient, positions, direction, retain_graph=True)[0]

    hessian = torch.vmap(row, chunk_size=batch)(rows)
    matrix = hessian.reshape(3 * n, 3 * n).cpu().numpy().astype(np.float64)
    return _finished(matrix * ENERGY_UNITS[facts.unit], n, 1)


def _recorded_response(model: OpenedModel, atoms: ase.Atoms) -> Response:
    recorded = model.recorded
    tensors = dict(recorded.inputs(atoms).tensors)
    positions = tensors[recorded.positions].clone().requires_grad_()
    with torch.enable_grad():
        energy = recorded.energy({**tensors, recorded.positions: positions})
        (gradient,) = torch.autograd.grad(energy, positions, create_graph=True)
        flat = gradient.flatten()
        # Row by row: parts of these models are compiled, and cannot be vectorised over.
        rows = [torch.autograd.grad(entry, positions, retain_graph=True)[0].flatten() for entry in flat]
    matrix = torch.stack(rows).detach().cpu().numpy().astype(np.float64)
    return _finished(matrix * ENERGY_UNITS[model.facts.unit], len(atoms), 1)


def _calculated_response(model: CalculatorModel, atoms: ase.Atoms, step: float, progress: Progress) -> Response:
    work = atoms.copy()

    def forces(positions: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
        work.positions = positions
        found = model.predict(work).forces
        assert found is not None
        return found

    return forces_response(forces, atoms.positions, step, progress=progress)


def forces_response(
    forces: Forces,
    positions: Float[np.ndarray, "N 3"],
    step: float = RESPONSE_STEP,
    *,
    progress: Progress = lambda done, total: None,
    rows: MutableMapping[int, Float[np.ndarray, "N 3"]] | None = None,
) -> Response:
    r"""Response couplings by central differences of forces.

    .. math:: H_{ia,\cdot} = -\frac{F(r_{ia} + h) - F(r_{ia} - h)}{2h}, \qquad \text{error } O(h^2)

    Parameters
    ----------
    forces
        From positions in Å to forces in eV/Å; called 6 N times.
    positions
        Where, in Å, shape (N, 3).
    step
        h in Å.
    progress
        Called with the number of rows done and in all after each of the 3 N rows.
    rows
        Rows found so far, by the number 3 i + a of the coordinate; new ones are added. After an interruption the same
        mapping resumes.

    Raises
    ------
    InputError
        If `step` is not positive, or forces are not finite.
    """
    if not (np.isfinite(step) and step > 0):
        raise InputError(f"the step of differences is {step}; give a positive length in Å")
    n, rows = len(positions), {} if rows is None else rows
    evaluations = 0
    for k in range(3 * n):
        if k not in rows:
            shift = np.zeros((n, 3))
            shift[divmod(k, 3)] = step
            row = -(forces(positions + shift) - forces(positions - shift)) / (2.0 * step)
            if not np.isfinite(row).all():
                raise InputError(f"the forces are not finite where atom {k // 3} is displaced by {step:g} Å")
            rows[k] = row
            evaluations += 2
        progress(k + 1, 3 * n)
    matrix = np.array([rows[k] for k in range(3 * n)]).reshape(3 * n, 3 * n)
    return _finished(matrix, n, evaluations)


def gfn2_response(
    atoms: ase.Atoms,
    charge: int | None = None,
    uhf: int | None = None,
    *,
    progress: Progress = lambda done, total: None,
    rows: MutableMapping[int, Float[np.ndarray, "N 3"]] | None = None,
) -> Response:
    """Response couplings of GFN2-xTB: central differences of 0.005 bohr, self-consistency tightened hundredfold.

    Raises
    ------
    ReferenceUnavailable
        As in `Gfn2`.
    """
    xtb = Gfn2(atoms, charge, uhf, accuracy=0.01)
    return forces_response(lambda x: xtb.compute(x).forces, atoms.positions, 0.005 * Bohr, progress=progress, rows=rows)


def _finished(matrix: Float[np.ndarray, "N3 N3"], n: int, evaluations: int) -> Response:
    symmetric = (0.5 * (matrix + matrix.T)).reshape(n, 3, n, 3)
    return Response(
        hessian=symmetric,
        asymmetry=float(np.abs(matrix - matrix.T).max()),
        sum_rule=float(np.abs(matrix.reshape(n, 3, n, 3).sum(axis=2)).max()),
        evaluations=evaluations,
    )
