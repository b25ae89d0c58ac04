r"""Energies of all pairs of atoms, without a cutoff: learned charges with Coulomb's law, learned C6 with dispersion.

Charges and coefficients are functions of each atom's features, so they know its surroundings; with distance energies
fall by law, as :math:`r^{-1}` and :math:`r^{-6}`, whatever was learned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from ase import units
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from atomlens.models.config import LongRangeConfig, ReadoutConfig
from atomlens.models.features import AtomFeatures, sum_edges
from atomlens.models.readouts import AtomNetwork
from atomlens.structures import AtomGraph

# e^2 / (4 pi epsilon_0) in eV Å.
COULOMB = units.Hartree * units.Bohr
# Unit of sqrt(C6) in eV^(1/2) Å^3: an untrained network, whose output is near zero, starts near 8 eV Å^6, that of
# light atoms in molecules.
_AMPLITUDE = 4.0


@dataclass(frozen=True)
class PairTerms:
    """Energies that belong to two atoms outright.

    Attributes
    ----------
    atoms
        Pairs i < j, sorted, shape (Q, 2).
    parts
        Energy of every pair, one column per kind, shape (Q, K).
    kinds
        Names of the columns: "coulomb", "dispersion".
    charges
        Charges in e that "coulomb" is made of, shape (N,); None without it.
    """

    atoms: Int[Tensor, "Q 2"]
    parts: Float[Tensor, "Q K"]
    kinds: tuple[str, ...]
    charges: Float[Tensor, " N"] | None = None

    @property
    def energies(self) -> Float[Tensor, " Q"]:
        """All kinds together."""
        return self.parts.sum(dim=1)

    def scaled(self, factor: float) -> PairTerms:
        """The same energies in another unit."""
        return replace(self, parts=self.parts * factor)

    def sums(self, batch: Int[Tensor, " N"], n_graphs: int) -> Float[Tensor, " G"]:
        """Sum over the pairs of every structure; `batch` is the structure of every atom."""
        return sum_edges(self.energies, batch.index_select(0, self.atoms[:, 0]), n_graphs)


def all_pairs(batch: Int[Tensor, " N"]) -> Int[Tensor, "Q 2"]:
    """Pairs i < j of atoms of one structure, sorted; `batch` is the structure of every atom, in increasing order.

    Examples
    --------
    >>> all_pairs(torch.tensor([0, 0, 0, 1, 1])).tolist()
    [[0, 1], [0, 2], [1, 2], [3, 4]]
    """
    here = torch.arange(len(batch), device=batch.device)
    partners = torch.searchsorted(batch, batch, right=True) - 1 - here
    first = torch.repeat_interleave(here, partners)
    starts = partners.cumsum(0) - partners
    second = torch.arange(len(first), device=batch.device) - starts.index_select(0, first) + first + 1
    return torch.stack([first, second], dim=1)


class LongRange(nn.Module):
    r"""Energies of the pairs (i, j) at distances r, summed over all pairs of a structure.

    ``coulomb``, in eV with charges in e and a the charge length:

    .. math:: V_{ij} = \frac{e^2}{4\pi\epsilon_0}\,\frac{q_i q_j}{r}\,\mathrm{erf}(r/a)

    the energy of two Gaussian charge clouds. Charges are outputs u of a network, brought to the total charge Q by
    ``mean``, :math:`q_i = u_i - \frac1N(\sum_j u_j - Q)` (PhysNet, arXiv:1902.08408), or by ``neighbors``,
    :math:`q_i = Q/N + \sum_{j \in N(i)} f_c(r_{ij})\,(u_i - u_j)` with the model's cutoff function (our choice): what
    one atom gains its neighbours lose, so molecules beyond each other's cutoff are neutral each; or they stay as they
    are by ``none``, :math:`q_i = u_i`, so that ions keep their charges wherever they are.

    ``dispersion``, with :math:`C_6^{ij} = \sqrt{C_6^i C_6^j}` and :math:`\sqrt{C_6^i}` a softplus of a network's
    output:

    .. math:: V_{ij} = -\frac{C_6^{ij}}{r^6 + R^6} - s_8\,\frac{\gamma\,C_6^{ij}}{r^8 + R^8},
        \qquad R = a_1\sqrt{\gamma} + a_2, \quad \gamma = C_8/C_6

    Becke-Johnson damping as in D3 (Grimme, Ehrlich, Goerigk, J. Comput. Chem. 32, 1456, 2011); that :math:`\gamma` is
    one number for all pairs, and the mean of the two :math:`C_6` a geometric one, is our choice.
    """

    def __init__(self, config: LongRangeConfig, n_features: int, activation: str) -> None:
        super().__init__()
        self.config = config
        network = ReadoutConfig(widths=(n_features, config.width, 1), activation=activation)
        self.charge = AtomNetwork(network) if "coulomb" in config.parts else None
        self.amplitude = AtomNetwork(network) if "dispersion" in config.parts else None

    def charges(self, features: AtomFeatures, graph: AtomGraph, cutoff: nn.Module) -> Float[Tensor, " N"]:
        """Charges in e; `cutoff` is the model's cutoff function.

        Raises
        ------
        ValueError
            If this model has none.
        """
        if self.charge is None:
            raise ValueError(f"long_range {self.config.kind!r} has no charges")
        u, total = self.charge(features.scalars)[:, 0], self.config.total_charge
        if self.config.balance == "none":
            return u
        if self.config.balance == "mean":
            excess = sum_edges(u, graph.batch, graph.n_graphs) - total
            return u - (excess / graph.sizes).index_select(0, graph.batch)
        weights = cutoff(torch.linalg.vector_norm(graph.vectors(), dim=1))
        gained = weights * (u.index_select(0, graph.target) - u.index_select(0, graph.source))
        shares = (total / graph.sizes.to(u.dtype)).index_select(0, graph.batch)
        return shares.index_add(0, graph.target, gained)

    def c6(self, features: AtomFeatures) -> Float[Tensor, " N"]:
        """C6 coefficients in eV Å^6.

        Raises
        ------
        ValueError
            If this model has none.
        """
        return self._amplitudes(features).square()

    def forward(self, features: AtomFeatures, graph: AtomGraph, cutoff: nn.Module) -> PairTerms:
        """Energies of all pairs in eV; `cutoff` is the model's cutoff function."""
        pairs = all_pairs(graph.batch)
        i, j = pairs.unbind(1)
        positions = graph.positions
        distances = torch.linalg.vector_norm(positions.index_select(0, j) - positions.index_select(0, i), dim=1)
        parts, q = [], None
        if self.charge is not None:
            q = self.charges(features, graph, cutoff)
            near = torch.erf(distances / self.config.charge_length) / distances
            parts.append(COULOMB * q.index_select(0, i) * q.index_select(0, j) * near)
        if self.amplitude is not None:
            amplitudes = self._amplitudes(features)
            parts.append(-amplitudes.index_select(0, i) * amplitudes.index_select(0, j) * self._damped(distances))
        return PairTerms(pairs, torch.stack(parts, dim=1), self.config.parts, q)

    def _amplitudes(self, features: AtomFeatures) -> Float[Tensor, " N"]:
        # The root and not C6 itself is learned: combining two then takes no root, whose slope at zero is infinite.
        if self.amplitude is None:
            raise ValueError(f"long_range {self.config.kind!r} has no dispersion coefficients")
        return _AMPLITUDE * functional.softplus(self.amplitude(features.scalars)[:, 0])

    def _damped(self, distances: Float[Tensor, " Q"]) -> Float[Tensor, " Q"]:
        config, radius = self.config, self.config.damping_radius
        of_r6 = 1.0 / (distances**6 + radius**6)
        if config.s8 == 0:
            return of_r6
        return of_r6 + config.s8 * config.c8_ratio / (distances**8 + radius**8)
