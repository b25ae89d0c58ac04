"""What a SchNetPack file may name, and the inert records that stand for it.

The tables here are closed: a name outside them ends the reading. None of the names is ever imported, and none
of the records can do anything; they only remember what the file said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from atomlens.structures import InputError


@dataclass(frozen=True, eq=False, slots=True)
class Name:
    """A class or function of the file, by its full dotted name."""

    path: str


@dataclass(eq=False, slots=True)
class Shell:
    """An object of the file: the full dotted name of its class, and its attributes."""

    path: str
    state: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class StorageRef:
    """A block of numbers that the file keeps under `key`."""

    dtype: torch.dtype
    key: str
    numel: int


@dataclass(frozen=True, eq=False, slots=True)
class TensorRef:
    """A tensor as a window on a storage; offset and strides count elements."""

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


MODEL = "schnetpack.model.base.NeuralNetworkPotential"
SCHNET = "schnetpack.representation.schnet.SchNet"
PAINN = "schnetpack.representation.painn.PaiNN"
SO3NET = "schnetpack.representation.so3net.SO3net"
GAUSSIAN = "schnetpack.nn.radial.GaussianRBF"
GAUSSIAN_CENTERED = "schnetpack.nn.radial.GaussianRBFCentered"
BESSEL = "schnetpack.nn.radial.BesselRBF"
COSINE = "schnetpack.nn.cutoff.CosineCutoff"
MOLLIFIER = "schnetpack.nn.cutoff.MollifierCutoff"
NUCLEAR_EMBEDDING = "schnetpack.nn.embedding.NuclearEmbedding"
DENSE = "schnetpack.nn.base.Dense"
GATED_BLOCK = "schnetpack.nn.equivariant.GatedEquivariantBlock"
SHIFTED_SOFTPLUS = "schnetpack.nn.activations.ShiftedSoftplus"
ATOMWISE = "schnetpack.atomistic.atomwise.Atomwise"
DIPOLE = "schnetpack.atomistic.atomwise.DipoleMoment"
POLARIZABILITY = "schnetpack.atomistic.atomwise.Polarizability"
FORCES = "schnetpack.atomistic.response.Forces"
STRAIN = "schnetpack.atomistic.response.Strain"
DISTANCES = "schnetpack.atomistic.distances.PairwiseDistances"
SHORT_RANGE = "schnetpack.atomistic.distances.FilterShortRange"
ADD_OFFSETS = "schnetpack.transform.atomistic.AddOffsets"
SCALE = "schnetpack.transform.atomistic.ScaleProperty"
CASTS = tuple(f"schnetpack.transform.casting.{name}" for name in ("CastMap", "CastTo32", "CastTo64"))
EMBEDDING = "torch.nn.modules.sparse.Embedding"
LINEAR = "torch.nn.modules.linear.Linear"
IDENTITY = "torch.nn.modules.linear.Identity"
LISTS = tuple(f"torch.nn.modules.container.{name}" for name in ("ModuleList", "Sequential"))

# Activation modules, with the options under which they are the plain function.
ACTIVATION_MODULES: dict[str, tuple[str, dict[str, Any]]] = {
    IDENTITY: ("identity", {}),
    "torch.nn.modules.activation.SiLU": ("silu", {}),
    "torch.nn.modules.activation.ReLU": ("relu", {}),
    "torch.nn.modules.activation.Tanh": ("tanh", {}),
    "torch.nn.modules.activation.Sigmoid": ("sigmoid", {}),
    "torch.nn.modules.activation.ELU": ("elu", {"alpha": 1.0}),
    "torch.nn.modules.activation.GELU": ("gelu", {"approximate": "none"}),
    "torch.nn.modules.activation.Softplus": ("softplus", {"beta": 1.0, "threshold": 20.0}),
}
ACTIVATION_FUNCTIONS: dict[str, str] = {
    "schnetpack.nn.activations.shifted_softplus": "shifted_softplus",
    "torch.nn.functional.silu": "silu",
    "torch.nn.functional.relu": "relu",
    "torch.nn.functional.elu": "elu",
    "torch.nn.functional.tanh": "tanh",
    "torch.nn.functional.sigmoid": "sigmoid",
    "torch._C._nn.gelu": "gelu",
    "torch._C._nn.softplus": "softplus",
    "torch._C._nn.silu": "silu",
    # torch.tanh and its like are pickled as attributes of this class, by way of getattr.
    "torch._C._VariableFunctionsClass.tanh": "tanh",
    "torch._C._VariableFunctionsClass.sigmoid": "sigmoid",
    "torch._C._VariableFunctionsClass.relu": "relu",
}
_FUNCTIONS_CLASS = "torch._C._VariableFunctionsClass"

# Classes whose instances the pickle makes without calling anything.
CLASSES: frozenset[str] = frozenset(
    {MODEL, SCHNET, PAINN, SO3NET, GAUSSIAN, GAUSSIAN_CENTERED, BESSEL, COSINE, MOLLIFIER, NUCLEAR_EMBEDDING, DENSE}
    | {GATED_BLOCK, SHIFTED_SOFTPLUS, ATOMWISE, DIPOLE, POLARIZABILITY, FORCES, STRAIN, DISTANCES, SHORT_RANGE}
    | {ADD_OFFSETS, SCALE, *CASTS, EMBEDDING, LINEAR, *LISTS, *ACTIVATION_MODULES}
    | {"schnetpack.representation.schnet.SchNetInteraction"}
    | {f"schnetpack.representation.painn.{name}" for name in ("PaiNNInteraction", "PaiNNMixing")}
    | {f"schnetpack.nn.so3.{name}" for name in ("RealSphericalHarmonics", "SO3Convolution", "SO3TensorProduct")}
    | {"schnetpack.nn.so3.SO3ParametricGatedNonlinearity"}
    # Lists of a configuration that a module kept as an attribute.
    | {"omegaconf.listconfig.ListConfig", "omegaconf.dictconfig.DictConfig", "omegaconf.nodes.AnyNode"}
    | {"omegaconf.base.ContainerMetadata", "omegaconf.base.Metadata"}
)
# Types of numbers, which are constants of torch.
DTYPES: frozenset[str] = frozenset(
    {
        f"torch.{name}"
        for name in ("float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "bool")
    }
)
# Names that appear as values only.
INERT: frozenset[str] = frozenset(
    {*DTYPES, *ACTIVATION_FUNCTIONS, _FUNCTIONS_CLASS, "typing.Any", "builtins.int", "builtins.float", "builtins.str"}
    | {f"torch.nn.init.{name}" for name in ("xavier_uniform_", "zeros_", "ones_", "orthogonal_", "uniform_")}
    | {f"torch.nn.init.{name}" for name in ("xavier_normal_", "normal_", "kaiming_uniform_", "kaiming_normal_")}
)
STORAGES: dict[str, torch.dtype] = {
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.BoolStorage": torch.bool,
}
# Up to protocol 2, pickles name the builtins by the module they had in Python 2.
_OLD_MODULES = {"__builtin__": "builtins"}


def look_up(module: str, name: str) -> Name:
    """The record for a name of the pickle, if it is in the tables.

    Raises
    ------
    InputError
        If it is not: what the pickle names is reported, and refused.
    """
    path = f"{_OLD_MODULES.get(module, module)}.{name}"
    if path in CLASSES or path in INERT or path in STORAGES or path in CALLS:
        return Name(path)
    shown = path if path.isprintable() and len(path) < 200 else repr(path[:200])
    if path.startswith(("schnetpack.", "torch.nn.")):
        raise InputError(
            f"the model uses {shown}, which atomlens cannot read; it reads SchNet, PaiNN and SO3net with their usual "
            "parts, "
            "and Atomwise, DipoleMoment or Polarizability as output"
        )
    raise InputError(f"the pickle names {shown}, which is not part of a model; refused")


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> TensorRef:
    if not isinstance(storage, StorageRef):
        raise InputError("the pickle has a tensor without numbers; the file is damaged")
    numbers = (offset, *_whole(shape), *_whole(stride))
    if len(shape) != len(stride) or len(shape) > 8 or not all(type(n) is int and 0 <= n < 2**40 for n in numbers):
        raise InputError("the pickle has a tensor of impossible shape; the file is damaged")
    return TensorRef(storage, offset, tuple(shape), tuple(stride))


def _rebuild_parameter(tensor: Any, *_: Any) -> TensorRef:
    if not isinstance(tensor, TensorRef):
        raise InputError("the pickle has a parameter that is no tensor; the file is damaged")
    return tensor


def _whole(sizes: Any) -> tuple[Any, ...]:
    if type(sizes) is not tuple:
        raise InputError("the pickle has a tensor without a shape; the file is damaged")
    return sizes


def _make_set(*args: Any) -> list[Any]:
    # Only names of buffers come in sets; a list keeps them without hashing what the file says.
    return list(args[0]) if args and isinstance(args[0], list | tuple) else []


def _make_dict(*_: Any) -> dict[Any, Any]:
    return {}


def _make_list(*args: Any) -> list[Any]:
    return list(args[0]) if args and isinstance(args[0], list | tuple) else []


def _attribute(*args: Any) -> Name:
    owner, name = args if len(args) == 2 else (None, None)
    path = f"{owner.path}.{name}" if isinstance(owner, Name) and isinstance(name, str) else "an attribute"
    if path not in ACTIVATION_FUNCTIONS:
        raise InputError(f"the pickle asks for {path[:200]!r} by getattr, which is not part of a model; refused")
    return Name(path)


# Functions that the pickle calls, and what is done instead.
CALLS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    "collections.OrderedDict": _make_dict,
    "collections.defaultdict": _make_dict,
    "builtins.set": _make_set,
    "builtins.dict": _make_dict,
    "builtins.list": _make_list,
    "builtins.long": lambda *args: args[0] if args and type(args[0]) is int else 0,
    "builtins.getattr": _attribute,
}
