"""SO3net of a SchNetPack file: its configuration, and the constants of its algebra as the file has them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from atomlens.models import MAX_DEGREE, RepresentationConfig, coupling_coefficients, legendre_coefficients
from atomlens.potentials.schnetpack.modules import (
    ReadTensor,
    activation_of,
    attribute,
    child,
    items,
    needed,
    shape_of,
)
from atomlens.potentials.schnetpack.shells import DENSE, LINEAR, Shell
from atomlens.structures import InputError

LAYERS = "so3convs"
_PARTS = (LAYERS, "mixings1", "mixings2", "mixings3", "gatings")
# Tensors of SchNetPack's modules that follow from l_max.
_CONSTANTS = ("clebsch_gordan", "idx_in_1", "idx_in_2", "idx_out", "Widx")


def read_so3net(config: RepresentationConfig, module: Shell, read: ReadTensor) -> RepresentationConfig:
    """Complete the configuration of an SO3net.

    Raises
    ------
    InputError
        If its parts do not fit each other, or one is of another kind.
    """
    l_max = attribute(module, "lmax", int, -1)
    if not 0 <= l_max <= MAX_DEGREE:
        raise InputError(f"its {module.path} has lmax={l_max}; 0 to {MAX_DEGREE} can be read")
    parts = {name: items(module, name) for name in _PARTS}
    for name, layers in parts.items():
        if len(layers) != config.n_layers:
            raise InputError(
                f"its {module.path} has {config.n_layers} {LAYERS} and {len(layers)} {name}; all go together"
            )
        shared = len({id(layer) for layer in layers}) == 1
        if config.n_layers > 1 and shared != config.shared_interactions:
            raise InputError(f"its {module.path} shares only some of its layers; all or none can be read")
    linear = [child(layer, "filternet") for layer in parts[LAYERS]]
    linear += [child(layer, "scaling") for layer in parts["gatings"]]
    linear += [layer for name in ("mixings1", "mixings2", "mixings3") for layer in parts[name]]
    for layer in linear:
        if layer.path not in (DENSE, LINEAR):
            raise InputError(f"its {module.path} holds a {layer.path}, where only linear layers can be read")
        if (name := activation_of(layer, "activation", read)) != "identity":
            raise InputError(f"a layer of its {module.path} ends in {name}, where SO3net is linear; it cannot be read")
    return replace(config, l_max=l_max, n_features=shape_of(parts["mixings1"][0], "weight", 2)[1])


def is_constant(name: str) -> bool:
    """Whether a tensor of the file, by its dotted name, follows from l_max."""
    return ".sphharm." in name or name.rpartition(".")[2] in _CONSTANTS


def read_algebra(module: Shell, l_max: int, read: ReadTensor) -> dict[str, Tensor]:
    """Constants of `RotationAlgebra` by their names, in float64.

    SchNetPack rounds them to float32, also in a model that then runs in float64. They are taken as they are, since a
    prediction is to be that of the file, after a check that they are roundings of what they should be.

    Raises
    ------
    InputError
        If they are not.
    """
    harmonics = child(module, "sphharm")
    values, powers = (read(needed(harmonics, name)).double() for name in ("cPi", "zpow"))
    exact = legendre_coefficients(l_max)
    if values.shape != powers.shape or values.shape != (l_max + 1, l_max + 1, l_max // 2 + 1):
        raise InputError(f"the spherical harmonics of its {module.path} do not go to lmax={l_max}; the file is damaged")
    if not ((powers >= 0) & (powers <= l_max)).all():
        raise InputError(f"the spherical harmonics of its {module.path} have impossible powers; the file is damaged")
    legendre = torch.zeros_like(exact).scatter_add_(2, powers.long(), values)
    coupled = [child(module, "so3product"), *items(module, LAYERS)]
    tables = [_coupling(part, l_max, read) for part in coupled]
    for found, expected in ((legendre, exact), *((table, coupling_coefficients(l_max)) for table in tables)):
        if not torch.allclose(found, expected, rtol=1e-5, atol=1e-6):
            raise InputError(f"the constants of its {module.path} are not those of SO3net; they cannot be read")
    if any(not torch.equal(table, tables[0]) for table in tables):
        raise InputError(f"the layers of its {module.path} differ in their coupling coefficients; one set can be read")
    return {"representation.algebra.legendre": legendre, "representation.algebra.coupling": tables[0]}


def _coupling(module: Shell, l_max: int, read: ReadTensor) -> Tensor:
    values = read(needed(module, "clebsch_gordan")).double()
    places = [read(needed(module, name)) for name in ("idx_in_1", "idx_in_2", "idx_out")]
    size = (l_max + 1) ** 2
    if any(p.shape != values.shape or p.is_floating_point() or not ((p >= 0) & (p < size)).all() for p in places):
        raise InputError(f"the coupling coefficients of its {module.path} have impossible places; the file is damaged")
    table = torch.zeros(size, size, size, dtype=torch.float64)
    return table.index_put_(tuple(p.long() for p in places), values)
