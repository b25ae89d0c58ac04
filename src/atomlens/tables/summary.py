"""``summary.json``: one run in numbers that a program can read."""

from __future__ import annotations

import math
import platform
import sys
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ase.data import chemical_symbols

from atomlens.models import ModelFacts
from atomlens.structures import geometry_note, reading_notes
from atomlens.tables.frame import ExplainedFrame
from atomlens.tables.levels import COLUMNS
from atomlens.tables.totals import order_totals, range_totals, relation_totals

# Raised whenever a key of summary.json changes its meaning or goes away.
SCHEMA = 1
# Libraries whose version can change a number.
_LIBRARIES = ("torch", "numpy", "ase", "vesin", "rdkit", "polars", "pyarrow", "chemiscope")


@dataclass(frozen=True)
class RunInfo:
    """What was asked for in a run.

    Attributes
    ----------
    model_path, structures_path
        The files, as the user named them.
    model
        What the model says about itself.
    command
        The command line, or what stands for it.
    options
        Every setting of the run, with defaults filled in.
    in_file
        How many structures the file holds, where that is known.
    """

    model_path: str
    structures_path: str
    model: ModelFacts
    command: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    in_file: int | None = None


def package_version(name: str = "atomlens") -> str:
    """Version of a package: of atomlens this one's, of others what is installed, "unknown" if it is not."""
    if name == "atomlens":
        return sys.modules["atomlens"].__version__  # by what runs, which need not be installed
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def package_versions() -> dict[str, str]:
    """Versions of this package, of Python, and of all libraries that can change a number."""
    names = ("atomlens", *_LIBRARIES)
    return {"python": platform.python_version(), **{name: package_version(name) for name in names}}


def model_summary(info: RunInfo) -> dict[str, Any]:
    """What the model of a run is: path, architecture, elements, card."""
    model = info.model
    return {
        "path": info.model_path,
        "architecture": model.architecture,
        "n_features": model.n_features,
        "n_layers": model.n_layers,
        "cutoff_angstrom": model.cutoff if math.isfinite(model.cutoff) else None,
        "long_range": model.long_range,
        "has_products": model.has_products,
        "has_terms": model.has_terms,
        "elements": None if model.elements is None else [chemical_symbols[z] for z in model.elements],
        "card": dict(model.card),
    }


def frame_summary(frame: ExplainedFrame) -> dict[str, Any]:
    """Numbers of one frame: prediction, constant, residual, totals by order, range and relation, seconds."""
    return {
        "frame": frame.index,
        "name": frame.name,
        "n_atoms": len(frame.atoms),
        "formula": frame.atoms.get_chemical_formula(),
        "geometry": geometry_note(frame.atoms) or "from the file",
        "notes": list(reading_notes(frame.atoms)),
        "outside": list(frame.outside),
        "warnings": list(frame.warnings),
        "prediction": frame.prediction,
        "constant": frame.constant,
        "constant_meaning": frame.constant_meaning,
        "residual": frame.residual,
        "residual_relative": frame.residual / max(1.0, abs(frame.prediction - frame.constant)),
        "orders": [asdict(total) for total in order_totals(frame)],
        "remainder": float(frame.interactions.remainder),
        "groups": _groups(frame),
        "long_range": dict(frame.long_range),
        "pairs_by_range": [asdict(total) for total in range_totals(frame)],
        "pairs_by_relation": [asdict(total) for total in relation_totals(frame)],
        "bond_orders_known": frame.surroundings.bonds.has_orders,
        "seconds": round(frame.seconds, 4),
    }


def _groups(frame: ExplainedFrame) -> dict[str, Any] | None:
    """How many groups there are, what their terms add up to, and what three or more groups make together."""
    if frame.groups is None or frame.group_terms is None:
        return None
    terms = frame.group_terms
    totals = [float(terms.order(n).relevance.sum()) for n in range(1, terms.max_order + 1)]
    return {"count": len(frame.groups.names), "totals": totals, "remainder": float(terms.remainder)}


def run_summary(info: RunInfo, frames: list[dict[str, Any]], first: ExplainedFrame, seconds: float) -> dict[str, Any]:
    """The whole of ``summary.json``.

    Parameters
    ----------
    info
        What was asked for.
    frames
        `frame_summary` of every frame.
    first
        Any frame of the run: what all frames share is read from it.
    seconds
        Time of the whole run.
    """
    return {
        "schema": SCHEMA,
        "what": "exact decomposition of a model's prediction into terms of atom sets; y = constant + sum of all terms",
        "versions": package_versions(),
        "command": info.command,
        "options": info.options,
        "model": model_summary(info),
        "structures": info.structures_path,
        "property": first.quantity,
        "unit": first.unit,
        "rule": first.rule,
        "product_rule": first.product_rule,
        "seed": None,
        "n_frames": len(frames),
        "n_frames_in_file": info.in_file,
        "frames": frames,
        "columns": {name.replace("UNIT", first.unit): text for name, text in COLUMNS.items()},
        "seconds": round(seconds, 3),
    }
