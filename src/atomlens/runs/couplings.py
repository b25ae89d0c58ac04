"""Response couplings as a table, a picture and a summary."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import ase
import numpy as np
import polars as pl
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from atomlens.folders import MARK, PAGE, RunFolder
from atomlens.reference import Response
from atomlens.report import GREEN, INK, ORANGE, PINK, couplings_html, plain
from atomlens.surveys import TableStream
from atomlens.tables import RELATIONS, package_version, survey

# Raised whenever a key of summary.json changes its meaning or goes away.
SCHEMA = 2
PICTURE, TABLE = "couplings.png", "couplings"
COLUMNS = {
    "frame": "number of the structure, counted from 0",
    "atom_1": "index of the first atom, counted from 0",
    "atom_2": "index of the second atom, larger than atom_1",
    "element_1": "chemical symbol of atom_1",
    "element_2": "chemical symbol of atom_2",
    "distance": "distance in Å, nearest image",
    "bond": "bond class of the pair: single, aromatic, double, triple, unknown (bonded, order not known), none",
    "relation": "bonds between the two atoms: 1-2, 1-3, 1-4, further, other molecule",
    "coupling": "Frobenius norm of the 3x3 block of second derivatives of the energy, eV/Å^2",
}
_COLOURS = (INK, GREEN, PINK, "#8d97a1", ORANGE)
_DRAWN = 20_000  # points of a picture at most; more only blacken it


@dataclass(frozen=True)
class CouplingFrame:
    """Response of one structure.

    Attributes
    ----------
    index
        Number of the structure, from 0.
    atoms
        The structure.
    response
        Its couplings; None where they cannot be had.
    reason
        Why not, in one line.
    seconds
        Time that it took.
    """

    index: int
    atoms: ase.Atoms
    response: Response | None
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class CouplingSource:
    """What was asked for: calculator and structures as named, how derivatives are taken, command, options."""

    calculator: str
    structures: str
    how: str
    command: str = ""
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Drawn:
    distance: Float[np.ndarray, " P2"]
    coupling: Float[np.ndarray, " P2"]
    relation: Int[np.ndarray, " P2"]


def couplings_table(frame: CouplingFrame) -> pl.DataFrame:
    """One row per pair i < j; see `COLUMNS`."""
    assert frame.response is not None
    around, symbols = survey(frame.atoms), np.array(frame.atoms.get_chemical_symbols(), dtype=str)
    i, j = np.triu_indices(len(frame.atoms), 1)
    return pl.DataFrame(
        {
            "frame": pl.Series(np.full(len(i), frame.index), dtype=pl.Int32),
            "atom_1": pl.Series(i, dtype=pl.Int32),
            "atom_2": pl.Series(j, dtype=pl.Int32),
            "element_1": pl.Series(symbols[i].tolist(), dtype=pl.String),
            "element_2": pl.Series(symbols[j].tolist(), dtype=pl.String),
            "distance": pl.Series(around.distances(i, j), dtype=pl.Float64),
            "bond": pl.Series(around.bond_classes(i, j), dtype=pl.String),
            "relation": pl.Series([RELATIONS[k] for k in around.relations(i, j)], dtype=pl.String),
            "coupling": pl.Series(frame.response.couplings[i, j], dtype=pl.Float64),
        }
    )


def write_couplings(folder: RunFolder, frames: Iterable[CouplingFrame], source: CouplingSource) -> dict[str, Any]:
    """Write ``report.html``, ``couplings.parquet``, ``couplings.png`` and ``summary.json``.

    Frames are taken one by one and not kept.

    Returns
    -------
    The content of ``summary.json``.
    """
    summaries: list[dict[str, Any]] = []
    drawn: list[pl.DataFrame] = []
    first: pl.DataFrame | None = None
    with TableStream(folder.path) as stream:
        for frame in frames:
            summaries.append(_frame_summary(frame))
            if frame.response is None:
                continue
            table = couplings_table(frame)
            stream.append({TABLE: table})
            first = table if first is None else first
            drawn.append(table.select("distance", "coupling", "relation"))
    summary = {
        "schema": SCHEMA,
        "what": "response couplings: Frobenius norms of the 3x3 blocks of second derivatives of an energy, eV/Å^2",
        "versions": {name: package_version(name) for name in ("atomlens", "torch", "numpy", "ase", "tblite")}
        | {"python": platform.python_version()},
        **asdict(source),
        "frames": summaries,
        "columns": COLUMNS,
    }
    points = pl.concat(drawn)
    figure = couplings_figure(points, f"{source.calculator}: {source.how}")
    figure.savefig(folder.path / PICTURE, dpi=160)
    if first is not None:
        page = couplings_html(summary, first, points, couplings_figure(points))
        (folder.path / PAGE).write_text(page, encoding="utf-8")
    text = json.dumps(summary, indent=1, ensure_ascii=False, default=str)
    (folder.path / MARK).write_text(text + "\n", encoding="utf-8")
    return summary


def couplings_figure(table: pl.DataFrame, title: str = "") -> Figure:
    """Coupling against distance, both on logarithmic axes, coloured by the bonds between the atoms.

    Parameters
    ----------
    table
        Columns distance, coupling, relation. Couplings of zero are counted and not drawn.
    title
        Line above the picture.
    """
    figure = Figure(figsize=(9.6, 4.4), layout="constrained")
    axes = figure.add_subplot()
    there = table.filter((pl.col("coupling") > 0) & (pl.col("distance") > 0))
    shown = there.gather_every(max(1, -(-len(there) // _DRAWN)))
    for name, colour in zip(RELATIONS, _COLOURS, strict=True):
        part = shown.filter(pl.col("relation") == name)
        if len(part):
            axes.plot(part["distance"], part["coupling"], "o", ms=3.5, color=colour, alpha=0.6, mew=0, label=name)
    plain(axes, x="distance, Å", y="response coupling, eV/Å²")
    if len(shown):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.legend(frameon=False, fontsize=9, title="relation", title_fontsize=9, alignment="left")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("{x:g}")
        axes.xaxis.set_tick_params(which="both", labelsize=9)
    axes.set_title(title, loc="left", fontsize=9.5, parse_math=False)
    notes = [f"{len(table)} pairs"]
    if len(there) < len(table):
        notes.append(f"{len(table) - len(there)} of zero")
    if len(shown) < len(there):
        notes.append(f"{len(shown)} drawn")
    axes.annotate(", ".join(notes), (1, 1), xycoords="axes fraction", ha="right", va="top", fontsize=8.5)
    return figure


def _frame_summary(frame: CouplingFrame) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "frame": frame.index,
        "formula": frame.atoms.get_chemical_formula(),
        "n_atoms": len(frame.atoms),
        "seconds": round(frame.seconds, 4),
    }
    if frame.response is None:
        return facts | {"unavailable": frame.reason}
    response = frame.response
    return facts | {
        # A pair of two atoms; the answer of an atom to itself is on the diagonal.
        "largest": float(np.triu(response.couplings, k=1).max(initial=0.0)),
        "asymmetry": response.asymmetry,
        "sum_rule": response.sum_rule,
        "evaluations": response.evaluations,
    }


def computed(frames: Iterator[CouplingFrame]) -> Iterator[CouplingFrame]:
    """Hand frames on; at the end raise the reason if not one of them has couplings."""
    last, any_found = None, False
    for frame in frames:
        last, any_found = frame, any_found or frame.response is not None
        yield frame
    if last is not None and not any_found:
        from atomlens.reference import ReferenceUnavailable

        raise ReferenceUnavailable(last.reason)
