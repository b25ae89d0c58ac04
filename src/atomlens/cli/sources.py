"""Where structures come from: a file, a SMILES string, or molecules drawn from QM9."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, overload

import numpy as np

from atomlens.cli.early import check_named
from atomlens.structures import InputError, read_structures, structure_file
from atomlens.surveys import StructureSource, is_xyz, open_frames

if TYPE_CHECKING:
    import ase

    from atomlens.data import Dataset

_QM9 = "qm9:"


class QM9Sample(Sequence["ase.Atoms"]):
    """Molecules of QM9 by their numbers; pickled as these numbers alone, read where they are needed.

    Parameters
    ----------
    numbers
        Which molecules, counted from 0 in the order of `atomlens.data.load_qm9`.
    """

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers = [int(number) for number in numbers]

    @classmethod
    def drawn(cls, count: int, seed: int) -> QM9Sample:
        """`count` different molecules, drawn with a seed.

        Raises
        ------
        InputError
            If QM9 has fewer molecules, or is not installed.
        """
        from atomlens.data import load_qm9

        size = len(load_qm9())
        if not 1 <= count <= size:
            raise InputError(f"qm9:{count}: QM9 has {size} molecules; give a number from 1 to {size}")
        return cls(np.sort(np.random.default_rng(seed).choice(size, count, replace=False)).tolist())

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> ase.Atoms: ...
    @overload
    def __getitem__(self, index: slice) -> QM9Sample: ...
    def __getitem__(self, index: int | slice) -> ase.Atoms | QM9Sample:
        if isinstance(index, slice):
            return QM9Sample(self.numbers[index])
        number = self.numbers[index]
        atoms = self._dataset.atoms(number)
        atoms.info["name"] = f"QM9 {number} {atoms.get_chemical_formula()}"
        return atoms

    @cached_property
    def _dataset(self) -> Dataset:
        from atomlens.data import load_qm9

        return load_qm9()

    def fingerprint(self) -> str:
        """By what samples differ: their molecules."""
        return f"qm9 {self.numbers}"

    def __getstate__(self) -> dict[str, list[int]]:
        return {"numbers": self.numbers}


def structure_source(text: str, frames: str = ":", seed: int = 0) -> StructureSource:
    """Structures named on a command line: a file, a SMILES string, or ``qm9:COUNT``.

    Frames of (extended) xyz files and molecules of QM9 are read when they are needed; other files now and whole.

    Raises
    ------
    InputError
        If it is none of these.
    """
    check_named(text)
    if not text.startswith(_QM9):
        file = structure_file(text)
        return open_frames(file, frames) if file and is_xyz(file) else read_structures(text, frames, seed=seed)
    count = text[len(_QM9) :]
    if not (count.isascii() and count.isdigit() and len(count) < 10):
        raise InputError(f"{text[:40]}: say how many molecules to draw, for example qm9:200")
    if frames != ":":
        raise InputError(f"{text} --frames {frames}: molecules of QM9 are drawn, not sliced; give qm9:COUNT alone")
    return QM9Sample.drawn(int(count), seed)
