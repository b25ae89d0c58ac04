"""Values that options take, and what is checked before any work begins."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from atomlens.recording import DEFAULT_PRODUCT_RULE

if TYPE_CHECKING:
    import ase
    import torch

    from atomlens.potentials import AnyModel
    from atomlens.tables import AtomGroups


class RuleName(StrEnum):
    """Relevance rules."""

    GATE = "gate"
    GAMMA = "gamma"
    GRADIENT = "gradient"
    PUBLISHED = "published"


class ProductRuleName(StrEnum):
    """What products of two signals do with relevance."""

    FULL = "full"
    SCALAR = "scalar"


PRODUCT_RULE_HELP = (
    "Where two signals are multiplied: both carry relevance (full), or vectors only gate (scalar). SchNet has no such "
    f"products. \\[default: {DEFAULT_PRODUCT_RULE}]"
)


Trust = Annotated[
    bool,
    typer.Option("--trust", help="Open a pickled model, or a module outside of the installed packages: both run code."),
]


UnitName = Annotated[
    str | None,
    typer.Option(
        "--unit",
        help="Energy unit of a file that does not state it: of SchNetPack without its config.yaml, of MACE, NequIP or "
        "graph-pes (eV).",
    ),
]


DeviceName = Annotated[
    str | None, typer.Option("--device", metavar="NAME", help="cpu, cuda, cuda:1, ... \\[default: cpu]")
]


class TableFormat(StrEnum):
    """File formats of tables."""

    PARQUET = "parquet"
    CSV = "csv"
    BOTH = "both"


# For commands whose runs resume. Without the option, the same command goes on where it stopped.
OverwriteRun = Annotated[
    bool, typer.Option("--overwrite", help="Replace a folder that atomlens wrote, an unfinished run too.")
]


class Precision(StrEnum):
    """Floating-point types."""

    DOUBLE = "float64"
    SINGLE = "float32"


def distance_range(text: str | None) -> tuple[float, float] | None:
    """Two lengths in Å from ``LOW:HIGH``; None stays None.

    Raises
    ------
    InputError
        If the text is no range.

    Examples
    --------
    >>> distance_range("2.5:3.5")
    (2.5, 3.5)
    """
    from atomlens.structures import InputError

    if text is None:
        return None
    try:
        low, high = map(float, text.split(":"))
    except ValueError as error:
        raise InputError(f"--distances {text}: give two lengths in Å as LOW:HIGH, for example 2.5:3.5") from error
    return low, high


def whole_number(low: int, high: int) -> Callable[[str | int], int]:
    """Parser of whole numbers from `low` to `high` whose errors name what was received."""

    def parse(text: str | int) -> int:  # the default comes as a number
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or not low <= number <= high:
            raise typer.BadParameter(f"{text!r} is not a whole number from {low} to {high}")
        return number

    return parse


def non_negative(text: str | float) -> float:
    """Parser of finite numbers from 0 whose errors name what was received."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise typer.BadParameter(f"{text!r} is not a number from 0 up")
    return number


def positive(text: str | float) -> float:
    """Parser of finite numbers above 0 whose errors name what was received."""
    try:
        number = non_negative(text)
    except typer.BadParameter:
        number = 0.0
    if number == 0.0:
        raise typer.BadParameter(f"{text!r} is not a number above 0")
    return number


def checked_device(name: str | None) -> torch.device | None:
    """The device of that name.

    Raises
    ------
    InputError
        If there is no such device, or it cannot be used here.
    """
    from atomlens.models import usable_device
    from atomlens.structures import InputError

    try:
        return None if name is None else usable_device(name)
    except InputError as error:
        raise InputError(f"--{error}") from error


def on_device(model: AnyModel, device: torch.device | None) -> AnyModel:
    """The model on a device, or where it is if None.

    Raises
    ------
    InputError
        If it is one of another library and the device is no CPU.
    """
    from atomlens.models import Potential
    from atomlens.structures import InputError

    if device is None:
        return model
    if isinstance(model, Potential):
        return model.converted(model.dtype, device)
    if device.type != "cpu":
        raise InputError(f"--device {str(device)!r}: models of other libraries are explained on the CPU; leave it out")
    return model


def checked_unit(name: str | None) -> str | None:
    """The energy unit of that name.

    Raises
    ------
    InputError
        If it is not known.
    """
    from atomlens.models import ENERGY_UNITS
    from atomlens.structures import InputError

    if name is not None and name not in ENERGY_UNITS:
        raise InputError(f"--unit {name!r} is not known; give one of {', '.join(ENERGY_UNITS)}")
    return name


def group_maker(kind: str | None) -> Callable[[ase.Atoms], AtomGroups] | None:
    """From ``fragments``, ``residues`` or the path of a JSON file to the groups of a structure.

    Raises
    ------
    InputError
        If it is a file that cannot be used.
    """
    from atomlens.tables import fragment_groups, named_groups, read_groups, residue_groups

    if kind is None:
        return None
    if kind in ("fragments", "residues"):
        return {"fragments": fragment_groups, "residues": residue_groups}[kind]
    named = read_groups(kind)
    return lambda atoms: named_groups(named, len(atoms))
