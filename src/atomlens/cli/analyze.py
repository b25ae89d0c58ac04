"""``atomlens analyze``: from a model and structures to verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atomlens.cli.options import (
    PRODUCT_RULE_HELP,
    DeviceName,
    OverwriteRun,
    ProductRuleName,
    RuleName,
    Trust,
    UnitName,
    positive,
    whole_number,
)
from atomlens.cli.runs import command_line, resumable

EPILOG = """
[b]Examples[/b]

All questions, for a shipped model and 200 molecules of QM9 (needs the extra qm9):

    atomlens analyze zoo:qm9-u0-painn qm9:200 --out u0

Two questions only, for your own model and trajectory:

    atomlens analyze model.safetensors md.xyz --frames ::50 --questions species,decay --out mine

Contacts of two molecules next to CCSD(T) and DFT-SAPT, of two sets of NCIAtlas:

    atomlens analyze model.safetensors md.xyz --dimers NCIA_HB375x10.zip --dimers NCIA_IHB100x10.zip --out contacts

Any ASE calculator by import path, asked what needs no look inside (modules outside of installed packages need --trust):

    atomlens analyze tblite.ase:TBLite molecules.xyz --kwargs '{"method": "GFN2-xTB", "verbosity": 0}' --out xtb

A large set on both cores, in constant memory; after an interruption, the same command resumes:

    atomlens analyze zoo:qm9-u0-painn qm9:20000 --questions species --workers 2 --out large

[b]Written to --out[/b]

report.html (one chapter per question), summary.json (verdicts, effects, intervals), tables/*.parquet (frames, atoms,
pairs, triples), questions/*/ (results of each question).
"""


def analyze(
    model: Annotated[
        str,
        typer.Argument(
            help="Model file, zoo:NAME (see atomlens zoo), sevenn:7net-0, or any ASE calculator by import path, "
            "package.module:NAME."
        ),
    ],
    structures: Annotated[
        str, typer.Argument(help="A file in any format that ASE reads, SMILES, or qm9:COUNT (drawn from QM9).")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; an unfinished run in it is resumed.")],
    questions: Annotated[
        str,
        typer.Option(
            help="all, or some of species, extensivity, decay, contacts (with --dimers), many-body, three-bodies, "
            "smoothness, faithfulness."
        ),
    ] = "all",
    rule: Annotated[RuleName, typer.Option(help="Rule that makes activations linear.")] = RuleName.GATE,
    product_rule: Annotated[ProductRuleName | None, typer.Option(help=PRODUCT_RULE_HELP)] = None,
    max_order: Annotated[
        int, typer.Option(parser=whole_number(2, 3), metavar="2|3", help="Largest order of the terms in the tables.")
    ] = 3,
    frames: Annotated[str, typer.Option(help="Which frames, as in Python: 0, -1, :10, ::5.")] = ":",
    seed: Annotated[
        int, typer.Option(parser=whole_number(0, 2**31 - 1), metavar="NUMBER", help="Seed of controls and intervals.")
    ] = 0,
    trained_range: Annotated[
        float | None,
        typer.Option(help="Largest distance (Å) between atoms of one training structure; default: of STRUCTURES."),
    ] = None,
    distances: Annotated[
        str | None,
        typer.Option(
            metavar="LOW:HIGH",
            help="Pair distances (Å) over which decay is judged; default: 2.5 to the model's cutoff less 0.5. Models "
            "that are compared need one range.",
        ),
    ] = None,
    s66x8: Annotated[
        Path | None,
        typer.Option(help="S66x8 file of COMP6 (.h5), to compare dimer curves with."),
    ] = None,
    dimers: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="NCIAtlas archive (NCIA_HB375x10.zip) or folder of benchmark dimers, for the question contacts; may "
            "be given several times.",
        ),
    ] = None,
    scans: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Bond scans with energies and forces (extended xyz, as in BSCT-SPICE) to compare smoothness with; "
            "default: GFN2-xTB along bonds of STRUCTURES.",
        ),
    ] = None,
    kwargs: Annotated[
        str | None, typer.Option(metavar="JSON", help="Arguments of an import path, as a JSON object.")
    ] = None,
    box: Annotated[
        float | None,
        typer.Option(
            parser=positive,
            metavar="NUMBER",
            help="Put open structures into a cubic periodic cell of this edge (Å), for calculators that need a cell.",
        ),
    ] = None,
    sample: Annotated[
        int,
        typer.Option(
            parser=whole_number(1, 2**31 - 1),
            metavar="COUNT",
            help="Answer questions from at most so many structures, evenly spread; tables contain all.",
        ),
    ] = 2000,
    workers: Annotated[
        int,
        typer.Option(
            parser=whole_number(1, 1024),
            metavar="COUNT",
            help="Worker processes on this machine; they share structures, then questions.",
        ),
    ] = 1,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler to use, for example tcp://host:8786.")
    ] = None,
    unit: UnitName = None,
    output: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which property, if a SchNetPack file predicts several.")
    ] = None,
    trust: Trust = False,
    device: DeviceName = None,
    overwrite: OverwriteRun = False,
) -> None:
    """Compare what a model has learned with known chemistry: up to eight questions, each with numbers and a verdict."""
    from atomlens.cli.early import check_model_name

    check_model_name(model)
    from atomlens.analyses import chosen_questions
    from atomlens.cli.calculators import open_model
    from atomlens.cli.options import checked_device, checked_unit, distance_range, on_device
    from atomlens.cli.sources import structure_source
    from atomlens.cli.verdicts import show_verdicts, step_progress
    from atomlens.potentials import CalculatorModel
    from atomlens.reference import read_bond_scans, read_nciatlas, read_s66x8
    from atomlens.runs import AnalysisOptions, run_analysis
    from atomlens.structures import InputError

    if rule is RuleName.PUBLISHED:
        raise InputError(
            "--rule published conserves nothing; questions need terms that add up: gate, gamma or gradient"
        )
    chosen = chosen_questions(questions, ["--dimers"] if dimers else [])
    of_models = {
        "--device": device,
        "--scheduler": scheduler,
        "--rule": None if rule is RuleName.GATE else rule.value,
        "--product-rule": None if product_rule is None else product_rule.value,
    }
    where = checked_device(device)
    potential = open_model(model, kwargs, box, output, checked_unit(unit), trust, of_models)
    if not isinstance(potential, CalculatorModel):
        potential = on_device(potential, where)
    if scans is not None:
        read_bond_scans(scans)
    if s66x8 is not None:
        read_s66x8(s66x8)  # report what is wrong with it before any work is done
    for path in dimers or ():
        read_nciatlas(path)
    source = structure_source(structures, frames, seed)
    options = AnalysisOptions(
        chosen,
        rule.value,
        _product_rule(out, product_rule, overwrite),
        max_order,
        seed,
        trained_range,
        distance_range(distances),
        s66x8,
        tuple(dimers or ()),
        scans,
        sample,
    )
    with resumable(out), step_progress() as progress:
        run = run_analysis(
            potential,
            model,
            source,
            f"{structures} {frames}" if frames != ":" else structures,
            out,
            options,
            n_workers=workers,
            scheduler=scheduler,
            progress=progress,
            command=command_line(),
            overwrite=overwrite,
        )
    show_verdicts(run)


def _product_rule(out: Path, product_rule: ProductRuleName | None, overwrite: bool) -> str:
    """The product rule that is asked for; else that of the run that is resumed."""
    from atomlens.folders import started_settings
    from atomlens.recording import DEFAULT_PRODUCT_RULE

    if product_rule is not None:
        return product_rule.value
    stored = None if overwrite else started_settings(out).get("product_rule")
    return stored if isinstance(stored, str) else DEFAULT_PRODUCT_RULE
