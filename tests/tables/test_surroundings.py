"""Bonds between two atoms, counted along random graphs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.csgraph import shortest_path

from atomlens.tables.surroundings import bond_orders, bond_relations


@pytest.mark.parametrize("seed", range(20))
def test_relations_and_orders_are_those_of_shortest_paths(seed):
    generator = np.random.default_rng(seed)
    n = int(generator.integers(2, 25))
    matrix = np.triu(generator.choice([0.0, 1.0, 1.5, 2.0], (n, n), p=[0.88, 0.06, 0.03, 0.03]), k=1)
    pairs = np.argwhere(matrix > 0)
    steps = shortest_path(matrix, directed=False, unweighted=True)
    molecule = np.unique(np.isfinite(steps), axis=0, return_inverse=True)[1].reshape(-1)
    i, j = np.nonzero(~np.eye(n, dtype=bool))
    expected = np.where(np.isfinite(steps), np.clip(steps, 1, 4) - 1, 4)[i, j]
    assert bond_relations(pairs, molecule, i, j).tolist() == expected.tolist()
    assert bond_orders(pairs, matrix[matrix > 0], n, i, j).tolist() == (matrix + matrix.T)[i, j].tolist()
