"""Files of MACE (``.model`` of mace-torch), opened as plain functions of a structure.

Batatia et al., arXiv:2206.07697. A file holds the whole module, so opening it runs code and needs mace-torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    open_pickle,
    packages_in,
    quietly,
    require_library,
    require_trust,
)
from atomlens.recording import StructureInputs
from atomlens.structures import AtomGraph, InputError

INSTALL = "pip install mace-torch==0.3.16"
WHAT = "MACE model (.model)"


class MaceModel:
    """One head of a MACE, in float64.

    Parameters
    ----------
    module
        A `mace.modules.MACE` or `ScaleShiftMACE`; it is turned to float64, in place.
    head
        Which head of several; by default the only one, or the one named "default", as MACE's own calculator does.
    unit
        Unit of its energies; files do not state it.

    Raises
    ------
    InputError
        If it is another kind of MACE, or the head is not one of its heads.
    """

    def __init__(self, module: nn.Module, *, head: str | None = None, unit: str = "eV") -> None:
        mace = require_library("mace", INSTALL)
        kinds = require_library("mace.modules", INSTALL)
        if type(module) not in (kinds.MACE, kinds.ScaleShiftMACE):
            raise InputError(f"{type(module).__name__} is not explained; MACE and ScaleShiftMACE are")
        self.module: Any = module
        if hasattr(module, "joint_embedding"):
            further = ", ".join(self.module.embedding_specs)
            raise InputError(f"it reads {further} besides atoms, which is not explained")
        if unit not in ENERGY_UNITS:
            raise InputError(f"unit {unit!r}: give one of {', '.join(ENERGY_UNITS)}")
        self.module.double().eval().requires_grad_(False)
        self.library = f"mace-torch {mace.__version__}"
        self.property, self.unit, self.dtype, self.positions = "energy", unit, torch.float64, "positions"
        self.cutoff = float(self.module.r_max)
        self.elements = tuple(int(z) for z in self.module.atomic_numbers)
        self.layers = int(self.module.num_interactions)
        self.heads = tuple(getattr(self.module, "heads", None) or ("Default",))
        self.head = self._choose(head)
        table = torch.atleast_2d(self.module.atomic_energies_fn.atomic_energies)[self.heads.index(self.head)]
        self.references: Mapping[int, float] = dict(zip(self.elements, table.tolist(), strict=True))

    @property
    def embedding(self) -> Sequence[nn.Module]:
        """The linear map from one-hot elements to scalar features."""
        return [self.module.node_embedding]

    def inputs(self, atoms: ase.Atoms) -> StructureInputs:
        """Graph of a structure, as the library wants it."""
        return self.inputs_of(checked_graph(self, atoms))

    def inputs_of(self, graph: AtomGraph) -> StructureInputs:
        """MACE's edges run from sender to receiver; its shifts move the receiver."""
        kinds = torch.tensor([self.elements.index(z) for z in graph.numbers.tolist()])
        tensors = {
            "positions": graph.positions,
            "node_attrs": nn.functional.one_hot(kinds, len(self.elements)).to(self.dtype),
            "edge_index": torch.stack([graph.source, graph.target]),
            "shifts": -graph.offsets,
            "cell": graph.cells[0],
            "batch": torch.zeros_like(graph.batch),
            "ptr": torch.tensor([0, graph.n_atoms]),
            "head": torch.tensor([self.heads.index(self.head)]),
        }
        return StructureInputs(tensors, graph.n_atoms, graph.source, graph.target, graph.offsets)

    def energy(self, tensors: Mapping[str, Tensor]) -> Float[Tensor, ""]:
        """Energies of lone atoms, ZBL and messages, all together."""
        # The module asks its positions for gradients, in place: it gets an alias.
        data = {**tensors, "positions": tensors["positions"].view(-1, 3)}
        return self.module(data, compute_force=False)["energy"][0]

    def atom_energies(self, tensors: Mapping[str, Tensor]) -> Float[Tensor, " N"]:
        """The same energy, atom by atom."""
        data = {**tensors, "positions": tensors["positions"].view(-1, 3)}
        return self.module(data, compute_force=False)["node_energy"]

    def calculator(self) -> Calculator:
        """MACE's own ASE calculator on this module."""
        calculators = require_library("mace.calculators", INSTALL)
        with quietly():
            return calculators.MACECalculator(
                models=[self.module],
                device="cpu",
                default_dtype="float64",
                head=self.head,
                energy_units_to_eV=1.0,
            )

    def _choose(self, head: str | None) -> str:
        if head in self.heads:
            return head
        default = [name for name in self.heads if name.lower() == "default"]
        if head is None and (len(self.heads) == 1 or default):
            return self.heads[0] if len(self.heads) == 1 else default[0]
        asked = "which is wanted is not said" if head is None else f"{head!r} is none of them"
        raise InputError(f"the model has heads {', '.join(self.heads)}; {asked}: name one (head=...)")


def recognises_mace(path: Path) -> bool:
    """Whether a file names MACE's modules; nothing is executed."""
    return "mace" in packages_in(path)


def load_mace(path: str | Path, *, trust: bool = False, head: str | None = None, unit: str = "eV") -> MaceModel:
    """Open a ``.model`` file of mace-torch, of this or an earlier version, and compare it with MACE's own calculator.

    Parameters
    ----------
    path
        The file that `mace_run_train` writes (not the ``_compiled.model`` beside it).
    trust
        That you know where the file comes from: opening it runs code that it holds.
    head, unit
        See `MaceModel`.

    Raises
    ------
    InputError
        If the file is not trusted, not readable, not an energy model, or does not agree with MACE's own calculator.
    """
    path = Path(path)
    require_trust(path, trust, WHAT)
    require_library("mace.calculators", INSTALL)
    module = open_pickle(path)
    if isinstance(module, torch.jit.ScriptModule):
        raise InputError(f"{path}: compiled, so its parts cannot be seen; give the .model file it was compiled from")
    if not isinstance(module, nn.Module):
        raise InputError(f"{path}: holds a {type(module).__name__}, not a {WHAT}; checkpoints are not enough")
    try:
        model = MaceModel(module, head=head, unit=unit)
        check_against_library(model)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return model
