"""``atomlens zoo``: the models shipped with the package, their cards and their files."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from atomlens.cli.terminal import console as clean_console
from atomlens.cli.terminal import echo


class _NamesByDefault(TyperGroup):
    """Plain ``atomlens zoo`` lists the names, which scripts read."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ["names"])


zoo_app = typer.Typer(
    cls=_NamesByDefault,
    rich_markup_mode="rich",
    help="Models shipped with atomlens; use one as zoo:NAME in place of a file.",
)


@zoo_app.command()
def names() -> None:
    """List the names, one per line (what atomlens zoo does without a command)."""
    # Read from the folder, without loading the libraries that read a model.
    folder = files("atomlens") / "models" / "zoo"
    entries = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    models = (name for name in entries if name.endswith(".safetensors") and not name.startswith("."))
    for name in sorted(name.removesuffix(".safetensors") for name in models):
        echo(name)


@zoo_app.command("list")
def list_models() -> None:
    """List the models with property, training set and test error."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from atomlens.models import zoo_config, zoo_names

    table = Table(box=box.SIMPLE_HEAD)
    for column in ("name", "predicts", "trained on", "elements", "test error"):
        table.add_column(column, overflow="fold")
    for name in zoo_names():
        config = zoo_config(name)
        card, output = config.card, config.output
        trained = f"{card.get('split', {}).get('train', '?')} of {str(card.get('data', '?')).split(' (')[0]}"
        row = (name, f"{output.property} [{output.unit}]", trained, _elements(config.elements), _errors(card))
        table.add_row(*map(Text, row))
    _console().print(table)


@zoo_app.command()
def card(name: Annotated[str, typer.Argument(help="Name of a model, with or without zoo:.")]) -> None:
    """Show how a model was made and its test errors."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from atomlens.models import zoo_config, zoo_path

    path = zoo_path(name)
    config = zoo_config(name)
    shape, output = config.representation, config.output
    rows = {
        "predicts": f"{output.property} in {output.unit}" + (", with forces" if output.has_forces else ""),
        "architecture": f"{shape.architecture}, {shape.n_features} features, {shape.n_layers} layers, "
        f"cutoff {shape.cutoff.cutoff:g} Å, readout {config.readout.kind} ({config.readout.aggregation})",
        "elements": _elements(config.elements),
        **{key: _text(value) for key, value in config.card.items() if key != "name"},
        "file": f"{path} ({path.stat().st_size / 1e6:.2f} MB)",
    }
    table = Table(box=box.SIMPLE_HEAD, show_header=False, title=Text(path.stem), title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in rows.items():
        table.add_row(Text(str(key)), Text(value))
    _console().print(table)


@zoo_app.command()
def path(name: Annotated[str, typer.Argument(help="Name of a model, with or without zoo:.")]) -> None:
    """Print the path of the file of a model."""
    from atomlens.models import zoo_path

    echo(zoo_path(name))


def _console() -> Any:
    """A console that wraps at the terminal's width, and at 160 columns where there is none (a pipe, a file)."""
    console = clean_console()
    return console if console.is_terminal else clean_console(width=160)


def _elements(numbers: tuple[int, ...] | None) -> str:
    from ase.data import chemical_symbols

    return "any" if numbers is None else " ".join(chemical_symbols[z] for z in numbers)


def _errors(card: Mapping[str, Any]) -> str:
    """Mean absolute errors of a card, in one line."""
    return "; ".join(
        f"{kind} {value}"
        for found in card.get("errors", {}).values()
        for kind, value in found.items()
        if kind.endswith("MAE")
    )


def _text(value: Any) -> str:
    """An entry of a card; notes one per line."""
    from atomlens.report import card_entry

    return "\n".join(map(card_entry, value)) if isinstance(value, list | tuple) else card_entry(value)
