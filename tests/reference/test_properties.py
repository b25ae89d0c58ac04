"""How properties compose, by their names."""

from __future__ import annotations

import numpy as np
import pytest

from atomlens.reference.properties import Kind, composed, composition


@pytest.mark.parametrize(
    ("name", "kind", "is_energy"),
    [
        ("U0_atomization", Kind.SUM, True),
        ("energy", Kind.SUM, True),
        ("Cv", Kind.SUM, False),
        ("HOMO", Kind.LARGER, False),
        ("lumo", Kind.SMALLER, False),
        ("dipole", Kind.VECTOR, False),
        ("gap", Kind.UNKNOWN, False),
        ("melting point", Kind.UNKNOWN, False),
    ],
)
def test_names_tell_how_properties_compose(name: str, kind: Kind, is_energy: bool) -> None:
    found = composition(name)
    assert found.kind is kind
    assert found.is_energy is is_energy
    assert found.reason


def test_what_has_forces_is_an_energy_where_the_name_tells_nothing() -> None:
    assert composition("E_dft", has_forces=True).is_energy
    assert composition("HOMO", has_forces=True).kind is Kind.LARGER


def test_rules_of_composition() -> None:
    a, b = np.array([-3.0]), np.array([4.0])
    n, m = np.array([1]), np.array([3])
    expected = {Kind.SUM: 1.0, Kind.LARGER: 4.0, Kind.SMALLER: -3.0, Kind.VECTOR: 5.0, "mean": 2.25}
    for rule, value in expected.items():
        assert composed(rule, a, b, n, m) == pytest.approx([value])
    with pytest.raises(ValueError, match="no rule"):
        composed(Kind.UNKNOWN, a, b, n, m)
