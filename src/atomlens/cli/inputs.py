"""Commands never replace what they read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from typer.core import TyperCommand


class KeepsInputs(TyperCommand):
    """A command whose `--overwrite` refuses to remove a folder that one of its inputs lies in."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command, if its inputs survive it."""
        out = ctx.params.get("out")  # text or a path, as the version of typer has it
        if ctx.params.get("overwrite") and out:
            for path in _paths(ctx.params):
                _check_survives(path, Path(out))
        return super().invoke(ctx)


def _paths(params: Mapping[str, Any]) -> Iterator[Path]:
    """Everything that was given and is there, whatever it is called."""
    for name, value in params.items():
        for given in value if isinstance(value, list | tuple) else [value]:
            if name != "out" and isinstance(given, str | Path) and str(given):
                path = Path(given)
                try:
                    there = path.exists()
                except OSError:  # a SMILES string may be longer than a name of a file
                    continue
                if there:
                    yield path


def _check_survives(path: Path, out: Path) -> None:
    inside, folder = path.resolve(), out.resolve()
    if folder == inside or folder in inside.parents:
        from atomlens.structures import InputError

        reads = "which is read from" if folder in inside.parents else "which has the name of an input"
        raise InputError(f"--overwrite would remove {path}, {reads}, with --out {out}; give another --out")
