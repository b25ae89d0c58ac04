"""SevenNet: checkpoints of sevenn and the pretrained models that ship inside it, as plain functions of a structure.

Park et al., J. Chem. Theory Comput. 20, 4857 (2024), arXiv:2402.03789. A checkpoint is a pickle, so opening one runs
code; what lies inside the installed package is trusted as that package is.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ase
import torch
from ase.calculators.calculator import Calculator
from jaxtyping import Float
from torch import Tensor, nn

from atomlens.potentials.foreign import (
    check_against_library,
    checked_graph,
    float64_default,
    packages_in,
    quietly,
    require_library,
    require_trust,
)
from atomlens.recording import StructureInputs
from atomlens.structures import AtomGraph, InputError

INSTALL = "pip install sevenn==0.13.0"
WHAT = "SevenNet checkpoint (.pth)"
# Names of the models that ship inside the package, and where they lie in it.
SHIPPED = {
    "7net-0": "SevenNet_0__11Jul2024/checkpoint_sevennet_0.pth",
    "7net-0_22may2024": "SevenNet_0__22May2024/checkpoint_sevennet_0.pth",
    "7net-l3i5": "SevenNet_l3i5/checkpoint_l3i5.pth",
}
TRAINED_ON = "relaxations of inorganic crystals, Materials Project (MPtrj; PBE and PBE+U); arXiv:2402.03789"


class SevenNetModel:
    """A SevenNet of one fidelity, in float64.

    Parameters
    ----------
    module
        `sevenn.nn.sequential.AtomGraphSequential`, eager, with e3nn's own tensor products; it is turned to float64, in
        place, and loses its module of forces.
    cutoff
        Å.

    Raises
    ------
    InputError
        If it is a model of several fidelities, or lacks its table of elements.
    """

    def __init__(self, module: nn.Module, cutoff: float) -> None:
        sevenn = require_library("sevenn", INSTALL)
        self.module: Any = module
        if self.module.modal_map:
            raise InputError(
                f"the model has several fidelities ({', '.join(self.module.modal_map)}); SevenNets of one are explained"
            )
        if not self.module.type_map:
            raise InputError("the model has no table of elements; open the checkpoint that training wrote")
        self.module.double().eval().requires_grad_(False)
        for name in ("edge_embedding", "onehot_idx_to_onehot"):
            self.module.replace_module(name, _InFloat64(getattr(self.module, name)))
        self.module.set_is_batch_data(False)
        self.library = f"sevenn {sevenn.__version__}"
        self.property, self.unit, self.dtype, self.positions = "energy", "eV", torch.float64, "positions"
        self.cutoff = float(cutoff)
        self.elements = tuple(sorted(int(z) for z in self.module.type_map))
        self.layers = sum(name.endswith("_convolution") for name, _ in self.module.named_children())
        shift = self.module.rescale_atomic_energy.shift.detach().double().reshape(-1)
        kinds = self.module.type_map
        self.references: Mapping[int, float] = {
            z: float(shift[kinds[z]] if len(shift) > 1 else shift[0]) for z in self.elements
        }
        self.steps = [(name, step) for name, step in self.module.named_children() if name != "force_output"]

    @property
    def embedding(self) -> Sequence[nn.Module]:
        """The linear map from one-hot elements to features, inside its wrapper."""
        return [self.module.onehot_to_feature_x.linear]

    def inputs(self, atoms: ase.Atoms) -> StructureInputs:
        """Graph of a structure, as the library wants it."""
        return self.inputs_of(checked_graph(self, atoms))

    def inputs_of(self, graph: AtomGraph) -> StructureInputs:
        """SevenNet's edges name the receiver first; vectors run from it to the sender."""
        kinds = torch.tensor([self.module.type_map[z] for z in graph.numbers.tolist()])
        tensors = {
            "positions": graph.positions,
            "x": kinds,
            "edge_index": torch.stack([graph.target, graph.source]),
            "offsets": graph.offsets,
        }
        return StructureInputs(tensors, graph.n_atoms, graph.source, graph.target, graph.offsets)

    def energy(self, tensors: Mapping[str, Tensor]) -> Float[Tensor, ""]:
        """Energies of all atoms, scale and shift included."""
        return self._run(tensors)["inferred_total_energy"].reshape(())

    def atom_energies(self, tensors: Mapping[str, Tensor]) -> Float[Tensor, " N"]:
        """The same energy, atom by atom."""
        return self._run(tensors)["atomic_energy"].reshape(-1)

    def _run(self, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
        target, source = tensors["edge_index"]
        positions = tensors["positions"]
        data: dict[str, Any] = {
            "x": tensors["x"],
            "edge_index": tensors["edge_index"],
            "edge_vec": positions[source] - positions[target] + tensors["offsets"],
            "num_atoms": torch.tensor(len(positions)),
        }
        for _, step in self.steps:
            data = step(data)
        return data

    def calculator(self) -> Calculator:
        """SevenNet's own ASE calculator on this module, its forces included; its graph is not rounded to float32."""
        calculators = require_library("sevenn.calculator", INSTALL)
        loading = require_library("sevenn.train.dataload", INSTALL)
        correct = require_library("sevenn.util", INSTALL).dtype_correct

        class Exact(calculators.SevenNetCalculator):
            def calculate(
                self, atoms: Any = None, properties: Any = None, system_changes: Any = ("positions",)
            ) -> None:
                Calculator.calculate(self, atoms, properties, system_changes)
                graph = loading.unlabeled_atoms_to_graph(self.atoms, self.cutoff)
                data = calculators.AtomGraphData(**{k: correct(v, torch.float64) for k, v in graph.items()})
                self.results = self.output_to_results(self.model(data))

        with quietly():
            return Exact(self.module, file_type="model_instance", device="cpu")


class _InFloat64(nn.Module):
    """A step with float64 reals before and after: sevenn makes graphs and one-hot vectors in float32."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.step = step

    def forward(self, data: Any) -> Any:
        return _to_float64(self.step(_to_float64(data)))


def _to_float64(data: Any) -> Any:
    names: Any = data.keys() if callable(data.keys) else data.keys
    for name in list(names):
        value = data[name]
        if isinstance(value, Tensor) and value.is_floating_point():
            data[name] = value.double()
    return data


def recognises_sevennet(path: Path) -> bool:
    """Whether a file names SevenNet's modules, or is a checkpoint with its keys; nothing is executed."""
    return "sevenn" in packages_in(path)


def load_sevennet(name: str | Path, *, trust: bool = False) -> SevenNetModel:
    """Open a model that ships with sevenn, or a checkpoint, and compare it with SevenNet's own calculator.

    Parameters
    ----------
    name
        One of `SHIPPED` (with or without ``sevenn:`` before it), or the path of a checkpoint.
    trust
        That you know where a file comes from: opening it runs code that it holds. Not needed for what ships.

    Raises
    ------
    InputError
        If the file cannot be opened, is not trusted, or its energies or forces differ from the library's.
    """
    package = require_library("sevenn", INSTALL)
    short = str(name).removeprefix("sevenn:").lower()
    if short in SHIPPED:
        path = Path(package.__file__ or "").parent / "pretrained_potentials" / SHIPPED[short]
    elif str(name).startswith("sevenn:"):
        raise InputError(f"{name}: sevenn ships {', '.join(SHIPPED)}; name one of these, or give a {WHAT}")
    else:
        path = Path(name)
        require_trust(path, trust, WHAT)
    model = open_sevennet(path)
    check_against_library(model)
    return model


def open_sevennet(path: Path) -> SevenNetModel:
    """The model in a checkpoint, built in float64 so that constants of its tensor products are exact."""
    checkpoints = require_library("sevenn.checkpoint", INSTALL)
    try:
        with quietly():
            checkpoint = checkpoints.SevenNetCheckpoint(path)
            rounded = checkpoint.build_model()
            cutoff = checkpoint.config["cutoff"]
            with float64_default():
                module = require_library("sevenn.model_build", INSTALL).build_E3_equivariant_model(checkpoint.config)
        _take_weights(module, rounded)
    except (
        pickle.UnpicklingError,
        KeyError,
        ValueError,
        RuntimeError,
        AssertionError,
        AttributeError,
        EOFError,
        TypeError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: no checkpoint of SevenNet that sevenn opens ({reason})") from error
    return SevenNetModel(module, cutoff)


def _take_weights(module: nn.Module, rounded: nn.Module) -> None:
    """Weights of a float32 model into the same one built in float64, whose coupling coefficients stay exact."""
    exact = module.state_dict()
    weights = {
        name: exact[name] if name.rsplit(".", 1)[-1].startswith("_w3j") else value
        for name, value in rounded.state_dict().items()
    }
    module.double().load_state_dict(weights, strict=True)
