"""`atomlens md` from the command line."""

import pytest
from cli_samples import run

pytest.importorskip("torch_sim", exc_type=ImportError)


def test_a_long_time_step_is_warned_of_and_its_breaks_are_not_the_model_s(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    few = "--replicas", "3", "--time", "0.1", "--interval", "1"
    done = run(capsys, "md", "organic", "C", "--timestep", "5", *few, "--out", "out")
    assert done.code == 0, done.err
    early = done.err[: done.err.index("report") if "report" in done.err else None]
    assert "warning: a time step of 5 fs is too long for H" in early
    assert "warning: a run of 0.1 ps cannot show that a molecule stays whole" in early
    assert done.out.startswith("cannot tell: 0 of 3 replicas stayed whole for 0.1 ps at 500 K (expected: at least 75 %")
    assert "This decides nothing: a time step of 5 fs" in done.out
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Do not run dynamics" not in page
    assert "Do not use the model" not in page
