"""Fill the tables and the figure of forecast.md from finished studies, and judge them by the page's criteria.

Usage: python docs/forecast.py [STUDY ...]

STUDY are folders that ``atomlens study`` wrote for configs/studies/forecast-*.toml; their tables go to docs/forecast/.
Without any the page is made again from the stored tables. docs/forecast/ethanol.csv is of
``benchmarks/exit_barriers.py``. What stands outside of the marks is written by hand.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib import rc_context
from matplotlib.figure import Figure
from pages import area, filled, signed, table

from atomlens.analyses import rank_correlation
from atomlens.dynamics import outlook
from atomlens.studies.correlation import partial_rank_correlation

PAGE = Path(__file__).parent / "forecast.md"
FILES = Path(__file__).parent / "forecast"
ETHANOL = FILES / "ethanol.csv"
# Molecules in the order of the page, and their colours.
MOLECULES = {
    "sulfoxide": ("dimethyl sulfoxide", "#d6730f"),
    "chloroethanol": ("2-chloroethanol", "#1b7837"),
    "toluene": ("toluene", "#2166ac"),
    "dipeptide": ("alanine dipeptide", "#b2182b"),
}
# What could tell fragile models, and the sign with which it goes with breaks.
PREDICTORS = {
    "exit_barrier": ("exit barrier", -1),
    "force_error": ("force error", 1),
    "smoothness": ("FSD", 1),
    "energy_error": ("energy error", 1),
    "roughness": ("roughness of bond scans", 1),
    "deviation": ("deviation score", 1),
}
# ln of the hazard that ethanol's line expects of a barrier of so many k_B T; registered.
INTERCEPT, SLOPE = 1.175, -0.396
DRAWS = 4_000


def read_models(folder: Path = FILES) -> pl.DataFrame:
    """Models of all molecules, with breaks per picosecond and whether half of their replicas broke."""
    found = []
    for name in MOLECULES:
        path = folder / f"{name}.csv"
        if path.exists():
            found.append(pl.read_csv(path).with_columns(molecule=pl.lit(name)))
    models = pl.concat(found, how="diagonal_relaxed")
    hazard = (pl.col("n_broken") + 0.5) / (pl.col("sound_time_ps") * pl.col("n_replicas"))
    return models.with_columns(log_hazard=hazard.log(), fragile=2 * pl.col("n_broken") >= pl.col("n_replicas"))


def drawn(models: pl.DataFrame, measure: Callable[[pl.DataFrame], float]) -> tuple[float, float, float]:
    """A number over models with its 95 % interval: models are drawn molecule by molecule."""
    rng = np.random.default_rng(0)
    molecule = models["molecule"].to_numpy()
    rows = [np.flatnonzero(molecule == name) for name in np.unique(molecule)]
    draws = [np.concatenate([rng.choice(own, len(own)) for own in rows]) for _ in range(DRAWS)]
    values = np.array([measure(models[draw.tolist()]) for draw in draws])
    known = values[np.isfinite(values)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
    return measure(models), float(low), float(high)


def told(found: tuple[float, float, float]) -> str:
    """A number and its interval as text."""
    return f"{signed(found[0])} [{signed(found[1])}, {signed(found[2])}]"


def told_apart(models: pl.DataFrame, name: str, within: bool = False) -> float:
    """The area under the curve of a predictor, over all pairs or over those of one molecule."""
    known = models.drop_nulls(name)
    value = known[name].to_numpy() * PREDICTORS[name][1]
    return area(value, known["fragile"].to_numpy(), known["molecule"].to_numpy() if within else None)


def areas(models: pl.DataFrame) -> dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]]:
    """Area over all pairs, and over pairs of one molecule, with intervals."""
    return {
        name: (
            drawn(models, partial(told_apart, name=name)),
            drawn(models, partial(told_apart, name=name, within=True)),
        )
        for name in PREDICTORS
        if name in models.columns and models[name].drop_nulls().len()
    }


def verdicts(models: pl.DataFrame, found: dict) -> str:
    """The criteria of the page, one by one."""
    fragile, n = int(models["fragile"].sum()), len(models)
    both = [name for name, own in models.group_by("molecule") if 0 < own["fragile"].sum() < len(own)]
    powered = 0.2 <= fragile / n <= 0.8 and len(both) >= 3
    seen = f"{fragile} of {n} are fragile; molecules with both kinds: {len(both)}"
    rows = [["power: 20 to 80 % fragile, both kinds in three molecules", seen, "met" if powered else "not met"]]
    (value, low, high), within = found["exit_barrier"]
    rivals = [found[name][0][0] for name in ("force_error", "smoothness")]
    first, second, third = value >= 0.85 and low > 0.70, value > max(rivals), within[1] > 0.5
    yes = {True: "met", False: "not met"}
    rows.append(["(1) AUC ≥ 0.85, interval above 0.70", told((value, low, high)), yes[first]])
    seen = f"{signed(value)}; force error {signed(rivals[0])}, FSD {signed(rivals[1])}"
    rows.append(["(2) larger than that of force error and of FSD", seen, yes[second]])
    rows.append(["(3) pairs of one molecule: interval above 0.5", told(within), yes[third]])
    earned = "earned" if first and second and third else "not earned"
    rows.append(["a forecast", "", earned if powered else "not tested"])
    return table(["criterion", "what came out", ""], rows)


def area_table(found: dict) -> str:
    """Areas of all predictors."""
    rows = [[PREDICTORS[name][0], told(pooled), told(within)] for name, (pooled, within) in found.items()]
    return table(["before dynamics", "AUC, all models", "AUC, pairs of one molecule"], rows)


def molecule_table(models: pl.DataFrame) -> str:
    """What the models of each molecule are like, and how far from ethanol's line their hazards are."""
    rows = []
    for name, (label, _) in [*MOLECULES.items(), ("all", ("all", ""))]:
        own = models if name == "all" else models.filter(molecule=name)
        if not len(own):
            continue
        single = told_apart(own, "exit_barrier")
        cells = [span(own["force_error"], 0), span(own["exit_barrier"], 1), str(own["fragile"].sum())]
        cells += [signed(single) if np.isfinite(single) else "", told(drawn(own, off_line))]
        rows.append([label, str(len(own)), *cells])
    head = ["molecule", "models", "force error, meV/Å", "exit barrier, kT", "fragile"]
    return table([*head, "AUC of the exit barrier", "ln(h / expected)"], rows)


def span(values: pl.Series, digits: int) -> str:
    """Lowest and highest number."""
    low, high = values.to_numpy().min(), values.to_numpy().max()
    return f"{signed(low, digits)} to {signed(high, digits)}"


def off_line(models: pl.DataFrame) -> float:
    """Mean of ln(h / h expected by the line of ethanol)."""
    return float((models["log_hazard"] - (INTERCEPT + SLOPE * models["exit_barrier"])).mean())  # pyright: ignore[reportArgumentType]


def word_table(models: pl.DataFrame) -> str:
    """What `atomlens check` says of the models, and how many replicas broke."""
    said = pl.Series("word", [outlook(barrier).word for barrier in models["exit_barrier"]])
    rows = []
    for word in ("breaks", "at risk", "holds"):
        own = models.filter(said == word)
        broke = f"{own['n_broken'].sum()} of {own['n_replicas'].sum()}" if len(own) else ""
        rows.append([f"*{word}*", str(len(own)), str(own["fragile"].sum()), broke])
    return table(["said", "models", "of them fragile", "replicas that broke"], rows)


def further_table(models: pl.DataFrame) -> str:
    """What was not registered: rank correlations with the hazard, and areas without filters of inverse powers."""
    plain = models.filter(pl.col("variant") != "powers")

    def correlation(rows: pl.DataFrame, name: str) -> float:
        return rank_correlation(rows[name].to_numpy(), rows["log_hazard"].to_numpy())

    def given_error(rows: pl.DataFrame, name: str) -> float:
        return partial_rank_correlation(*(rows[column].to_numpy() for column in (name, "log_hazard", "force_error")))

    rows = []
    for name, (label, _) in PREDICTORS.items():
        known = models.drop_nulls(name)
        cells = [told(drawn(known, partial(correlation, name=name)))]
        cells.append("" if name == "force_error" else told(drawn(known, partial(given_error, name=name))))
        rows.append([label, *cells, told(drawn(plain, partial(told_apart, name=name)))])
    head = ["before dynamics", "rank correlation with the hazard", "given the force error"]
    return table([*head, f"AUC, {len(plain)} models without *powers*"], rows)


def model_table(models: pl.DataFrame) -> str:
    """All models."""
    rows = [
        [
            MOLECULES[row["molecule"]][0],
            row["model.architecture"],
            row["variant"],
            str(row["data.n_train"]),
            f"{row['force_error']:.0f}",
            signed(row["exit_barrier"], 1),
            f"{row['smoothness']:.0f}",
            f"{row['n_broken']} of {row['n_replicas']}",
        ]
        for row in models.to_dicts()
    ]
    head = [
        "molecule",
        "architecture",
        "variant",
        "frames",
        "force error, meV/Å",
        "exit barrier, kT",
        "FSD, 1/Å",
        "replicas that broke",
    ]
    return table(head, rows)


def figure(models: pl.DataFrame, ethanol: pl.DataFrame | None) -> Figure:
    """Hazards against the exit barrier, with ethanol's line, and against force error and FSD."""
    panels_of = {"exit_barrier": "exit barrier, kT", "force_error": "force error, meV/Å", "smoothness": "FSD, 1/Å"}
    made = Figure(figsize=(11, 3.8), layout="constrained")
    panels = made.subplots(1, 3, sharey=True)
    for panel, (name, label) in zip(panels, panels_of.items(), strict=True):
        if name == "exit_barrier" and ethanol is not None:
            panel.plot(
                ethanol["barrier"], ethanol["log_hazard"], "o", ms=4, mfc="none", color="#999999", label="ethanol"
            )
        for molecule, (words, colour) in MOLECULES.items():
            own = models.filter(molecule=molecule)
            panel.plot(own[name], own["log_hazard"], "o", ms=5.5, color=colour, alpha=0.85, label=words)
        panel.set_xlabel(label)
        panel.spines[["top", "right"]].set_visible(False)
        if name != "exit_barrier":
            panel.set_xscale("log")
            panel.set_xticks(ticks := [20, 50, 100, 200], list(map(str, ticks)))
            panel.minorticks_off()
    ends = np.array(panels[0].get_xlim())
    panels[0].plot(ends, INTERCEPT + SLOPE * ends, color="#444444", lw=1, label="line of ethanol")
    panels[0].set_ylabel("ln hazard (breaks per ps)")
    panels[0].legend(frameon=False, fontsize=8)
    return made


def main(folders: list[str]) -> None:
    """Fill the page."""
    FILES.mkdir(exist_ok=True)
    for folder in map(Path, folders):
        name = folder.resolve().name.removeprefix("forecast-")
        if name not in MOLECULES:
            sys.exit(f"{folder}: the folder of a study is called forecast- and one of {', '.join(MOLECULES)}")
        pl.read_parquet(folder / "models.parquet").write_csv(FILES / f"{name}.csv", float_precision=6)
    models = read_models()
    with rc_context({"svg.hashsalt": "atomlens"}):
        figure(models, pl.read_csv(ETHANOL) if ETHANOL.exists() else None).savefig(
            FILES / "hazards.svg", format="svg", metadata={"Date": None}
        )
    found = areas(models)
    parts = {
        "verdicts": verdicts(models, found),
        "areas": area_table(found),
        "molecules": molecule_table(models),
        "words": word_table(models),
        "further": further_table(models),
        "models": model_table(models),
    }
    PAGE.write_text(filled(PAGE.read_text("utf-8"), parts), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
