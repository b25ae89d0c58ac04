"""What the header of a model file says, without loading what runs a model."""

from __future__ import annotations

import json
from pathlib import Path

from ase.data import chemical_symbols

# The headers of shipped models have 10 kB; one that claims more is left to the reader of models.
_MOST = 2**24


def header_elements(path: Path) -> tuple[int, ...] | None:
    """Atomic numbers that a file of `save_model` says it was trained on; None where it does not, or is another file."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > min(_MOST, path.stat().st_size):
                return None
            header = json.loads(file.read(size))
        elements = json.loads(header["__metadata__"]["config"])["elements"]
        known = tuple(int(z) for z in elements)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return known if known and all(0 < z < len(chemical_symbols) for z in known) else None
