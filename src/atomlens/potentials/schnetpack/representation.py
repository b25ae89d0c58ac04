"""SchNet, PaiNN and SO3net of a SchNetPack file as configuration and tensors."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from torch import Tensor

from atomlens.models import Architecture, CutoffConfig, RadialConfig, RepresentationConfig
from atomlens.potentials.schnetpack.modules import (
    ReadTensor,
    activation_of,
    attribute,
    child,
    children,
    items,
    linear_layers,
    needed,
    same_for_all,
    shape_of,
    tensors,
)
from atomlens.potentials.schnetpack.shells import (
    BESSEL,
    COSINE,
    EMBEDDING,
    GAUSSIAN,
    GAUSSIAN_CENTERED,
    MOLLIFIER,
    NUCLEAR_EMBEDDING,
    PAINN,
    SCHNET,
    SO3NET,
    Shell,
)
from atomlens.potentials.schnetpack.so3net import LAYERS, read_so3net
from atomlens.structures import InputError

ARCHITECTURES: dict[str, Architecture] = {SCHNET: "schnet", PAINN: "painn", SO3NET: "so3net"}


def read_representation(module: Shell, read: ReadTensor) -> tuple[RepresentationConfig, Tensor]:
    """Configuration of a representation, from its modules and the shapes of its tensors, and its element embedding.

    Raises
    ------
    InputError
        If it is neither SchNet, PaiNN nor SO3net, or has a part that those of atomlens do not have.
    """
    if module.path not in ARCHITECTURES:
        raise InputError(f"its representation is a {module.path}; SchNet, PaiNN and SO3net can be read")
    if extra := children(_optional(module, "electronic_embeddings")):
        raise InputError(f"the model uses {next(iter(extra.values())).path} (charge or spin), which cannot be read")
    layers = items(module, LAYERS if module.path == SO3NET else "interactions")
    if not layers:
        raise InputError(f"its {module.path} has no interactions; the file is damaged or of an unknown version")
    table = embedding_table(child(module, "embedding"), read)
    config = RepresentationConfig(
        architecture=ARCHITECTURES[module.path],
        n_layers=len(layers),
        radial=_radial(child(module, "radial_basis"), read),
        cutoff=_cutoff(child(module, "cutoff_fn"), read),
        shared_interactions=len(layers) > 1 and layers[0] is layers[1],
        max_z=len(table),
    )
    _check_sharing(layers, module)
    if module.path == SCHNET:
        return _schnet(config, layers, read), table
    if module.path == SO3NET:
        return read_so3net(config, module, read), table
    return _painn(config, module, layers, read), table


def _schnet(config: RepresentationConfig, layers: list[Shell], read: ReadTensor) -> RepresentationConfig:
    activations: list[str] = []
    for layer in layers:
        for name in ("f2out", "filter_network"):
            inner, outer = linear_layers(layer, name, 2)
            activations.append(activation_of(inner, "activation", read))
            _check_linear(outer, read)
        _check_linear(child(layer, "in2f"), read)
    filters, features = shape_of(child(layers[0], "in2f"), "weight", 2)
    return replace(
        config,
        n_features=features,
        n_filters=None if filters == features else filters,
        activation=same_for_all("activation functions", activations),
    )


def _painn(config: RepresentationConfig, module: Shell, layers: list[Shell], read: ReadTensor) -> RepresentationConfig:
    mixings = items(module, "mixing")
    if len(mixings) != len(layers):
        raise InputError(
            f"its {module.path} has {len(layers)} interactions and {len(mixings)} mixings; both go in pairs"
        )
    _check_sharing(mixings, module)
    if len(layers) > 1 and (mixings[0] is mixings[1]) != config.shared_interactions:
        raise InputError(f"its {module.path} shares only some of its layers; all or none can be read")
    activations: list[str] = []
    for layer, name in [(x, "interatomic_context_net") for x in layers] + [
        (x, "intraatomic_context_net") for x in mixings
    ]:
        inner, outer = linear_layers(layer, name, 2)
        activations.append(activation_of(inner, "activation", read))
        _check_linear(outer, read)
    for mixing in mixings:
        _check_linear(child(mixing, "mu_channel_mix"), read)
    filter_net = child(module, "filter_net")
    _check_linear(filter_net, read)
    features = shape_of(linear_layers(layers[0], "interatomic_context_net", 2)[0], "weight", 2)[1]
    width = shape_of(filter_net, "weight", 2)[0]
    if width not in (3 * features, 3 * features * len(layers)):
        raise InputError(f"its filter network is {width} wide; {3 * features} times the number of layers was expected")
    return replace(
        config,
        n_features=features,
        shared_filters=width == 3 * features and len(layers) > 1,
        activation=same_for_all("activation functions", activations),
        epsilon=same_for_all("epsilon", [attribute(mixing, "epsilon", float, 1e-8) for mixing in mixings]),
    )


def _radial(module: Shell, read: ReadTensor) -> RadialConfig:
    refs = tensors(module)
    if module.path == BESSEL and "freqs" in refs:
        freqs = read(refs["freqs"])
        if freqs.dim() != 1 or not freqs[0] > 0:
            raise InputError("the frequencies of its BesselRBF are not positive; the file is damaged")
        # Six digits, because the frequencies were rounded to float32; they themselves are taken as they are.
        return RadialConfig("bessel", n_rbf=len(freqs), cutoff=float(f"{math.pi / float(freqs[0]):.6g}"))
    if module.path in (GAUSSIAN, GAUSSIAN_CENTERED) and {"offsets", "widths"} <= set(refs):
        grid = read(refs["offsets" if module.path == GAUSSIAN else "widths"])
        if grid.dim() != 1:
            raise InputError(f"the grid of its {module.path} has {grid.dim()} axes; the file is damaged")
        return RadialConfig(
            "gaussian" if module.path == GAUSSIAN else "gaussian_centered",
            n_rbf=len(grid),
            cutoff=decimal(grid[-1]),
            start=decimal(grid[0]),
            trainable="offsets" in module.state.get("_parameters", {}),
        )
    raise InputError(f"its radial basis is a {module.path}; GaussianRBF, GaussianRBFCentered and BesselRBF can be read")


def _cutoff(module: Shell, read: ReadTensor) -> CutoffConfig:
    ref = tensors(module).get("cutoff")
    if module.path not in (COSINE, MOLLIFIER) or ref is None:
        raise InputError(f"its cutoff function is a {module.path}; CosineCutoff and MollifierCutoff can be read")
    cutoff = read(ref)
    if cutoff.numel() != 1 or not 0 < float(cutoff) < math.inf:
        raise InputError(f"its cutoff is {cutoff.tolist()} Å; it must be one positive number")
    return CutoffConfig("cosine" if module.path == COSINE else "mollifier", decimal(cutoff))


def embedding_table(module: Shell, read: ReadTensor) -> Tensor:
    """Element embedding, shape (max_z, F).

    ``NuclearEmbedding`` adds a linear map of the electron configuration to a table; configuration, map and table
    are all in the file, so that their sum is a plain table. It is formed in float64, because that is what
    SchNetPack does when the model runs in float64.

    Raises
    ------
    InputError
        If it is another kind of embedding, or an option changes what the table means.
    """
    if module.path == EMBEDDING:
        if module.state.get("max_norm") is not None:
            raise InputError("its element embedding has max_norm, which cannot be read")
        return read(needed(module, "weight"))
    if module.path == NUCLEAR_EMBEDDING:
        table = read(needed(module, "element_embedding"))
        configuration = read(needed(module, "electron_config")).double()
        weight = read(needed(child(module, "config_linear"), "weight")).double()
        try:
            summed = table.double() + configuration @ weight.T
        except RuntimeError as error:
            raise InputError(
                "the tensors of its NuclearEmbedding do not fit each other; the file is damaged"
            ) from error
        if summed.shape == table.shape:
            return summed
        raise InputError("the tensors of its NuclearEmbedding do not fit each other; the file is damaged")
    raise InputError(f"its element embedding is a {module.path}; Embedding and NuclearEmbedding can be read")


def decimal(value: Tensor) -> float:
    """The shortest decimal number that a float32 stands for: 5.2, not 5.199999809265137."""
    exact = float(value)
    if not abs(exact) < 1e30 or float(np.float32(exact)) != exact:
        return exact
    return float(np.format_float_positional(np.float32(exact), unique=True))


def _check_linear(layer: Shell, read: ReadTensor) -> None:
    if (name := activation_of(layer, "activation", read)) != "identity":
        raise InputError(f"a layer of its network ends in {name}, where SchNet and PaiNN are linear; it cannot be read")


def _check_sharing(layers: list[Shell], module: Shell) -> None:
    distinct = len({id(layer) for layer in layers})
    if distinct not in (1, len(layers)):
        raise InputError(f"its {module.path} shares only some of its layers; all or none can be read")


def _optional(module: Shell, name: str) -> Shell:
    return children(module).get(name, Shell("nothing"))
