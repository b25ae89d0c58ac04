"""Notes of unfinished runs: begun, found again, of another run, damaged; and what each kind of run says of them."""

from __future__ import annotations

import json
from pathlib import Path

import ase.build
import pytest

from atomlens import InputError, load_model
from atomlens.dynamics.simulation import simulate
from atomlens.folders.claims import claim
from atomlens.folders.resuming import open_run
from atomlens.surveys.shards import survey_structures

DAMAGED = ('{"model": ', "[]", "\xff")


def test_the_first_call_begins_and_the_next_go_on(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "a" / "run.json"
    begun = claim(path, {"seed": 1, "steps": [1, 2]}, {"by": "me"})
    assert begun == ({"seed": 1, "steps": [1, 2], "by": "me"}, "")
    assert claim(path, {"seed": 1, "steps": [1, 2]}) == begun
    assert claim(path, {"seed": 1, "steps": [1, 3]}) == (begun[0], "steps")
    assert claim(path, {"seed": 1, "more": 0}) == (begun[0], "more")
    assert json.loads(path.read_text()) == begun[0]


@pytest.mark.parametrize("text", DAMAGED)
def test_what_is_no_note_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError):  # noqa: PT011  # JSON's words, Unicode's, or ours
        claim(path, {"seed": 1})
    assert path.read_bytes() == text.encode("latin-1")


@pytest.mark.parametrize("text", DAMAGED)
def test_every_kind_of_run_tells_of_a_damaged_note(tmp_path: Path, text: str) -> None:
    model, water = load_model("zoo:rmd17-ethanol-painn"), ase.build.molecule("H2O")
    for name in ("started.json", "settings.json", "survey.json"):
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"its started.json cannot be read; name another folder"):
        open_run(tmp_path, {}, ()).__enter__()
    with pytest.raises(InputError, match=r"settings.json: cannot be read; name another folder"):
        simulate(model, water, tmp_path)
    with pytest.raises(InputError, match=r"survey.json cannot be read .*; delete the folder or name another one"):
        survey_structures(model, [water], tmp_path)
