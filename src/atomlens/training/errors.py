"""How wrong a model is, in units that people quote."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from atomlens.data import Batch, shown
from atomlens.folders import build, read_json, write_text
from atomlens.models import Potential
from atomlens.structures import InputError


class TrainingError(RuntimeError):
    """A training that cannot continue, reported in one line: what happened and what to change."""


@dataclass(frozen=True)
class Errors:
    """Errors of a model over some structures, in its own units.

    Attributes
    ----------
    property, unit
        What was predicted.
    mae, rmse
        Mean absolute and root mean square error of the property.
    force_mae, force_rmse
        The same of the force components, in unit/Å; None where forces are not learned.
    n
        Number of structures.
    charge_mae, charge_rmse
        Mean absolute and root mean square error of learned charges in e; None where they are not fitted.
    """

    property: str
    unit: str
    mae: float
    rmse: float
    force_mae: float | None
    force_rmse: float | None
    n: int
    charge_mae: float | None = None
    charge_rmse: float | None = None

    def quantities(self) -> dict[str, tuple[float, str]]:
        """Every error with its unit, energies in meV, by a name for tables."""
        found = {
            f"{self.property} MAE": shown(self.mae, self.unit),
            f"{self.property} RMSE": shown(self.rmse, self.unit),
        }
        if self.force_mae is not None and self.force_rmse is not None:
            found["forces MAE"] = shown(self.force_mae, f"{self.unit}/Å")
            found["forces RMSE"] = shown(self.force_rmse, f"{self.unit}/Å")
        if self.charge_mae is not None and self.charge_rmse is not None:
            found |= {"charges MAE": (self.charge_mae, "e"), "charges RMSE": (self.charge_rmse, "e")}
        return found

    def line(self) -> str:
        """The mean absolute errors in one line, units included."""
        quoted = [f"{name} {value:.4g} {unit}" for name, (value, unit) in self.quantities().items() if "MAE" in name]
        return ", ".join(quoted)


def save_errors(errors: Mapping[str, Errors], path: Path) -> None:
    """Write errors by name of their test set, as numbers; the card has them rounded, with units, for readers."""
    write_text(path, json.dumps({name: asdict(found) for name, found in errors.items()}, indent=1) + "\n")


def load_errors(path: Path) -> dict[str, Errors]:
    """Read what `save_errors` wrote.

    Raises
    ------
    InputError
        If the file is missing or holds something else.
    """
    try:
        return {name: build(Errors, entry, f"{name}.") for name, entry in read_json(path).items()}
    except (OSError, TypeError, ValueError) as error:
        raise InputError(f"{path}: holds no errors of a trained model; train again") from error


def evaluate(model: Potential, batches: Iterable[Batch]) -> Errors:
    """Errors of a model over batches.

    Raises
    ------
    TrainingError
        If there is no structure, or a prediction is not finite.
    """
    absolute = squared = force_absolute = force_squared = charge_absolute = charge_squared = 0.0
    n = components = charged = 0
    for batch in batches:
        if batch.forces is None:
            with torch.no_grad():
                y, forces = model(batch.graph), None
        else:
            y, forces = model.energy_and_forces(batch.graph)
        error = (y - batch.target).double()
        absolute += float(error.abs().sum())
        squared += float(error.square().sum())
        n += len(error)
        if forces is not None and batch.forces is not None:
            error = (forces - batch.forces).double()
            force_absolute += float(error.abs().sum())
            force_squared += float(error.square().sum())
            components += error.numel()
        if batch.charges is not None:
            with torch.no_grad():
                _, charges = model.with_charges(batch.graph)
            assert charges is not None, "data.charges needs a model with charges"
            error = (charges - batch.charges).double()
            charge_absolute += float(error.abs().sum())
            charge_squared += float(error.square().sum())
            charged += len(error)
    if n == 0:
        raise TrainingError("no structure to evaluate on; give the split at least one")
    if not absolute + force_absolute + charge_absolute < float("inf"):
        raise TrainingError("predictions are no longer finite; lower fit.lr or fit.clip, or look for bad frames")
    output = model.config.output
    return Errors(
        property=output.property,
        unit=output.unit,
        mae=absolute / n,
        rmse=(squared / n) ** 0.5,
        force_mae=force_absolute / components if components else None,
        force_rmse=(force_squared / components) ** 0.5 if components else None,
        n=n,
        charge_mae=charge_absolute / charged if charged else None,
        charge_rmse=(charge_squared / charged) ** 0.5 if charged else None,
    )
