"""A recording keeps what terms need; what it takes is known before it is made, and refused where it would not fit."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef

from atomlens import InputError
from atomlens.chain import make_rule, recorded_sums
from atomlens.interactions import interaction_terms
from atomlens.models.schnet import SchNetLayer
from atomlens.recording import Recording, open_model
from atomlens.recording.rows import EDGES, row_counts
from atomlens.recording.trace import Trace
from recorded_samples import OwnModel
from samples import branched, crowded_cell, small_model

ARCHITECTURES = ["schnet", "painn"]


def bytes_in(trace: Trace) -> int:
    """Memory that numbers of a recording occupy, each piece once."""
    values = [node.value for node in trace.nodes if not node.value.is_meta]
    storages = {v.untyped_storage().data_ptr(): v.untyped_storage().nbytes() for v in [*values, *trace.constants]}
    return sum(storages.values())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("structure", [branched, crowded_cell])
def test_bytes_are_known_from_a_cluster(architecture, structure):
    model, atoms = OwnModel(small_model(architecture)), structure()
    opened = open_model(model, atoms.numbers.tolist())
    recording = opened.record(atoms)
    kept = opened.footprint().bytes_kept(row_counts(recording.inputs))
    assert kept == pytest.approx(bytes_in(recording.trace), rel=0.02)


def test_what_constants_are_computed_by_counts_too():
    """Filters from wide networks: most of the memory, and none of it in the recording."""
    model, atoms = small_model("schnet"), branched()
    narrow, wide = (OwnModel(copy.deepcopy(model)) for _ in range(2))
    for layer in wide.model.representation.layers:
        layer.filter_in, layer.filter_out = (
            widened(layer.filter_in, 512, out=True),
            widened(layer.filter_out, 512, out=False),
        )
    found = []
    for own in (narrow, wide):
        opened = open_model(own, atoms.numbers.tolist())
        counts = row_counts(opened.record(atoms).inputs)
        found.append((opened.footprint().bytes_kept(counts), opened.footprint().bytes_at_most(counts), counts["edges"]))
    (kept, most, edges), (kept_wide, most_wide, _) = found
    assert kept_wide == pytest.approx(kept, rel=0.05)
    assert most_wide - kept_wide > 512 * 8 * edges > most - kept


def widened(layer: nn.Linear, width: int, out: bool) -> nn.Linear:
    """The same layer with entries more at one side, all of them zero."""
    made = nn.Linear(layer.in_features if out else width, width if out else layer.out_features, dtype=torch.float64)
    with torch.no_grad():
        made.weight.zero_()
        made.bias.zero_()
        made.weight[: layer.out_features, : layer.in_features] = layer.weight
        made.bias[: layer.out_features] = layer.bias
    return made.requires_grad_(False)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_values_of_edges_are_kept_only_where_they_are_frozen(architecture):
    model = OwnModel(small_model(architecture))
    opened = open_model(model, branched().numbers.tolist())
    trace = opened.record(branched()).trace
    of_edges = [n for n, layout in enumerate(opened.rows.nodes) if layout is not None and layout.kind == EDGES]
    kept = [n for n in of_edges if not trace.nodes[n].value.is_meta]
    assert len(kept) < len(of_edges)
    assert set(kept) <= opened.needed


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("rule", "product_rule"), [("gate", "full"), ("gate", "scalar"), ("gradient", "full")])
def test_terms_are_those_of_a_recording_that_kept_everything(architecture, rule, product_rule):
    model, atoms = OwnModel(small_model(architecture)), branched()
    opened = open_model(model, atoms.numbers.tolist())
    recordings = [opened.record(atoms), Recording(opened, *opened.trace(atoms))]
    found, whole = (
        interaction_terms(recorded_sums(recording, make_rule(rule), product_rule), 3) for recording in recordings
    )
    for order in (1, 2, 3):
        assert torch.equal(torch.as_tensor(found.order(order).relevance), torch.as_tensor(whole.order(order).relevance))


def test_the_model_frees_what_it_no_longer_needs(monkeypatch):
    messages_seen, alive = [], []

    def watched(layer, x, edges):
        messages = layer.source(x)[edges.source] * layer.filters(edges)
        messages_seen.append(StorageWeakRef(messages.untyped_storage()))
        gathered = torch.zeros_like(x).index_add_(0, edges.target, messages)
        del messages
        alive.append(sum(not reference.expired() for reference in messages_seen))
        return layer.update(x, gathered)

    monkeypatch.setattr(SchNetLayer, "forward", watched)
    model = OwnModel(small_model("schnet"))
    opened = open_model(model, branched().numbers.tolist())
    for needed, expected in [(None, [1, 2, 3]), (opened.needed, [0, 0, 0])]:
        messages_seen.clear()
        alive.clear()
        trace, _ = opened.trace(branched(), needed)
        assert alive == expected
        assert trace.result is not None


def test_what_was_not_kept_is_recorded_again():
    model, atoms = OwnModel(small_model("painn")), branched()
    opened = open_model(model, atoms.numbers.tolist())
    recording = opened.record(atoms)
    forgotten = [n for n, node in enumerate(recording.trace.nodes) if node.value.is_meta]
    whole, _ = opened.trace(atoms)
    wanted = next(n for n in forgotten if not whole.nodes[n].value.is_meta)
    recording.remember([wanted])
    assert torch.equal(recording.trace.nodes[wanted].value, whole.nodes[wanted].value)
    assert not opened.record(atoms).trace.nodes[wanted].value.is_meta


def test_what_cannot_fit_is_refused_before_the_run():
    model = OwnModel(small_model("schnet"))
    opened = open_model(model, branched().numbers.tolist())
    edges = torch.zeros(1, dtype=torch.int64).expand(10**12)
    inputs = replace(model.inputs(branched()), source=edges, target=edges)
    with pytest.raises(
        InputError, match=r"with 1000000000000 edges needs about .* GB of .* GB; use a smaller structure"
    ):
        opened.record(inputs)
