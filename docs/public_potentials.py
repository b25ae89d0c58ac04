"""Fill the tables of public-potentials.md from runs of ``atomlens explain``, and write the molecules that they explain.

Usage: python docs/public_potentials.py molecules FILE.xyz
       python docs/public_potentials.py tables RUN [RUN ...]
       python docs/public_potentials.py ethanol RUN [RUN ...]

RUN is a folder that ``atomlens explain`` wrote, from FILE.xyz or of ethanol alone, named as the model should be called.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import ase.build
import ase.io
import polars as pl
from ase.collections import g2
from pages import signed
from scipy.stats import spearmanr

from atomlens.reference import bond_energy

PAGE = Path(__file__).parent / "public-potentials.md"
# Classes with fewer bonds are left out of the means.
_FEWEST = 5


def molecules() -> list[ase.Atoms]:
    """All closed-shell molecules of H, C, N and O in ASE's G2 set with at least three atoms and a Lewis structure."""
    found = []
    for name in sorted(g2.names):
        atoms = ase.build.molecule(name)
        odd = name in {"CH2_s1A1d", "O3", "N2O"} or atoms.get_initial_magnetic_moments().any()
        if len(atoms) >= 3 and set(atoms.symbols) <= set("HCNO") and not odd:
            atoms.info["name"] = name
            found.append(atoms)
    return found


def bond_terms(run: Path) -> pl.DataFrame:
    """Mean pair term in eV of every bond class: columns bond, n, the run's name."""
    pairs = pl.read_parquet(run / "pairs.parquet").filter(pl.col("relation") == "1-2")
    elements = pl.concat_list("element_1", "element_2").list.sort().list.join("-")
    return (
        pairs.with_columns((elements + " " + pl.col("bond")).alias("bond"))
        .group_by("bond")
        .agg(pl.len().alias("n"), pl.col("relevance_eV").mean().alias(run.name))
        .filter(pl.col("n") >= _FEWEST)
    )


def bonds_table(runs: list[Path]) -> tuple[str, str]:
    """Mean terms by bond class beside bond energies; and how the classes rank."""
    table = bond_terms(runs[0])
    for run in runs[1:]:
        table = table.join(bond_terms(run).drop("n"), on="bond")
    energies = [bond_energy(*row.split(" ")[0].split("-"), row.split(" ")[1]) for row in table["bond"]]
    table = table.with_columns(pl.Series("energy", energies, dtype=pl.Float64)).sort("energy", "bond", nulls_last=True)
    names = [run.name for run in runs]
    lines = ["| bond | bonds | bond energy, eV | " + " | ".join(names) + " |", "|---|---|---|" + "---|" * len(names)]
    for row in table.iter_rows(named=True):
        energy = "" if row["energy"] is None else f"{row['energy']:.2f}"
        lines.append(f"| {row['bond']} | {row['n']} | {energy} | " + " | ".join(signed(row[n]) for n in names) + " |")
    known = table.drop_nulls("energy")
    ranks = {name: spearmanr(known["energy"], -known[name]).statistic for name in names}
    text = ", ".join(f"{name} {value:.2f}" for name, value in ranks.items())
    return "\n".join(lines), f"Rank correlation of bond energy and stabilisation over {len(known)} classes: {text}."


def ethanol_table(runs: list[Path]) -> str:
    """Mean pair term in eV of every kind of pair in one molecule, strongest kinds of the first run first."""
    kind = pl.concat_list("element_1", "element_2").list.sort().list.join("-")
    table = None
    for run in runs:
        pairs = pl.read_parquet(run / "pairs.parquet").with_columns(kind.alias("pair"))
        means = pairs.group_by("relation", "pair").agg(
            pl.len().alias("n"), pl.col("relevance_eV").mean().alias(run.name)
        )
        table = means if table is None else table.join(means.drop("n"), on=["relation", "pair"], how="left")
    assert table is not None
    names = [run.name for run in runs]
    lines = ["| pairs | how many | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
    for row in table.sort("relation", names[0]).iter_rows(named=True):
        what = row["pair"] if row["relation"] == "1-2" else f"{row['pair'].replace('-', '···')}, {row['relation']}"
        cells = ("" if row[name] is None else signed(row[name]) for name in names)
        lines.append(f"| {what} | {row['n']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def orders_table(runs: list[Path]) -> str:
    """Share of the summed strength that each order has, over all molecules; remainder as a share of it."""
    lines = [
        "| model | one atom | pairs | triples | larger sets, sum | bonds that lower the energy |",
        "|---|---|---|---|---|---|",
    ]
    for run in runs:
        frames = json.loads((run / "summary.json").read_text())["frames"]
        strength = [sum(frame["orders"][k]["strength"] for frame in frames) for k in range(3)]
        rest = sum(abs(frame["remainder"]) for frame in frames)
        whole = sum(strength)
        pairs = pl.read_parquet(run / "pairs.parquet").filter(pl.col("relation") == "1-2")
        cells = [f"{100 * part / whole:.0f} %" for part in (*strength, rest)]
        lines.append(f"| {run.name} | {' | '.join(cells)} | {100 * (pairs['relevance_eV'] < 0).mean():.0f} % |")
    return "\n".join(lines)


def commands(runs: list[Path], what: str, before: Sequence[str] = ()) -> str:
    """The commands that made the runs, and the one that fills the page from them."""
    made = [json.loads((run / "summary.json").read_text())["command"] for run in runs]
    fills = f"python docs/public_potentials.py {what} {' '.join(map(str, runs))}"
    return "\n".join(["```sh", *before, *made, fills, "```"])


def fill(text: str, parts: dict[str, str]) -> str:
    """The page with everything between ``<!-- name -->`` and ``<!-- /name -->`` replaced."""
    for name, part in parts.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text, count = re.subn(pattern, lambda m, part=part: f"{m[1]}\n{part}\n\n{m[2]}", text, flags=re.S)
        if count != 1:
            raise SystemExit(f"{PAGE.name}: no place for {name}")
    return text


def main() -> None:
    """Do what the arguments say."""
    match sys.argv[1:]:
        case ["molecules", path]:
            ase.io.write(path, molecules())
        case ["tables", *names] if names:
            runs = [Path(name) for name in names]
            bonds, ranks = bonds_table(runs)
            made = commands(runs, "tables", before=["python docs/public_potentials.py molecules molecules.xyz"])
            parts = {"bonds": f"{bonds}\n\n{ranks}", "orders": orders_table(runs), "commands": made}
            PAGE.write_text(fill(PAGE.read_text(), parts))
        case ["ethanol", *names] if names:
            runs = [Path(name) for name in names]
            made = commands(runs, "ethanol")
            parts = {"ethanol": ethanol_table(runs), "ethanol-orders": orders_table(runs), "ethanol-commands": made}
            PAGE.write_text(fill(PAGE.read_text(), parts))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
