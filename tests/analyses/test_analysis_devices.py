"""Questions stay on the model's device: no tensor is made elsewhere, and results are those of the processor."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from importlib import import_module
from typing import TypeVar

import ase.build
import numpy as np
import polars as pl
import pytest
from explained import inputs_of
from polars.testing import assert_frame_equal

from atomlens import Potential
from atomlens.analyses import QUESTIONS
from atomlens.reference import model_response
from elsewhere import PretendDevice, move_away
from samples import small_model

T = TypeVar("T")
# The energy of a molecule, in eV.
OUTPUT = {"extensive": True, "property": "energy_U0", "unit": "eV"}
# How much each question is given to do. Contacts need files of curves, faithfulness moves the model to the processor
# first, and what decay asks of the model is asked below: terms are tested elsewhere, dimers by many bodies.
LITTLE = {
    "species": {"n_resamples": 50},
    "extensivity": {"n_dimers": 2, "n_orbitals": 1},
    "many_body": {"n_clusters": 2},
    "three_bodies": {"n_trimers": 2, "n_untrained": 1},
    "smoothness": {"n_scans": 1, "n_points": 9, "n_pairs": 1, "n_walls": 1},
}


def on_both(model: Potential, compute: Callable[[], T]) -> tuple[T, T]:
    """The same computed with the model on the processor, and on the pretend device."""
    expected = compute()
    move_away(model)

    def away() -> T:
        with PretendDevice():
            return compute()

    with ThreadPoolExecutor(1) as pool:  # a thread of its own has no buffers from before
        return expected, pool.submit(away).result()


def test_every_question_is_asked_or_has_a_reason() -> None:
    assert {question.module for question in QUESTIONS} == {*LITTLE, "contacts", "faithfulness", "decay"}


@pytest.mark.parametrize("module", LITTLE)
def test_a_question_makes_no_tensor_on_another_device(module: str) -> None:
    question = import_module(f"atomlens.analyses.{module}.question")
    model = small_model("painn", n_layers=1, cutoff=3.0, output=OUTPUT)
    structures = [ase.build.molecule(name) for name in ("CH3OH", "H2O")]
    inputs = inputs_of(model, structures)
    expected, found = on_both(model, lambda: question.compute(inputs, **LITTLE[module]))
    compared = 0
    for entry in fields(expected):
        there, here = getattr(found, entry.name), getattr(expected, entry.name)
        if isinstance(here, pl.DataFrame):
            assert_frame_equal(there, here)
            compared += here.height
        elif isinstance(here, float):
            np.testing.assert_allclose(there, here, err_msg=entry.name)
            compared += 1
    assert compared


@pytest.mark.parametrize("architecture", ["schnet", "painn"])
def test_couplings_make_no_tensor_on_another_device(architecture: str) -> None:
    model = small_model(architecture, n_layers=2, output=OUTPUT)
    expected, found = on_both(model, lambda: model_response(model, ase.build.molecule("CH3OH")).couplings)
    np.testing.assert_allclose(found, expected)
