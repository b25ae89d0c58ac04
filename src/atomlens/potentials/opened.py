"""A model of another library behind the door that our own models have: facts, predictions, what a recording needs."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ase
import numpy as np
import torch
from ase.calculators.calculator import Calculator
from ase.data import chemical_symbols
from jaxtyping import Float
from torch import Tensor

from atomlens.models import ModelFacts, Potential, Prediction, to_internal
from atomlens.potentials.foreign import ForeignModel, energies_and_forces, energy_and_forces
from atomlens.structures import AtomGraph, InputError, build_graph, need_structure


@dataclass(frozen=True)
class Origin:
    """How a model of another library was opened, so that another process can open it in the same way.

    Attributes
    ----------
    name
        What `load_model` takes: the path of a file, or a model that ships with its library.
    energy_unit, trust
        As for `load_model`.
    shuffled
        Seed by which its weights were shuffled, for an untrained twin; None for the model itself.
    """

    name: str
    energy_unit: str | None = None
    trust: bool = False
    shuffled: int | None = None

    def digest(self) -> str:
        """Hash of the file, or of the name where the weights ship with a library, and of the seed."""
        path = Path(self.name)
        what = path.read_bytes() if path.is_file() else self.name.encode()
        return hashlib.sha256(what + f"{self.energy_unit} {self.shuffled}".encode()).hexdigest()


class OpenedModel:
    """A potential of another library, opened in float64.

    It is explained by recording it (`atomlens.recording`), while SchNet and PaiNN have closed forms; everything after
    that is the same.

    Parameters
    ----------
    model
        The adapter's model.
    architecture
        Its name in the registry.
    origin
        What the user named, and how it was opened.
    card
        More that is known of it, for pages and summaries.
    """

    def __init__(
        self, model: ForeignModel, architecture: str, origin: Origin, card: Mapping[str, Any] | None = None
    ) -> None:
        self.recorded = model
        self.origin = origin
        self._facts = ModelFacts(
            architecture=architecture,
            quantity=model.property,
            unit=model.unit,
            cutoff=model.cutoff,
            n_layers=model.layers,
            elements=tuple(model.elements) or None,
            card={"library": model.library, **(card or {})},
        )

    @property
    def facts(self) -> ModelFacts:
        """The model in a few words."""
        return self._facts

    @property
    def cutoff(self) -> float:
        """Range of one message in Å."""
        return self.recorded.cutoff

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights: float64."""
        return self.recorded.dtype

    def check_elements(self, atoms: ase.Atoms) -> None:
        """Raise `InputError` if the structure has elements that the model does not know."""
        known = self.facts.elements
        unseen = sorted(set(atoms.numbers.tolist()) - set(known)) if known else []
        if known and unseen:
            raise InputError(
                f"the structure has {', '.join(chemical_symbols[z] for z in unseen)}, which this model never saw; "
                f"it was trained on {', '.join(chemical_symbols[z] for z in known)}"
            )

    @property
    def device(self) -> torch.device:
        """Where the model computes: the adapters build their inputs on the CPU."""
        return torch.device("cpu")

    def check_open(self, periodic: bool) -> None:
        """Nothing to check: these models see periodic structures as well as open ones."""

    def graph(self, atoms: ase.Atoms) -> AtomGraph:
        """Graph of a structure for this model.

        Raises
        ------
        InputError
            If the structure is unusable, or has elements that the model does not know.
        """
        self.check_elements(atoms)
        return build_graph(atoms, self.cutoff, dtype=self.dtype)

    def energy_and_forces(self, graph: AtomGraph) -> tuple[Float[Tensor, " G"], Float[Tensor, "N 3"]]:
        """Energies and forces of structures that share one cell or have none, in the model's unit (per Å)."""
        return energies_and_forces(self.recorded, graph)

    def predict(self, atoms: ase.Atoms) -> Prediction:
        """Energy and forces of one structure.

        Raises
        ------
        InputError
            If the structure is unusable, or has elements that the model does not know.
        """
        need_structure(atoms, "predict")
        self.check_elements(atoms)
        energy, forces = energy_and_forces(self.recorded, atoms)
        factor, unit = to_internal(self.facts.unit)
        return Prediction(self.facts.quantity, np.asarray(energy * factor), unit, forces * factor)

    def calculator(self) -> Calculator:
        """The library's own ASE calculator."""
        return self.recorded.calculator()

    def untrained(self, seed: int = 0) -> OpenedModel:
        """A twin whose weights are shuffled within each tensor: what the shape of the model alone gives.

        Shuffling keeps the size of the weights, and needs no knowledge of how the library draws them.
        """
        twin = copy.copy(self)
        twin.recorded = copy.deepcopy(self.recorded)
        twin.origin = replace(self.origin, shuffled=seed)
        module = getattr(twin.recorded, "module", None)
        if not isinstance(module, torch.nn.Module):
            raise InputError(f"a {self.facts.name} keeps no module whose weights could be shuffled")
        draw = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weights in module.parameters():
                order = torch.randperm(weights.numel(), generator=draw)
                weights.copy_(weights.flatten()[order].reshape(weights.shape))
        return twin

    def __repr__(self) -> str:
        return f"OpenedModel({self.origin.name}, {self.facts.name}, {self.recorded.library})"


AnyModel = Potential | OpenedModel
