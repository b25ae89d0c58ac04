"""``atomlens explain``: from a model and structures to a folder of results."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atomlens.cli.inputs import KeepsInputs
from atomlens.cli.loading import loading
from atomlens.cli.options import (
    PRODUCT_RULE_HELP,
    DeviceName,
    Precision,
    ProductRuleName,
    RuleName,
    TableFormat,
    Trust,
    UnitName,
    checked_device,
    checked_unit,
    group_maker,
    non_negative,
    whole_number,
)
from atomlens.cli.runs import command_line

if TYPE_CHECKING:
    import ase

    from atomlens.potentials import AnyModel

EPILOG = """
[b]Examples[/b]

A molecule by its SMILES string (the geometry is RDKit's), in the shipped model of organic molecules:

    atomlens explain 'CCO' --out ethanol

Your model and one molecule:

    atomlens explain best_model ethanol.xyz --out ethanol

Every tenth frame of a trajectory, pairs only (faster):

    atomlens explain model.safetensors md.xyz --frames ::10 --max-order 2 --out md

A model of another library (install it first; --trust, because opening such a file runs code that it holds):

    atomlens explain sevenn:7net-0 'CCO' --out sevennet
    atomlens explain ethanol.model ethanol.xyz --trust --out mace

Terms between the molecules of a cluster:

    atomlens explain zoo:NAME dimer.xyz --groups fragments --out dimer

[b]Written to --out[/b]

report.html (open it in a browser), atoms/pairs/triples/walks.parquet (and groups.parquet), summary.json.
"""


class ModelMayBeLeftOut(KeepsInputs):
    """A command of a model and structures, of which the first may be left out; parsers know this of the last alone."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What stands behind the name of the command in its usage."""
        return [self.options_metavar or "", "[MODEL]", "STRUCTURES"]


def explain(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="Model: zoo:NAME, sevenn:NAME, or a file (atomlens, SchNetPack, MACE, SevenNet, NequIP, graph-pes). "
            "Without it, a shipped model of organic molecules: organic.",
        ),
    ] = None,
    structures: Annotated[
        str | None,
        typer.Argument(
            metavar="STRUCTURES",
            help="Structures, in any format that ASE reads; or a SMILES string (geometry made by RDKit).",
        ),
    ] = None,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; must not exist yet.")],
    rule: Annotated[RuleName, typer.Option(help="Rule that makes activations linear.")] = RuleName.GATE,
    gamma: Annotated[
        float | None,
        typer.Option(parser=non_negative, metavar="NUMBER", help="Strength of --rule gamma. \\[default: 0.25]"),
    ] = None,
    product_rule: Annotated[ProductRuleName | None, typer.Option(help=PRODUCT_RULE_HELP)] = None,
    max_order: Annotated[
        int,
        typer.Option(
            parser=whole_number(1, 3), metavar="1|2|3", help="Largest number of atoms in a term that is listed."
        ),
    ] = 3,
    top_walks: Annotated[
        int,
        typer.Option(
            parser=whole_number(1, 1_000_000), metavar="COUNT", help="How many of the strongest walks to list."
        ),
    ] = 50,
    groups: Annotated[
        str | None,
        typer.Option(help='Terms between groups: fragments, residues, or a JSON file {"name": \\[atom, ...]}.'),
    ] = None,
    frames: Annotated[str, typer.Option(help="Which frames, as in Python: 0, -1, :10, ::5.")] = ":",
    table_format: Annotated[
        TableFormat, typer.Option("--format", help="File format of the tables.")
    ] = TableFormat.PARQUET,
    dtype: Annotated[Precision, typer.Option(help="Precision of all work.")] = Precision.DOUBLE,
    device: DeviceName = None,
    unit: UnitName = None,
    output: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which property, if a SchNetPack file predicts several.")
    ] = None,
    trust: Trust = False,
    any_element: Annotated[
        bool, typer.Option("--any-element", help="Accept elements that the model was not trained on.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a folder that atomlens wrote.")] = False,
) -> None:
    """Split each prediction, exactly, into terms of atoms, pairs, triples and walks."""
    started = time.perf_counter()
    with loading():
        from atomlens.cli.early import early_or_embedded, model_and_structures, read_early

        model, structures = model_and_structures(model, structures)
        early = read_early(model, structures, frames, any_element=any_element)

        from atomlens.cli.show import frame_progress, show_result
        from atomlens.folders import RunFolder
        from atomlens.models import UnseenElementWarning
        from atomlens.potentials import load_model
        from atomlens.report import frames_on_page
        from atomlens.runs import explained_frames, write_run
        from atomlens.structures import InputError
        from atomlens.tables import RunInfo

    if gamma is not None and rule is not RuleName.GAMMA:
        raise InputError(f"--gamma {gamma:g} is for --rule gamma; the rule is {rule.value}")
    rules = {
        "rule": rule.value,
        "gamma": 0.25 if gamma is None else gamma,
        "product_rule": _product_rule(rule, product_rule),
    }
    options = {
        **rules,
        "max_order": max_order,
        "top_walks": top_walks,
        "groups": groups,
        "frames": frames,
        "format": table_format.value,
        "dtype": dtype.value,
        "device": device or "cpu",
        "unit": unit,
        "output": output,
    }
    make_groups, where, energy_unit = group_maker(groups), checked_device(device), checked_unit(unit)
    if trust:
        options["trust"] = True
    with RunFolder(out, overwrite) as folder:
        potential = load_model(model, dtype=dtype.value, energy_unit=energy_unit, output=output, trust=trust)
        found = early_or_embedded(early, structures, frames)
        selected = found.structures
        if any_element:
            warnings.simplefilter("ignore", UnseenElementWarning)
        else:
            _check_elements(potential, selected)
        info = RunInfo(model, structures, potential.facts, command_line(), options, found.total)
        explained = explained_frames(
            potential,
            selected,
            max_order=max_order,
            top_walks=top_walks,
            make_groups=make_groups,
            with_forces=frames_on_page(len(selected)),
            dtype=dtype.value,
            device=where,
            **rules,
        )
        with frame_progress(len(selected)) as advance:
            frames_done = map(advance, explained)
            result = write_run(folder, frames_done, len(selected), info, started, table_format=table_format.value)
    show_result(result, out, str(found), model=potential.facts, model_name=model)


def _product_rule(rule: RuleName, product_rule: ProductRuleName | None) -> str:
    """The product rule that is asked for; that of the published rule is its own."""
    from atomlens.recording import DEFAULT_PRODUCT_RULE
    from atomlens.structures import InputError

    if rule is not RuleName.PUBLISHED:
        return DEFAULT_PRODUCT_RULE if product_rule is None else product_rule.value
    if product_rule is ProductRuleName.FULL:
        raise InputError("--product-rule full: the rule published freezes vectors (scalar); leave it out")
    return ProductRuleName.SCALAR.value


def _check_elements(potential: AnyModel, structures: list[ase.Atoms]) -> None:
    """Refuse elements that the model was not trained on before any work is done; an error names the frame."""
    from atomlens.structures import InputError

    for index, atoms in enumerate(structures):
        try:
            potential.check_elements(atoms)
        except InputError as error:
            if len(structures) == 1:
                raise
            raise InputError(f"frame {index}: {error}") from error
