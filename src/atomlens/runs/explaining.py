"""Explain one structure after the other, each when it is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import ase

from atomlens.interactions import explain
from atomlens.models import one_thread, outside
from atomlens.potentials import AnyModel
from atomlens.structures import InputError
from atomlens.tables import AtomGroups, ExplainedFrame, explained_frame

# Fewer atoms than this are explained on one thread: a second one gains nothing up to 192 atoms on a quiet machine, and
# on a busy one threads that wait for each other take many times as long.
_FEW_ATOMS = 256


def explained_frames(
    model: AnyModel,
    structures: Sequence[ase.Atoms],
    *,
    max_order: int = 3,
    top_walks: int = 50,
    make_groups: Callable[[ase.Atoms], AtomGroups] | None = None,
    with_forces: Container[int] = (),
    **settings: Any,
) -> Iterator[ExplainedFrame]:
    """Explain structures one by one; an error names the frame it comes from.

    Parameters
    ----------
    model
        The model.
    structures
        Structures in order.
    max_order, top_walks
        As in `explained_frame`.
    make_groups
        From a structure to its groups, if groups are wanted.
    with_forces
        Numbers of the frames whose pair forces are wanted.
    **settings
        Of `atomlens.explain`: rule, product_rule, gamma, dtype, device.

    Raises
    ------
    InputError
        If a structure is unusable for the model.
    """
    for index, atoms in enumerate(structures):
        start = time.perf_counter()
        try:
            with one_thread() if len(atoms) < _FEW_ATOMS else nullcontext():
                explanation = explain(model, atoms, **settings)
                groups = make_groups(atoms) if make_groups is not None else None
                frame = explained_frame(
                    explanation,
                    index=index,
                    max_order=max_order,
                    top_walks=top_walks,
                    groups=groups,
                    started=start,
                    outside=outside(model.facts, atoms),
                    with_forces=index in with_forces,
                )
        except InputError as error:
            if len(structures) == 1:
                raise
            raise InputError(f"frame {index}: {error}") from error
        yield frame
