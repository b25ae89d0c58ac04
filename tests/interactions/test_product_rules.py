"""Product rules by name: what the default is, and models for which the name changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

import atomlens
from atomlens.recording import DEFAULT_PRODUCT_RULE, PRODUCT_RULES
from samples import branched, small_model


def terms_of(ex: atomlens.Explanation) -> list[np.ndarray]:
    found = ex.interactions(3)
    return [found.order(n).relevance for n in (1, 2, 3)]


@pytest.mark.parametrize("architecture", ["painn", "so3net"])
def test_full_is_what_is_asked_where_nothing_is_said(architecture):
    model, atoms = small_model(architecture), branched()
    by_default = atomlens.explain(model, atoms)
    full, scalar = (atomlens.explain(model, atoms, product_rule=name) for name in PRODUCT_RULES)
    assert by_default.product_rule == DEFAULT_PRODUCT_RULE == "full"
    for mine, same, other in zip(*map(terms_of, (by_default, full, scalar)), strict=True):
        np.testing.assert_array_equal(mine, same)
        assert np.abs(mine - other).max() > 1e-3 * np.abs(mine).max()
    batch = atomlens.explain_batch(model, [atoms])
    np.testing.assert_allclose(batch.terms[1].relevance, terms_of(full)[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", ["gate", "gamma", "gradient"])
def test_both_names_are_one_rule_for_a_schnet(rule):
    model, atoms = small_model("schnet"), branched()
    for mine, same in zip(
        *(terms_of(atomlens.explain(model, atoms, rule, name)) for name in PRODUCT_RULES), strict=True
    ):
        np.testing.assert_array_equal(mine, same)
