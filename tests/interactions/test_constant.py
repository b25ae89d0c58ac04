"""What the constant part holds, as it is told, is what it holds."""

from __future__ import annotations

import pytest
import torch

from atomlens import explain
from samples import branched, small_model

READOUTS = {
    "sum": {"kind": "atomwise"},
    "dipole": {"kind": "dipole"},
    "dipole with vectors": {"kind": "dipole", "vectors": True},
    "polarizability": {"kind": "polarizability"},
}


def without_readout_biases(readout):
    model = small_model("painn", readout=readout, output={"unit": "D", "has_forces": False})
    for name, parameter in model.readout.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.zeros_(parameter.data)
    return model


@pytest.mark.parametrize("product_rule", ["scalar", "full"])
@pytest.mark.parametrize("name", READOUTS)
def test_without_biases_only_held_vectors_are_left(name, product_rule):
    model = without_readout_biases(READOUTS[name])
    ex = explain(model, branched(), product_rule=product_rule)
    told = "vector features" in ex.constant_meaning
    assert told == (READOUTS[name]["kind"] != "atomwise" and name != "dipole" and product_rule == "scalar")
    shift = float(model.mean) * (len(branched()) if model.config.output.extensive else 1)
    rest = ex.constant - shift - float(model.atomrefs[branched().numbers].sum())
    assert (abs(rest) > 1e-6) == told


def test_the_last_bias_is_named_where_there_is_a_closed_form():
    assert "last bias" in explain(small_model("schnet"), branched()).constant_meaning
