"""Adapters of the tests: the project's own models, recorded as if they were somebody else's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import ase
import torch
from torch import Tensor, nn

from atomlens.chain.readout import scalar_output
from atomlens.models import AtomFeatures, Potential, SchNet
from atomlens.models.features import edge_features
from atomlens.recording import StructureInputs
from atomlens.structures import AtomGraph


class OwnModel:
    """SchNet or PaiNN of this project behind the protocol of recorded models."""

    unit = "eV"
    elements: tuple[int, ...] = ()
    dtype = torch.float64

    def __init__(self, model: Potential) -> None:
        self.model = model
        self.property = "energy"
        self.cutoff = model.cutoff

    @property
    def embedding(self) -> Sequence[nn.Module]:
        return [self.model.representation.embedding]

    def inputs(self, atoms: ase.Atoms) -> StructureInputs:
        self.graph: AtomGraph = self.model.graph(atoms)
        g = self.graph
        tensors = {"positions": g.positions, "target": g.target, "source": g.source, "offsets": g.offsets}
        tensors |= {"numbers": g.numbers, "batch": g.batch, "cells": g.cells}
        return StructureInputs(tensors, g.n_atoms, g.source, g.target, g.offsets.double())

    def energy(self, tensors: Mapping[str, Tensor]) -> Tensor:
        graph, model = replace(self.graph, **tensors), self.model
        representation = model.representation
        edges = edge_features(graph, representation.basis, representation.cutoff)
        x = representation.embedding(graph.numbers)
        if isinstance(representation, SchNet):
            for layer in representation.layers:
                x = layer(x, edges)
            features = AtomFeatures(x)
        else:
            mu = x.new_zeros(len(x), 3, x.shape[1])
            for t, (interaction, mixing) in enumerate(
                zip(representation.interactions, representation.mixings, strict=True)
            ):
                x, mu = mixing(*interaction(x, mu, representation.filters(t, edges), edges))
            features = AtomFeatures(x, mu)
        y = model.scale * scalar_output(model.readout(features, graph)) + model.offset(graph)
        return y.sum()
