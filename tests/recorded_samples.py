"""Adapters of the tests: the project's own models, recorded as if they were somebody else's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import ase
import torch
from ase.calculators.calculator import Calculator
from torch import Tensor, nn

from atomlens.chain.readout import scalar_output
from atomlens.dynamics import AtomlensCalculator
from atomlens.models import AtomFeatures, Potential, SchNet
from atomlens.models.features import edge_features
from atomlens.potentials import OpenedModel, Origin
from atomlens.recording import StructureInputs
from atomlens.structures import AtomGraph


class OwnModel:
    """SchNet or PaiNN of this project behind the protocol of recorded models."""

    unit = "eV"
    elements: tuple[int, ...] = ()
    dtype = torch.float64
    library = "atomlens"
    positions = "positions"

    def __init__(self, model: Potential) -> None:
        self.model = model
        self.property = "energy"
        self.cutoff = model.cutoff
        self.layers = model.facts.n_layers
        self.references: Mapping[int, float] = {}

    @property
    def embedding(self) -> Sequence[nn.Module]:
        return [self.model.representation.embedding]

    def inputs(self, atoms: ase.Atoms) -> StructureInputs:
        return self.inputs_of(self.model.graph(atoms))

    def inputs_of(self, graph: AtomGraph) -> StructureInputs:
        self.graph = g = graph
        tensors = {"positions": g.positions, "target": g.target, "source": g.source, "offsets": g.offsets}
        tensors |= {"numbers": g.numbers, "batch": g.batch, "cells": g.cells}
        return StructureInputs(tensors, g.n_atoms, g.source, g.target, g.offsets.double())

    def energy(self, tensors: Mapping[str, Tensor]) -> Tensor:
        return self._energies(replace(self.graph, **tensors)).sum()

    def atom_energies(self, tensors: Mapping[str, Tensor]) -> Tensor:
        graph = replace(self.graph, **tensors)
        n = graph.n_atoms
        # A read-out over structures of one atom each.
        return self._energies(replace(graph, batch=torch.arange(n), cells=graph.cells.new_zeros(n, 3, 3)))

    def calculator(self) -> Calculator:
        return AtomlensCalculator(self.model)

    def _energies(self, graph: AtomGraph) -> Tensor:
        model = self.model
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
        return model.scale * scalar_output(model.readout(features, graph)) + model.offset(graph)


def opened(model: Potential) -> OpenedModel:
    """The same model behind the door of other libraries' models."""
    return OpenedModel(OwnModel(model), "own", Origin("own.model"))
