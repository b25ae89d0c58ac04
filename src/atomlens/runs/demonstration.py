"""The demonstration: shipped models on shipped molecules, explained one by one and then side by side."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import ase

from atomlens.folders import PAGE, RunFolder
from atomlens.models import zoo_names
from atomlens.potentials import load_potential
from atomlens.recording import DEFAULT_PRODUCT_RULE
from atomlens.report import frames_on_page
from atomlens.runs.compare_run import write_comparison
from atomlens.runs.explaining import explained_frames
from atomlens.runs.run import write_run
from atomlens.structures import read_structures
from atomlens.surveys import Comparison, compare_runs
from atomlens.tables import ExplainedFrame, RunInfo

# The models that stand side by side, and the folder of those that look at ethanol alone.
# They learned the same from different data, energies of minima alone or energies and forces of moving molecules, and
# neither takes anything off its energies first: what differs between their terms is what data teach.
MAIN_MODELS = ("qm9-bonding-painn", "organic-painn")
ETHANOL_MODELS = ("rmd17-ethanol-schnet", "rmd17-ethanol-painn")
ETHANOL = "ethanol-force-fields"
MOLECULES = "molecules.xyz"


@dataclass(frozen=True)
class Demonstration:
    """What the demonstration compared: the main pair of models, and the ethanol force fields if both are shipped."""

    main: Comparison
    summary: dict[str, Any]
    ethanol: Comparison | None


def demo_molecules() -> Path:
    """File of the molecules that come with atomlens (see ``structures/molecules/README.md`` for their sources)."""
    return Path(str(resources.files("atomlens.structures"))) / "molecules" / "demo.xyz"


def demo_steps() -> int:
    """How many explanations `write_demo` makes."""
    n = len(read_structures(demo_molecules()))
    return n * len(MAIN_MODELS) + (len(ETHANOL_MODELS) if _has_ethanol() else 0)


def write_demo(
    folder: RunFolder, *, command: str, advance: Callable[[ExplainedFrame], ExplainedFrame] = lambda frame: frame
) -> Demonstration:
    """Explain the molecules with every model, each in a folder of its own, and put the models side by side.

    Parameters
    ----------
    folder
        An entered `RunFolder`.
    command
        The command line, for the pages.
    advance
        Called with every explained frame, which it returns.
    """
    started = time.perf_counter()
    path = folder.path
    shutil.copyfile(demo_molecules(), path / MOLECULES)
    molecules = read_structures(path / MOLECULES)
    main = _side_by_side(path, MAIN_MODELS, molecules, command, advance)
    ethanol, links = None, []
    if _has_ethanol():
        (path / ETHANOL).mkdir()
        ethanol = _side_by_side(path / ETHANOL, ETHANOL_MODELS, molecules[:1], command, advance)
        write_comparison(path / ETHANOL, ethanol, command=command)
        links = [("Ethanol in two force fields", f"{ETHANOL}/{PAGE}")]
    summary = write_comparison(path, main, command=command, links=links, started=started)
    return Demonstration(main, summary, ethanol)


def _side_by_side(
    path: Path,
    names: Sequence[str],
    molecules: list[ase.Atoms],
    command: str,
    advance: Callable[[ExplainedFrame], ExplainedFrame],
) -> Comparison:
    for name in names:
        model = load_potential(f"zoo:{name}")
        options: dict[str, Any] = {
            "rule": "gate",
            "product_rule": DEFAULT_PRODUCT_RULE,
            "max_order": 3,
            "top_walks": 50,
        }
        info = RunInfo(f"zoo:{name}", MOLECULES, model.facts, command, options)
        shown = frames_on_page(len(molecules))
        frames = explained_frames(model, molecules, with_forces=shown, **options)
        with RunFolder(path / name) as run:
            write_run(run, map(advance, frames), len(molecules), info)
    return compare_runs([path / name for name in names])


def _has_ethanol() -> bool:
    return set(ETHANOL_MODELS) <= set(zoo_names())
