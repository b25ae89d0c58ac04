"""Do the forces of a data set belong to its energies?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import pdist, squareform

from atomlens.data.dataset import Dataset
from atomlens.data.units import ENERGY_UNITS, LENGTH_UNITS
from atomlens.structures import InputError

# Root mean square displacement of an atom in Å up to which the trapezoidal rule holds to a few percent.
_CLOSE = 0.15
# Nearer frames are the same one twice: between them there is no work to compare with, and their pairs with others are
# no further evidence.
_SAME = 1e-3
# Largest displacement of one atom in Å: in a mean over many atoms a single stretched bond is lost, and over 0.2 Å of a
# bond the rule is wrong by a fifth. Where enough pairs are closer than the second number, only these count.
_CLOSE_ATOM, _CLOSER_ATOM, _ENOUGH = 0.2, 0.1, 20
_PAIRS = 60
_LOOKED_AT = 20 * _PAIRS
_FRAMES = 2_000
_TOLERANCE = 0.15
# Factors that confused units leave behind.
_FACTORS = {
    "kcal/mol against eV": 1.0 / ENERGY_UNITS["kcal/mol"],
    "kJ/mol against eV": 1.0 / ENERGY_UNITS["kJ/mol"],
    "Hartree against eV": ENERGY_UNITS["Hartree"],
    "Hartree against kcal/mol": ENERGY_UNITS["Hartree"] / ENERGY_UNITS["kcal/mol"],
    "Hartree/Bohr against eV/Å": ENERGY_UNITS["Hartree"] / LENGTH_UNITS["Bohr"],
    "kcal/mol against kJ/mol": ENERGY_UNITS["kcal/mol"] / ENERGY_UNITS["kJ/mol"],
    "Å against Bohr": 1.0 / LENGTH_UNITS["Bohr"],
}


@dataclass(frozen=True)
class ForceCheck:
    r"""Energy differences between similar frames against the work of the forces.

    Between close frames a and b, :math:`E_b - E_a = s\,W_{ab}` with the trapezoidal work
    :math:`W_{ab} = -\tfrac12 \sum_i (F^a_i + F^b_i) \cdot (r^b_i - r^a_i)`, and s = 1 where forces are the negative
    gradient of the energies in one system of units.

    Attributes
    ----------
    pairs
        Number of close pairs of frames found; with fewer than 5 nothing can be said.
    slope, correlation
        Least-squares s, and the correlation of both sides; NaN where nothing can be said.
    error
        Standard error of s: the rule is less exact for larger steps, and few pairs may all err to one side.
    """

    pairs: int
    slope: float
    correlation: float
    error: float = 0.0

    @property
    def complaint(self) -> str | None:
        """What is wrong in one line, None if forces and energies match or nothing can be said."""
        if self.pairs < 5:
            return None
        tolerance = _TOLERANCE + 2 * self.error
        if self.correlation < -0.8 and abs(self.slope + 1) < tolerance:
            return "forces are the positive gradient of the energies; change their sign"
        if abs(self.correlation) < 0.8:
            return (
                f"forces do not match energies: between {self.pairs} pairs of similar frames, energy differences "
                f"correlate with the work of the forces by {self.correlation:.2f} only; are they of the same frames?"
            )
        if abs(self.slope - 1) > tolerance:
            return (
                f"forces do not match energies: between {self.pairs} pairs of similar frames, energies change by "
                f"{self.slope:.3g} of the work of the forces; {_guess(self.slope)}"
            )
        return None


def check_forces(dataset: Dataset, seed: int = 0) -> ForceCheck:
    """Compare energies and forces by finite differences between similar frames of the same atoms.

    At most 2,000 frames, drawn by `seed`, are compared, each once however often it occurs; molecules are superimposed
    first.

    Raises
    ------
    InputError
        If the set has no energies or forces.
    """
    energies = np.asarray(dataset.column("energy").values, dtype=np.float64)
    forces = dataset.column("forces").values
    work, change, largest = [], [], []
    for frames in _same_atoms(dataset, seed):
        rows = np.asarray(dataset.starts)[frames][:, None] + np.arange(int(dataset.sizes[frames[0]]))
        x, f = np.asarray(dataset.positions)[rows], np.asarray(forces)[rows]
        x = x - x.mean(axis=1, keepdims=True)
        rigid = not dataset.periodic[frames].any()
        compared = 0
        for a, b in _closest(x):
            rotation = _superimpose(x[b], x[a]) if rigid else np.eye(3)
            step = x[b] @ rotation - x[a]
            moved = np.sqrt((step**2).sum(-1))
            if _SAME < np.sqrt(np.mean(moved**2)) < _CLOSE and moved.max() < _CLOSE_ATOM:
                work.append(float(-0.5 * ((f[a] + f[b] @ rotation) * step).sum()))
                change.append(float(energies[frames[b]] - energies[frames[a]]))
                largest.append(float(moved.max()))
                compared += 1
            if compared == _PAIRS:
                break
    if len(work) < 5:
        return ForceCheck(len(work), np.nan, np.nan)
    w, e, closer = np.array(work), np.array(change), np.array(largest) < _CLOSER_ATOM
    if closer.sum() >= _ENOUGH:
        w, e = w[closer], e[closer]
    slope = float((w * e).sum() / max((w * w).sum(), 1e-300))
    norm = np.sqrt((w * w).sum() * (e * e).sum())
    error = float(np.sqrt(((e - slope * w) ** 2).sum() / (len(w) - 1) / max((w * w).sum(), 1e-300)))
    return ForceCheck(len(w), slope, float((w * e).sum() / norm) if norm > 0 else 0.0, error)


def require_matching_forces(dataset: Dataset) -> ForceCheck:
    """`check_forces`, with a complaint raised as `InputError`."""
    check = check_forces(dataset)
    if check.complaint:
        raise InputError(f"{dataset.name}: {check.complaint} ({'; '.join(dataset.notes)})")
    return check


def _same_atoms(dataset: Dataset, seed: int) -> list[Int[np.ndarray, " m"]]:
    chosen = np.sort(np.random.default_rng(seed).permutation(len(dataset))[:_FRAMES])
    groups: dict[bytes, list[int]] = {}
    for k in chosen.tolist():
        atoms = dataset.numbers[dataset.starts[k] : dataset.starts[k + 1]]
        groups.setdefault(np.asarray(atoms).tobytes(), []).append(k)
    return [np.array(group) for group in groups.values() if len(group) > 1]


def _closest(x: Float[np.ndarray, "m N 3"]) -> list[tuple[int, int]]:
    distances = squareform(pdist(x.reshape(len(x), -1)))
    first = np.flatnonzero(~np.tril(distances <= _SAME, -1).any(axis=1))
    i, j = (first[k] for k in np.triu_indices(len(first), 1))
    order = np.argsort(distances[i, j])[:_LOOKED_AT]
    return list(zip(i[order].tolist(), j[order].tolist(), strict=True))


def _superimpose(a: Float[np.ndarray, "N 3"], b: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "3 3"]:
    # Kabsch: the proper rotation R that brings a @ R closest to b.
    u, _, v = np.linalg.svd(a.T @ b)
    return u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ v))]) @ v


def _guess(slope: float) -> str:
    factor = max(abs(slope), 1.0 / abs(slope))
    name, ratio = min(_FACTORS.items(), key=lambda item: abs(np.log(item[1] / factor)))
    known = abs(ratio / factor - 1) < _TOLERANCE
    return f"a factor like {name}: state the units of the file" if known else "check the units of both"
