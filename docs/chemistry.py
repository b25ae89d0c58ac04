"""Fill the tables and the figure of chemistry.md from the experiment: every number has the command that makes it.

Usage: python docs/chemistry.py [RUN]

RUN is the folder that ``benchmarks/chemistry.py`` wrote; its tables go to docs/chemistry/. Without it the page is made
again from the stored tables. What stands outside of the marks is written by hand.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import polars as pl
from matplotlib import rc_context
from matplotlib.figure import Figure
from pages import filled

PAGE = Path(__file__).parent / "chemistry.md"
FILES = Path(__file__).parent / "chemistry"
ARCHITECTURES = {"painn": "PaiNN", "schnet": "SchNet"}
REFERENCES = {"fit": "fitted", "free_atoms": "isolated atoms"}
GEOMETRIES = {"relaxed": "minima", "distorted": "distorted", "distorted4": "distorted, four a molecule"}
LABELS = {"energies": "energies", "energies+forces": "energies and forces"}
SCORES = {
    "energies_signed": "bonds (1)",
    "multiplicity_signed": "multiplicity (2)",
    "orders_all": "orders (3)",
    "one_atom_share": "one-atom share (6)",
}
EFFECTS = {
    "isolated atoms": "isolated atoms as references",
    "forces": "forces as labels",
    "distorted": "distorted geometries",
}
KIND = ["references", "geometries", "labels"]
COLOURS = {"painn": "#2166ac", "schnet": "#d6730f"}


def kinds(models: pl.DataFrame) -> list[dict[str, Any]]:
    """What there is of references, geometries and labels, in the order of the design."""
    order = [list(names) for names in (REFERENCES, GEOMETRIES, LABELS)]
    found = models.select(KIND).unique().to_dicts()
    return sorted(found, key=lambda kind: [names.index(kind[key]) for key, names in zip(KIND, order, strict=True)])


def named(kind: dict[str, Any]) -> list[str]:
    """The three words of one kind."""
    return [REFERENCES[kind["references"]], GEOMETRIES[kind["geometries"]], LABELS[kind["labels"]]]


def with_errors(models: pl.DataFrame) -> pl.DataFrame:
    """Energy and force errors as columns, in meV and meV/Å; null where a model learned no forces."""
    rows = []
    for text in models["errors"]:
        (errors,) = json.loads(text).values()
        rows.append(
            {key: float(errors[key].split()[0]) if key in errors else None for key in ("energy MAE", "forces MAE")}
        )
    return pl.concat(
        [models, pl.DataFrame(rows, schema={"energy MAE": pl.Float64, "forces MAE": pl.Float64})], how="horizontal"
    )


def score_table(models: pl.DataFrame) -> str:
    """Means over seeds of every kind, PaiNN / SchNet."""
    columns = {**SCORES, "energy MAE": "energy error, meV", "forces MAE": "force error, meV/Å"}
    lines = [
        f"| references | geometries | labels | {' | '.join(columns.values())} |",
        "|---" * (3 + len(columns)) + "|",
    ]
    for kind in kinds(models):
        cells = named(kind)
        for column in columns:
            means = [models.filter(architecture=name, **kind)[column].mean() for name in ARCHITECTURES]
            digits = 0 if "MAE" in column else 2
            cells.append(" / ".join(signed(mean, digits) for mean in means if mean is not None))
        lines.append(f"| {' | '.join(cells)} |")
    seeds = sorted(models["seed"].unique())
    return f"{len(models)} models, seeds {', '.join(map(str, seeds))}.\n\n" + "\n".join(lines)


def effect_table(effects: pl.DataFrame) -> str:
    """Mean difference that each factor makes, with its interval."""
    shown = {key: name for key, name in SCORES.items() if key in effects["score"].to_list()}
    lines = [f"| effect of | architecture | pairs | {' | '.join(shown.values())} |", "|---" * (3 + len(shown)) + "|"]
    for (effect, words), (architecture, name) in ((e, a) for e in EFFECTS.items() for a in ARCHITECTURES.items()):
        own = {row["score"]: row for row in effects.filter(effect=effect, architecture=architecture).to_dicts()}
        if not own:
            continue
        cells = [
            f"{signed(row['difference'])} [{signed(row['low'])}, {signed(row['high'])}]"
            for row in map(own.get, shown)
            if row
        ]
        lines.append(f"| {words} | {name} | {own['energies_signed']['pairs']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def signed(value: float, digits: int = 2) -> str:
    """A number with a real minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")


def scores_figure(models: pl.DataFrame) -> Figure:
    """Scores 1 and 3 of every model: one row per kind, one mark per seed."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    rows = kinds(models)
    for ax, score, title in zip(
        axes,
        ("energies_signed", "orders_all"),
        ("bond classes, bond energies (1)", "strength, bond orders (3)"),
        strict=True,
    ):
        for row, kind in enumerate(rows):
            for shift, (architecture, name) in zip((-0.15, 0.15), ARCHITECTURES.items(), strict=True):
                values = models.filter(architecture=architecture, **kind)[score].to_list()
                label = name if row == 0 else None
                ax.plot(
                    values, [row + shift] * len(values), "o", ms=5, color=COLOURS[architecture], label=label, alpha=0.8
                )
        ax.axvline(0.0, color="0.7", lw=1)
        ax.set_xlabel(f"rank correlation\n{title}")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(rows)), ["; ".join(named(kind)) for kind in rows])
    axes[0].invert_yaxis()
    axes[1].legend(frameon=False, loc="lower left")
    return figure


def main(folders: list[str]) -> None:
    """Fill the page."""
    FILES.mkdir(exist_ok=True)
    for folder, name in ((folder, name) for folder in folders for name in ("models.csv", "effects.csv")):
        shutil.copy(Path(folder) / name, FILES / name)
    models, effects = with_errors(pl.read_csv(FILES / "models.csv")), pl.read_csv(FILES / "effects.csv")
    with rc_context({"svg.hashsalt": "atomlens"}):
        scores_figure(models).savefig(FILES / "scores.svg", format="svg", metadata={"Date": None})
    parts = {"scores": score_table(models), "effects": effect_table(effects)}
    PAGE.write_text(filled(PAGE.read_text("utf-8"), parts), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:2])
