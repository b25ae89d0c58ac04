import errno
import importlib.util
import json
import os
from pathlib import Path

import ase.build
import ase.io
import numpy as np
import pytest

from atomlens.data import check_forces, read_dataset, xtb
from atomlens.data.xtb import TrajectoryError, XtbSettings, correlation_time, make_xtb, starting_structure
from atomlens.structures import InputError

needs_tblite = pytest.mark.skipif(
    importlib.util.find_spec("tblite") is None, reason="needs the extra xtb: pip install tblite"
)
SHORT = XtbSettings(frames=12, interval=4, burn_in=4, temperature=300.0, seed=5)


class Stop(Exception):
    pass


@needs_tblite
def test_a_resumed_trajectory_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xtb, "_BLOCK", 5)
    seen: list[tuple[int, int]] = []
    whole = make_xtb("O", tmp_path / "whole", SHORT, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(k, 12) for k in range(1, 13)]

    def stop_at(frame: int):
        def progress(done: int, total: int) -> None:
            if done == frame:
                raise Stop

        return progress

    for frame in (3, 8, 12):
        with pytest.raises(Stop):
            make_xtb("O", tmp_path / "parts", SHORT, progress=stop_at(frame))
    parts = make_xtb("O", tmp_path / "parts", SHORT)
    for name in ("energy", "forces", "charges", "bond_orders"):
        np.testing.assert_array_equal(parts.column(name).values, whole.column(name).values)
    assert read_dataset(tmp_path / "parts" / "dataset").elements == (1, 8)
    frames = ase.io.read(tmp_path / "parts" / "frames.xyz", ":")
    np.testing.assert_allclose([frame.get_potential_energy() for frame in frames], whole.column("energy").values)
    np.testing.assert_allclose(
        np.concatenate([f.get_forces() for f in frames]), whole.column("forces").values, atol=1e-7
    )
    np.testing.assert_allclose(np.concatenate([f.positions for f in frames]), whole.positions, atol=1e-7)


@needs_tblite
def test_energies_forces_charges_and_bond_orders(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "water.xyz", ase.build.molecule("H2O"))
    dataset = make_xtb(tmp_path / "water.xyz", tmp_path / "out", XtbSettings(frames=30, interval=1, burn_in=0))
    assert abs(check_forces(dataset).slope - 1) < 0.02
    np.testing.assert_allclose(dataset.column("charges").values.reshape(-1, 3).sum(1), 0.0, atol=1e-6)
    assert 0.8 < dataset.column("bond_orders").values[0, 0, 1] < 1.1
    assert dataset.column("energy").values.mean() == pytest.approx(-138.0, abs=1.0)
    assert "0.5 fs between frames" in dataset.notes[1]


@needs_tblite
def test_a_molecule_that_flies_apart(tmp_path: Path) -> None:
    with pytest.raises(TrajectoryError, match="lower the time step"):
        make_xtb("CC", tmp_path / "out", XtbSettings(frames=50, timestep=5.0, burn_in=200, temperature=5000.0))


@needs_tblite
def test_another_trajectory_is_not_mixed_in(tmp_path: Path) -> None:
    settings = XtbSettings(frames=1, interval=1, burn_in=0)
    make_xtb("O", tmp_path / "out", settings)
    with pytest.raises(InputError, match=r"holds a trajectory with seed = 0, asked for 3"):
        make_xtb("O", tmp_path / "out", XtbSettings(frames=1, interval=1, burn_in=0, seed=3))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(InputError, match="not empty"):
        make_xtb("O", tmp_path / "other", settings)


def test_starting_structures(tmp_path: Path) -> None:
    assert starting_structure("CCO", 1).get_chemical_formula() == "C2H6O"
    with pytest.raises(InputError, match="no such file, and no SMILES"):
        starting_structure("missing.xyz", 1)
    ase.io.write(tmp_path / "si.extxyz", ase.build.bulk("Si"))
    with pytest.raises(InputError, match="periodic"):
        starting_structure(str(tmp_path / "si.extxyz"), 1)
    with pytest.raises(InputError, match=r"temperature is -1\.0"):
        XtbSettings(temperature=-1.0)


def test_correlation_time_of_an_autoregression() -> None:
    rng = np.random.default_rng(0)
    x = np.zeros(40_000)
    for k in range(1, len(x)):
        x[k] = 0.8 * x[k - 1] + rng.standard_normal()
    # (1 + phi) / (1 - phi) for phi = 0.8, less the tail below 0.05.
    assert correlation_time(x) == pytest.approx(9.0, rel=0.15)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("frames", 0), ("frames", 10**30), ("interval", 10**400), ("burn_in", -1), ("burn_in", 10**30),
        ("temperature", float("nan")), ("temperature", 1e300), ("timestep", float("inf")), ("charge", 10**30),
        ("seed", 10**40), ("seed", -1), ("friction", 0.0),
    ],
)  # fmt: skip
def test_settings_beyond_reason(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{name} is .*; give a number from") as refused:
        XtbSettings(**{name: value})
    assert len(str(refused.value)) < 120


BRIEF = {"frames": 2, "interval": 1, "burn_in": 0}


@needs_tblite
@pytest.mark.parametrize(
    ("source", "asked", "charge", "says"),
    [
        ("[O-]S(=O)(=O)[O-]", {}, -2, "charge −2 e, no unpaired electrons"),
        ("[O-]S(=O)(=O)[O-]", {"charge": -2}, -2, "charge −2 e, no unpaired electrons"),
        ("O", {}, 0, "charge 0 e, no unpaired electrons"),
        ("[O][O]", {}, 0, "charge 0 e, 2 unpaired electrons"),
        ("[CH3]", {"uhf": 1}, 0, "charge 0 e, 1 unpaired electron"),
        ("charge=2", {}, 2, "charge +2 e, no unpaired electrons"),
        ("multiplicity=3", {"charge": 2}, 2, "charge +2 e, 2 unpaired electrons"),
        ("nothing=1", {"charge": 2, "uhf": 2}, 2, "charge +2 e, 2 unpaired electrons"),
    ],
)
def test_electrons_are_those_of_the_source(
    tmp_path: Path, source: str, asked: dict[str, int], charge: int, says: str
) -> None:
    if "=" in source and "(" not in source:
        ase.io.write(tmp_path / "n.xyz", ase.build.molecule("C2H4"))
        text = (tmp_path / "n.xyz").read_text().splitlines()
        (tmp_path / "n.xyz").write_text("\n".join([text[0], f"{text[1]} {source}", *text[2:]]) + "\n")
        source = str(tmp_path / "n.xyz")
    lines: list[str] = []
    dataset = make_xtb(source, tmp_path / "out", XtbSettings(**BRIEF, **asked), report=lines.append)
    totals = dataset.column("charges").values.reshape(2, -1).sum(1)
    np.testing.assert_allclose(totals, charge, atol=1e-6)
    assert dataset.notes[0] == says
    assert lines == [f"{starting_structure(source, 0).get_chemical_formula()}: {says}"]
    (first, *_) = ase.io.read(tmp_path / "out" / "frames.xyz", ":")
    assert first.info.get("charge", 0) == charge
    # What is read again is the same electronic state.
    again = make_xtb(str(tmp_path / "out" / "frames.xyz"), tmp_path / "again", XtbSettings(**BRIEF))
    assert again.notes[0] == says


@needs_tblite
def test_unpaired_electrons_change_the_energy(tmp_path: Path) -> None:
    triplet = make_xtb("[O][O]", tmp_path / "triplet", XtbSettings(**BRIEF))
    singlet = make_xtb("O=O", tmp_path / "singlet", XtbSettings(**BRIEF))
    difference = triplet.column("energy").values[0] - singlet.column("energy").values[0]
    assert abs(difference) > 1e-3


@pytest.mark.parametrize(
    ("source", "asked", "says"),
    [
        (
            "[O-]S(=O)(=O)[O-]",
            {"charge": 0},
            r"its total charge is -2, asked for --charge 0; leave --charge out or change",
        ),
        ("O", {"charge": 1}, r"its total charge is 0, asked for --charge 1"),
        ("[O][O]", {"uhf": 0}, r"its number of unpaired electrons is 2, asked for --uhf 0"),
    ],
)
def test_other_electrons_than_the_source_has_are_refused(
    tmp_path: Path, source: str, asked: dict[str, int], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        make_xtb(source, tmp_path / "out", XtbSettings(**BRIEF, **asked))
    assert not (tmp_path / "out").exists()


def test_a_charge_that_is_no_number_is_refused(tmp_path: Path) -> None:
    atoms = ase.build.molecule("H2O")
    atoms.info["charge"] = 0.5
    ase.io.write(tmp_path / "a.extxyz", atoms)
    with pytest.raises(InputError, match=r"its charge is '0.5'; give a whole number"):
        make_xtb(tmp_path / "a.extxyz", tmp_path / "out", XtbSettings(**BRIEF))


@needs_tblite
def test_a_trajectory_goes_on_from_the_atoms_it_began_with_only(tmp_path: Path) -> None:
    water, out, settings = ase.build.molecule("H2O"), tmp_path / "out", XtbSettings(**BRIEF)
    source = tmp_path / "water.xyz"
    ase.io.write(source, water)
    make_xtb(source, out, settings)
    ase.io.write(source, water[[1, 0, 2]])
    with pytest.raises(InputError, match=r"a trajectory of the atoms O H H, .*water.xyz now has H O H; give back"):
        make_xtb(source, out, settings)
    moved = water.copy()
    moved.positions[1] += 0.1
    ase.io.write(source, moved)
    with pytest.raises(InputError, match=r"in .*water.xyz atoms lie up to 0.1 Å off"):
        make_xtb(source, out, settings)
    # Folders from before the start was kept are taken as they are.
    note = json.loads((out / "trajectory.json").read_text())
    for key in ("numbers", "positions", "uhf"):
        del note[key]
    (out / "trajectory.json").write_text(json.dumps(note))
    assert len(make_xtb(source, out, settings)) == 2


@needs_tblite
@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.ENOSPC, "the disk is full .*make room"), (errno.EROFS, "cannot be written .*make the folder writable")],
)
def test_a_full_disk_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with pytest.raises(InputError, match=f"^{tmp_path / 'out'}: {says}, then the same command resumes$"):
            make_xtb("O", tmp_path / "out", XtbSettings(**BRIEF))
    assert len(make_xtb("O", tmp_path / "out", XtbSettings(**BRIEF))) == 2
