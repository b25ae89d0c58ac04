"""The zoo: models that come with atomlens, found in its folder and nowhere listed."""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from atomlens.structures import InputError

if TYPE_CHECKING:
    from atomlens.models.config import ModelConfig

ZOO = "zoo:"
# What a molecule is explained with where no model is named; its short name is good wherever a model is named.
DEFAULT_MODEL = "organic"
_SHORT_NAMES = {DEFAULT_MODEL: "organic-painn"}
# Entries in the card of every shipped model.
CARD_KEYS = ("name", "data", "split", "seed", "command", "hours", "errors", "date")


def zoo_names() -> list[str]:
    """Names of the models that come with atomlens, as ``zoo:NAME`` takes them.

    Examples
    --------
    >>> "rmd17-ethanol-painn" in zoo_names()
    True
    """
    return sorted(file.stem for file in _folder().glob("[!.]*.safetensors"))


def is_zoo_name(name: str) -> bool:
    """Whether a model of the zoo is meant: ``zoo:NAME``, or ``organic`` where no file has that name.

    Examples
    --------
    >>> is_zoo_name("zoo:organic-schnet"), is_zoo_name("organic"), is_zoo_name("model.safetensors")
    (True, True, False)
    """
    return name.startswith(ZOO) or (name in _SHORT_NAMES and not Path(name).is_file())


def zoo_path(name: str) -> Path:
    """The file of a shipped model, by its name with or without ``zoo:``, or by its short name ``organic``.

    Raises
    ------
    InputError
        If there is none of that name; the line suggests the nearest.
    """
    plain, names = name.removeprefix(ZOO), zoo_names()
    plain = _SHORT_NAMES.get(plain, plain)
    if plain in names:
        return _folder() / f"{plain}.safetensors"
    if not names:
        raise InputError(f"{ZOO}{plain}: the zoo is empty in this installation; install atomlens again")
    near = difflib.get_close_matches(plain, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? It has" if near else "it has"
    raise InputError(f"{ZOO}{plain}: no model of that name in the zoo; {hint} {', '.join(names)}")


def zoo_config(name: str) -> ModelConfig:
    """Configuration and data card of a shipped model, read from its file's header without its weights.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> zoo_config("rmd17-ethanol-painn").card["split"]["train"]
    950
    """
    from atomlens.models.files.checkpoint import read_config  # torch, which a look at names does not need

    return read_config(zoo_path(name))


def _folder() -> Path:
    return Path(str(resources.files("atomlens.models"))) / "zoo"
