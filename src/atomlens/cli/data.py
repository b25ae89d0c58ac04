"""``atomlens data``: fetch, make and check data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atomlens.cli.terminal import echo

if TYPE_CHECKING:
    from atomlens.data import Dataset

data_app = typer.Typer(no_args_is_help=True, help="Fetch, make and check data sets.", rich_markup_mode="rich")


@data_app.command()
def qm9() -> None:
    """Parse QM9 once into the cache (needs the extra qm9), and say what it holds."""
    from atomlens.data import load_qm9

    _show(load_qm9(report=lambda line: echo(line)))


@data_app.command()
def xtb(
    source: Annotated[str, typer.Argument(help="SMILES string, or a file that ASE reads (its first structure).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the trajectory; continued if it is there.")],
    frames: Annotated[int, typer.Option(min=1, help="Frames to keep.")] = 2_000,
    temperature: Annotated[float, typer.Option(min=1.0, help="In K.")] = 500.0,
    timestep: Annotated[float, typer.Option(min=0.01, help="In fs.")] = 0.5,
    interval: Annotated[int, typer.Option(min=1, help="Steps between two frames.")] = 40,
    burn_in: Annotated[int, typer.Option(min=0, help="Steps before the first frame.")] = 2_000,
    charge: Annotated[
        int | None, typer.Option(help="Total charge in e; default: of the SMILES string or the file.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of geometry, velocities and thermostat.")] = 0,
    uhf: Annotated[
        int | None, typer.Option(help="Unpaired electrons; default: of the SMILES string or the file.")
    ] = None,
) -> None:
    """Make a GFN2-xTB trajectory: energies, forces, charges, bond orders (needs the extra xtb)."""
    from rich.progress import MofNCompleteColumn

    from atomlens.cli.progress import progress_bars
    from atomlens.cli.runs import resumable
    from atomlens.data import XtbSettings, make_xtb

    settings = XtbSettings(
        frames=frames,
        temperature=temperature,
        timestep=timestep,
        interval=interval,
        burn_in=burn_in,
        charge=charge,
        seed=seed,
        uhf=uhf,
    )
    with resumable(out), progress_bars(MofNCompleteColumn()) as bars:
        task = bars.add_task("frames", total=frames)
        dataset = make_xtb(
            source,
            out,
            settings,
            progress=lambda done, _: bars.update(task, completed=done),
            report=lambda line: echo(line, err=True),
        )
    _show(dataset)
    echo(f"data set: {out / 'dataset'}")


@data_app.command()
def organic(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the set; continued if it is there.")],
    molecules: Annotated[int, typer.Option(min=1, help="Molecules.")] = 8_000,
    frames: Annotated[int, typer.Option(min=1, help="Geometries of each.")] = 5,
    relaxed: Annotated[int, typer.Option(min=0, help="Relax every so manieth molecule, too; 0: none.")] = 3,
    pairs: Annotated[int | None, typer.Option(min=0, help="Pairs in contact; all of the list by default.")] = None,
    contacts: Annotated[int, typer.Option(min=1, help="Geometries of each pair.")] = 6,
    clusters: Annotated[int, typer.Option(min=0, help="Clusters of three to five molecules.")] = 700,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is drawn.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Make GFN2-xTB data of organic molecules, contacts and free atoms (needs the extra xtb)."""
    from rich.progress import MofNCompleteColumn

    from atomlens.cli.progress import progress_bars
    from atomlens.cli.runs import resumable
    from atomlens.data import OrganicSettings, make_organic

    settings = OrganicSettings(molecules, frames, relaxed, pairs, contacts, clusters, seed)
    with resumable(out), progress_bars(MofNCompleteColumn()) as bars:
        task = bars.add_task("blocks", total=None)
        dataset = make_organic(
            out, settings, workers=workers, progress=lambda done, total: bars.update(task, completed=done, total=total)
        )
    _show(dataset)
    echo(f"data set: {out / 'dataset'}")


@data_app.command()
def check(
    path: Annotated[Path, typer.Argument(help="Extended XYZ, ASE database, rMD17 or sGDML npz, or a data set folder.")],
    energy_unit: Annotated[str | None, typer.Option(help="Where the file does not say: eV, kcal/mol, ...")] = None,
    length_unit: Annotated[str | None, typer.Option(help="Å or Bohr.")] = None,
    force_unit: Annotated[str | None, typer.Option(help="eV/Ang, kcal/mol/Ang, Hartree/Bohr, ...")] = None,
    energy_key: Annotated[
        str | None, typer.Option(metavar="NAME", help="Entry of the energies, where the file has several.")
    ] = None,
    forces_key: Annotated[
        str | None, typer.Option(metavar="NAME", help="Entry of the forces; default: of the same name as the energies.")
    ] = None,
) -> None:
    """Say what a data set holds, which entries and units were read, and whether forces match energies."""
    from atomlens.data import Keys, Units, read_dataset, require_finite, require_matching_forces

    dataset = read_dataset(path, Units(energy_unit, length_unit, force_unit), Keys(energy_key, forces_key))
    _show(dataset)
    require_finite(dataset)
    if dataset.has("energy") and dataset.has("forces"):
        found = require_matching_forces(dataset)
        if found.pairs < 5:
            echo("forces: no two frames are close enough to compare them with energies")
        else:
            echo(f"forces: match energies between {found.pairs} pairs of close frames (ratio {found.slope:.3f})")


def _show(dataset: Dataset) -> None:
    from ase.data import chemical_symbols

    sizes = dataset.sizes
    elements = ", ".join(chemical_symbols[z] for z in dataset.elements)
    echo(f"{dataset.name}: {len(dataset)} structures of {sizes.min()} to {sizes.max()} atoms; {elements}")
    echo(f"source: {dataset.source}")
    for column in dataset.columns:
        echo(f"  {column.name}{f' [{column.unit}]' if column.unit else ''}: {column.meaning or 'as in the file'}")
    for note in dataset.notes:
        echo(f"note: {note}")
