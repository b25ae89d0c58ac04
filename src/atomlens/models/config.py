"""Everything that defines a model besides its weights; written to and read from file headers."""

from __future__ import annotations

import difflib
import math
import typing
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

import torch

from atomlens.folders import build
from atomlens.models.activations import activation_by_name
from atomlens.models.units import ENERGY_UNITS

Architecture = Literal["schnet", "painn", "so3net"]
RadialKind = Literal["gaussian", "gaussian_centered", "bessel", "inverse_powers"]
CutoffKind = Literal["cosine", "mollifier", "polynomial"]
# The largest networks that are built or read.
MOST_LAYERS, MOST_CHANNELS, MOST_RADIAL, MOST_ELEMENTS, LONGEST_CUTOFF = 1000, 16_384, 10_000, 1000, 1e5
# Letters of a property's name and of a unit.
_LONGEST_NAME = 80
LongRangeKind = Literal["none", "coulomb", "dispersion", "coulomb+dispersion"]
ChargeBalance = Literal["mean", "neighbors", "none"]

# Couplings of degree 8 are 81^3 numbers; files that claim more are damaged.
MAX_DEGREE = 8


def _check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        close = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(f"{what} {value!r} is not known; {hint}choose one of {', '.join(choices)}")


def _check_range(what: str, value: float, most: float, unit: str = "") -> None:
    """Far above any published network; more would fill the memory, or build layers for minutes."""
    if not 0 < value <= most:
        number = value if abs(value) < 1e100 else "beyond 1e100"
        raise ValueError(f"{what} = {number}{unit}; it must be positive and at most {most}{unit}")


@dataclass(frozen=True)
class RadialConfig:
    """Radial basis: its kind, number of functions, and the grid in Å it spans.

    ``inverse_powers`` has no grid but a length in Å beyond which its functions fall as r^-1, r^-2, ...; filters made of
    them have no constant part.
    """

    kind: RadialKind = "gaussian"
    n_rbf: int = 20
    cutoff: float = 5.0
    start: float = 0.0
    trainable: bool = False
    length: float = 1.5

    def __post_init__(self) -> None:
        _check_choice("radial basis", self.kind, typing.get_args(RadialKind))
        _check_range("n_rbf", self.n_rbf, MOST_RADIAL)
        _check_range("cutoff of the radial basis", self.cutoff, LONGEST_CUTOFF, " Å")
        if not abs(self.start) <= LONGEST_CUTOFF:
            raise ValueError(f"start of the radial basis is {self.start} Å; it must lie within {LONGEST_CUTOFF} Å")
        if not (self.length > 0 and math.isfinite(self.length)):
            raise ValueError(f"length of the radial basis is {self.length} Å; it must be positive")


@dataclass(frozen=True)
class CutoffConfig:
    """Cutoff function: its kind and radius in Å; ``polynomial`` leaves distances below `onset` (Å) untouched."""

    kind: CutoffKind = "cosine"
    cutoff: float = 5.0
    onset: float = 0.0

    def __post_init__(self) -> None:
        _check_choice("cutoff function", self.kind, typing.get_args(CutoffKind))
        _check_range("cutoff", self.cutoff, LONGEST_CUTOFF, " Å")
        if self.kind == "polynomial" and not 0 <= self.onset < self.cutoff:
            raise ValueError(f"onset = {self.onset} Å; it must be at least 0 and below the cutoff of {self.cutoff} Å")
        if self.kind != "polynomial" and self.onset != 0:
            raise ValueError(f"onset = {self.onset} Å needs the polynomial cutoff function, not {self.kind!r}")


@dataclass(frozen=True)
class LongRangeConfig:
    """Energies of all pairs of atoms, without a cutoff; formulas in `atomlens.models.long_range`.

    Attributes
    ----------
    kind
        Which energies.
    width
        Hidden units of the network on every atom's features, one network for each energy.
    total_charge
        Sum of the charges of a structure, in e.
    balance
        How the charges get that sum: ``mean`` takes the same off every atom; ``neighbors`` lets atoms within
        the cutoff exchange charge and nothing else; ``none`` leaves charges as atoms make them, so that one model
        describes ions of any charge, and `total_charge` must be 0.
    charge_length
        Length a in Å below which the Coulomb energy is damped, erf(r / a) / r.
    a1, a2
        Becke-Johnson damping: the radius is a1 sqrt(C8/C6) + a2, a2 in Å.
    c8_ratio
        C8/C6 in Å^2, one for all pairs.
    s8
        Weight of the r^-8 energy; 0 leaves it out.
    """

    kind: LongRangeKind = "none"
    width: int = 32
    total_charge: float = 0.0
    balance: ChargeBalance = "mean"
    charge_length: float = 1.5
    a1: float = 0.4
    a2: float = 2.5
    c8_ratio: float = 5.5
    s8: float = 0.0

    def __post_init__(self) -> None:
        _check_choice("long-range kind", self.kind, typing.get_args(LongRangeKind))
        _check_choice("long-range balance", self.balance, typing.get_args(ChargeBalance))
        _check_range("long-range width", self.width, MOST_CHANNELS)
        for name in ("charge_length", "a2", "c8_ratio"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"long-range {name} = {getattr(self, name)}; it must be positive")
        for name in ("a1", "s8"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"long-range {name} = {getattr(self, name)}; it must be zero or positive")
        if not math.isfinite(self.total_charge):
            raise ValueError(f"long-range total_charge = {self.total_charge}; it must be a number")
        if self.balance == "none" and self.total_charge != 0:
            raise ValueError(f"long-range balance 'none' keeps no total_charge; received {self.total_charge}")

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the energies: none, one or both of "coulomb" and "dispersion"."""
        return () if self.kind == "none" else tuple(self.kind.split("+"))

    @property
    def damping_radius(self) -> float:
        """Becke-Johnson radius in Å."""
        return self.a1 * math.sqrt(self.c8_ratio) + self.a2


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
        Channels of SchNet's filters (F where None); PaiNN and SO3net have no such choice.
    shared_interactions
        One set of weights for all layers.
    shared_filters
        PaiNN: one filter network for all layers.
    epsilon
        PaiNN: added under the root of vector norms.
    l_max
        SO3net: highest degree L of the spherical harmonics; a state has (L + 1)^2 components in each channel.
    max_z
        Rows of the element embedding.
    activation
        Of the layers' networks. SO3net has none: its gates are logistic functions always.
    """

    architecture: Architecture = "painn"
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
    l_max: int = 2

    def __post_init__(self) -> None:
        activation_by_name(self.activation)
        _check_range("n_features", self.n_features, MOST_CHANNELS)
        _check_range("n_layers", self.n_layers, MOST_LAYERS)
        _check_range("n_filters", 1 if self.n_filters is None else self.n_filters, MOST_CHANNELS)
        _check_range("max_z", self.max_z, MOST_ELEMENTS)
        if not 0 <= self.epsilon <= 1:
            raise ValueError(f"epsilon = {self.epsilon}; it must lie between 0 and 1")
        if not 0 <= self.l_max <= MAX_DEGREE:
            raise ValueError(f"l_max={self.l_max}; it must lie between 0 and {MAX_DEGREE}")
        if self.radial.kind == "inverse_powers" and self.architecture == "schnet":
            at_zero = float(activation_by_name(self.activation)(torch.zeros(1)))
            if at_zero != 0:
                raise ValueError(
                    f"activation {self.activation!r} is {at_zero:.3g} at zero, so filters of inverse powers would not "
                    "fall off; use shifted_softplus, silu or another that is zero there"
                )


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
        if not 2 <= len(self.widths) <= MOST_LAYERS:
            raise ValueError(
                f"readout of {len(self.widths)} widths; give at least the input and the output width, and at most "
                f"{MOST_LAYERS}"
            )
        for width in self.widths:
            _check_range("readout width", width, MOST_CHANNELS)


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

    def __post_init__(self) -> None:
        for what, name in (("property", self.property), ("unit", self.unit)):
            if not (name.isprintable() and len(name) <= _LONGEST_NAME):
                raise ValueError(
                    f"the {what} is called {name[:_LONGEST_NAME]!r} ({len(name)} letters); a name has up to "
                    f"{_LONGEST_NAME} printable ones"
                )


@dataclass(frozen=True)
class ModelConfig:
    """The whole model: architecture, readout, output, the elements it was trained on, and its data card."""

    representation: RepresentationConfig = RepresentationConfig()
    readout: ReadoutConfig = ReadoutConfig()
    output: OutputConfig = OutputConfig()
    elements: tuple[int, ...] | None = None
    card: dict[str, Any] = field(default_factory=dict)
    long_range: LongRangeConfig = LongRangeConfig()

    def __post_init__(self) -> None:
        if self.elements is not None and not all(0 < z <= 118 for z in self.elements):
            raise ValueError(f"elements are {str(self.elements)[:_LONGEST_NAME]}; they must be atomic numbers")
        if self.long_range.kind == "none":
            return
        readout, output = self.readout, self.output
        if (readout.kind, readout.aggregation) != ("atomwise", "sum") or not output.extensive:
            raise ValueError(
                f"long_range {self.long_range.kind!r} adds energies of pairs; it needs a readout that sums over atoms"
            )
        if output.unit not in ENERGY_UNITS:
            raise ValueError(
                f"long_range {self.long_range.kind!r} needs an energy; the output {output.property} is in {output.unit}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dictionary, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from `to_dict`.

        Raises
        ------
        InputError
            If a key is unknown, or a value has the wrong type or cannot be.
        """
        return build(cls, data)
