"""Explanations are those of yesterday. How to make the stored numbers again: see `make_regression`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from make_regression import PUBLISHED, SHARED, STORED, cases, numbers

import atomlens

STORED_NUMBERS = json.loads(STORED.read_text())


@pytest.fixture(scope="module")
def explanations() -> dict[str, atomlens.Explanation]:
    return cases()


@pytest.mark.parametrize("name", STORED_NUMBERS)
def test_stored_numbers(explanations, name):
    if name not in explanations:
        pytest.skip("needs SchNetPack's ethanol model beside the repository (shared/testdata)")
    found, stored = numbers(explanations[name]), STORED_NUMBERS[name]
    assert found.keys() == stored.keys()
    for what, values in stored.items():
        size = max(map(abs, stored["pairs"])) if what != "prediction, constant" else abs(values[0])
        np.testing.assert_allclose(found[what], values, rtol=0, atol=1e-9 * size, err_msg=what)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="needs SchNetPack's ethanol model (shared/testdata)")
def test_ethanol_as_chemistry_has_it():
    """Full walks of the published model: bonds attract, and more so the heavier; 1-3 pairs repel (kcal/mol)."""
    kcal = 23.0605
    (atoms,) = atomlens.read_structures(SHARED / "ethanol.xyz")
    ex = atomlens.explain(atomlens.load_model(PUBLISHED), atoms, product_rule="scalar")
    terms = ex.interactions(3, walks="full")
    pairs = {tuple(p): r * kcal for p, r in zip(terms.order(2).atoms.tolist(), terms.order(2).relevance, strict=True)}
    bonds = atomlens.structures.perceive_bonds(atoms).topological_distances()
    mean: dict[tuple[str, int], list[float]] = {}
    for (i, j), value in pairs.items():
        mean.setdefault(("".join(sorted(atoms.symbols[i] + atoms.symbols[j])), int(bonds[i, j])), []).append(value)
    found = {key: float(np.mean(values)) for key, values in mean.items()}
    assert found[("CC", 1)] == pytest.approx(-15.5, abs=0.1)
    assert found[("CO", 1)] == pytest.approx(-12.4, abs=0.1)
    assert found[("CH", 1)] == pytest.approx(-4.8, abs=0.1)
    assert found[("HO", 1)] == pytest.approx(-3.7, abs=0.1)
    assert min(found[("CH", 2)], found[("HH", 2)], found[("HO", 2)]) > 1.0
    strength = [float(np.abs(terms.order(n).relevance).sum()) * kcal for n in (2, 3)]
    assert strength == pytest.approx([96.4, 14.9], abs=0.1)
