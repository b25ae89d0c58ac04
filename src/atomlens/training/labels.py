"""What a model is fitted to: one number per structure, forces of an energy, charges of atoms."""

from __future__ import annotations

import numpy as np

from atomlens.data import Column, Dataset, require_finite
from atomlens.models import ENERGY_UNITS
from atomlens.structures import InputError
from atomlens.training.config import DataSettings, TrainConfig

# In e: charges that add up to a total may miss it by their rounding, those of an ion miss it by 1 or more.
_SAME_TOTAL = 0.5


def used_columns(settings: DataSettings) -> tuple[str, ...]:
    """The properties that a run uses."""
    names = (settings.property, "forces" if settings.forces else "", settings.charges, settings.groups)
    return tuple(dict.fromkeys(name for name in names if name))


def check_labels(dataset: Dataset, settings: DataSettings) -> None:
    """Refuse what cannot be fitted.

    Raises
    ------
    InputError
        If the property is not one number per structure, forces are no forces or belong to no energy, charges are not
        one number per atom, or any of them is not finite.
    """
    column = dataset.column(settings.property)
    if reason := _no_label(column):
        fit = ", ".join(c.name for c in dataset.columns if not _no_label(c)) or "the data set has none"
        raise InputError(
            f"{dataset.name}: property = {column.name!r} {reason}; a model learns one number per structure: {fit}"
        )
    if settings.forces:
        if column.unit not in ENERGY_UNITS:
            raise InputError(
                f"{dataset.name}: forces = true with property = {column.name!r} in {column.unit or 'no unit'}; forces "
                "are those of an energy: set forces = false, or name an energy"
            )
        forces = dataset.column("forces")
        if not forces.per_atom or forces.values.ndim != 2 or forces.values.shape[1] != 3:
            raise InputError(
                f"{dataset.name}: its forces have the shape {forces.values.shape}; give three numbers per atom"
            )
    if settings.charges:
        charges = dataset.column(settings.charges)
        if not charges.per_atom or charges.values.ndim != 1 or charges.values.dtype.kind not in "iuf":
            raise InputError(
                f"{dataset.name}: {charges.name} are no charges; name a property with one number for each atom"
            )
    require_finite(dataset, used_columns(settings))


def _no_label(column: Column) -> str:
    """Why a property is not one number per structure; empty where it is."""
    if column.values.dtype.kind not in "iuf":
        return "is no number"
    if column.per_atom:
        return "belongs to atoms"
    if column.values.ndim != 1:
        return f"has {' x '.join(map(str, column.values.shape[1:]))} numbers per structure"
    return ""


def check_totals(dataset: Dataset, config: TrainConfig) -> None:
    """Refuse charges that no choice of weights can meet, since the model gives every structure one total charge.

    Raises
    ------
    InputError
        If the charges of a structure add up to another total than the model's.
    """
    balance, wanted = config.model.charge_balance, config.model.total_charge
    if not config.data.charges or balance == "none":
        return
    values = np.asarray(dataset.column(config.data.charges).values, dtype=np.float64)
    totals = np.add.reduceat(values, np.asarray(dataset.starts[:-1]))
    other = np.flatnonzero(np.abs(totals - wanted) > _SAME_TOTAL)
    if len(other):
        k = int(other[0])
        same = np.abs(totals - totals[k]).max() <= _SAME_TOTAL
        raise InputError(
            f"{dataset.name}: {config.data.charges} of structure {k} (from 0) add up to {totals[k]:.3g} e, but "
            f"charge_balance = {balance!r} gives every structure {wanted:g} e; set charge_balance = 'none'"
            + (f", or total_charge = {float(np.round(totals[k]))}" if same else "")
        )
