"""Packages of NequIP (``.nequip.zip`` of ``nequip-package``), opened as plain functions of a structure.

Batzner et al., arXiv:2101.03164. A package carries the code of its model, so opening it runs code and needs nequip.
Its classes are the package's own, not those of the installed library: parts are found by the names they have there.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ase
import torch
from ase.calculators.calculator import Calculator
from ase.data import atomic_numbers
from jaxtyping import Float
from torch import Tensor, nn

from atomlens.models import ENERGY_UNITS
from atomlens.potentials.foreign import (
    check_against_library,
    checked_graph,
    lattice_steps,
    quietly,
    require_library,
    require_trust,
)
from atomlens.recording import StructureInputs
from atomlens.structures import AtomGraph, InputError

INSTALL = "pip install nequip==0.19.0"
WHAT = "NequIP package (.nequip.zip)"
_LAYER = "ConvNetLayer"


class _Features(nn.Module):
    """The features that start, apart from the attributes that stay: NequIP uses one tensor for both."""

    def forward(self, features: Tensor) -> Tensor:
        return features.clone()


class _Embedding(nn.Module):
    """NequIP's embedding of elements with a place where features begin."""

    def __init__(self, embed: nn.Module) -> None:
        super().__init__()
        self.embed, self.features = embed, _Features()

    def forward(self, data: dict[str, Tensor]) -> dict[str, Tensor]:
        data = self.embed(data)
        return {**data, "node_features": self.features(data["node_features"])}


class NequipModel:
    """A NequIP, in float64.

    Parameters
    ----------
    module
        The `GraphModel` of a package or of the library; it is changed in place.
    unit
        Unit of its energies; files do not state it.

    Raises
    ------
    InputError
        If it is another model of that framework (Allegro), or its types are no elements.
    """

    def __init__(self, module: nn.Module, *, unit: str = "eV") -> None:
        library = require_library("nequip", INSTALL)
        if unit not in ENERGY_UNITS:
            raise InputError(f"unit {unit!r}: give one of {', '.join(ENERGY_UNITS)}")
        self.module: Any = module.eval().requires_grad_(False)
        self.network = self._network()
        self._to_float64()
        self.library = f"nequip {library.__version__}"
        self.property, self.unit, self.dtype, self.positions = "energy", unit, torch.float64, "pos"
        self.cutoff = float(self.module.metadata["r_max"])
        self.types = tuple(self.module.metadata["type_names"].split(" "))
        unknown = [name for name in self.types if name not in atomic_numbers]
        if unknown:
            raise InputError(f"its types {', '.join(unknown)} are no chemical symbols")
        self.elements = tuple(atomic_numbers[name] for name in self.types)
        self.layers = sum(type(part).__name__ == _LAYER for part in self.network.children())
        shifts = getattr(self.network.per_type_energy_scale_shift, "shifts", torch.zeros(()))
        table = shifts.flatten().expand(len(self.types)) if shifts.numel() else torch.zeros(len(self.types))
        self.references: Mapping[int, float] = dict(zip(self.elements, table.tolist(), strict=True))

    @property
    def embedding(self) -> Sequence[nn.Module]:
        """Where features part from attributes."""
        return [self.network.type_embed.features]

    def inputs(self, atoms: ase.Atoms) -> StructureInputs:
        """Graph of a structure, as the library wants it."""
        return self.inputs_of(checked_graph(self, atoms))

    def inputs_of(self, graph: AtomGraph) -> StructureInputs:
        """NequIP's edges name the receiver first; its shifts move the sender, in units of the cell."""
        tensors = {
            "pos": graph.positions,
            "atom_types": torch.tensor([self.elements.index(z) for z in graph.numbers.tolist()]),
            "edge_index": torch.stack([graph.target, graph.source]),
            "edge_cell_shift": lattice_steps(graph),
            "cell": graph.cells,
        }
        return StructureInputs(tensors, graph.n_atoms, graph.source, graph.target, graph.offsets)

    def energy(self, tensors: Mapping[str, Tensor]) -> Float[Tensor, ""]:
        """Shifts per element, pair potentials and messages, all together."""
        return self.network(dict(tensors))["total_energy"].reshape(())

    def atom_energies(self, tensors: Mapping[str, Tensor]) -> Float[Tensor, " N"]:
        """The same energy, atom by atom."""
        return self.network(dict(tensors))["atomic_energy"].reshape(-1)

    def calculator(self) -> Calculator:
        """NequIP's own ASE calculator on this module."""
        ours = require_library("nequip.integrations.ase", INSTALL)
        transforms = require_library("nequip.integrations.utils", INSTALL).basic_transforms
        with quietly():
            symbols = {name: name for name in self.types}
            steps = transforms(self.module.metadata, self.cutoff, list(self.types), symbols)
            return ours.NequIPCalculator(self.module, "cpu", transforms=steps)

    def _network(self) -> Any:
        """The network under the part that differentiates it; its embedding gets a place where features begin."""
        network = getattr(getattr(self.module, "model", None), "func", None)
        names = [type(part).__name__ for part in network.children()] if isinstance(network, nn.Module) else []
        if not isinstance(network, nn.Module) or _LAYER not in names or not hasattr(network, "type_embed"):
            parts = ", ".join(dict.fromkeys(names)) or type(self.module).__name__
            raise InputError(f"it is no NequIP (its parts: {parts}); other models of that framework are not explained")
        if not isinstance(network.type_embed, _Embedding):
            parts: Any = network
            parts.type_embed = _Embedding(parts.type_embed)
        return network

    def _to_float64(self) -> None:
        """Weights to float64, and the types to which the modules turn what passes through them."""
        self.module.double()
        for part in self.module.modules():
            for name in ("_output_dtype", "model_dtype"):
                if hasattr(part, name):
                    setattr(part, name, torch.float64)


def recognises_nequip(path: Path) -> bool:
    """Whether a file is a package of ``nequip-package``; nothing is executed."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("model/package_metadata.txt") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def load_nequip(path: str | Path, *, trust: bool = False, unit: str = "eV") -> NequipModel:
    """Open a package of NequIP and compare it with NequIP's own calculator.

    Parameters
    ----------
    path
        A file of ``nequip-package build``; its name ends in ``.nequip.zip``, as NequIP asks.
    trust
        That you know where the file comes from: opening it runs code that it holds.
    unit
        See `NequipModel`.

    Raises
    ------
    InputError
        If the file is not trusted, no such package, or does not agree with NequIP's own calculator.
    """
    path = Path(path)
    require_trust(path, trust, WHAT)
    if not recognises_nequip(path):
        raise InputError(f"{path}: not a {WHAT}; make one with nequip-package build CHECKPOINT NAME.nequip.zip")
    saved = require_library("nequip.model.saved_models.load_utils", INSTALL)
    try:
        with quietly():
            module = saved.load_saved_model(str(path))
    except (RuntimeError, ValueError, AssertionError, KeyError, ImportError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: nequip cannot open it ({reason})") from error
    try:
        model = NequipModel(module, unit=unit)
        check_against_library(model)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return model
