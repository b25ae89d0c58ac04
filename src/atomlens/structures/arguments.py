"""Arguments of the wrong type get a sentence: what was received, and what to give."""

from __future__ import annotations

from typing import Any, Literal

import ase
import torch

# What numbers are computed in: a type of torch's, or its name.
Precision = torch.dtype | Literal["float32", "float64"]
_NAMED = {"float32": torch.float32, "float64": torch.float64}


def as_dtype(dtype: Precision) -> torch.dtype:
    """Type of torch's that is meant.

    Raises
    ------
    ValueError
        If it is neither a type of real numbers nor the name of one.

    Examples
    --------
    >>> as_dtype("float32")
    torch.float32
    >>> as_dtype("double precision")
    Traceback (most recent call last):
    ValueError: dtype 'double precision' is not known; give float32 or float64
    """
    found = _NAMED.get(dtype, dtype) if isinstance(dtype, str) else dtype
    if isinstance(found, torch.dtype) and found.is_floating_point:
        return found
    raise ValueError(f"dtype {dtype!r} is not known; give float32 or float64")


def need_structure(atoms: Any, taker: str, many: str = "") -> None:
    """Raise `TypeError` unless something is one structure.

    Parameters
    ----------
    atoms
        What was received.
    taker
        The function that received it.
    many
        The function that takes a list of structures, if there is one.

    Examples
    --------
    >>> need_structure(ase.Atoms("H"), "predict")
    >>> need_structure([ase.Atoms("H")], "predict")
    Traceback (most recent call last):
    TypeError: predict takes one structure and received a list of 1; give one of them
    """
    if isinstance(atoms, ase.Atoms):
        return
    kind = type(atoms).__name__
    if isinstance(atoms, list | tuple):
        raise TypeError(
            f"{taker} takes one structure and received a {kind} of {len(atoms)}; give one of them"
            + (f", or all to {many}" if many else "")
        )
    raise TypeError(
        f"{taker} received a {kind} as structure; give an ase.Atoms, for example from "
        "ase.io.read(path) or atomlens.read_structures(path)[0]"
    )
