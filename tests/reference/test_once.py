"""References that are kept for the next model are those of the same geometry, and no other."""

from __future__ import annotations

import ase.build
import pytest

from atomlens.reference import once_per_geometry


def test_what_differs_in_the_structure_is_made_anew() -> None:
    asked: list[tuple[str, int]] = []

    @once_per_geometry(10)
    def made(atoms: ase.Atoms, points: int = 3) -> int:
        asked.append((str(atoms.symbols), points))
        return len(asked)

    water = ase.build.molecule("H2O")
    assert made(water) == made(water.copy()) == 1
    moved, charged, heavier, boxed = (water.copy() for _ in range(4))
    moved.positions[0, 0] += 1e-9
    charged.info["charge"] = 1
    heavier.numbers[0] = 16
    boxed.cell = [9.0, 9.0, 9.0]
    assert [made(atoms) for atoms in (moved, charged, heavier, boxed)] == [2, 3, 4, 5]
    assert made(water, 4) == 6
    assert made(water, points=4) == 7
    assert made(water) == 1


def test_the_last_ones_are_kept_and_errors_are_not() -> None:
    asked: list[int] = []

    @once_per_geometry(2)
    def made(atoms: ase.Atoms) -> int:
        asked.append(len(atoms))
        if len(atoms) == 1:
            raise ValueError("one atom")
        return len(atoms)

    for name in ("H2O", "NH3", "CH4", "NH3", "H2O"):
        made(ase.build.molecule(name))
    assert asked == [3, 4, 5, 3]
    for _ in range(2):
        with pytest.raises(ValueError, match="one atom"):
            made(ase.Atoms("O"))
    assert asked[-2:] == [1, 1]
