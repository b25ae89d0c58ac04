"""What a training run is: data, model, optimisation. One TOML file per run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from atomlens.folders import build, read_toml
from atomlens.models import (
    LONGEST_CUTOFF,
    MOST_CHANNELS,
    MOST_LAYERS,
    MOST_RADIAL,
    Architecture,
    ChargeBalance,
    CutoffConfig,
    CutoffKind,
    LongRangeConfig,
    LongRangeKind,
    ModelConfig,
    OutputConfig,
    RadialConfig,
    RadialKind,
    ReadoutConfig,
    RepresentationConfig,
)
from atomlens.structures import InputError

# Threads of one process; torch dies of numbers far above those of the machine's cores.
MOST_THREADS = 1024


@dataclass(frozen=True)
class DataSettings:
    """Which structures, and how they are divided.

    Attributes
    ----------
    description
        What the data are, for the card; what the data set says of itself where empty.
    set
        ``file`` (see `atomlens.data.read_dataset`) or ``qm9``.
    path, test_path
        Files of ``file``, relative to the configuration; structures of `test_path` are tested on too. Their errors have
        the file's name without its ending, with it where that is ``test``, the name of the split's own test structures.
    property
        Property to learn.
    forces
        Learn forces as well.
    charges
        Property with charges of atoms in e that learned charges (`long_range`) are fitted to; none where empty.
    n_train, n_val, n_test
        Sizes of the split; without `n_test` everything that remains is tested on.
    split_seed
        Seed of the shuffle.
    groups
        Property whose equal values keep structures together, such as the number of their molecule; the sizes of the
        split then count groups, and structures of a negative group are always trained on. Empty: each by itself.
    check_forces
        Refuse forces that do not match the energies (`atomlens.data.check_forces`).
    energy_unit, force_unit, length_unit
        Units of the file where it does not say; data-set folders and ``qm9`` have their own.
    energy_key, forces_key
        Entries of energies and forces, where the file has several (`atomlens.data.Keys`); not of data-set folders.
    """

    description: str = ""
    set: Literal["file", "qm9"] = "file"
    path: str = ""
    test_path: str = ""
    property: str = "energy"
    forces: bool = False
    charges: str = ""
    n_train: int = 0
    n_val: int = 0
    n_test: int | None = None
    split_seed: int = 0
    groups: str = ""
    check_forces: bool = True
    energy_unit: str | None = None
    force_unit: str | None = None
    length_unit: str | None = None
    energy_key: str | None = None
    forces_key: str | None = None

    def __post_init__(self) -> None:
        if self.set == "file" and not self.path:
            raise ValueError("set = 'file' needs a path")
        if self.set == "qm9" and (self.path or self.test_path or self.forces):
            raise ValueError("set = 'qm9' takes no path or test_path and has no forces")
        if self.n_train < 1 or self.n_val < 1:
            raise ValueError(f"n_train = {self.n_train}, n_val = {self.n_val}; both must be at least 1")
        if self.n_test is not None and self.n_test < 0:
            raise ValueError(f"n_test = {self.n_test}; give 0 or more, or leave it out to test on all that remain")
        if self.split_seed < 0:
            raise ValueError(f"split_seed = {self.split_seed}; it must be at least 0")
        for name in ("energy_unit", "force_unit", "length_unit", "energy_key", "forces_key"):
            if self.set == "qm9" and (value := getattr(self, name)) is not None:
                raise ValueError(f"{name} = {value!r}, but set = 'qm9' has its own units and entries; leave it out")


@dataclass(frozen=True)
class ModelSettings:
    """Architecture and readout, in the few numbers that differ between runs.

    Attributes
    ----------
    readout
        ``sum`` for extensive properties, ``mean`` for intensive ones, ``softmax`` for orbital energies,
        ``dipole`` for the magnitude of the dipole moment.
    references
        Atom references: ``fit`` (least squares on the training set), ``none``, or ``free_atoms`` (energies of
        free atoms that the data set brings along).
    centre
        Whether the mean (per atom, where the property is extensive) is taken off, and the last layer has a bias.
        Without both the network has to say all that references do not, so that pair terms contain the whole binding.
    scale
        What is 1 for the network, in the property's unit; from the training set if 0 (see
        `atomlens.training.standardise`). Errors count in this unit, so runs that are compared share one.
    activation
        The architecture's own where empty: shifted softplus for SchNet, SiLU for PaiNN and for SO3net's readout.
    l_max
        SO3net: highest degree of the spherical harmonics.
    radial
        Radial basis of the filters; ``inverse_powers`` falls by powers of the distance.
    envelope, onset
        Cutoff function; ``polynomial`` leaves distances below `onset` (Å) untouched.
    long_range, long_range_width
        Energies of all pairs, and hidden units of their networks; see `LongRangeConfig`, whose other numbers
        stay at their defaults.
    charge_balance, total_charge
        How charges get the total charge (e) of every structure. Structures of different total charges need
        ``charge_balance = "none"``.
    """

    architecture: Architecture = "painn"
    n_features: int = 64
    n_layers: int = 3
    cutoff: float = 5.0
    n_rbf: int = 20
    activation: str = ""
    readout: Literal["sum", "mean", "softmax", "dipole"] = "sum"
    references: Literal["fit", "none", "free_atoms"] = "fit"
    centre: bool = True
    scale: float = 0.0
    radial: RadialKind = "gaussian"
    envelope: CutoffKind = "cosine"
    onset: float = 0.0
    long_range: LongRangeKind = "none"
    long_range_width: int = 32
    charge_balance: ChargeBalance = "mean"
    total_charge: float = 0.0
    l_max: int = 2

    def __post_init__(self) -> None:
        for name in ("n_features", "n_layers", "cutoff"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name)}; it must be positive")
        if not (self.scale >= 0 and math.isfinite(self.scale)):
            raise ValueError(f"scale = {self.scale}; it must be positive, or 0 for that of the training set")
        for name, most in (("n_features", MOST_CHANNELS), ("n_layers", MOST_LAYERS), ("n_rbf", MOST_RADIAL)):
            if not 0 < getattr(self, name) <= most:
                raise ValueError(f"{name} = {getattr(self, name)}; give 1 to {most}")
        if self.cutoff > LONGEST_CUTOFF:
            raise ValueError(f"cutoff = {self.cutoff} Å; up to {LONGEST_CUTOFF} Å can be used")
        if not self.centre and (self.references == "fit" or self.readout != "sum"):
            raise ValueError(
                f"centre = false needs readout = 'sum', received {self.readout!r}, and references = 'none' or "
                f"'free_atoms', received {self.references!r}"
            )
        if self.long_range != "none" and self.readout != "sum":
            raise ValueError(f"long_range adds energies of pairs; it needs readout = 'sum', received {self.readout!r}")
        if self.total_charge != 0 and "coulomb" not in self.long_range:
            raise ValueError(
                f"total_charge = {self.total_charge} needs a model with charges: long_range = 'coulomb' or "
                f"'coulomb+dispersion', received {self.long_range!r}; leave it out otherwise"
            )

    def model_config(self, output: OutputConfig, elements: tuple[int, ...]) -> ModelConfig:
        """The full configuration of the model."""
        activation = self.activation or ("shifted_softplus" if self.architecture == "schnet" else "silu")
        readout = ReadoutConfig(
            kind="dipole" if self.readout == "dipole" else "atomwise",
            aggregation="softmax" if self.readout == "softmax" else "avg" if self.readout == "mean" else "sum",
            widths=(self.n_features, max(self.n_features // 2, 1), 1),
            activation=activation,
            magnitude=self.readout == "dipole",
            vectors=self.readout == "dipole"
            and (self.architecture == "painn" or (self.architecture == "so3net" and self.l_max > 0)),
        )
        representation = RepresentationConfig(
            architecture=self.architecture,
            n_features=self.n_features,
            n_layers=self.n_layers,
            radial=RadialConfig(self.radial, n_rbf=self.n_rbf, cutoff=self.cutoff),
            cutoff=CutoffConfig(self.envelope, cutoff=self.cutoff, onset=self.onset),
            activation=activation,
            max_z=max(elements) + 1,
            l_max=self.l_max,
        )
        long_range = LongRangeConfig(
            self.long_range, self.long_range_width, total_charge=self.total_charge, balance=self.charge_balance
        )
        return ModelConfig(representation, readout, output, elements, long_range=long_range)


@dataclass(frozen=True)
class FitSettings:
    """Optimisation.

    Attributes
    ----------
    epochs, batch_size
        Passes through the training set, structures per step.
    lr, weight_decay
        Of AdamW.
    energy_weight, force_weight
        Weights of the squared errors of property and forces, both in units of the model's scale.
    charge_weight
        Weight of the squared errors of learned charges, in e^2.
    schedule
        ``plateau``, or ``cosine``: from `lr` to `min_lr` along half a cosine over all epochs, for runs whose
        length is given by the time at hand.
    plateau_factor, plateau_patience, min_lr
        The learning rate is multiplied by the factor when the validation loss has not improved for more than so many
        epochs in a row.
    ema_decay
        Of the running mean of the weights, which is what is validated and kept; 0 for none.
    clip
        Largest norm of the gradient.
    stop_patience
        Stop after more than so many epochs in a row without improvement; None: never.
    stop_force_mae
        Stop as soon as the mean absolute force error on validation structures is no larger than this (in the property's
        unit per Å) and keep the weights of that epoch, so that models of one accuracy can be compared; None: never.
    validate_batch_size
        Structures per batch where nothing is learned.
    threads
        Threads of torch; results are reproducible for equal numbers of threads.
    """

    epochs: int = 100
    batch_size: int = 32
    lr: float = 5e-4
    weight_decay: float = 0.0
    energy_weight: float = 1.0
    force_weight: float = 0.0
    charge_weight: float = 0.0
    schedule: Literal["plateau", "cosine"] = "plateau"
    plateau_factor: float = 0.5
    plateau_patience: int = 25
    min_lr: float = 1e-6
    ema_decay: float = 0.999
    clip: float = 10.0
    stop_patience: int | None = None
    stop_force_mae: float | None = None
    validate_batch_size: int = 200
    threads: int = 1

    def __post_init__(self) -> None:
        positive = ("epochs", "batch_size", "lr", "clip", "validate_batch_size", "threads")
        for name in positive:
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} = {value}; it must be positive")
        weights = ("weight_decay", "energy_weight", "force_weight", "charge_weight")
        for name in (*weights, "plateau_patience", "min_lr", "stop_patience"):
            if (value := getattr(self, name)) is not None and not value >= 0:
                raise ValueError(f"{name} = {value}; it must be at least 0")
        if self.stop_force_mae is not None and not (self.force_weight > 0 and 0 < self.stop_force_mae < math.inf):
            raise ValueError(
                f"stop_force_mae = {self.stop_force_mae}; it must be positive, and needs a force_weight above 0"
            )
        if self.energy_weight == self.force_weight == 0:
            raise ValueError("energy_weight and force_weight are both 0; nothing would be learned")
        if self.threads > MOST_THREADS:
            raise ValueError(f"threads = {self.threads}; up to {MOST_THREADS} can be used")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay = {self.ema_decay}; it must be at least 0 and below 1")
        if not 0 < self.plateau_factor < 1:
            raise ValueError(f"plateau_factor = {self.plateau_factor}; it must lie between 0 and 1")


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes
    ----------
    name
        Name of the run and of the model.
    seed
        Seed of weights and of the order of batches.
    """

    name: str
    data: DataSettings
    model: ModelSettings = field(default_factory=ModelSettings)
    fit: FitSettings = field(default_factory=FitSettings)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed = {self.seed}; it must be at least 0")
        if self.data.forces and self.fit.force_weight <= 0:
            raise ValueError("data.forces is true, but fit.force_weight is 0; set it (0.99 beside energy_weight 0.01)")
        if self.fit.force_weight > 0 and not self.data.forces:
            raise ValueError(
                f"fit.force_weight = {self.fit.force_weight:g}, but data.forces is false: no force would be learned; "
                "set data.forces = true, or leave force_weight out"
            )
        if bool(self.data.charges) != (self.fit.charge_weight > 0):
            raise ValueError(
                f"data.charges = {self.data.charges!r}, but fit.charge_weight = {self.fit.charge_weight:g}; give both, "
                "a property of atoms and a weight above 0 (10, say), or neither"
            )
        if self.data.charges and "coulomb" not in self.model.long_range:
            raise ValueError(
                f"data.charges = {self.data.charges!r} needs a model with charges: long_range = 'coulomb' or "
                f"'coulomb+dispersion', received {self.model.long_range!r}"
            )
        if self.data.forces and self.model.readout != "sum":
            raise ValueError(f"forces need readout = 'sum', received {self.model.readout!r}")


def read_config(path: str | Path) -> TrainConfig:
    """Read and check the configuration of a run.

    Raises
    ------
    InputError
        If the file is no TOML, or a setting is unknown, missing or of the wrong kind.
    """
    path = Path(path)
    try:
        return build(TrainConfig, read_toml(path))
    except InputError as error:
        message = str(error)
        raise InputError(message if message.startswith(str(path)) else f"{path}: {message}") from error
