"""Command line: parse, call, print; no science."""

from atomlens.cli.main import app, main

__all__ = ["app", "main"]
