"""What a model has to say about itself to be recorded: the protocol that every adapter implements."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import ase
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


@dataclass(frozen=True)
class FurtherRows:
    """A kind of tensor rows beside atoms and edges, such as angles.

    A row counts for a set of atoms if all its atoms are in the set.

    Attributes
    ----------
    atoms
        Atoms that every row touches, shape (R, k).
    edges
        Edges that every row touches, in the order of `StructureInputs`, shape (R, m); m may be 0.
    """

    atoms: Int[Tensor, "R k"]
    edges: Int[Tensor, "R m"]


@dataclass(frozen=True)
class StructureInputs:
    r"""One structure as a model wants it.

    Attributes
    ----------
    tensors
        Every tensor that depends on the structure, by the model's own names and in its own layout (sizes included,
        dtypes as the model wants them). `RecordedModel.energy` sees the structure through these alone.
    n_atoms
        Number of atoms N. Atoms come in the order of the `ase.Atoms`.
    source, target
        Atom that sends and atom that receives along every edge, int64, shape (E,), in the model's own order of edges:
        the very numbers by which the model gathers atom states for messages and adds messages up.
    offsets
        Translation of the source by lattice vectors in Å, shape (E, 3): the edge's vector is
        :math:`r_{source} + offset - r_{target}`. Zero without a cell.
    rows
        Further kinds of rows by name (angles, ...). One row per structure (batch) needs no mention.
    """

    tensors: Mapping[str, Tensor]
    n_atoms: int
    source: Int[Tensor, " E"]
    target: Int[Tensor, " E"]
    offsets: Float[Tensor, "E 3"]
    rows: Mapping[str, FurtherRows] = field(default_factory=dict)

    @property
    def n_edges(self) -> int:
        """Number of directed edges E."""
        return self.source.shape[0]


@runtime_checkable
class RecordedModel(Protocol):
    r"""A potential that can be recorded: an adapter around a model of any library.

    Attributes
    ----------
    embedding
        Modules whose output *starts* the signals: everything that is explained begins there. Every call of such a
        module must return one tensor (or a tuple of tensors) with one row per atom. Choose the module that makes the
        first atom *features*, inside the library's model: the innermost one that returns a plain tensor (not a
        dictionary), and none whose output also serves as fixed node attributes. Forward hooks are set on these while
        the model is recorded and taken off afterwards, so they must be called as Python modules (a scripted child
        inside is fine).
    property, unit
        What `energy` returns ("energy") and its unit, as `atomlens.models.units` knows it ("eV").
    cutoff
        Range of one message in Å.
    elements
        Atomic numbers that the model knows; empty if it does not say.
    dtype
        Floating type of the model's weights, float64 for exact explanations.

    Notes
    -----
    Everything that is neither a signal nor computed from one (geometry, filters, spherical harmonics, reference
    energies) becomes a constant. Constants that are added to an energy of one atom or of the whole structure
    (reference energies, shifts, ZBL, the last bias of a read-out) make up the constant of the explanation; an adapter
    does not take them off.
    """

    property: str
    unit: str
    cutoff: float
    elements: tuple[int, ...]
    dtype: torch.dtype

    @builtins.property  # the attribute above has its name
    def embedding(self) -> Sequence[nn.Module]:
        """Modules whose output starts the signals."""
        ...

    def inputs(self, atoms: ase.Atoms) -> StructureInputs:
        """Turn one structure into the model's inputs; refuse unknown elements with an `InputError`."""
        ...

    def energy(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Energy of one structure, shape () in `unit`, everything included; no forces, no gradient inside.

        Runs the model once, eagerly, on `StructureInputs.tensors`; must not change them, nor use other structure data.
        """
        ...
