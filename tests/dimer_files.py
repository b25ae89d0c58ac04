"""Small sets of dimers in the layout of NCIAtlas; geometries and all numbers are made up."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import ase
import ase.build
import numpy as np

FACTORS = (0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25, 1.5, 2.0)
# Nearest distance of the molecules at factor 1, in Å.
NEAREST = 2.0


def energy(number: int, factor: float) -> float:
    """Interaction energy in kcal/mol: a Morse curve with its minimum at 1, deeper for each dimer."""
    decay = np.exp(-3.0 * (factor - 1.0))
    return float((2.0 + number) * (decay**2 - 2.0 * decay))


def electrostatics(number: int, factor: float) -> float:
    """In kcal/mol."""
    return -(3.0 + number) / factor**2


def pair(kinds: tuple[str, str], factor: float) -> tuple[ase.Atoms, int]:
    """Two molecules along z, at `factor` times the nearest distance, and how many atoms the first has."""
    first, second = (ase.build.molecule(kind) for kind in kinds)
    first.positions[:, 2] -= first.positions[:, 2].max()
    second.positions[:, 2] += NEAREST * factor - second.positions[:, 2].min()
    return first + second, len(first)


def write_set(
    folder: Path,
    name: str,
    dimers: Sequence[tuple[str, str]],
    *,
    factors: Sequence[float] = FACTORS,
    charges: tuple[int, int] = (0, 0),
    archive: bool = True,
    sapt: bool = True,
    changed: Callable[[str], str] = lambda text: text,
) -> Path:
    """A set as it is published: archive (or folder), and the table of parts next to it.

    Parameters
    ----------
    folder, name
        Where, and the name of the set.
    dimers
        Names of both molecules of every dimer.
    factors
        Distances, in units of that at equilibrium.
    charges
        Of both molecules of all dimers.
    archive
        Whether it is packed.
    sapt
        Whether there is a table of parts.
    changed
        What becomes of the text of each geometry, to damage it.
    """
    home = folder / name
    (home / "geometries").mkdir(parents=True)
    names, rows = ["# system names"], ["# parts", "", "System  Elst  Exch  Ind  deltaHF  Disp  Total"]
    for number, kinds in enumerate(dimers, start=1):
        for factor in factors:
            atoms, first = pair(kinds, factor)
            key = f"{number}.01_{round(100 * factor):03d}"
            header = (
                f"charge={sum(charges)} charge_a={charges[0]} charge_b={charges[1]} selection_a=1-{first} "
                f"selection_b={first + 1}-{len(atoms)} scaling={factor} benchmark_Eint={energy(number, factor):.3f} "
                "benchmark_unit=kcal/mol group=OH-O"
            )
            lines = [f"  {atom.symbol} {atom.x:13.9f} {atom.y:13.9f} {atom.z:13.9f}" for atom in atoms]
            text = "\n".join([str(len(atoms)), header, *lines, ""])
            (home / "geometries" / f"{key}.xyz").write_text(changed(text))
            names.append(f"{key}\t{kinds[0]} ... {kinds[1]}")
            static = electrostatics(number, factor)
            rows.append(f"{key} {static:.3f} 5.000 -1.000 -0.500 -1.500 {static + 2.0:.3f}")
    (home / f"{name}_system_names.txt").write_text("\n".join(names) + "\n")
    if sapt:
        (folder / f"{name}_dft-sapt_pbe0.txt").write_text("\n".join(rows) + "\n")
    if not archive:
        return home
    packed = Path(shutil.make_archive(str(home), "zip", folder, name))
    shutil.rmtree(home)
    return packed
