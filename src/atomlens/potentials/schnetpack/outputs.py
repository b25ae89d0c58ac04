"""Output modules and postprocessors of a SchNetPack file: what is predicted, and what is added to it."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from atomlens.models import ReadoutConfig
from atomlens.potentials.schnetpack.modules import (
    ReadTensor,
    activation_of,
    attribute,
    child,
    items,
    linear_layers,
    number,
    same_for_all,
    tensors,
)
from atomlens.potentials.schnetpack.shells import (
    ADD_OFFSETS,
    ATOMWISE,
    CASTS,
    DIPOLE,
    FORCES,
    GATED_BLOCK,
    POLARIZABILITY,
    SCALE,
    Shell,
)
from atomlens.structures import InputError

_KEYS = {ATOMWISE: "output_key", DIPOLE: "dipole_key", POLARIZABILITY: "polarizability_key"}


@dataclass
class Output:
    """One predicted property.

    Attributes
    ----------
    module
        The output module that predicts it.
    key
        Its name; the name that a ScaleProperty gives it, where one renames it.
    has_forces
        Whether the file derives forces from it.
    scale, mean, atomrefs, extensive
        As in `OutputConfig`; `extensive` is None where nothing is added.
    force_key, force_scale
        Name of the file's forces, and the factor they carry, which is not always `scale`.
    """

    module: Shell
    key: str
    has_forces: bool = False
    scale: float = 1.0
    mean: float = 0.0
    atomrefs: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    extensive: bool | None = None
    force_key: str = ""
    force_scale: float = 1.0


def find_outputs(model: Shell, read: ReadTensor) -> list[Output]:
    """Everything that a model predicts, in the order of its output modules, with the postprocessors folded in.

    Raises
    ------
    InputError
        If an output module or postprocessor is of another kind, or they add up to something that scale, mean and
        atom references cannot express.
    """
    outputs: list[Output] = []
    for module in items(model, "output_modules"):
        if module.path in _KEYS:
            key = attribute(module, _KEYS[module.path], str, "y")
            outputs.append(Output(module, key))
        elif module.path == FORCES:
            _note_forces(module, outputs)
        elif module.path == SCALE:
            _scale(module, outputs, read)
        else:
            raise InputError(f"its output module {module.path} cannot be read; {', '.join(_SHORT)} can")
    # SchNetPack itself leaves the postprocessors out where this switch is off.
    if model.state.get("do_postprocessing", True):
        for module in items(model, "postprocessors"):
            if module.path == ADD_OFFSETS:
                _add_offsets(module, outputs, read)
            elif module.path == SCALE:
                _scale(module, outputs, read)
            elif module.path not in CASTS:
                raise InputError(f"its postprocessor {module.path} cannot be read; AddOffsets and ScaleProperty can")
    return outputs


_SHORT = ("Atomwise", "DipoleMoment", "Polarizability", "Forces")


def readout_config(module: Shell, read: ReadTensor) -> ReadoutConfig:
    """Configuration of an output module.

    Raises
    ------
    InputError
        If it has an option that the readouts of atomlens do not have.
    """
    if module.path == POLARIZABILITY or (
        module.path == DIPOLE and attribute(module, "use_vector_representation", bool, False)
    ):
        widths, activation = _equivariant(module, read)
    else:
        widths, activation = _dense(module, read)
    if widths[-1] != 1:
        raise InputError(f"its {module.path} predicts {widths[-1]} numbers an atom; one can be read")
    if module.path == POLARIZABILITY:
        return ReadoutConfig("polarizability", widths=widths, activation=activation)
    if module.path == DIPOLE:
        return ReadoutConfig(
            "dipole",
            widths=widths,
            activation=activation,
            magnitude=attribute(module, "predict_magnitude", bool, False),
            correct_charges=attribute(module, "correct_charges", bool, True),
            vectors=attribute(module, "use_vector_representation", bool, False),
        )
    match module.state.get("aggregation_mode", "sum"):
        case "sum":
            return ReadoutConfig(aggregation="sum", widths=widths, activation=activation)
        case "avg":
            return ReadoutConfig(aggregation="avg", widths=widths, activation=activation)
    raise InputError(f"its {module.path} neither sums nor averages over the atoms (aggregation_mode); cannot be read")


def _dense(module: Shell, read: ReadTensor) -> tuple[tuple[int, ...], str]:
    layers = linear_layers(module, "outnet")
    return _chain_widths(layers), _hidden_activation(layers, read)


def _equivariant(module: Shell, read: ReadTensor) -> tuple[tuple[int, ...], str]:
    blocks = items(module, "outnet")
    if not blocks or any(block.path != GATED_BLOCK for block in blocks):
        raise InputError(f"the network of its {module.path} is not made of {GATED_BLOCK}; cannot be read")
    activations: list[str] = []
    widths: list[int] = []
    for k, block in enumerate(blocks):
        inner, outer = linear_layers(block, "scalar_net", 2)
        activations.append(activation_of(inner, "activation", read))
        gate = activation_of(block, "sactivation", read)
        mix = child(block, "mix_vectors")
        if k < len(blocks) - 1:
            activations.append(gate)
        elif gate != "identity":
            raise InputError(f"the last block of its {module.path} ends in {gate}; a linear end can be read")
        if {activation_of(layer, "activation", read) for layer in (outer, mix)} != {"identity"}:
            raise InputError(f"a linear layer in its {module.path} has an activation function; cannot be read")
        out, into = _matrix(mix)
        hidden = _matrix(inner)[0]
        if hidden != into:
            raise InputError(f"a gate of its {module.path} is {hidden} wide; as wide as its input, {into}, can be read")
        widths += [into] if not widths else []
        widths.append(out // 2)
    return tuple(widths), same_for_all("activation functions", activations)


def _hidden_activation(layers: list[Shell], read: ReadTensor) -> str:
    if (last := activation_of(layers[-1], "activation", read)) != "identity":
        raise InputError(f"its output network ends in {last}; a linear end can be read")
    hidden = [activation_of(layer, "activation", read) for layer in layers[:-1]]
    return same_for_all("activation functions", hidden) if hidden else "identity"


def _chain_widths(layers: list[Shell]) -> tuple[int, ...]:
    shapes = [_matrix(layer) for layer in layers]
    return (shapes[0][1], *(shape[0] for shape in shapes))


def _matrix(layer: Shell) -> tuple[int, int]:
    ref = tensors(layer).get("weight")
    if ref is None or len(ref.shape) != 2:
        raise InputError(f"a {layer.path} of its output network has no matrix of weights; the file is damaged")
    return ref.shape[0], ref.shape[1]


def _note_forces(module: Shell, outputs: list[Output]) -> None:
    energy = attribute(module, "energy_key", str, "energy")
    for output in outputs:
        if output.key == energy and attribute(module, "calc_forces", bool, True):
            output.has_forces = True
            output.force_key = attribute(module, "force_key", str, "forces")
            output.force_scale = output.scale


def _scale(module: Shell, outputs: list[Output], read: ReadTensor) -> None:
    source = attribute(module, "input_key", str, "")
    factor = number(module, "scale", read, 1.0)
    for output in outputs:
        if output.key == source:
            output.key = attribute(module, "output_key", str, source)
            output.scale *= factor
            output.mean *= factor
            output.atomrefs = output.atomrefs * factor
        elif output.has_forces and output.force_key == source:
            output.force_scale *= factor


def _add_offsets(module: Shell, outputs: list[Output], read: ReadTensor) -> None:
    key = attribute(module, "_property", str, "")
    extensive = attribute(module, "is_extensive", bool, True)
    mean = number(module, "mean", read, 0.0) if attribute(module, "add_mean", bool, True) else 0.0
    ref = tensors(module).get("atomref")
    if ref is not None and attribute(module, "add_atomrefs", bool, True):
        atomrefs = read(ref).double().flatten()
    elif module.state.get("add_atomrefs"):
        raise InputError(f"its {module.path} adds atom references, but has none; the file is of an unknown version")
    else:
        atomrefs = torch.zeros(0, dtype=torch.float64)
    for output in outputs:
        if output.key != key:
            continue
        vector = output.module.path == POLARIZABILITY or (
            output.module.path == DIPOLE and not attribute(output.module, "predict_magnitude", bool, False)
        )
        if vector and (mean or atomrefs.any()):
            raise InputError(f"it adds offsets to {key}, which has a direction; cannot be read")
        if output.extensive not in (None, extensive):
            raise InputError(f"it adds offsets to {key} both as extensive and as intensive; one kind can be read")
        output.extensive = extensive
        output.mean += mean
        longer, shorter = sorted((output.atomrefs, atomrefs), key=len, reverse=True)
        output.atomrefs = longer.clone()
        output.atomrefs[: len(shorter)] += shorter
