"""Fill the tables and the figure of equal-accuracy.md from the registered test, and judge it by the page's criteria.

Usage: python docs/equal_accuracy.py [RUN]

RUN is the folder that ``benchmarks/equal_accuracy.py`` wrote; its tables go to docs/equal-accuracy/. Without it the
page is made again from the stored tables. What stands outside of the marks is written by hand.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib import rc_context
from matplotlib.figure import Figure
from pages import area, filled, signed, table

from atomlens.studies.correlation import partial_rank_correlation

PAGE = Path(__file__).parent / "equal-accuracy.md"
FILES = Path(__file__).parent / "equal-accuracy"
TABLES = ("models.csv", "contrasts.csv", "predictions.csv")
COLOURS = {
    "plain": "#4d4d4d",
    "powers": "#d6730f",
    "one-layer": "#8c6bb1",
    "couplings": "#2166ac",
    "shuffled": "#b2182b",
    "stretched": "#1b7837",
}
# What predicts breaks, and the sign of its correlation with the hazard that the page expects.
EXPECTED = {"response": 1, "exit": -1, "fsd": 1}
NAMES = {"response": "response distance", "exit": "exit barrier", "fsd": "FSD", "force_error": "force error"}


def with_hazards(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """One row for each model, with how many of its replicas broke and the logarithm of its hazard."""
    for row in rows:
        times, broke = json.loads(row.pop("times_ps")), json.loads(row.pop("broke"))
        row |= {"breaks": sum(broke), "replicas": len(broke), "ps": sum(times)}
        row["log_hazard"] = math.log((row["breaks"] + 0.5) / row["ps"])
    return pl.DataFrame(rows, infer_schema_length=None)


def read_models(path: Path) -> pl.DataFrame:
    """Models of a stored table."""
    return with_hazards(pl.read_csv(path).to_dicts())


def spread(values: pl.Series, digits: int, factor: float = 1.0) -> str:
    """Mean and standard deviation over models."""
    numbers = values.to_numpy() * factor
    return f"{signed(numbers.mean(), digits)} ± {numbers.std(ddof=1):.{digits}f}"


def arm_table(models: pl.DataFrame) -> str:
    """What each arm is like: mean and spread over its models."""
    head = ["arm", "models", "epochs", "force error, meV/Å", "response distance", "exit barrier, kT", "FSD, 1/Å"]
    rows = []
    for arm in COLOURS:
        own = models.filter(pl.col("arm") == arm, pl.col("reached"))
        if len(own) < 2:
            continue
        cells = [spread(own["epochs"], 0), spread(own["force_error"], 1, 1e3), spread(own["response"], 2)]
        cells += [spread(own["exit"], 2), spread(own["fsd"], 1)]
        broke = f"{own['breaks'].sum()} of {own['replicas'].sum()}"
        rows.append([arm, str(len(own)), *cells, broke, spread(own["log_hazard"], 2)])
    return table([*head, "replicas that broke", "ln hazard (1/ps)"], rows)


def contrast_table(contrasts: pl.DataFrame) -> str:
    """Differences of ln hazard, paired by seed."""
    rows = [
        [
            f"{row['arm']} − {row['beside']}",
            str(row["pairs"]),
            f"{signed(row['ln_hazard_ratio'])} [{signed(row['low'])}, {signed(row['high'])}]",
            f"{row['p_one_sided']:.3f}",
        ]
        for row in contrasts.to_dicts()
    ]
    return table(["arms", "pairs", "difference of ln hazard", "p (one-sided, of being below zero)"], rows)


def prediction_table(predictions: pl.DataFrame) -> str:
    """Rank correlations with the hazard: over all models, and within arms given the force error."""
    rows = []
    for name, label in NAMES.items():
        every = predictions.filter(predictor=name, arm="all").row(0, named=True)
        within = predictions.filter(pl.col("predictor") == name, pl.col("arm") != "all")
        column = "spearman" if name == "force_error" else "partial"
        given = (
            ""
            if name == "force_error"
            else f"{signed(every['partial'])} [{signed(every['low'])}, {signed(every['high'])}]"
        )
        cells = [f"{arm} {signed(value)}" for arm, value in zip(within["arm"], within[column], strict=True)]
        rows.append([label, signed(every["spearman"]), given, ", ".join(cells)])
    return table(["before dynamics", "all models", "given the force error", "within arms"], rows)


def verdict_table(models: pl.DataFrame, contrasts: pl.DataFrame, predictions: pl.DataFrame) -> str:
    """The criteria of the page, one by one."""
    rows = []
    broke, replicas = int(models["breaks"].sum()), int(models["replicas"].sum())
    powered = 0.1 <= broke / replicas <= 0.9
    rows.append(["power: 10 to 90 % of all replicas break", f"{broke} of {replicas}", "met" if powered else "not met"])
    late = models.filter(~pl.col("reached"))
    left = ", ".join(f"{row['arm']} (seed {row['seed']})" for row in late.to_dicts()) or "none"
    rows.append(["models that did not reach 40 meV/Å", left, ""])
    right, wrong = (models.filter(pl.col("arm") == arm, pl.col("reached")) for arm in ("couplings", "shuffled"))
    pairs = right.join(wrong, on="seed", suffix="_wrong")
    nearer = int((pairs["response"] < pairs["response_wrong"]).sum())
    gap = float(np.abs(right["force_error"].to_numpy().mean() / wrong["force_error"].to_numpy().mean() - 1))
    manipulated = nearer >= 7 and gap < 0.1
    seen = f"nearer to GFN2 in {nearer} of {len(pairs)} seeds; force errors differ by {100 * gap:.1f} %"
    rows.append(["manipulation check", seen, "passed" if manipulated else "failed: hypothesis 1 was not tested"])
    first = contrasts.filter(arm="couplings", beside="shuffled").row(0, named=True)
    supported = first["ln_hazard_ratio"] < 0 and first["p_one_sided"] < 0.05
    seen = f"{signed(first['ln_hazard_ratio'])}, p = {first['p_one_sided']:.3f}"
    tested = powered and manipulated
    rows.append(["hypothesis 1", seen, ("supported" if supported else "refuted here") if tested else "not tested"])
    for number, (name, sign) in enumerate(EXPECTED.items(), start=2):
        every = predictions.filter(predictor=name, arm="all").row(0, named=True)
        within = predictions.filter(pl.col("predictor") == name, pl.col("arm") != "all")["partial"].to_numpy()
        agreeing = int((sign * within > 0).sum())
        clear = (every["low"] > 0) if sign > 0 else (every["high"] < 0)
        seen = (
            f"{signed(every['partial'])} [{signed(every['low'])}, {signed(every['high'])}]; "
            f"expected sign in {agreeing} of {len(within)} arms"
        )
        rows.append(
            [f"hypothesis {number} ({NAMES[name]})", seen, "supported" if clear and agreeing >= 4 else "not supported"]
        )
    return table(["criterion", "what came out", "verdict"], rows)


def interval(models: pl.DataFrame, measure: Callable[[pl.DataFrame], float]) -> str:
    """A number over models with its 95 % bootstrap interval."""
    rng = np.random.default_rng(0)
    drawn = [measure(models[rng.integers(len(models), size=len(models)).tolist()]) for _ in range(2_000)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return f"{signed(measure(models))} [{signed(low)}, {signed(high)}]"


def forecast(models: pl.DataFrame, name: str) -> float:
    """How often, of a model of which half of the replicas broke and one of which fewer did, a number tells which."""
    fragile = (models["breaks"] >= models["replicas"] / 2).to_numpy()
    return area(models[name].to_numpy() * EXPECTED.get(name, 1), fragile)


def given_force_error(models: pl.DataFrame, name: str) -> float:
    """Rank correlation with the hazard given the force error."""
    return partial_rank_correlation(*(models[column].to_numpy() for column in (name, "log_hazard", "force_error")))


def further_table(models: pl.DataFrame) -> str:
    """What was not registered: without the arm that stands out, and as a forecast."""
    reached = models.filter(pl.col("reached"))
    rest = reached.filter(pl.col("arm") != "powers")
    rows = []
    for name, label in NAMES.items():
        without = "" if name == "force_error" else interval(rest, partial(given_force_error, name=name))
        rows.append([label, without, interval(reached, partial(forecast, name=name))])
    head = [
        "before dynamics",
        f"given the force error, {len(rest)} models without *powers*",
        f"AUC, {len(reached)} models",
    ]
    return table(head, rows)


def figure(models: pl.DataFrame) -> Figure:
    """Hazard by arm, and against what was measured beforehand."""
    drawn = Figure(figsize=(11, 3.6), layout="constrained")
    panels = drawn.subplots(1, 4, sharey=True, width_ratios=[1.3, 1, 1, 1])
    for place, (arm, colour) in enumerate(COLOURS.items()):
        own = models.filter(pl.col("arm") == arm, pl.col("reached"))
        hazards = own["log_hazard"].to_numpy()
        panels[0].plot(np.full(len(own), place) + np.linspace(-0.2, 0.2, len(own)), hazards, "o", ms=5, color=colour)
        panels[0].plot([place - 0.3, place + 0.3], [hazards.mean()] * 2, color=colour, lw=2)
        for panel, name in zip(panels[1:], EXPECTED, strict=True):
            panel.plot(own[name].to_numpy(), hazards, "o", ms=5, color=colour, alpha=0.8)
    panels[0].set_xticks(range(len(COLOURS)), list(COLOURS), rotation=40, ha="right")
    panels[0].set_ylabel("ln hazard (breaks per ps)")
    for panel, (name, unit) in zip(panels[1:], {"response": "", "exit": ", kT", "fsd": ", 1/Å"}.items(), strict=True):
        panel.set_xlabel(NAMES[name] + unit)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    return drawn


def main(folders: list[str]) -> None:
    """Fill the page."""
    FILES.mkdir(exist_ok=True)
    for folder, name in ((folder, name) for folder in folders for name in TABLES):
        shutil.copy(Path(folder) / name, FILES / name)
    models = read_models(FILES / "models.csv")
    contrasts, predictions = (pl.read_csv(FILES / name) for name in TABLES[1:])
    with rc_context({"svg.hashsalt": "atomlens"}):
        figure(models).savefig(FILES / "hazards.svg", format="svg", metadata={"Date": None})
    parts = {
        "verdicts": verdict_table(models, contrasts, predictions),
        "arms": arm_table(models),
        "contrasts": contrast_table(contrasts),
        "predictions": prediction_table(predictions),
        "further": further_table(models),
    }
    PAGE.write_text(filled(PAGE.read_text("utf-8"), parts), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:2])
