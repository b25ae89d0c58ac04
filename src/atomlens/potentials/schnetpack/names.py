"""Names of a model's tensors in SchNetPack: one table, used to read its files and to write its state dicts."""

from __future__ import annotations

import re

# (pattern of our name, SchNetPack's), the first that fits; the same order of factors everywhere, so no tensor
# is turned. ``readout.`` becomes the one output module, ``output_modules.0.``.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"representation\.basis\.", "representation.radial_basis."),
        (r"representation\.cutoff\.", "representation.cutoff_fn."),
        # SchNet
        (r"representation\.layers\.(\d+)\.source\.", r"representation.interactions.\1.in2f."),
        (r"representation\.layers\.(\d+)\.filter_in\.", r"representation.interactions.\1.filter_network.0."),
        (r"representation\.layers\.(\d+)\.filter_out\.", r"representation.interactions.\1.filter_network.1."),
        (r"representation\.layers\.(\d+)\.update_in\.", r"representation.interactions.\1.f2out.0."),
        (r"representation\.layers\.(\d+)\.update_out\.", r"representation.interactions.\1.f2out.1."),
        # PaiNN
        (
            r"representation\.interactions\.(\d+)\.context_in\.",
            r"representation.interactions.\1.interatomic_context_net.0.",
        ),
        (
            r"representation\.interactions\.(\d+)\.context_out\.",
            r"representation.interactions.\1.interatomic_context_net.1.",
        ),
        (r"representation\.mixings\.(\d+)\.vector_mix\.", r"representation.mixing.\1.mu_channel_mix."),
        (r"representation\.mixings\.(\d+)\.context_in\.", r"representation.mixing.\1.intraatomic_context_net.0."),
        (r"representation\.mixings\.(\d+)\.context_out\.", r"representation.mixing.\1.intraatomic_context_net.1."),
        # SO3net
        (r"representation\.layers\.(\d+)\.radial_filter\.", r"representation.so3convs.\1.filternet."),
        (r"representation\.layers\.(\d+)\.product_mix\.", r"representation.mixings1.\1."),
        (r"representation\.layers\.(\d+)\.mix_before\.", r"representation.mixings2.\1."),
        (r"representation\.layers\.(\d+)\.gate\.", r"representation.gatings.\1.scaling."),
        (r"representation\.layers\.(\d+)\.mix_after\.", r"representation.mixings3.\1."),
        # Readouts
        (r"readout\.network\.layers\.(\d+)\.", r"output_modules.0.outnet.\1."),
        (r"readout\.network\.blocks\.(\d+)\.vector_mix\.", r"output_modules.0.outnet.\1.mix_vectors."),
        (r"readout\.network\.blocks\.(\d+)\.context_in\.", r"output_modules.0.outnet.\1.scalar_net.0."),
        (r"readout\.network\.blocks\.(\d+)\.context_out\.", r"output_modules.0.outnet.\1.scalar_net.1."),
    )
)


def schnetpack_name(name: str) -> str:
    """SchNetPack's name of a tensor of the network.

    Examples
    --------
    >>> schnetpack_name("representation.layers.2.source.weight")
    'representation.interactions.2.in2f.weight'
    >>> schnetpack_name("representation.embedding.weight")
    'representation.embedding.weight'
    """
    for pattern, replacement in _RULES:
        renamed, count = pattern.subn(replacement, name)
        if count:
            return renamed
    return name
