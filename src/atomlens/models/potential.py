"""A trained model: representation, readout, and what its number means."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass, replace
from typing import Self

import ase
import numpy as np
import torch
from ase.data import chemical_symbols
from jaxtyping import Float
from torch import Tensor, nn

from atomlens.models.config import ModelConfig
from atomlens.models.elements import unseen_elements
from atomlens.models.facts import ModelFacts
from atomlens.models.fast import energy_gradient, is_written_out
from atomlens.models.features import AtomFeatures, sum_edges
from atomlens.models.long_range import LongRange, PairTerms
from atomlens.models.painn import PaiNN
from atomlens.models.plausibility import impossible
from atomlens.models.readouts import Atomwise, make_readout
from atomlens.models.schnet import SchNet
from atomlens.models.so3net import SO3net
from atomlens.models.units import to_internal
from atomlens.structures import AtomGraph, InputError, build_graph, need_structure


@dataclass(frozen=True)
class Prediction:
    """What a model predicts for one structure.

    Attributes
    ----------
    quantity
        Name of the predicted property.
    value
        The prediction in `unit`: a scalar (), a vector (3,) or a tensor (3, 3).
    unit
        eV for energies, else the model's own unit.
    forces
        Negative gradient of an energy in eV/Å, shape (N, 3); None for other properties.
    """

    quantity: str
    value: np.ndarray
    unit: str
    forces: Float[np.ndarray, "N 3"] | None = None

    @property
    def energy(self) -> float:
        """The energy in eV.

        Raises
        ------
        AttributeError
            If the model predicts something else.
        """
        if self.unit != "eV" or self.value.ndim:
            raise AttributeError(f"this model predicts {self.quantity} in {self.unit}, not an energy; use .value")
        return float(self.value)


class UnseenElementWarning(UserWarning):
    """A structure has elements that the model was not trained on."""


class Potential(nn.Module):
    r"""A model of a molecular property, :math:`y = s\,f(G) + m\,N + \sum_i e_{Z_i} + \sum_{i<j} V_{ij}`.

    f is representation and readout, s scale, m mean a atom, e atom references (buffers ``scale``, ``mean``,
    ``atomrefs``), V energies of pairs without a cutoff, where the model has such (`LongRange`). Output in the model's
    own unit, ``config.output.unit``.
    """

    scale: Tensor
    mean: Tensor
    atomrefs: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        architecture = {"schnet": SchNet, "painn": PaiNN, "so3net": SO3net}[config.representation.architecture]
        self.representation = architecture(config.representation)
        self.readout = make_readout(config.readout)
        self.long_range = None
        if config.long_range.kind != "none":
            width = config.representation.n_features
            self.long_range = LongRange(config.long_range, width, config.readout.activation)
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros((), dtype=torch.float64))
        self.register_buffer("atomrefs", torch.zeros(config.representation.max_z, dtype=torch.float64))

    @property
    def facts(self) -> ModelFacts:
        """The model in a few words."""
        return facts_of(self.config)

    @property
    def cutoff(self) -> float:
        """Cutoff radius in Å."""
        return self.config.representation.cutoff.cutoff

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.representation.embedding.weight.dtype

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.representation.embedding.weight.device

    def cast(self, dtype: torch.dtype) -> Self:
        """Turn the network's weights to `dtype`, in place; scale, mean and references stay in float64.

        (``.to(dtype)`` would round references of thousands of eV to float32's 1e-4 eV.)
        """
        self.representation.to(dtype)
        self.readout.to(dtype)
        if self.long_range is not None:
            self.long_range.to(dtype)
        return self

    def converted(self, dtype: torch.dtype, device: torch.device | str | None = None) -> Potential:
        """This model if it is in `dtype` on `device` already, else a copy that is."""
        device = self.device if device is None else torch.device(device)
        if self.dtype == dtype and self.device == device:
            return self
        return copy.deepcopy(self).to(device=device).cast(dtype)

    def offset(self, graph: AtomGraph) -> Float[Tensor, " G"]:
        """Part of the output that no network made, in the model's own unit: mean and atom references."""
        counts = graph.sizes.to(self.mean.dtype)
        references = sum_edges(self.atomrefs[graph.numbers], graph.batch, graph.n_graphs)
        if self.config.output.extensive:
            return self.mean * counts + references
        return self.mean + references / counts

    def pair_terms(self, features: AtomFeatures, graph: AtomGraph) -> PairTerms | None:
        """Energies of pairs without a cutoff in the model's own unit, from the representation's features; or None."""
        if self.long_range is None:
            return None
        terms = self.long_range(features, graph, self.representation.cutoff)
        return terms.scaled(1.0 / to_internal(self.config.output.unit)[0])

    def forward(self, graph: AtomGraph) -> Tensor:
        """Predictions (G, ...) in the model's own unit."""
        return self.with_charges(graph)[0]

    def with_charges(self, graph: AtomGraph) -> tuple[Tensor, Float[Tensor, " N"] | None]:
        """Predictions (G, ...) in the model's own unit, and learned charges in e; None where there are none."""
        features = self.representation(graph)
        y = self.readout(features, graph)
        offset = self.offset(graph)
        y = self.scale * y + offset.reshape(-1, *[1] * (y.dim() - 1))
        pairs = self.pair_terms(features, graph)
        return (y, None) if pairs is None else (y + pairs.sums(graph.batch, graph.n_graphs), pairs.charges)

    def atom_parts(self, graph: AtomGraph) -> Float[Tensor, " N"]:
        """What every atom adds to the prediction of its structure, in the model's own unit.

        Read-out, mean and references by atom; energies of pairs count half for each of their atoms.

        Raises
        ------
        InputError
            If the read-out gives no number to an atom.
        """
        if not isinstance(self.readout, Atomwise):
            raise InputError(
                f"the read-out ({self.config.readout.kind}) gives no energy to an atom; use a model that adds or "
                "averages over atoms"
            )
        features = self.representation(graph)
        own = self.mean + self.atomrefs[graph.numbers]
        if not self.config.output.extensive:
            own = own / graph.sizes[graph.batch]
        y = self.scale * self.readout.parts(features, graph) + own
        pairs = self.pair_terms(features, graph)
        if pairs is None:
            return y
        halves = 0.5 * pairs.energies.repeat_interleave(2)
        return y + torch.zeros_like(y).index_add(0, pairs.atoms.flatten(), halves.to(y.dtype))

    def energy_and_forces(self, graph: AtomGraph, *, create_graph: bool = False) -> tuple[Tensor, Float[Tensor, "N 3"]]:
        """Predictions (G,) and their negative gradients by position (N, 3), in the model's own unit (per Å).

        With `create_graph` both can be differentiated by the weights, as training on forces does. Without it, models
        whose way back is written out (`atomlens.models.fast.forces`) do without autograd.
        """
        if not create_graph and self.long_range is None and is_written_out(self.representation, self.readout):
            y, gradient = energy_gradient(self.representation, self.readout, graph)
            with torch.no_grad():
                return self.scale * y + self.offset(graph), gradient.mul_(-self.scale)
        positions = graph.positions.detach().requires_grad_()
        y = self(replace(graph, positions=positions))
        (gradient,) = torch.autograd.grad(y.sum(), positions, create_graph=create_graph)
        return (y if create_graph else y.detach()), -gradient

    def check_elements(self, atoms: ase.Atoms) -> None:
        """Raise `InputError` if the structure has elements that the model was not trained on (where that is known)."""
        if unseen := self._unseen(atoms):
            raise InputError(unseen)

    def _unseen(self, atoms: ase.Atoms) -> str | None:
        return unseen_elements(self.config.elements, atoms.numbers.tolist())

    def check_open(self, periodic: bool) -> None:
        """Raise `InputError` if the structure is periodic and the model sums over all pairs of an open one."""
        if periodic and self.long_range is not None:
            raise InputError(
                f"the model's long-range energies ({self.config.long_range.kind}) need an open structure, this one is "
                "periodic; use a model without them, or set pbc to false where the cell is only a box"
            )

    def graph(self, atoms: ase.Atoms) -> AtomGraph:
        """Graph of a structure for this model.

        Elements that the model was not trained on give an `UnseenElementWarning`: such a prediction means
        nothing, but how a model extrapolates, or how fast it is, may still be asked. `check_elements` refuses them.

        Raises
        ------
        InputError
            If the structure is unusable, has an element that the model has no embedding for, or is periodic where
            the model's long-range energies need an open one.
        """
        highest = self.config.representation.max_z - 1
        if len(atoms) and atoms.numbers.max() > highest:
            symbol = chemical_symbols[min(int(atoms.numbers.max()), len(chemical_symbols) - 1)]
            raise InputError(f"the structure has {symbol}; this model has embeddings up to Z = {highest}")
        if unseen := self._unseen(atoms):
            warnings.warn(unseen, UnseenElementWarning, stacklevel=3)
        self.check_open(bool(atoms.pbc.any()))
        return build_graph(atoms, self.cutoff, dtype=self.dtype).to(device=self.device)

    def predict(self, atoms: ase.Atoms) -> Prediction:
        """Predict one structure, with forces where the property is an energy.

        Raises
        ------
        InputError
            As in `graph`; or if a number is not finite, or an energy beyond 1e6 eV per atom.
        """
        need_structure(atoms, "predict")
        graph = self.graph(atoms)
        output = self.config.output
        factor, unit = to_internal(output.unit)
        forces = None
        if output.has_forces:
            y, gradient = self.energy_and_forces(graph)
            forces = _numpy(gradient, factor)
        else:
            with torch.no_grad():
                y = self(graph)
        value = _numpy(y[0], factor)
        worst = float(value.flat[np.abs(value).argmax()]) if np.isfinite(value).all() else float("nan")
        if reason := impossible(worst, len(atoms), unit):
            raise InputError(f"the model predicts what cannot be ({reason}); check structure and unit")
        if forces is not None and not np.isfinite(forces).all():
            raise InputError("the model predicts forces that are not finite; check the structure")
        return Prediction(output.property, value, unit, forces)


def facts_of(config: ModelConfig) -> ModelFacts:
    """The model of a configuration in a few words."""
    shape, readout, output = config.representation, config.readout, config.output
    return ModelFacts(
        architecture=shape.architecture,
        quantity=output.property,
        unit=output.unit,
        extensive=output.extensive,
        has_forces=output.has_forces,
        cutoff=shape.cutoff.cutoff,
        n_layers=shape.n_layers,
        n_features=shape.n_features,
        elements=config.elements,
        readout=readout.aggregation if readout.kind == "atomwise" else readout.kind,
        long_range=config.long_range.kind,
        has_products=shape.architecture != "schnet",
        card=config.card,
    )


def _numpy(x: Tensor, factor: float) -> np.ndarray:
    # The product of an array without axes and a number is no array any more.
    return np.asarray(x.detach().cpu().numpy().astype(np.float64) * factor)
