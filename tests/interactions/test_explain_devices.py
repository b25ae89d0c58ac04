"""Explaining stays on the model's device: on a pretend one everywhere, on CUDA where there is a GPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ase.build
import numpy as np
import pytest
import torch

from atomlens import Explanation, explain
from elsewhere import PretendDevice, TwoDevicesError, is_elsewhere, move_away
from samples import small_model

ATOMS = ase.build.molecule("CH3OH")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that CUDA can use")
CASES = [
    ("schnet", "gate", "scalar"),
    ("painn", "gate", "scalar"),
    ("painn", "gamma", "full"),
    ("painn", "published", "scalar"),
    ("so3net", "gate", "full"),
    ("so3net", "published", "scalar"),
]


def numbers_of(ex: Explanation) -> dict[str, Any]:
    """Everything that an explanation computes."""
    terms, groups = ex.interactions(3), ex.group_interactions([[0, 2], [1, 3], [4, 5]], 2)
    found = {f"order {k}": terms.order(k).relevance for k in (1, 2, 3)}
    found |= {"residual": ex.residual, "groups": groups.order(2).relevance}
    found |= ex.atom_shares()._asdict() | {"pair forces": ex.pair_forces().forces}
    if ex.no_walks is None:
        found |= {"walks": ex.walks().relevance, "top": ex.top_walks(5).relevance}
        found |= {"bias": ex.bias_walks()[0].relevance}
    return found


def test_the_pretend_device_refuses_what_a_gpu_refuses() -> None:
    with PretendDevice():
        away, here = torch.ones(3, device=torch.device("cpu")), torch.ones(3)
        assert is_elsewhere(away + 1.0)
        assert not is_elsewhere(here + 1.0)
        with pytest.raises(TwoDevicesError, match="on the processor"):
            away + here
        with pytest.raises(TwoDevicesError, match="numpy"):
            away.numpy()
        assert (away.cpu() + here).numpy().tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(("architecture", "rule", "product_rule"), CASES)
def test_no_tensor_is_made_on_another_device(architecture: str, rule: str, product_rule: str) -> None:
    model = small_model(architecture)
    expected = numbers_of(explain(model, ATOMS, rule=rule, product_rule=product_rule))
    move_away(model)

    def away() -> dict[str, Any]:
        with PretendDevice():
            return numbers_of(explain(model, ATOMS, rule=rule, product_rule=product_rule))

    with ThreadPoolExecutor(1) as pool:  # a thread of its own has no buffers from before
        found = pool.submit(away).result()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, err_msg=name)


@needs_cuda
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("architecture", "rule", "product_rule"), CASES)
def test_cuda_explains_as_the_processor_does(
    architecture: str, rule: str, product_rule: str, dtype: torch.dtype
) -> None:
    model = small_model(architecture)
    expected, found = (
        numbers_of(explain(model, ATOMS, rule=rule, product_rule=product_rule, dtype=dtype, device=device))
        for device in ("cpu", "cuda")
    )
    tolerance = 1e-9 if dtype == torch.float64 else 1e-3
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=tolerance, atol=tolerance, err_msg=name)
