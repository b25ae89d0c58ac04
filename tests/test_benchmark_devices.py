"""Benchmarks that a GPU is measured with: they take a device, make no tensor elsewhere, and say when there is none."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import ase.build
import numpy as np
import pytest
import torch

import atomlens
from atomlens.structures import collate
from elsewhere import PretendDevice, move_away
from samples import small_model

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.append(str(BENCHMARKS))
from anchor import MaskedWalks  # noqa: E402
from gpu import PARTS, run_part  # noqa: E402
from timing import use_device  # noqa: E402


def test_the_anchor_stays_on_the_device_of_its_model():
    model, atoms = small_model("painn"), ase.build.molecule("CH3OH")
    walks = atomlens.explain(model, atoms, product_rule="scalar").walks()
    some = walks.atoms[:5].tolist()
    masked = MaskedWalks(model, model.graph(atoms), 4)
    found = masked(some)
    np.testing.assert_allclose(found.numpy(), walks.relevance[:5], rtol=0, atol=1e-10)
    move_away(masked.model)
    with PretendDevice():
        masked.graph = masked.model.graph(atoms)
        masked.batch = collate([masked.graph] * 4)
        np.testing.assert_array_equal(masked(some).cpu().numpy(), found.numpy())


@pytest.mark.parametrize("script", sorted({script for _, (script, *_), _ in PARTS}))
def test_every_part_takes_the_options_that_it_is_given(script):
    source = (BENCHMARKS / script).read_text()
    known = set(re.findall(r'add_argument\("(--[a-z-]+)"', source))
    given = {word for _, (name, *words), _ in PARTS for word in words if name == script and word.startswith("--")}
    assert given | {"--device", "--model"} <= known
    assert "use_device(" in source


def test_all_parts_together_have_ten_minutes():
    assert sum(share for *_, share in PARTS) <= 1.0 + 1e-12


def test_no_device_is_one_line(capsys):
    assert use_device("cpu") == torch.device("cpu")
    with pytest.raises(SystemExit) as left:
        use_device("nowhere")
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("--device nowhere cannot be used here: ")


def test_a_part_that_fails_says_how():
    printed = run_part("bias_share.py", ["--no-such-option"], 60.0)
    assert re.fullmatch(r"failed with exit code 2: bias_share.py: error: .*--no-such-option", printed)
