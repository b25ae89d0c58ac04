"""A set of structures with their properties, in flat arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import ase
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from atomlens.structures import InputError


@dataclass(frozen=True)
class Column:
    """One property of all structures.

    Attributes
    ----------
    name
        Name of the property.
    unit
        Its unit, "" for pure numbers and text. Energies are in eV, forces in eV/Å, charges in e.
    values
        One entry a structure, shape (S, ...), or one an atom, shape (A, ...), with `per_atom`.
    per_atom
        Whether the entries belong to atoms.
    meaning
        What it is, in words.
    free_atoms
        Its value for the free atom of each element, (atomic number, value) pairs, where known.
    """

    name: str
    unit: str
    values: Shaped[np.ndarray, "_ ..."]
    per_atom: bool = False
    meaning: str = ""
    free_atoms: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Many structures, atom after atom.

    Attributes
    ----------
    name
        Short name, as in file names.
    source
        Where the data come from.
    numbers
        Atomic numbers of all structures in a row, shape (A,).
    positions
        Positions in Å, shape (A, 3).
    cells
        Cell vectors as rows in Å, shape (S, 3, 3); zero where there is no cell.
    periodic
        Periodic directions, shape (S, 3).
    starts
        Structure k owns atoms ``starts[k]`` to ``starts[k + 1]``, shape (S + 1,).
    columns
        The properties.
    notes
        What a reader of this set must know: units that were assumed, frames that were left out.
    """

    name: str
    source: str
    numbers: Int[np.ndarray, " A"]
    positions: Float[np.ndarray, "A 3"]
    cells: Float[np.ndarray, "S 3 3"]
    periodic: Bool[np.ndarray, "S 3"]
    starts: Int[np.ndarray, " S1"]
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> Int[np.ndarray, " S"]:
        """Number of atoms of every structure."""
        return np.diff(self.starts)

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers that occur."""
        return tuple(int(z) for z in np.flatnonzero(np.bincount(self.numbers)))

    def column(self, name: str) -> Column:
        """Property by name.

        Raises
        ------
        InputError
            If the set has no such property.
        """
        for column in self.columns:
            if column.name == name:
                return column
        names = ", ".join(c.name for c in self.columns) or "none"
        raise InputError(f"data set {self.name} has no property {name!r}; it has: {names}")

    def has(self, name: str) -> bool:
        """Whether the set has a property."""
        return any(column.name == name for column in self.columns)

    def atoms(self, index: int) -> ase.Atoms:
        """One structure as ASE atoms, without its properties."""
        part = slice(int(self.starts[index]), int(self.starts[index + 1]))
        return ase.Atoms(
            numbers=self.numbers[part],
            positions=self.positions[part],
            cell=self.cells[index],
            pbc=self.periodic[index],
        )

    def subset(self, indices: Int[np.ndarray, " M"]) -> Dataset:
        """The structures at `indices`, in that order."""
        indices = np.asarray(indices, dtype=np.int64)
        rows = ragged_rows(self.starts, indices)
        columns = tuple(replace(c, values=c.values[rows if c.per_atom else indices]) for c in self.columns)
        return replace(
            self,
            numbers=self.numbers[rows],
            positions=self.positions[rows],
            cells=self.cells[indices],
            periodic=self.periodic[indices],
            starts=np.concatenate([[0], np.cumsum(self.sizes[indices])]),
            columns=columns,
        )


def ragged_rows(starts: Int[np.ndarray, " S1"], indices: Int[np.ndarray, " M"]) -> Int[np.ndarray, " R"]:
    """Rows that the groups at `indices` own, group after group; group k owns ``starts[k]:starts[k + 1]``.

    Examples
    --------
    >>> ragged_rows(np.array([0, 2, 5, 6]), np.array([1, 0])).tolist()
    [2, 3, 4, 0, 1]
    """
    sizes = starts[indices + 1] - starts[indices]
    ends = np.cumsum(sizes)
    shift = starts[indices] - (ends - sizes)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(shift, sizes)
