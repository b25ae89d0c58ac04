"""A model's weights as a state dict that SchNetPack's own modules load."""

from __future__ import annotations

import io
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor

from atomlens.models import Potential, SO3net, degrees, write_atomically
from atomlens.potentials.schnetpack.names import schnetpack_name
from atomlens.structures import InputError


def schnetpack_state_dict(model: Potential) -> OrderedDict[str, Tensor]:
    """State dict of the equal SchNetPack model.

    It fits a ``NeuralNetworkPotential`` whose representation has the same options, an ``nn.Embedding`` of
    ``max_z`` rows, the readout as first output module (Forces may follow), and the postprocessors CastTo64,
    ScaleProperty (only if the scale is not 1), AddOffsets with ``zmax`` of as many rows. Call
    ``model.postprocessors.double()`` before loading it, because SchNetPack makes the offsets in float32 and
    thereby rounds what is copied into them.

    Raises
    ------
    InputError
        If the model has a readout, a basis, a cutoff function or long-range energies that SchNetPack does not.
    """
    representation = model.config.representation
    for what, kind, ours in (
        ("long-range energies", model.config.long_range.kind, model.config.long_range.kind != "none"),
        ("radial basis", representation.radial.kind, representation.radial.kind == "inverse_powers"),
        ("cutoff function", representation.cutoff.kind, representation.cutoff.kind == "polynomial"),
    ):
        if ours:
            raise InputError(f"SchNetPack has no {what} of kind {kind!r}; this model cannot be written for it")
    if model.config.readout.aggregation == "softmax":
        raise InputError("SchNetPack has no readout with softmax aggregation; this model cannot be written for it")
    state: OrderedDict[str, Tensor] = OrderedDict()
    # Not `named_tensors`: SchNetPack's own state dict repeats shared layers.
    for name, tensor in model.state_dict().items():
        if name not in ("scale", "mean", "atomrefs") and not name.startswith("representation.algebra."):
            state[schnetpack_name(name)] = tensor.detach().cpu().clone()
    if isinstance(model.representation, SO3net):
        state |= _so3net_indices(model.representation)
    position = 1
    if float(model.scale) != 1.0:
        state["postprocessors.1.scale"] = model.scale.detach().cpu().reshape(1)
        position = 2
    state[f"postprocessors.{position}.atomref"] = model.atomrefs.detach().cpu().clone()
    state[f"postprocessors.{position}.mean"] = model.mean.detach().cpu().reshape(1)
    return state


def _so3net_indices(model: SO3net) -> dict[str, Tensor]:
    """Degrees of the harmonics in couplings that are not zero: the one constant that SchNetPack puts in its state."""
    first = torch.nonzero(model.algebra.coupling)[:, 0].cpu()
    found = degrees(model.config.l_max)[first]
    return {f"representation.so3convs.{t}.Widx": found.clone() for t in range(model.config.n_layers)}


def save_schnetpack_state_dict(model: Potential, path: str | Path) -> None:
    """Write `schnetpack_state_dict` with ``torch.save``; read it with ``torch.load(path, weights_only=True)``.

    Raises
    ------
    InputError
        If SchNetPack has no such model, or the file cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(schnetpack_state_dict(model), buffer)
    write_atomically(path, buffer.getvalue())
