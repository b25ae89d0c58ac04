"""The registry: which models of other libraries can be opened. One line per architecture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atomlens.potentials.foreign import ForeignModel
from atomlens.potentials.graphpes import load_graphpes, recognises_graphpes
from atomlens.potentials.mace import load_mace, recognises_mace
from atomlens.potentials.nequip import load_nequip, recognises_nequip
from atomlens.potentials.opened import OpenedModel, Origin
from atomlens.potentials.sevennet import SHIPPED, TRAINED_ON, load_sevennet, recognises_sevennet


@dataclass(frozen=True)
class Architecture:
    """One kind of model of another library.

    Attributes
    ----------
    name
        Short name; also the prefix of models that ship with the library (``sevenn:7net-0``).
    recognises
        Whether a file is of this kind, without executing anything.
    load
        Opens it: ``load(path, trust=...)``, and ``unit=...`` where files do not state their unit.
    ships
        Names of models that ship inside the library; these are as trusted as the installed package.
    states_unit
        Whether the library fixes the unit (eV), so that none may be given.
    trained_on
        What the models that ship were trained on, with the source.
    """

    name: str
    recognises: Callable[[Path], bool]
    load: Callable[..., ForeignModel]
    ships: tuple[str, ...] = ()
    states_unit: bool = False
    trained_on: str = ""

    @property
    def prefix(self) -> str:
        """How the name of a model that ships with the library begins."""
        return f"{self.name}:"


ARCHITECTURES = (
    Architecture("sevenn", recognises_sevennet, load_sevennet, tuple(SHIPPED), True, TRAINED_ON),
    Architecture("mace", recognises_mace, load_mace),
    Architecture("nequip", recognises_nequip, load_nequip),
    Architecture("graph-pes", recognises_graphpes, load_graphpes),
)


def shipped_with_a_library(name: str) -> Architecture | None:
    """The architecture whose library ships the model of that name (``sevenn:7net-0``); None if it is no such name."""
    return next((a for a in ARCHITECTURES if a.ships and name.startswith(a.prefix)), None)


def foreign_architecture(path: Path) -> Architecture | None:
    """The architecture of a file of another library; None if no adapter recognises it. Nothing is executed."""
    return next((a for a in ARCHITECTURES if a.recognises(path)), None)


def open_foreign(
    architecture: Architecture, name: str | Path, *, trust: bool = False, energy_unit: str | None = None
) -> OpenedModel:
    """Open a model of another library.

    Raises
    ------
    InputError
        If the library is not installed, the file is not trusted, or the model cannot be opened or explained.
    """
    options: dict[str, Any] = {"trust": trust}
    if energy_unit is not None and not architecture.states_unit:
        options["unit"] = energy_unit
    shipped = str(name).startswith(architecture.prefix)
    card = {
        "opened": "weights that ship with the library" if shipped else "a file that runs code, trusted by the user",
        "trained on": architecture.trained_on if shipped else "not stated in files of this library",
        "errors": "not stated with the weights; its authors publish them" if shipped else "not stated",
    }
    origin = Origin(str(name) if shipped else str(Path(name).resolve()), energy_unit, trust)
    return OpenedModel(architecture.load(name, **options), architecture.name, origin, card)
