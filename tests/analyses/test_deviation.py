"""The deviation score: its parts, its limits, and what is left out."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomlens.analyses import Effect
from atomlens.analyses.deviation import PARTS, Deviation, common_deviations, deviation_score
from atomlens.analyses.pair_scores import Score

DOCS = Path(__file__).parents[2] / "docs" / "deviation-score.md"


def scored(values: dict[str, float]) -> Deviation:
    """The score of results that hold these values by ``question/key``."""
    results = {}
    for question in ("species", "decay"):
        mine = {key.split("/")[1]: value for key, value in values.items() if key.startswith(question)}
        results[question] = {k: Score(Effect(k, v)) for k, v in mine.items()}
    return deviation_score(results["species"], results["decay"])


IDEAL = {f"{part.question}/{part.key}": part.ideal for part in PARTS}


def test_a_model_without_fault_scores_nothing() -> None:
    found = scored(IDEAL)
    assert found.value == 0
    assert found.n_measured == len(PARTS)


@given(st.sampled_from(PARTS), st.floats(0, 3))
def test_each_part_counts_with_its_weight_and_saturates(part: Any, far: float) -> None:
    name = f"{part.question}/{part.key}"
    sign = -1 if part.high_is_good else 1
    worse = min(far, 1.0) if part.high_is_good is None else 0
    found = scored({**IDEAL, name: part.ideal + sign * far * part.scale})
    assert found.parts[name] == pytest.approx(min(far, 1.0), abs=1e-9)
    assert found.value == pytest.approx(min(far, 1.0) * part.weight / sum(p.weight for p in PARTS), abs=1e-9)
    other_side = scored({**IDEAL, name: part.ideal - sign * far * part.scale})
    assert other_side.parts[name] == pytest.approx(worse, abs=1e-9)


def test_what_could_not_be_measured_is_left_out() -> None:
    found = scored({"species/topology": 0.75, "decay/growth": math.nan})
    assert found.value == pytest.approx(0.5)
    assert found.n_measured == 1
    assert math.isnan(found.parts["decay/growth"])
    assert math.isnan(deviation_score({}, {}).value)


def test_models_are_compared_by_what_all_of_them_have() -> None:
    # Both are alike but for a part that only one of them has, in which it is without fault.
    one = {"species/topology": 0.5, "decay/exponent_response": 0.2, "decay/dimer_exponent": 0.0}
    other = one | {"decay/dimer_exponent": None}
    scores, common = common_deviations([one, other, one | {"decay/dimer_exponent": math.nan}])
    assert scores == pytest.approx([(0.5 + 2 * 0.2) / 3] * 3)
    assert common == ["species/topology", "decay/exponent_response"]
    alone, names = common_deviations([one])
    assert alone == pytest.approx([(0.5 + 2 * 0.2 + 0.0) / 4])
    assert names == list(one)


def test_alone_a_model_is_compared_by_its_own_parts() -> None:
    found = scored({"species/topology": 0.75, "decay/growth": 1.0, "decay/sign": 0.25})
    assert common_deviations([found.parts])[0] == pytest.approx([found.value])


def test_a_model_without_any_part_has_no_score_and_no_say() -> None:
    scores, common = common_deviations([{"decay/sign": 0.5, "decay/growth": None}, {"decay/sign": None}, {}])
    assert scores[0] == 0.5
    assert all(math.isnan(score) for score in scores[1:])
    assert common == ["decay/sign"]
    apart, none = common_deviations([{"decay/sign": 0.5}, {"decay/growth": 0.5}])
    assert all(math.isnan(score) for score in apart)
    assert not none
    assert common_deviations([]) == ([], [])


def test_the_page_tells_ideals_scales_and_weights() -> None:
    rows = re.findall(
        r"^\|[^|]+\|[^|]+\| (?:at most |at least )?([\d.]+) \| ([\d.]+) \| (\d) \|$", DOCS.read_text(), re.M
    )
    assert [tuple(map(float, row)) for row in rows] == [(part.ideal, part.scale, part.weight) for part in PARTS]
