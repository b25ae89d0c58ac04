"""`explain`: from a model and a structure to its exact interactions, whatever kind of model it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import ase
import torch

from atomlens.chain import (
    Chain,
    RecordedSums,
    constant_meaning,
    has_closed_form,
    make_chain,
    make_rule,
    recorded_potential,
    recorded_sums,
)
from atomlens.interactions.explanation import Explanation
from atomlens.interactions.pair_forces import AtomEnergies
from atomlens.models import Atomwise, Potential, to_internal
from atomlens.potentials import AnyModel, OpenedModel
from atomlens.recording import DEFAULT_PRODUCT_RULE, RecordedModel, check_product_rule, record
from atomlens.structures import AtomGraph, InputError, Precision, as_dtype, need_structure


def explain(
    model: AnyModel,
    atoms: ase.Atoms,
    rule: str = "gate",
    product_rule: str = DEFAULT_PRODUCT_RULE,
    *,
    gamma: float = 0.25,
    dtype: Precision = torch.float64,
    device: str | torch.device | None = None,
) -> Explanation:
    """Explain one prediction exactly.

    Parameters
    ----------
    model
        From `load_model`. It is not changed; its weights are referred to, so explain a copy of a model in training.
    atoms
        One structure.
    rule
        ``gate`` (default), ``gamma``, ``gradient``, or ``published`` (which conserves nothing, and has product rule
        ``scalar`` whatever is asked for); see `atomlens.chain.rules`.
    product_rule
        For products of two signals: ``full`` (default; each factor carries half) or ``scalar`` (vectors only gate).
        SchNet multiplies no two signals: both are the same there.
    gamma
        Strength of the ``gamma`` rule.
    dtype, device
        Where and how precisely to compute (``"float32"`` does for ``torch.float32``); by default float64 on the model's
        device.

    Raises
    ------
    InputError
        If the structure is unusable, or has elements that the model was not trained on.
    ValueError
        If a rule or `dtype` is not known.

    Examples
    --------
    >>> import ase, torch, atomlens
    >>> _ = torch.manual_seed(0)
    >>> model = atomlens.Potential(atomlens.ModelConfig())
    >>> ex = atomlens.explain(model, ase.Atoms("OH", positions=[[0, 0, 0], [0, 0, 0.97]]))
    >>> abs(ex.residual) < 1e-12
    True
    >>> ex.interactions(max_order=2).order(2).atoms
    array([[0, 1]])
    """
    need_structure(atoms, "explain", many="atomlens.explain_batch")
    dtype = as_dtype(dtype)
    if isinstance(model, OpenedModel):
        model.check_elements(atoms)
        if dtype != torch.float64:
            raise InputError(f"models of other libraries are explained in float64, not in {dtype}")
        if device is not None and torch.device(device).type != "cpu":
            raise InputError(f"models of other libraries are explained on the CPU; leave out device {device}")
        energies = _recorded_atom_energies(model, atoms)
        return explain_module(model.recorded, atoms, rule, product_rule, gamma=gamma, atom_energies=energies)
    if not isinstance(model, Potential):
        raise TypeError(
            f"explain received a {type(model).__name__} as model; load one first, with atomlens.load_model(path), or "
            "explain a module of your own with atomlens.explain_module"
        )
    used = make_rule(rule, gamma)
    check_product_rule(product_rule)
    product_rule = product_rule if used.keeps_values else "scalar"
    working = model.converted(dtype, device)
    graph = working.graph(atoms)
    make = make_chain if has_closed_form(working, used) else recorded_potential
    chain = make(working, graph, used, product_rule)
    factor, unit = to_internal(model.facts.unit)
    return Explanation(
        atoms.copy(),  # a simulation moves its atoms on
        chain.scaled(factor),
        property=model.facts.quantity,
        unit=unit,
        rule=used.name,
        product_rule=product_rule,
        cutoff=model.cutoff,
        constant_meaning=constant_meaning(model.readout, used, product_rule),
        atom_energies=_atom_energies(working, graph, factor)
        if unit == "eV" and model.config.output.extensive
        else None,
    )


def _atom_energies(model: Potential, graph: AtomGraph, factor: float) -> AtomEnergies | None:
    """Energies of the atoms in eV over positions; None where the read-out gives none to an atom."""
    if not isinstance(model.readout, Atomwise):
        return None
    return lambda positions: factor * model.atom_parts(replace(graph, positions=positions.to(graph.positions)))


def _recorded_atom_energies(model: OpenedModel, atoms: ase.Atoms) -> AtomEnergies:
    """Energies of the atoms in eV over positions, for a model of another library."""
    recorded, factor = model.recorded, to_internal(model.facts.unit)[0]
    tensors = recorded.inputs(atoms).tensors
    return lambda positions: factor * recorded.atom_energies({**tensors, recorded.positions: positions})


def explain_chain(
    chain: Chain | RecordedSums,
    atoms: ase.Atoms,
    *,
    property: str = "energy",
    unit: str = "eV",
    rule: str = "gate",
    product_rule: str = DEFAULT_PRODUCT_RULE,
    cutoff: float,
    constant_meaning: str = "what no walk carries",
    atom_energies: AtomEnergies | None = None,
) -> Explanation:
    """Explanation that rests on a chain made by hand, or on sums of a recording; both in `unit` already.

    Parameters
    ----------
    chain
        From `atomlens.chain.automatic_chain`, `recorded_sums`, or put together of its parts.
    atoms
        The structure that it describes.
    property, unit, rule, product_rule, cutoff, constant_meaning
        As the attributes of `Explanation`, for labels.
    atom_energies
        From positions in Å to the energy of every atom in eV, differentiable, for `Explanation.pair_forces`.
    """
    return Explanation(
        atoms.copy(),
        chain,
        property=property,
        unit=unit,
        rule=rule,
        product_rule=product_rule,
        cutoff=cutoff,
        constant_meaning=constant_meaning,
        atom_energies=atom_energies,
    )


def explain_module(
    model: RecordedModel,
    atoms: ase.Atoms,
    rule: str = "gate",
    product_rule: str = DEFAULT_PRODUCT_RULE,
    *,
    gamma: float = 0.25,
    as_bias: Sequence[str] = (),
    atom_energies: AtomEnergies | None = None,
) -> Explanation:
    """Explain one prediction of any PyTorch model exactly, by recording it.

    Parameters
    ----------
    model
        The model behind the protocol `atomlens.recording.RecordedModel`. Its first structure costs three runs more: its
        rows are learned and its linear program is checked.
    atoms
        One structure.
    rule, product_rule, gamma
        As for `explain`; ``scalar`` freezes what turns with the structure.
    as_bias
        Names of operators without a rule whose output is to count as a bias, such as ``aten.amax``.
    atom_energies
        From positions in Å to the energy of every atom in eV, differentiable, for `Explanation.pair_forces`.

    Returns
    -------
    Explanation
        Terms, groups and shares exist for every model, walks where messages carry the state of their source alone
        (`Explanation.no_walks`).

    Raises
    ------
    InputError
        If the structure is unusable, the model does something that no rule covers, or a check fails.
    ValueError
        If a rule is not known.
    """
    used = make_rule(rule, gamma)
    check_product_rule(product_rule)
    sums = recorded_sums(record(model, atoms), used, product_rule, as_bias)
    factor, unit = to_internal(model.unit)
    meaning = (
        "reference values and shifts of elements, energies that are a formula of distances (such as ZBL), "
        "and last biases of read-outs"
    )
    if as_bias:
        meaning += f"; {', '.join(as_bias)} counts as a bias"
    return explain_chain(
        sums.scaled(factor),
        atoms,
        property=model.property,
        unit=unit,
        rule=used.name,
        product_rule=product_rule,
        cutoff=model.cutoff,
        constant_meaning=meaning,
        atom_energies=atom_energies,
    )
