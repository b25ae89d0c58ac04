"""From a SchNetPack whole-model file to a `Potential`."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import torch
from torch import Tensor

from atomlens.models import (
    ModelConfig,
    OutputConfig,
    Potential,
    RepresentationConfig,
    build_potential,
    empty_potential,
    named_tensors,
)
from atomlens.potentials.schnetpack.archive import Archive
from atomlens.potentials.schnetpack.modules import ReadTensor, all_tensors, attribute, child, items, number, tensor_at
from atomlens.potentials.schnetpack.names import schnetpack_name
from atomlens.potentials.schnetpack.outputs import Output, find_outputs, readout_config
from atomlens.potentials.schnetpack.provenance import Provenance, choose_unit, read_provenance
from atomlens.potentials.schnetpack.representation import read_representation
from atomlens.potentials.schnetpack.shells import DISTANCES, MODEL, SHORT_RANGE, STRAIN, Shell
from atomlens.potentials.schnetpack.so3net import is_constant, read_algebra
from atomlens.structures import InputError


def convert(archive: Archive, path: Path, *, energy_unit: str | None = None, output: str | None = None) -> Potential:
    """Build the model that a SchNetPack file describes, its network in the dtype it has there.

    Parameters
    ----------
    archive
        What the file holds.
    path
        Where it is, to find the ``config.yaml`` beside it.
    energy_unit
        Unit of an energy, where no ``config.yaml`` gives it.
    output
        Which property, where the file predicts several.

    Raises
    ------
    InputError
        If the file holds something else than a model, or one that cannot be expressed here.
    """
    model = _whole_model(archive.root)
    read = _reader(archive)
    chosen = _choose(find_outputs(model, read), output)
    representation, table = read_representation(child(model, "representation"), read)
    _check_inputs(model, representation.cutoff.cutoff, read)
    readout = readout_config(chosen.module, read)
    if readout.widths[0] != representation.n_features:
        raise InputError(
            f"its output network takes {readout.widths[0]} features, its representation has "
            f"{representation.n_features}; the file is damaged"
        )
    if readout.vectors or readout.kind == "polarizability":
        _check_vectors(child(model, "representation"), representation)
    provenance = read_provenance(path)
    unit, source = choose_unit(chosen.key, readout.kind, provenance, energy_unit)
    config = ModelConfig(
        representation=representation,
        readout=readout,
        output=OutputConfig(
            property=chosen.key,
            unit=unit,
            extensive=chosen.extensive if chosen.extensive is not None else readout.aggregation == "sum",
            has_forces=chosen.has_forces,
        ),
        elements=provenance.elements or _elements_of(chosen.atomrefs[: len(table)]),
        card=_card(model, chosen, source, provenance),
    )
    potential = build_potential(config, _tensors(config, model, chosen, table, read))
    network = [x for name, x in named_tensors(potential).items() if "." in name and ".algebra." not in name]
    # Where types are mixed, as by an embedding that was summed in float64, all take the widest; nothing is rounded.
    return potential.cast(reduce(torch.promote_types, (tensor.dtype for tensor in network)))


def _whole_model(root: object) -> Shell:
    if isinstance(root, Shell) and root.path == MODEL:
        return root
    if isinstance(root, Shell):
        raise InputError(f"holds a {root.path}, not a whole model; save the NeuralNetworkPotential with torch.save")
    if isinstance(root, dict) and "state_dict" in root:
        raise InputError("a training checkpoint, which holds weights but no model; give the best_model file of the run")
    if isinstance(root, dict) and any("." in key for key in root if isinstance(key, str)):
        raise InputError(
            "a state dict, which holds weights but no model; load it into the model with SchNetPack and save that "
            "whole: torch.save(model, path)"
        )
    raise InputError(f"holds a {type(root).__name__}, not a model; save the whole model: torch.save(model, path)")


def _reader(archive: Archive) -> ReadTensor:
    cache: dict[int, Tensor] = {}

    def read(ref) -> Tensor:
        if id(ref) not in cache:
            cache[id(ref)] = archive.tensor(ref)
        return cache[id(ref)]

    return read


def _choose(outputs: list[Output], wanted: str | None) -> Output:
    names = ", ".join(output.key for output in outputs)
    if wanted is not None:
        for output in outputs:
            if output.key == wanted:
                return output
        raise InputError(f"predicts {names or 'nothing'}; output={wanted!r} is not among them")
    if not outputs:
        raise InputError("has no output module (Atomwise, DipoleMoment or Polarizability); it predicts nothing")
    with_forces = [output for output in outputs if output.has_forces]
    if len(with_forces) == 1:
        return with_forces[0]
    if len(outputs) > 1:
        raise InputError(f"predicts {names}; choose one with --output NAME (output= in Python)")
    return outputs[0]


def _check_inputs(model: Shell, cutoff: float, read: ReadTensor) -> None:
    for module in items(model, "input_modules"):
        if module.path == SHORT_RANGE:
            shorter = number(module, "short_range_cutoff", read, cutoff)
            if shorter < cutoff:
                raise InputError(
                    f"the model drops neighbours beyond {shorter:g} Å, within its cutoff {cutoff:g} Å; cannot be read"
                )
        elif module.path not in (DISTANCES, STRAIN):
            raise InputError(f"its input module {module.path} cannot be read; PairwiseDistances and Strain can")


def _check_vectors(module: Shell, config: RepresentationConfig) -> None:
    if config.architecture == "schnet":
        raise InputError("its output needs vector features, which SchNet does not have; it predicts nothing")
    if config.architecture == "so3net" and not (
        config.l_max and attribute(module, "return_vector_representation", bool, False)
    ):
        raise InputError(
            "its output needs vector features, which its SO3net does not hand on (lmax=0, or "
            "return_vector_representation=False); it predicts nothing"
        )


def _tensors(config: ModelConfig, model: Shell, chosen: Output, table: Tensor, read: ReadTensor) -> dict[str, Tensor]:
    """Tensors by our names, after checking that none in the file is left over."""
    max_z = config.representation.max_z
    atomrefs = torch.zeros(max_z, dtype=torch.float64)
    known = chosen.atomrefs[:max_z]
    atomrefs[: len(known)] = known
    found = {
        "scale": torch.tensor(chosen.scale, dtype=torch.float64),
        "mean": torch.tensor(chosen.mean, dtype=torch.float64),
        "atomrefs": atomrefs,
        "representation.embedding.weight": table,
    }
    if config.representation.architecture == "so3net":
        found |= read_algebra(child(model, "representation"), config.representation.l_max, read)
    roots = {"representation": child(model, "representation"), "output_modules.0": chosen.module}
    left = {f"{prefix}.{name}" for prefix, root in roots.items() for name in all_tensors(root)}
    for name, place in named_tensors(empty_potential(config)).items():
        if name in found:
            continue
        theirs = schnetpack_name(name)
        prefix = "representation" if theirs.startswith("representation.") else "output_modules.0"
        ref = tensor_at(roots[prefix], theirs.removeprefix(f"{prefix}."))
        if ref is not None:
            found[name] = read(ref)
        elif name.endswith(".bias"):  # a layer that was made without
            found[name] = torch.zeros(place.shape, dtype=table.dtype)
        left.discard(theirs)
    # What the embedding and the activations consist of was read, or refused, where they were.
    extra = sorted(
        name
        for name in left
        if not name.startswith("representation.embedding.")
        and not (config.representation.architecture == "so3net" and is_constant(name))
        and not name.endswith(("activation.alpha", "activation.beta"))
    )
    if extra:
        raise InputError(f"the model has a tensor {extra[0][:100]}, which atomlens has no place for; cannot be read")
    return found


def _elements_of(atomrefs: Tensor) -> tuple[int, ...] | None:
    numbers = tuple(int(z) for z in torch.nonzero(atomrefs).flatten() if z > 0)
    return numbers or None


def _card(model: Shell, chosen: Output, unit_source: str, provenance: Provenance) -> dict[str, str]:
    card = {"source": "SchNetPack whole-model file", "unit_source": unit_source}
    if version := attribute(model, "spk_version", str, ""):
        card["spk_version"] = version[:50]
    if provenance.data:
        card["training_data"] = provenance.data
    if not model.state.get("do_postprocessing", True):
        card["postprocessing"] = "switched off in the file, so that no offsets are added"
    if chosen.has_forces and chosen.force_scale != chosen.scale:
        card["forces"] = (
            f"the gradient of the energy; SchNetPack's own forces of this file carry the factor "
            f"{chosen.force_scale:g} instead of {chosen.scale:g}"
        )
    return card
