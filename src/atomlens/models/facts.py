"""What every model says about itself, whatever program it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# How architectures are written on pages; others appear as they call themselves.
_WRITTEN = {
    "painn": "PaiNN",
    "schnet": "SchNet",
    "so3net": "SO3net",
    "mace": "MACE",
    "sevenn": "SevenNet",
    "nequip": "NequIP",
}


@dataclass(frozen=True)
class ModelFacts:
    """A model in a few words; all that commands, analyses and pages ask of it besides its numbers.

    Attributes
    ----------
    architecture
        Short name ("schnet", "painn", "mace", ...).
    quantity, unit
        What it predicts, in the model's own unit.
    extensive, has_forces
        Whether the prediction is a sum over atoms, and whether it is an energy with forces.
    cutoff
        Range of one message in Å; infinite where nothing is known of it.
    n_layers
        Number of message-passing layers; None where the model does not say.
    n_features
        Channels per atom; None where the model does not say.
    elements
        Atomic numbers it was trained on; None if it does not say.
    readout
        How atoms become one number: "sum", "avg", "softmax", "dipole" or "polarizability".
    long_range
        Energies of pairs beyond the messages: "coulomb", "dispersion", "both" or "none".
    has_products
        Whether signals are multiplied with each other, so that product rules differ.
    has_walks
        Whether messages carry their source's state alone, so that walks exist.
    has_terms
        Whether its prediction can be taken apart; not that of an ASE calculator, of which energy and forces are all.
    card
        How it was made and how wrong it is, where that is known.
    """

    architecture: str
    quantity: str = "energy"
    unit: str = "eV"
    extensive: bool = True
    has_forces: bool = True
    cutoff: float = 5.0
    n_layers: int | None = None
    n_features: int | None = None
    elements: tuple[int, ...] | None = None
    readout: str = "sum"
    long_range: str = "none"
    has_products: bool = True
    has_walks: bool = True
    has_terms: bool = True
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The architecture as it is written in a sentence."""
        return written(self.architecture)

    @property
    def sees(self) -> float | None:
        """Distance in Å over which atoms can influence each other through messages: layers times cutoff."""
        return None if self.n_layers is None else self.n_layers * self.cutoff


def written(architecture: str) -> str:
    """An architecture's short name as it is written in a sentence.

    >>> written("painn"), written("my-own")
    ('PaiNN', 'my-own')
    """
    return _WRITTEN.get(architecture, architecture)
