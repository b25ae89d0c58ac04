"""The digest of a data set changes with what it is asked to notice, and with nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from atomlens import InputError
from atomlens.data import Column, Dataset, digest

N = 4


def pairs() -> Dataset:
    rng = np.random.default_rng(0)
    columns = (
        Column("energy", "eV", rng.standard_normal(N)),
        Column("forces", "eV/Å", rng.standard_normal((2 * N, 3)), per_atom=True),
        Column("group", "", np.arange(N)),
    )
    numbers, positions = np.array([1, 8] * N), rng.standard_normal((2 * N, 3))
    starts, open_ones = np.arange(0, 2 * N + 1, 2), np.zeros((N, 3), dtype=bool)
    return Dataset("pairs", "test", numbers, positions, np.zeros((N, 3, 3)), open_ones, starts, columns)


def test_order_structures_and_fitted_values_count() -> None:
    dataset, fitted = pairs(), ("energy", "group")
    known = digest(dataset, fitted)
    assert digest(pairs(), fitted) == known
    assert digest(dataset.subset(np.array([1, 0, 2, 3])), fitted) != known
    moved = dataset.positions.copy()
    moved[3, 1] += 1e-9
    assert digest(replace(dataset, positions=moved), fitted) != known
    energy, forces, group = dataset.columns
    assert digest(replace(dataset, columns=(replace(energy, values=2 * energy.values), forces, group)), fitted) != known
    assert digest(replace(dataset, columns=(energy, replace(forces, values=2 * forces.values), group)), fitted) == known


def test_how_numbers_are_stored_does_not_count() -> None:
    dataset = pairs()
    stored = replace(dataset, numbers=dataset.numbers.astype(np.int32), positions=np.asfortranarray(dataset.positions))
    assert digest(stored, ["energy"]) == digest(dataset, ["energy"])
    with pytest.raises(InputError, match="no property 'charges'"):
        digest(dataset, ["charges"])
