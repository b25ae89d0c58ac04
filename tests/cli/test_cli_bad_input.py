"""Bad input: one clear line that names what was received, exit code 2, and nothing left behind."""

import os
import pickle
import sys
import types
import zipfile
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.build import molecule
from cli_samples import left_over, run, write_inputs

OUT = ("--out", "run")
MODEL, WIDE, ETHANOL = "model.safetensors", "wide.safetensors", "ethanol.xyz"
SPOT = molecule("CH3CH2OH").positions[4]
GRID = np.stack(np.meshgrid(*[np.arange(20)] * 3), axis=-1).reshape(-1, 3) * 2.0


class Evil:
    """A pickle of this runs a command when Python's own unpickler reads it."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


def changed(place, value):
    atoms = molecule("CH3CH2OH")
    atoms.positions[place] = value
    return atoms


def write(atoms):
    return lambda path: ase.io.write(path, atoms, format="extxyz")


def text(content):
    return lambda path: path.write_text(content)


def flat_cell(path):
    header = 'Lattice="1 0 0 2 0 0 0 0 1" pbc="T T T" Properties=species:S:1:pos:R:3'
    path.write_text(f"1\n{header}\nH 0 0 0\n")


def truncated(path):
    path.write_bytes(Path(MODEL).read_bytes()[:1000])


def truncated_weights(path):
    path.write_bytes(Path(MODEL).read_bytes()[:-1000])


def unsupported_module(path):
    """A whole-model file whose representation is a SchNetPack class that is not read."""
    names = ["schnetpack", "schnetpack.representation", "schnetpack.representation.field_schnet"]
    kind = type("FieldSchNet", (torch.nn.Module,), {"__module__": names[-1]})
    sys.modules.update({name: types.ModuleType(name) for name in names})
    sys.modules[names[-1]].FieldSchNet = kind
    try:
        torch.save(kind(), path)
    finally:
        for name in names:
            del sys.modules[name]


def bare_pickle(path):
    path.write_bytes(pickle.dumps(Evil()))


def full_folder(path):
    path.mkdir()
    (path / "x").touch()


def foreign_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")


# Name of the case, the file that is made, the command, and what its line must name.
FILES = [
    ("structure missing", None, (MODEL, "bad", *OUT), "bad: no such file"),
    ("structure empty", text(""), (MODEL, "bad", *OUT), "bad is empty"),
    ("not a structure", text("hello\nthere\n"), (MODEL, "bad", *OUT), "bad: not a structure file"),
    ("binary structure", lambda p: p.write_bytes(b"\0\xff" * 400), (MODEL, "bad", *OUT), "bad: not a structure file"),
    ("structure is a folder", Path.mkdir, (MODEL, "bad", *OUT), "bad is a folder"),
    ("NaN coordinate", write(changed((3, 1), np.nan)), (MODEL, "bad", *OUT), "bad: atom 3 (H)"),
    ("infinite coordinate", write(changed((3, 1), np.inf)), (MODEL, "bad", *OUT), "bad: atom 3 (H)"),
    ("two atoms on one spot", write(changed(3, SPOT)), (MODEL, "bad", *OUT), "atoms 3 (H) and 4"),
    ("element never seen", write(molecule("CH3Cl")), (MODEL, "bad", *OUT), "Cl"),
    ("zero atoms", text("0\n\n"), (MODEL, "bad", *OUT), "no atoms"),
    ("cell without volume", flat_cell, (MODEL, "bad", *OUT), "cell"),
    ("cutoff beyond memory", write(ase.Atoms("H8000", positions=GRID)), (WIDE, "bad", *OUT), "50000 Å"),
    ("second frame bad", write([molecule("H2O"), molecule("CH3Cl")]), (MODEL, "bad", *OUT), "frame 1"),
    ("model missing", None, ("bad", ETHANOL, *OUT), "bad: no such file"),
    ("model empty", text(""), ("bad", ETHANOL, *OUT), "bad: empty"),
    ("model is a folder", Path.mkdir, ("bad", ETHANOL, *OUT), "bad"),
    ("model truncated", truncated, ("bad", ETHANOL, *OUT), "bad"),
    ("model without its end", truncated_weights, ("bad", ETHANOL, *OUT), "bad"),
    ("model is a text", text("hello"), ("bad", ETHANOL, *OUT), "bad: not a model file"),
    ("model is a zip", foreign_zip, ("bad", ETHANOL, *OUT), "bad"),
    ("model is a structure", write(molecule("H2O")), ("bad", ETHANOL, *OUT), "bad: not a model file"),
    ("pickle names os.system", lambda p: torch.save(Evil(), p), ("bad", ETHANOL, *OUT), "posix.system"),
    ("bare pickle names os.system", bare_pickle, ("bad", ETHANOL, *OUT), "posix.system"),
    ("module not supported", unsupported_module, ("bad", ETHANOL, *OUT), "FieldSchNet"),
    ("zoo has no such model", None, ("zoo:nothing", ETHANOL, *OUT), "zoo:nothing"),
    ("out is a file", text("x"), (MODEL, ETHANOL, "--out", "bad"), "--out bad: is a file"),
    ("out lies under a file", text("x"), (MODEL, ETHANOL, "--out", "bad/run"), "--out bad/run: cannot be written"),
    ("out lies under a device", None, (MODEL, ETHANOL, "--out", "/dev/null/x"), "--out /dev/null/x: cannot be written"),
    ("out holds something else", full_folder, (MODEL, ETHANOL, "--out", "bad"), "--out bad: the folder is not empty"),
    ("overwriting something else", full_folder, (MODEL, ETHANOL, "--out", "bad", "--overwrite"), "--out bad"),
    ("out has a name too long", None, (MODEL, ETHANOL, "--out", "x" * 300), "File name too long"),
    ("groups missing", None, (MODEL, ETHANOL, *OUT, "--groups", "bad"), "groups 'bad': no such file"),
    ("groups not JSON", text("hello"), (MODEL, ETHANOL, *OUT, "--groups", "bad"), "groups 'bad': not a JSON file"),
    ("groups empty", text("{}"), (MODEL, ETHANOL, *OUT, "--groups", "bad"), "groups 'bad'"),
    ("groups without atoms", text('{"a": []}'), (MODEL, ETHANOL, *OUT, "--groups", "bad"), "'a' is empty"),
    ("groups overlap", text('{"a": [0], "b": [0]}'), (MODEL, ETHANOL, *OUT, "--groups", "bad"), "atom 0"),
    ("a group twice", text('{"a": [0], "a": [1]}'), (MODEL, ETHANOL, *OUT, "--groups", "bad"), "'a' is there twice"),
    ("name is no text", None, (MODEL, "b\udcff.xyz", *OUT), "is no UTF-8 text; rename the file"),
    ("groups out of range", text('{"a": [9]}'), (MODEL, ETHANOL, *OUT, "--groups", "bad"), "atom 9"),
    ("groups are a device", None, (MODEL, ETHANOL, *OUT, "--groups", "/dev/zero"), "/dev/zero is a device"),
    ("groups nested", text("[" * 10**5), (MODEL, ETHANOL, *OUT, "--groups", "bad"), "groups 'bad': not a JSON file"),
    ("no residues", None, (MODEL, ETHANOL, *OUT, "--groups", "residues"), "residues"),
]  # fmt: skip

OPTIONS = [
    (("--frames", "x"), "'x'"),
    (("--frames", ""), "''"),
    (("--frames", "1:2:3:4"), "'1:2:3:4'"),
    (("--frames", "5:"), "'5:'"),
    (("--frames", "::0"), "'::0'"),
    (("--frames", "7"), "'7'"),
    (("--max-order", "4"), "'4'"),
    (("--max-order", "two"), "'two'"),
    (("--rule", "lrp"), "'lrp'"),
    (("--product-rule", "half"), "'half'"),
    (("--top-walks", "-3"), "'-3'"),
    (("--top-walks", "0"), "'0'"),
    (("--gamma", "-1"), "'-1'"),
    (("--gamma", "2"), "is for --rule gamma"),
    (("--gamma", "nan"), "'nan'"),
    (("--gamma", "big"), "'big'"),
    (("--dtype", "float16"), "'float16'"),
    (("--device", "gpu"), "'gpu'"),
    (("--device", "meta"), "'meta'"),
    (("--unit", "foot"), "'foot'"),
    (("--unit", "kcal/mol"), "kcal/mol"),
    (("--colour", "red"), "--colour"),
    (("more.xyz",), "more.xyz"),
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a model and ethanol, which is where the command runs."""
    write_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check_refused(done, folder, names, before):
    assert done.code == 2, done.err
    assert done.err.count("\n") == 1
    assert done.err.endswith("\n")
    assert done.err.startswith("atomlens: ")
    assert names in done.err
    assert done.out == ""
    assert sorted(path.name for path in folder.rglob("*")) == before


@pytest.mark.parametrize(("make", "args", "names"), [case[1:] for case in FILES], ids=[case[0] for case in FILES])
def test_files_that_cannot_be_used(here, capsys, make, args, names):
    if make is not None:
        make(here / "bad")
    before = sorted(path.name for path in here.rglob("*"))
    check_refused(run(capsys, "explain", *args), here, names, before)
    assert not (here / "pwned").exists()


@pytest.mark.parametrize(("options", "names"), OPTIONS, ids=[" ".join(case[0]) for case in OPTIONS])
def test_options_that_cannot_be_used(here, capsys, options, names):
    before = sorted(path.name for path in here.rglob("*"))
    check_refused(run(capsys, "explain", MODEL, ETHANOL, *OUT, *options), here, names, before)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
@pytest.mark.parametrize(
    "args",
    [
        ("explain", MODEL, ETHANOL),
        ("analyze", MODEL, ETHANOL),
        ("md", MODEL, ETHANOL),
        ("train", "any.toml"),
        ("study", "any.toml"),
    ],
    ids=lambda args: args[0],
)
def test_cuda_where_there_is_none(here, capsys, args):
    before = sorted(path.name for path in here.rglob("*"))
    check_refused(run(capsys, *args, *OUT, "--device", "cuda"), here, "'cuda'", before)


@pytest.mark.parametrize(
    ("args", "names"),
    [
        (("explian",), "Did you mean 'explain'"),
        (("explain", MODEL, ETHANOL), "--out"),
        (("explain", MODEL, *OUT), "structures"),
    ],
    ids=["typo", "no out", "no structures"],
)
def test_commands_that_are_incomplete(here, capsys, args, names):
    before = sorted(path.name for path in here.rglob("*"))
    done = run(capsys, *args)
    check_refused(done, here, "atomlens", before)
    assert names.lower() in done.err.lower()


def test_an_earlier_run_is_kept(here, capsys):
    assert run(capsys, "explain", MODEL, ETHANOL, *OUT, "--max-order", 1).code == 0
    before = sorted(path.name for path in here.rglob("*"))
    check_refused(run(capsys, "explain", MODEL, ETHANOL, *OUT), here, "--overwrite", before)


def test_names_cannot_write_to_the_terminal(here, capsys):
    done = run(capsys, "explain", MODEL, "x\x1b[31m\nred.xyz", *OUT)
    assert done.code == 2
    assert "\x1b" not in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(28, "No space left on device")])
@pytest.mark.parametrize("moment", ["mkdir", "write_text", "rename"])
def test_the_disk_says_no(here, capsys, monkeypatch, error, moment):
    def refuse(self, *args, **kwargs):
        if ".partial-" in str(self):
            raise error
        return original(self, *args, **kwargs)

    original = getattr(Path, moment)
    before = sorted(path.name for path in here.rglob("*"))
    monkeypatch.setattr(Path, moment, refuse)
    done = run(capsys, "explain", MODEL, ETHANOL, *OUT)
    check_refused(done, here, f"--out run: cannot be written ({error.strerror})", before)


def test_a_failure_of_our_own_is_one_line_and_code_1(here, capsys, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("atomlens.runs.run.run_summary", fail)
    done = run(capsys, "explain", MODEL, ETHANOL, *OUT)
    assert done.code == 1
    assert done.err == "atomlens: failed: RuntimeError: two lines; add --debug for the traceback\n"
    assert left_over(here) == []
    told = run(capsys, "explain", MODEL, ETHANOL, *OUT, "--debug")
    assert told.code == 1
    assert "Traceback" in told.err


def test_memory_that_ends_is_told(here, capsys, monkeypatch):
    def fail(*args, **kwargs):
        raise MemoryError("Unable to allocate 1 TiB")

    monkeypatch.setattr("atomlens.runs.run.run_summary", fail)
    done = run(capsys, "explain", MODEL, ETHANOL, *OUT)
    assert done.code == 1
    assert done.err.startswith("atomlens: out of memory")
    assert left_over(here) == []


def test_there_are_enough_cases():
    assert len(FILES) + len(OPTIONS) >= 30
