"""Where a law may be asked for: inside what the model was trained on, and can see."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.spatial.distance import pdist

from atomlens.analyses.material import Material
from atomlens.analyses.pair_scores import is_energy

# Fits start where bonds no longer hold a pair at its distance, and end before the cutoff bends every curve to zero.
NEAREST = 2.5
CUTOFF_ZONE = 0.5


@dataclass(frozen=True)
class Range:
    """Distances in Å, and what the model predicts.

    Attributes
    ----------
    quantity, unit, is_energy
        What the model predicts, and whether the laws of interaction energies speak of it.
    cutoff
        Of a direct edge: no pair term and no term of two molecules reaches further.
    sees
        Cutoff times number of layers: no walk reaches further.
    trained
        Largest distance between atoms of one training structure, as far as known.
    trained_source
        Where that is known from.
    low, high
        The fitted range of pair distances.
    formulas
        How many compositions there are among the structures.
    """

    quantity: str
    unit: str
    is_energy: bool
    cutoff: float
    sees: float
    trained: float
    trained_source: str
    low: float
    high: float
    formulas: int

    def __str__(self) -> str:
        return f"{self.low:.3g} to {self.high:.3g} Å"


def find_range(material: Material, trained: float | None = None) -> Range:
    """The range of a model; `trained` in Å if known, else the largest distance in the material's structures."""
    cutoff, source = material.model.cutoff, "given"
    sees = cutoff * material.model.config.representation.n_layers
    if trained is None:
        open_ones = [atoms for atoms in material.structures if len(atoms) > 1 and not atoms.pbc.any()]
        trained = max((float(pdist(atoms.positions).max()) for atoms in open_ones), default=0.0)
        source = "largest distance in the structures"
        if any(atoms.pbc.any() for atoms in material.structures):
            trained, source = sees, "periodic structures, whose distances have no end"
    return Range(
        quantity=material.property,
        unit=material.unit,
        is_energy=is_energy(material),
        cutoff=cutoff,
        sees=sees,
        trained=trained,
        trained_source=source,
        low=NEAREST,
        high=min(trained, cutoff - CUTOFF_ZONE),
        formulas=material.tables["frames"]["formula"].n_unique(),
    )
