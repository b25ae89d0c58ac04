"""Files of graph-pes (``model.pt``), opened as plain functions of a structure: SchNet, PaiNN, TensorNet and Orb.

graph-pes (github.com/jla-gardner/graph-pes). A file holds the whole module, so opening it runs code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ase
import torch
from ase.calculators.calculator import Calculator
from jaxtyping import Float
from torch import Tensor, nn

from atomlens.models import ENERGY_UNITS
from atomlens.potentials.foreign import (
    check_against_library,
    checked_graph,
    float64_default,
    lattice_steps,
    open_pickle,
    packages_in,
    quietly,
    require_library,
    require_trust,
)
from atomlens.recording import StructureInputs
from atomlens.structures import AtomGraph, InputError

INSTALL = "pip install graph-pes==1.0"
WHAT = "graph-pes model (model.pt)"

# Where the first features of an atom are made, by architecture.
_STARTS: Mapping[str, Callable[[Any], nn.Module]] = {
    "SchNet": lambda model: model.chemical_embedding,
    "PaiNN": lambda model: model.z_embedding,
    "TensorNet": lambda model: model.embedding.edge_embedding.z_embedding,
    "Orb": lambda model: model._encoder.Z_layer_norm,
}
_LAYERS: Mapping[str, Callable[[Any], int]] = {
    "SchNet": lambda model: len(model.interactions),
    "PaiNN": lambda model: len(model.interactions),
    "TensorNet": lambda model: len(model.interactions) + 1,  # its embedding is a round of messages too
    "Orb": lambda model: len(model._gnn_layers),
}
_FLOAT32_ONLY = {"MACE", "NequIP", "ZEmbeddingMACE", "ZEmbeddingNequIP"}


class GraphPesModel:
    """A network of graph-pes, alone or with energies of lone atoms added, in float64.

    Parameters
    ----------
    module
        A `GraphPESModel`; it is turned to float64, in place.
    unit
        Unit of its energies; files do not state it.

    Raises
    ------
    InputError
        If the architecture is not explained, or its forces are no gradient of its energy.
    """

    def __init__(self, module: nn.Module, *, unit: str = "eV") -> None:
        self._library = require_library("graph_pes", INSTALL)
        self._models = require_library("graph_pes.models", INSTALL)
        if unit not in ENERGY_UNITS:
            raise InputError(f"unit {unit!r}: give one of {', '.join(ENERGY_UNITS)}")
        self.module: Any = module.double().eval().requires_grad_(False)
        self.parts: list[Any] = self._parts_of(self.module)
        self.network, self.kind = self._network()
        self.library = f"graph-pes {self._library.__version__}"
        self.property, self.unit, self.dtype, self.positions = "energy", unit, torch.float64, "R"
        self.cutoff = float(self.network.cutoff)
        # Every element has a row; those that a training saw are remembered by the embedding.
        self.elements = tuple(sorted(self._scales()._accessed_Zs))
        self.layers = _LAYERS[self.kind](self.network)
        self.references: Mapping[int, float] = self._references()

    @property
    def embedding(self) -> Sequence[nn.Module]:
        """What gives every atom its first features."""
        return [_STARTS[self.kind](self.network)]

    def inputs(self, atoms: ase.Atoms) -> StructureInputs:
        """Graph of a structure, as the library wants it."""
        return self.inputs_of(checked_graph(self, atoms))

    def inputs_of(self, graph: AtomGraph) -> StructureInputs:
        """Edges of graph-pes name the receiver first; its offsets move the sender, in units of the cell."""
        tensors = {
            "Z": graph.numbers,
            "R": graph.positions,
            "cell": graph.cells[0],
            "neighbour_list": torch.stack([graph.target, graph.source]),
            "neighbour_cell_offsets": lattice_steps(graph),
        }
        return StructureInputs(tensors, graph.n_atoms, graph.source, graph.target, graph.offsets)

    def energy(self, tensors: Mapping[str, Tensor]) -> Float[Tensor, ""]:
        """Sum of local energies of all parts."""
        return torch.stack([energies.sum() for energies in self._local_energies(tensors)]).sum()

    def atom_energies(self, tensors: Mapping[str, Tensor]) -> Float[Tensor, " N"]:
        """The same energy, atom by atom."""
        return torch.stack([energies.reshape(-1) for energies in self._local_energies(tensors)]).sum(0)

    def _local_energies(self, tensors: Mapping[str, Tensor]) -> list[Tensor]:
        with float64_default():  # graph-pes makes constants of the default type
            graph = self._library.AtomicGraph(**tensors, properties={}, other={}, cutoff=self.cutoff)
            return [part(graph)["local_energies"] for part in self.parts]

    def calculator(self) -> Calculator:
        """The ASE calculator of graph-pes on this module."""
        calculators = require_library("graph_pes.utils.calculator", INSTALL)
        with quietly():
            return calculators.GraphPESCalculator(self.module, skin=0.0)

    def _parts_of(self, module: Any) -> list[Any]:
        if not isinstance(module, self._models.AdditionModel):
            return [module]
        return [inner for part in module.models.values() for inner in self._parts_of(part)]

    def _network(self) -> tuple[Any, str]:
        """The one network among the parts; what stands beside it must be energies of lone atoms."""
        offsets = self._models.FixedOffset.__mro__[1]  # EnergyOffset, which the library does not export
        rest = [part for part in self.parts if not isinstance(part, offsets)]
        names = [type(part).__name__ for part in rest]
        if any(name in _FLOAT32_ONLY for name in names):
            raise InputError(
                f"{' + '.join(names)} of graph-pes does not run in float64, which exact explanations need; "
                "train it with mace-torch or nequip itself"
            )
        if len(rest) != 1 or type(rest[0]) is not getattr(self._models, names[0], None) or names[0] not in _STARTS:
            raise InputError(f"{' + '.join(names) or 'nothing'} is not explained; one of {', '.join(_STARTS)} is")
        network: Any = rest[0]
        if "forces" in network.implemented_properties:
            raise InputError(f"{names[0]} predicts forces apart from its energy, which is what terms explain")
        if getattr(network, "max_neighbours", None) is not None:
            raise InputError(f"{names[0]} keeps {network.max_neighbours} neighbours per atom; only all are explained")
        return network, names[0]

    def _scales(self) -> Any:
        """The scale of local energies, one row per atomic number."""
        return self.network.scaler.per_element_scaling

    def _references(self) -> dict[int, float]:
        offsets = [part._offsets for part in self.parts if part is not self.network]
        return {z: float(sum(table[z].sum() for table in offsets)) for z in self.elements}


def recognises_graphpes(path: Path) -> bool:
    """Whether a file names graph-pes's modules; nothing is executed."""
    return "graph_pes" in packages_in(path)


def load_graphpes(path: str | Path, *, trust: bool = False, unit: str = "eV") -> GraphPesModel:
    """Open a ``model.pt`` of graph-pes and compare it with its own calculator.

    Parameters
    ----------
    path
        The file that ``graph-pes-train`` writes (not the ``lammps_model.pt`` beside it).
    trust
        That you know where the file comes from: opening it runs code that it holds.
    unit
        See `GraphPesModel`.

    Raises
    ------
    InputError
        If the file is not trusted, not readable, not explained, or does not agree with graph-pes's own calculator.
    """
    path = Path(path)
    require_trust(path, trust, WHAT)
    base = require_library("graph_pes", INSTALL).GraphPESModel
    module = open_pickle(path)
    if isinstance(module, torch.jit.ScriptModule):
        raise InputError(f"{path}: compiled, so its parts cannot be seen; give the model.pt of the same training")
    if not isinstance(module, base):
        raise InputError(f"{path}: holds a {type(module).__name__}, not a {WHAT}")
    try:
        model = GraphPesModel(module, unit=unit)
        check_against_library(model)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return model
