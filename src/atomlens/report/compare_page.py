"""The page of a comparison: the same molecules, one column per model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from atomlens.folders import PAGE
from atomlens.models import written
from atomlens.reference import property_words
from atomlens.report import assets
from atomlens.report.page import frames_on_page
from atomlens.report.projection import viewing_rotation
from atomlens.report.wording import SIGNS, is_energy
from atomlens.surveys import PAIR_KINDS, ComparedRun, Comparison, correlation, kind_strengths, order_shares
from atomlens.tables import RELATIONS, package_version

_SCRIPTS = ("state.js", "draw.js", "tables.js", "exports.js", "compare_pictures.js", "compare.js")
# Pair terms of a frame on the page, strongest first; the table beside it holds all.
_MAX_PAIRS = 400


def compare_html(
    comparison: Comparison,
    out: Path,
    *,
    command: str = "",
    links: Sequence[tuple[str, str]] = (),
    tables: Sequence[str] = (),
) -> str:
    """The page as text.

    Parameters
    ----------
    comparison
        What is compared.
    out
        Folder that the page will lie in: links to the runs' own pages start there.
    command
        The command line.
    links
        More pages to name, as text and address.
    tables
        Names of the tables beside the page.
    """
    runs = comparison.runs
    properties = [property_words(run.summary["property"]) for run in runs]
    energy = comparison.unit == "eV" and all(map(is_energy, properties))
    signs = SIGNS["energy" if energy else "other"]
    frames = frames_on_page(len(runs[0].summary["frames"]))
    data = {
        "unit": comparison.unit,
        "models": [run.name for run in runs],
        "vocabulary": {"relations": list(RELATIONS), "bonds": [], "kinds": list(PAIR_KINDS)},
        "frames": [_frame_record(comparison, number) for number in frames],
        "kinds": kind_strengths(comparison),
        "orders": [order_shares(run) for run in runs],
    }
    rules = {run.summary["rule"] + _product(run) for run in runs}
    word = properties[0] if len(set(properties)) == 1 else "prediction"
    return assets.page_template("compare.html.jinja").render(
        version=package_version(),
        models=[_model_facts(run, out) for run in runs],
        structures=runs[0].summary["structures"],
        n_frames=len(runs[0].summary["frames"]),
        shown=len(frames),
        property=word,
        one_property=len(set(properties)) == 1,
        rules=sorted(rules),
        unit=comparison.unit,
        agreement=_agreement_text(comparison),
        lowers=signs.lowers.format(property=word),
        raises=signs.raises.format(property=word),
        command=command,
        links=list(links),
        tables=list(tables),
        style=Markup(assets.template_text("style.css") + assets.template_text("compare.css")),
        data=assets.json_text(data),
        script=assets.script_text("\n".join(assets.template_text(name) for name in _SCRIPTS)),
    )


def _frame_record(comparison: Comparison, number: int) -> dict[str, Any]:
    runs = comparison.runs
    entry = runs[0].summary["frames"][number]
    atoms = runs[0].atoms.filter(pl.col("frame") == entry["frame"]).sort("atom")
    pairs = comparison.pairs.filter(pl.col("frame") == entry["frame"])
    terms = comparison.terms(pairs)
    positions = atoms.select("x", "y", "z").to_numpy()
    turned = positions @ viewing_rotation(positions).T
    turned -= (turned.max(axis=0) + turned.min(axis=0)) / 2
    keep = np.argsort(-np.abs(terms).max(axis=1), kind="stable")[:_MAX_PAIRS]
    listed = pairs[keep.tolist()]
    i, j = listed["atom_1"].to_numpy(), listed["atom_2"].to_numpy()
    length = np.linalg.norm(positions[i] - positions[j], axis=1)
    values = [listed[f"term_{k}"].to_list() for k in range(len(runs))]
    bond_orders = {"single": 1, "unknown": 1, "aromatic": 1.5, "double": 2, "triple": 3}
    is_bond = pairs["kind"].is_in(list(bond_orders)).to_numpy()
    bonded = pairs.filter(is_bond)
    ends = positions[bonded["atom_1"].to_numpy()] - positions[bonded["atom_2"].to_numpy()]
    through = np.linalg.norm(ends, axis=1) > bonded["distance"].to_numpy() + 1e-3  # a face of the cell: not drawn
    bonded = bonded.filter(~through)
    return {
        "index": entry["frame"],
        "name": entry["name"],
        "formula": entry["formula"],
        "geometry": "" if entry.get("geometry") == "from the file" else entry.get("geometry", ""),
        "symbols": atoms["element"].to_list(),
        "positions": np.round(turned, 4).tolist(),
        "bonds": [[a, b, bond_orders[k]] for a, b, k in bonded.select("atom_1", "atom_2", "kind").iter_rows()],
        "models": [
            {key: run.summary["frames"][number][key] for key in ("prediction", "constant", "residual", "remainder")}
            | {"orders": order_shares(run, [number])}
            for run in runs
        ],
        "agreement": [
            [correlation(terms[part, 0], terms[part, k]) for part in (slice(None), is_bond, ~is_bond)]
            for k in range(1, len(runs))
        ],
        "kinds": kind_strengths(comparison, pairs),
        "pairs": {
            "i": i.tolist(),
            "j": j.tolist(),
            "d": np.round(listed["distance"].to_numpy(), 4).tolist(),
            "kind": [PAIR_KINDS.index(k) for k in listed["kind"]],
            # The nearest image of a pair may not be the one that is drawn.
            "drawn": (np.abs(length - listed["distance"].to_numpy()) < 1e-3).tolist(),
            "terms": [[None if v is None else float(f"{v:.6g}") for v in column] for column in values],
            "total": len(pairs),
        },
    }


def _model_facts(run: ComparedRun, out: Path) -> dict[str, Any]:
    model, card = run.summary["model"], run.summary["model"].get("card", {})
    errors = [
        f"{property_words(str(key).removesuffix(' MAE'))}, mean absolute {value}"
        for found in (card.get("errors") or {}).values()
        if isinstance(found, dict)
        for key, value in found.items()
        if str(key).endswith("MAE")
    ]
    page = run.folder / PAGE
    return {
        "name": run.name,
        "path": model["path"],
        "architecture": written(model["architecture"]),
        "cutoff": model["cutoff_angstrom"],
        "layers": model["n_layers"],
        "property": property_words(run.summary["property"]),
        "unit": run.summary["unit"],
        "rule": run.summary["rule"] + _product(run),
        "errors": "; ".join(errors),
        "page": os.path.relpath(page, out) if page.is_file() else None,
    }


def _product(run: ComparedRun) -> str:
    # SchNet multiplies no two signals: the name of the product rule would only confuse.
    products = run.summary["model"]["has_products"]
    return f", products: {run.summary['product_rule']}" if products and run.summary.get("product_rule") else ""


def _agreement_text(comparison: Comparison) -> str:
    terms, runs = comparison.terms(), comparison.runs
    parts = []
    for k in range(1, len(runs)):
        r = correlation(terms[:, 0], terms[:, k])
        with_first = f" ({runs[k].name} with {runs[0].name})" if len(runs) > 2 else ""
        parts.append(("not defined" if r is None else f"{r:.3f}") + with_first)
    return ", ".join(parts)
