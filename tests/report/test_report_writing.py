"""A run folder is complete or not there; many frames stream through."""

import errno
import json
import os

import polars as pl
import pytest
from report_samples import ethanol, explanation, frame, info

from atomlens import InputError
from atomlens.folders import RunFolder
from atomlens.runs import write_run
from atomlens.tables import explained_frame
from atomlens.tables.summary import SCHEMA


def frames(n):
    for index in range(n):
        atoms = ethanol()
        atoms.rattle(0.02, seed=index)
        yield explained_frame(explanation(atoms), index=index, top_walks=5)


def run(out, n=3, **options):
    with RunFolder(out, **options) as folder:
        return write_run(folder, frames(n), n, info(options={"rule": "gate"}))


def test_a_run_writes_page_tables_and_summary(tmp_path):
    result = run(tmp_path / "run")
    assert result.page.is_file()
    assert sorted(p.name for p in result.folder.iterdir()) == [
        ".atomlens.json",
        "atoms.parquet", "pairs.parquet", "report.html", "summary.json", "triples.parquet", "walks.parquet",
    ]  # fmt: skip
    assert pl.read_parquet(result.folder / "atoms.parquet")["frame"].unique().sort().to_list() == [0, 1, 2]
    summary = json.loads((result.folder / "summary.json").read_text())
    assert summary["schema"] == SCHEMA
    assert summary["seed"] is None
    assert summary["model"]["architecture"] == "painn"
    assert [entry["frame"] for entry in summary["frames"]] == [0, 1, 2]
    for entry in summary["frames"]:
        total = entry["constant"] + sum(o["total"] for o in entry["orders"]) + entry["remainder"]
        assert total == pytest.approx(entry["prediction"], rel=1e-12)
        assert sum(b["share"] for b in entry["pairs_by_range"]) == pytest.approx(1)
        assert sum(b["strength"] for b in entry["pairs_by_relation"]) == pytest.approx(entry["orders"][1]["strength"])
    assert os.listdir(tmp_path) == ["run"]


def test_a_page_of_many_frames_shows_twenty(tmp_path):
    result = run(tmp_path / "run", n=31)
    text = result.page.read_text()
    data = json.loads(text.split('id="atomlens-data">')[1].split("</script>")[0])
    assert len(data["frames"]) == 20
    assert data["frames"][-1]["index"] == 30
    assert "20 of 31 frames" in text
    assert pl.read_parquet(result.folder / "pairs.parquet")["frame"].n_unique() == 31
    assert result.page.stat().st_size < 10e6


def fail_half_way(out, error):
    with RunFolder(out) as folder:
        (folder.path / "half").write_text("x")
        raise error


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="in the middle"):
        fail_half_way(tmp_path / "new" / "deep", RuntimeError("in the middle"))
    assert os.listdir(tmp_path) == []


def test_an_interrupt_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fail_half_way(tmp_path / "run", KeyboardInterrupt())
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_bad_input_in_one_line(tmp_path):
    message = r"--out .*run: cannot be written \(No space left on device\)"
    with pytest.raises(InputError, match=message), RunFolder(tmp_path / "run"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert os.listdir(tmp_path) == []


def test_an_earlier_run_stays_unless_told(tmp_path):
    run(tmp_path / "run", n=1)
    before = (tmp_path / "run" / "summary.json").read_text()
    with pytest.raises(InputError, match="--overwrite"), RunFolder(tmp_path / "run"):
        pass
    with pytest.raises(RuntimeError), RunFolder(tmp_path / "run", overwrite=True):
        raise RuntimeError
    assert (tmp_path / "run" / "summary.json").read_text() == before
    run(tmp_path / "run", n=2, overwrite=True)
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["n_frames"] == 2
    assert os.listdir(tmp_path) == ["run"]


def test_a_failed_rename_puts_the_earlier_run_back(tmp_path, monkeypatch):
    run(tmp_path / "run", n=1)
    folder = RunFolder(tmp_path / "run", overwrite=True)
    rename = type(folder.path).rename

    def refuse(self, target):
        if ".partial-" in self.name:
            raise PermissionError(errno.EACCES, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(type(folder.path), "rename", refuse)
    with pytest.raises(InputError, match="Permission denied"), folder:
        (folder.path / "new").write_text("x")
    assert (tmp_path / "run" / "summary.json").is_file()
    assert os.listdir(tmp_path) == ["run"]


def test_a_folder_of_someone_else_is_never_replaced(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="not written by atomlens"), RunFolder(tmp_path / "precious", overwrite=True):
        pass
    assert (tmp_path / "precious" / "thesis.tex").is_file()


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "run").mkdir()
    run(tmp_path / "run", n=1)
    assert (tmp_path / "run" / "summary.json").is_file()


def test_a_run_needs_a_frame(tmp_path):
    with pytest.raises(ValueError, match="at least one frame"), RunFolder(tmp_path / "run") as folder:
        write_run(folder, iter(()), 0, info())
    assert os.listdir(tmp_path) == []


def test_a_prediction_that_is_no_number_is_refused():
    broken = explanation()
    broken.chain = type(broken.chain)(**{**vars(broken.chain), "prediction": float("nan")})
    with pytest.raises(InputError, match="nan"):
        explained_frame(broken)


def test_frames_take_their_name_from_the_file():
    assert frame(ethanol(name="my ethanol")).name == "my ethanol"
    assert frame(ethanol(name=7)).name == "C2H6O"
