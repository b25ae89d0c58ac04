"""Where a law may be asked for: inside what the model was trained on, and can see."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.spatial.distance import pdist

from atomlens.analyses.inputs import AnalysisInputs
from atomlens.analyses.pair_scores import is_energy
from atomlens.structures import InputError

# Fits start where bonds no longer hold a pair at its distance, and end before the cutoff bends every curve to zero.
NEAREST = 2.5
CUTOFF_ZONE = 0.5
# Two molecules are pulled this far beyond the cutoff, and those of a model without one to this distance at most, in Å.
_REACH, _FARTHEST = 1.0, 10.0


@dataclass(frozen=True)
class DecayRange:
    """Distances in Å, and what the model predicts.

    Attributes
    ----------
    quantity, unit, is_energy
        What the model predicts, and whether the laws of interaction energies speak of it.
    cutoff
        Of a direct edge: no pair term and no term of two molecules reaches further, unless `long_range`.
    long_range
        Whether the model has energies of all pairs, which no cutoff ends.
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
    has_terms
        Whether the model has terms; of an ASE calculator, couplings and energies are judged.
    fixed
        Whether the range was given, so that models can be compared, and is not the widest that this model allows.
    """

    quantity: str
    unit: str
    is_energy: bool
    cutoff: float
    long_range: bool
    sees: float
    trained: float
    trained_source: str
    low: float
    high: float
    formulas: int
    fixed: bool = False
    has_terms: bool = True

    @property
    def scanned(self) -> float:
        """Nearest atoms of two molecules are pulled apart to this distance in Å."""
        if not math.isfinite(self.cutoff):
            return _FARTHEST
        return max(self.cutoff + _REACH, min(self.high, _FARTHEST)) if self.long_range else self.cutoff + _REACH

    @property
    def tail_end(self) -> float:
        """Where the tail of two molecules ends in Å: what the cutoff bends is not part of it."""
        if self.fixed:
            return self.high
        return self.scanned if self.long_range else self.cutoff - CUTOFF_ZONE

    @property
    def is_blind(self) -> bool:
        """Whether the cutoff leaves no distance to judge, whatever the structures."""
        return not self.long_range and self.cutoff - CUTOFF_ZONE <= self.low

    def __str__(self) -> str:
        return f"{self.low:.3g} to {self.high:.3g} Å"


def find_range(inputs: AnalysisInputs, trained: float | None = None) -> DecayRange:
    """The range of a model; `trained` in Å if known, else the largest distance in the inputs' structures."""
    facts, source = inputs.model.facts, "given"
    cutoff, long_range = facts.cutoff, facts.long_range != "none"
    sees = facts.sees or cutoff  # the cutoff at least, where a model does not say how many layers it has
    if trained is None:
        open_ones = [atoms for atoms in inputs.structures if len(atoms) > 1 and not atoms.pbc.any()]
        trained = max((float(pdist(atoms.positions).max()) for atoms in open_ones), default=0.0)
        source = "largest distance in the structures"
        if any(atoms.pbc.any() for atoms in inputs.structures):
            trained = sees if math.isfinite(sees) else _FARTHEST
            source = "periodic structures, whose distances have no end"
    widest = trained if long_range else min(trained, cutoff - CUTOFF_ZONE)
    low, high = inputs.settings.distances or (NEAREST, widest)
    if not long_range and high > cutoff - CUTOFF_ZONE and inputs.settings.distances:
        raise InputError(
            f"distances {low:g} to {high:g} Å: the cutoff of {cutoff:g} Å bends all terms from "
            f"{cutoff - CUTOFF_ZONE:g} Å on; end the range there or earlier"
        )
    return DecayRange(
        quantity=inputs.property,
        unit=inputs.unit,
        is_energy=is_energy(inputs),
        cutoff=cutoff,
        long_range=long_range,
        sees=sees,
        trained=trained,
        trained_source=source,
        low=low,
        high=high,
        formulas=inputs.tables["frames"]["formula"].n_unique(),
        fixed=inputs.settings.distances is not None,
        has_terms=facts.has_terms,
    )
