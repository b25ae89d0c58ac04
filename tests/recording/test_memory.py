"""What a recording occupies is known before it is made, and refused where it would not fit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from atomlens import InputError
from atomlens.recording import open_model
from atomlens.recording.trace import Trace
from recorded_samples import OwnModel
from samples import branched, crowded_cell, small_model


def bytes_in(trace: Trace) -> int:
    """Memory that numbers of a recording occupy, each piece once."""
    values = [node.value for node in trace.nodes if not node.value.is_meta]
    storages = {v.untyped_storage().data_ptr(): v.untyped_storage().nbytes() for v in [*values, *trace.constants]}
    return sum(storages.values())


@pytest.mark.parametrize("architecture", ["schnet", "painn"])
@pytest.mark.parametrize("structure", [branched, crowded_cell])
def test_bytes_are_known_from_a_cluster(architecture, structure):
    model, atoms = OwnModel(small_model(architecture)), structure()
    opened = open_model(model, atoms.numbers.tolist())
    trace, inputs = opened.trace(atoms)
    assert opened.bytes_of(inputs) == pytest.approx(bytes_in(trace), rel=0.02)


def test_what_cannot_fit_is_refused_before_the_run():
    model = OwnModel(small_model("schnet"))
    opened = open_model(model, branched().numbers.tolist())
    edges = torch.zeros(1, dtype=torch.int64).expand(10**12)
    inputs = replace(model.inputs(branched()), source=edges, target=edges)
    with pytest.raises(
        InputError, match=r"with 1000000000000 edges needs about .* GB of .* GB; use a smaller structure"
    ):
        opened.record(inputs)
