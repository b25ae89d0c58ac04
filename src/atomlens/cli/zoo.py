"""``atomlens zoo``: the models that come with the package."""

from __future__ import annotations

from importlib.resources import files

import typer


def zoo() -> None:
    """List the models that come with atomlens, one name a line; use one as zoo:NAME in place of a file."""
    # Told from the folder, without loading the libraries that read a model.
    folder = files("atomlens") / "models" / "zoo"
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    for name in sorted(names):
        if name.endswith(".safetensors") and not name.startswith("."):
            typer.echo(name.removesuffix(".safetensors"))
