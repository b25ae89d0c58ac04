"""`record`: one structure's run of a model, ready to be linearised under any rule."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property, partial
from weakref import WeakKeyDictionary

import ase
import torch
from torch import Tensor

from atomlens.recording.checks import Checks, check_layers
from atomlens.recording.clusters import cluster, rotated
from atomlens.recording.contracting import contract_constants
from atomlens.recording.cuts import Cuts
from atomlens.recording.interfaces import LinearRule
from atomlens.recording.keeping import Footprint, needed_values
from atomlens.recording.layers import Layers
from atomlens.recording.products import DEFAULT_PRODUCT_RULE, check_product_rule
from atomlens.recording.recorder import trace_call
from atomlens.recording.rows import EDGES, ModelRows, check_rows, find_rows, row_counts
from atomlens.recording.source import RecordedModel, StructureInputs
from atomlens.recording.trace import Trace
from atomlens.structures import InputError, machine_memory

# Memory that an explanation takes over that of the run and what is kept of it.
_WORK = 1.2


class OpenModel:
    """A model and what is learned of it once: its rows, and which entries turn with the structure.

    Parameters
    ----------
    model
        The adapter.
    numbers
        Elements that the clusters are made of.
    """

    def __init__(self, model: RecordedModel, numbers: Sequence[int]) -> None:
        self.model = model
        self.numbers = list(dict.fromkeys(int(z) for z in numbers))
        small, large = (cluster(self.numbers, n, model.cutoff, seed=n) for n in (5, 7))
        self._small = small
        self._first = self.trace(small)
        self._second = self.trace(large)
        if self._first[0].result is None:
            raise InputError("no output of the embedding reaches the energy; nothing can be explained")
        self.rows: ModelRows = find_rows(self._first, self._second)
        self.needed = needed_values(self._first[0], self.rows)
        self._cuts: dict[tuple[str, str, tuple[str, ...]], Cuts] = {}
        self._footprints: dict[frozenset[int], Footprint] = {}

    def trace(
        self, structure: ase.Atoms | StructureInputs, needed: Collection[int] | None = None
    ) -> tuple[Trace, StructureInputs]:
        """Run the model on a structure and record it: the values of some nodes, or all.

        Raises
        ------
        InputError
            If its output is not one number, or it takes derivatives on the way to it.
        """
        inputs = structure if isinstance(structure, StructureInputs) else self.model.inputs(structure)
        numbers = self._first[0].numbers if needed is not None else ()
        keep = None if needed is None else frozenset(numbers[node] for node in needed)
        try:
            with torch.no_grad():
                trace = trace_call(lambda: self.model.energy(inputs.tensors), modules=self.model.embedding, keep=keep)
        except RuntimeError as error:
            if "does not require grad" not in str(error):
                raise
            raise InputError(
                "the model takes derivatives while it computes its energy (torch.autograd.grad or backward), and is "
                "recorded without autograd; give it a way to the energy alone, without forces"
            ) from error
        if trace.value.numel() != 1:
            raise InputError(f"the model's energy has shape {tuple(trace.value.shape)}; one number is wanted")
        if needed is not None and trace.numbers != numbers:  # it did more or less beside what leads to the energy
            del trace
            self._check_memory(inputs, range(len(numbers)))
            return self.trace(inputs)
        contract_constants(trace)
        return trace, inputs

    def run(self, inputs: StructureInputs) -> Trace:
        """Record what is needed of a run; its rows are those that are known.

        Raises
        ------
        InputError
            If the recording would not fit in this machine's memory, or the model runs differently on this structure.
        """
        self._check_memory(inputs, self.needed)
        trace, _ = self.trace(inputs, self.needed)
        check_rows(self.rows, trace, inputs)
        return trace

    def record(self, structure: ase.Atoms | StructureInputs) -> Recording:
        """Record a structure; errors are those of `run`."""
        inputs = structure if isinstance(structure, StructureInputs) else self.model.inputs(structure)
        return Recording(self, self.run(inputs), inputs)

    def _check_memory(self, inputs: StructureInputs, keep: Collection[int]) -> None:
        needed, have = _WORK * self.footprint(keep).bytes_at_most(row_counts(inputs)), machine_memory()
        if needed > have:
            raise InputError(
                f"recording the model on {inputs.n_atoms} atoms with {inputs.n_edges} edges needs about "
                f"{needed / 1e9:.0f} GB of {have / 1e9:.0f} GB; use a smaller structure"
            )

    def footprint(self, keep: Collection[int] | None = None) -> Footprint:
        """What a run takes on any number of rows if the values of some nodes are kept, by default what is needed."""
        nodes = self.needed if keep is None else frozenset(keep)
        if nodes not in self._footprints:
            trace, inputs = self._second
            again = partial(self.model.energy, inputs.tensors)
            self._footprints[nodes] = Footprint.of(trace, self.rows, row_counts(inputs), nodes, again)
        return self._footprints[nodes]

    @cached_property
    def masks(self) -> dict[int, Tensor]:
        """Entries that stay as they are when the structure is rotated, for nodes that have others."""
        turned, inputs = self.trace(rotated(self._small))
        check_rows(self.rows, turned, inputs)
        orders = {EDGES: (_edge_order(self._first[1]), _edge_order(inputs))}
        if inputs.rows:
            raise InputError("the product rule scalar needs a model whose rows are atoms and edges alone; take full")
        masks = {}
        for number, (node, other) in enumerate(zip(self._first[0].nodes, turned.nodes, strict=True)):
            layout = self.rows.nodes[number]
            a, b = node.value, other.value
            if layout is None or not a.is_floating_point() or a.is_meta:
                continue
            if layout.kind in orders:
                first, second = orders[layout.kind]
                a, b = (
                    v.unflatten(layout.dim, (-1, layout.width))
                    .index_select(layout.dim, order)
                    .flatten(layout.dim, layout.dim + 1)
                    for v, order in ((a, first), (b, second))
                )
            size = a.abs().amax(dim=layout.dim, keepdim=True)
            change = (a - b).abs().amax(dim=layout.dim, keepdim=True)
            exact = torch.finfo(a.dtype).eps ** 0.5
            turns = (change > 10 * exact * size) & (change > exact**1.5 * size.max())
            if turns.any():
                masks[number] = (~turns).to(a.dtype)
        return masks

    def layers(
        self,
        recording: Recording,
        rule: LinearRule,
        product_rule: str = DEFAULT_PRODUCT_RULE,
        as_bias: Sequence[str] = (),
    ) -> Layers:
        """A recorded run under a rule; where it is cut is found once for every rule."""
        check_product_rule(product_rule)
        masks = self.masks if product_rule == "scalar" else {}
        key = (rule.name, product_rule, tuple(as_bias))
        first = key not in self._cuts
        if first:
            trace, inputs = self._first
            layers = Layers(trace, self.rows, inputs, rule, masks, as_bias)
            check_layers(layers)
            self._cuts[key] = layers.cuts
        cuts = self._cuts[key]
        biases = [number for number, name in enumerate(self.rows.operators) if name in as_bias]
        recording.remember({node for state in cuts.states for node in state}.union(biases))
        return Layers(recording.trace, self.rows, recording.inputs, rule, masks, as_bias, cuts)


def _edge_order(inputs: StructureInputs) -> Tensor:
    return torch.argsort(inputs.target * inputs.n_atoms + inputs.source, stable=True)


class Recording:
    """One structure's run of a model, operator by operator.

    Attributes
    ----------
    opened
        The model with what is known of it.
    trace, inputs
        What was recorded, and the structure as the model sees it.
    """

    def __init__(self, opened: OpenModel, trace: Trace, inputs: StructureInputs) -> None:
        self.opened = opened
        self.trace = trace
        self.inputs = inputs

    def remember(self, nodes: Collection[int]) -> None:
        """Make sure that the values of some nodes are there: by running the model again, if they were not kept."""
        if any(self.trace.nodes[node].value.is_meta for node in nodes):
            self.opened.needed |= frozenset(nodes)
            del self.trace  # two would not fit where one does
            self.trace = self.opened.run(self.inputs)

    @property
    def prediction(self) -> float:
        """Energy in the model's unit."""
        return float(self.trace.value)

    def layers(self, rule: LinearRule, product_rule: str = DEFAULT_PRODUCT_RULE, as_bias: Sequence[str] = ()) -> Layers:
        """The run as a linear program under a rule, cut into layers.

        Parameters
        ----------
        rule, product_rule
            How non-linear parts are frozen; `scalar` freezes what turns with the structure.
        as_bias
            Names of operators whose output is treated as a bias, such as ``aten.amax``; its share of the prediction is
            `bias_share`.

        Raises
        ------
        InputError
            If the linear program fails one of the checks (`atomlens.recording.checks`).
        """
        return self.opened.layers(self, rule, product_rule, as_bias)

    def check(self, rule: LinearRule, product_rule: str = DEFAULT_PRODUCT_RULE) -> Checks:
        """Figures of the three checks on this very structure; refused above the tolerance."""
        return check_layers(self.layers(rule, product_rule))


_OPEN: WeakKeyDictionary[RecordedModel, OpenModel] = WeakKeyDictionary()


def open_model(model: RecordedModel, numbers: Sequence[int]) -> OpenModel:
    """Learn a model's rows, once for every model.

    Raises
    ------
    InputError
        If the model cannot be recorded.
    """
    found = _OPEN.get(model)
    if found is None:
        found = _OPEN[model] = OpenModel(model, numbers)
    return found


def record(model: RecordedModel, atoms: ase.Atoms) -> Recording:
    """Record a model's run on a structure.

    The first structure of a model costs two runs more, on small clusters of its elements: they show which dimensions of
    tensors run over atoms and edges, and which indices map them.

    Raises
    ------
    InputError
        If the structure is unusable, or the model does something that no rule covers.
    """
    return open_model(model, atoms.numbers.tolist()).record(atoms)
