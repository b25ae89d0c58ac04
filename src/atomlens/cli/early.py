"""Mistakes that show before anything heavy is loaded: a misspelt name, an element that the model never saw."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from atomlens.structures import InputError, check_regular, structure_file

if TYPE_CHECKING:
    import ase

    from atomlens.structures import ReadFrames

# An atom of a SMILES string: in brackets, or of the organic subset.
_SMILES_ATOM = re.compile(r"\[\d*([A-Z][a-z]?|[a-z][a-z]?)[^\[\]]*\]|(Br|Cl|[BCNOPSFIbcnops])")
_MODEL_SUFFIXES = (".safetensors", ".model", ".pt", ".pth", ".ckpt", ".zip")
_SMILES_REST = re.compile(r"[-=#$:/\\().%\d@+]*")


def check_model_name(model: str) -> tuple[int, ...] | None:
    """Elements that a model was trained on, as far as its file's header says, after a look at its name.

    Raises
    ------
    InputError
        If it is a name that the zoo does not have, or a pipe or device.
    """
    from atomlens.models import header_elements, is_zoo_name, zoo_path

    if is_zoo_name(model):
        return header_elements(zoo_path(model))
    try:
        path = Path(model)
        if not path.is_file():
            if path.exists():
                check_regular(path)
            return None
    except (OSError, ValueError):  # a name that no file can have
        return None
    return header_elements(path)


def check_named(structures: str) -> None:
    """Refuse an empty name, which would mean the current folder.

    Raises
    ------
    InputError
        If there is no name.
    """
    if not structures.strip():
        raise InputError("no structure was named; give a file, or a SMILES string like CCO")


def model_and_structures(first: str | None, second: str | None) -> tuple[str, str]:
    """Model and structures of one or two arguments: the model may be left out.

    Raises
    ------
    InputError
        If the one argument is a model, or there is none.
    """
    from atomlens.models import DEFAULT_MODEL, is_zoo_name

    first = first or ""
    if second is not None:
        return first, second
    check_named(first)
    if is_zoo_name(first) or Path(first).suffix in _MODEL_SUFFIXES or _ships_with_a_library(first):
        raise InputError(f"{first} is a model; give structures to explain with it, a file or a SMILES string")
    return DEFAULT_MODEL, first


def _ships_with_a_library(name: str) -> bool:
    if ":" not in name:  # saves SMILES strings and files the import of torch
        return False
    from atomlens.potentials import shipped_with_a_library

    return shipped_with_a_library(name) is not None


def read_early(model: str, structures: str, frames: str = ":", *, any_element: bool | None = None) -> ReadFrames | None:
    """Structures of a file, after the model's name and their elements were looked at; None for a SMILES string.

    `any_element` is what was chosen where a command lets one choose, None elsewhere.

    Raises
    ------
    InputError
        As `check_model_name` and `read_frames`, and if a structure has an element that the model never saw.
    """
    check_named(structures)
    known, advice = check_model_name(model), element_advice(model, has_option=any_element is not None)
    if structure_file(structures) is None:
        if not any_element:
            check_elements(known, [smiles_elements(structures)], advice)
        return None
    from atomlens.structures import read_frames

    def look(found: list[ase.Atoms]) -> None:
        if not any_element:
            check_elements(known, [atoms.numbers.tolist() for atoms in found], advice)

    return read_frames(structures, frames, look=look)


def element_advice(model: str, *, has_option: bool) -> str:
    """What to do about elements that a model never saw; empty where there is nothing to advise."""
    from atomlens.models import is_zoo_name

    other = ["give a model that knows them, such as sevenn:7net-0 (most elements)"] if is_zoo_name(model) else []
    option = ["--any-element to see what this one makes of them"] if has_option else []
    return ", or ".join(other + option)


def check_elements(known: tuple[int, ...] | None, structures: Sequence[Sequence[int]], advice: str = "") -> None:
    """Refuse atomic numbers that a model was not trained on; an error names the frame where there are several.

    Raises
    ------
    InputError
        If there are such.
    """
    from atomlens.models import unseen_elements

    for index, numbers in enumerate(structures):
        if unseen := unseen_elements(known, numbers):
            where = "" if len(structures) == 1 else f"frame {index}: "
            raise InputError(f"{where}{unseen}{'; ' if advice else ''}{advice}")


def smiles_elements(text: str) -> list[int]:
    """Atomic numbers that a SMILES string writes; none where it is no such string, which others will find.

    Examples
    --------
    >>> smiles_elements("c1ccccc1Br"), smiles_elements("[Na+]"), smiles_elements("ethanol.xyz")
    ([6, 35], [11], [])
    """
    if not _SMILES_REST.fullmatch(_SMILES_ATOM.sub("", text.strip())):
        return []
    from ase.data import atomic_numbers

    symbols = {(match[1] or match[2]).capitalize() for match in _SMILES_ATOM.finditer(text)}
    return sorted(atomic_numbers[symbol] for symbol in symbols) if symbols <= set(atomic_numbers) else []


def early_or_embedded(early: ReadFrames | None, structures: str, frames: str) -> ReadFrames:
    """What was read already, or the structure of a SMILES string."""
    from atomlens.structures import read_frames

    return early if early is not None else read_frames(structures, frames)
