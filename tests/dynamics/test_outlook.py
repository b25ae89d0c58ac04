"""What an exit barrier lets expect, and molecules of made-up energies that hold, are at risk, or break."""

from __future__ import annotations

import json
import math
from pathlib import Path

import ase
import pytest
from ase.calculators.morse import MorsePotential

pytest.importorskip("torch_sim", exc_type=ImportError)
from atomlens.analyses import Outcome
from atomlens.dynamics import WATCHED, outlook
from atomlens.potentials import CalculatorModel
from atomlens.potentials.calculated import CalculatorOrigin
from atomlens.runs import run_check


def test_higher_barriers_break_less_and_words_follow_the_share() -> None:
    barriers = [-2.0 + 0.1 * k for k in range(400)]
    found = [outlook(barrier) for barrier in barriers]
    shares = [one.share for one in found]
    assert shares == sorted(shares, reverse=True)
    assert all(0 <= share <= 1 for share in shares)
    words = list(dict.fromkeys(one.word for one in found))
    assert words == ["breaks", "at risk", "holds"]
    # Half of the replicas are gone where the hazard is ln 2 over the time.
    half = next(barrier for barrier, one in zip(barriers, found, strict=True) if one.word == "at risk")
    assert 1.175 - 0.396 * half == pytest.approx(math.log(math.log(2) / WATCHED), abs=0.05)


def test_a_model_with_a_bottomless_hole_breaks() -> None:
    assert outlook(-2000.0).word == "breaks"
    assert outlook(-2000.0).share == 1.0
    assert outlook(1e6).share == 0.0


def test_ways_without_an_energy_leave_nothing_to_say_but_that_it_breaks(tmp_path: Path) -> None:
    class Torn(MorsePotential):
        """No energy where the bond is longer than 0.9 Å."""

        def calculate(self, *args, **kwargs) -> None:
            super().calculate(*args, **kwargs)
            if self.atoms.get_distance(0, 1) > 0.9:
                self.results["energy"] = float("nan")

    def checked(depth: float, folder: str):
        torn = Torn(epsilon=depth, rho0=1.4 * 0.74, r0=0.74, rcut1=20.0, rcut2=30.0)
        molecule = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])
        model = CalculatorModel(torn, CalculatorOrigin("torn"))
        return run_check(model, "torn", molecule, "H2", tmp_path / folder, temperature=500.0)

    deep = checked(12.0, "deep")
    assert deep.verdict.outcome is Outcome.CANNOT_TELL
    assert "on 1 of 2 ways the model gives no finite energy somewhere" in deep.verdict.findings[0].sentence.lower()
    assert json.loads((deep.folder / "summary.json").read_text())["outlook"] is None
    assert checked(0.3, "shallow").verdict.outcome is Outcome.DEVIATES


@pytest.mark.parametrize(
    ("depth", "word", "outcome"),
    [(12.0, "holds", Outcome.AGREES), (1.4, "is at risk", Outcome.CANNOT_TELL), (0.9, "breaks", Outcome.DEVIATES)],
)
def test_a_diatomic_is_told_by_how_deep_its_well_is(tmp_path: Path, depth: float, word: str, outcome: Outcome) -> None:
    morse = MorsePotential(epsilon=depth, rho0=1.4 * 0.74, r0=0.74, rcut1=20.0, rcut2=30.0)
    model = CalculatorModel(morse, CalculatorOrigin("morse"))
    run = run_check(model, "morse", ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]]), "H2", tmp_path, temperature=500.0)
    assert run.verdict.outcome is outcome
    assert run.verdict.sentence.startswith(f"At 500 K this molecule {word}: ")
    assert "When does a model agree" not in (run.folder / "report.html").read_text()
