"""Arguments of the wrong type get a sentence: what was received, and what to give."""

from __future__ import annotations

from typing import Any

import ase


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
