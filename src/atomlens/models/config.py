"""Everything that defines a model besides its weights; written to and read from file headers."""

from __future__ import annotations

import types
import typing
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, Literal, Self

from atomlens.models.activations import activation_by_name


@dataclass(frozen=True)
class RadialConfig:
    """Radial basis: its kind, number of functions, and the grid in Å it spans."""

    kind: Literal["gaussian", "gaussian_centered", "bessel"] = "gaussian"
    n_rbf: int = 20
    cutoff: float = 5.0
    start: float = 0.0
    trainable: bool = False


@dataclass(frozen=True)
class CutoffConfig:
    """Cutoff function: its kind and radius in Å."""

    kind: Literal["cosine", "mollifier"] = "cosine"
    cutoff: float = 5.0


@dataclass(frozen=True)
class RepresentationConfig:
    """Architecture that turns a graph into atom features.

    Attributes
    ----------
    n_features
        Channels F of an atom's state.
    n_layers
        Number T of message-passing layers.
    n_filters
        Channels of SchNet's filters (F where None); PaiNN has no such choice.
    shared_interactions
        One set of weights for all layers.
    shared_filters
        PaiNN: one filter network for all layers.
    epsilon
        PaiNN: added under the root of vector norms.
    max_z
        Rows of the element embedding.
    """

    architecture: Literal["schnet", "painn"] = "painn"
    n_features: int = 128
    n_layers: int = 3
    n_filters: int | None = None
    radial: RadialConfig = RadialConfig()
    cutoff: CutoffConfig = CutoffConfig()
    activation: str = "silu"
    shared_interactions: bool = False
    shared_filters: bool = False
    epsilon: float = 1e-8
    max_z: int = 100

    def __post_init__(self) -> None:
        activation_by_name(self.activation)
        if self.n_features < 1 or self.n_layers < 1:
            raise ValueError(f"n_features={self.n_features}, n_layers={self.n_layers}: both must be at least 1")


@dataclass(frozen=True)
class ReadoutConfig:
    """How atom features become the prediction.

    Attributes
    ----------
    kind
        ``atomwise`` (a network on every atom, then a sum or mean), ``dipole`` (vector, or its norm with
        `magnitude`), ``polarizability`` (3 x 3).
    aggregation
        Of ``atomwise``: sum, mean ("avg"), or a mean weighted by a softmax over the atoms of a second network's
        output ("softmax"), for orbital energies, which follow a few atoms and not the molecule's size.
    widths
        Layer widths of the network from F to the output.
    magnitude, correct_charges, vectors
        Of ``dipole``: predict the norm; shift charges to a total of zero; add atomic dipoles from vectors.
    """

    kind: Literal["atomwise", "dipole", "polarizability"] = "atomwise"
    aggregation: Literal["sum", "avg", "softmax"] = "sum"
    widths: tuple[int, ...] = (128, 64, 1)
    activation: str = "silu"
    magnitude: bool = False
    correct_charges: bool = True
    vectors: bool = False

    def __post_init__(self) -> None:
        activation_by_name(self.activation)
        if len(self.widths) < 2:
            raise ValueError(f"readout widths {self.widths}: give at least the input and the output width")


@dataclass(frozen=True)
class OutputConfig:
    """What the number that leaves the network means.

    ``y = scale * (network output) + mean * (N if extensive else 1) + sum of atom references (their mean if
    intensive)``, in `unit`. Scale, mean and references are buffers of the model.
    """

    property: str = "energy"
    unit: str = "eV"
    extensive: bool = True
    has_forces: bool = True


@dataclass(frozen=True)
class ModelConfig:
    """The whole model: architecture, readout, output, the elements it was trained on, and its data card."""

    representation: RepresentationConfig = RepresentationConfig()
    readout: ReadoutConfig = ReadoutConfig()
    output: OutputConfig = OutputConfig()
    elements: tuple[int, ...] | None = None
    card: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dictionary, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from `to_dict`.

        Raises
        ------
        ValueError
            If a key is unknown or a value has the wrong type.
        """
        return _build(cls, data, "model")


def _build(cls: Any, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise ValueError(f"{where}: expected a table of settings, received {data!r}")
    hints = typing.get_type_hints(cls)
    unknown = set(data) - {f.name for f in fields(cls)}
    if unknown:
        raise ValueError(f"{where}: unknown setting {sorted(unknown)[0]!r}; known are {', '.join(hints)}")
    return cls(**{name: _convert(hints[name], value, f"{where}.{name}") for name, value in data.items()})


def _convert(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        return _build(hint, value, where)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        ok, result = value in args, value
    elif origin is types.UnionType:
        return None if value is None else _convert(next(a for a in args if a is not type(None)), value, where)
    elif origin is tuple:
        ok = isinstance(value, list | tuple) and all(isinstance(v, int) for v in value)
        result = tuple(value) if ok else value
    elif origin is dict:
        ok, result = isinstance(value, dict), value
    elif hint is float:
        ok, result = isinstance(value, int | float) and not isinstance(value, bool), value
        result = float(value) if ok else value
    else:
        ok = isinstance(value, hint) and not (hint is int and isinstance(value, bool))
        result = value
    if not ok:
        raise ValueError(f"{where}: received {value!r}, expected {getattr(hint, '__name__', hint)}")
    return result
