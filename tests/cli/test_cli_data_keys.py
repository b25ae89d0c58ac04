"""``atomlens data check`` names the entries that it read, and takes others."""

from __future__ import annotations

import numpy as np
from cli_samples import run

from atomlens.data import read_dataset, save_dataset

WATER = ["O 0 0 0.1", "H 0 0.8 -0.5", "H 0 -0.8 -0.5"]


def test_the_command_reports_what_it_read(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    comment = 'Properties=species:S:1:pos:R:3:REF_forces:R:3 energy=-1 REF_energy=-2 pbc="F F F"'
    text = "\n".join(["3", comment, *(f"{row} 2 2 2" for row in WATER)]) + "\n"
    (tmp_path / "a@1.xyz").write_text(text * 4)
    outcome = run(capsys, "data", "check", "a@1.xyz")
    assert "energies from 'REF_energy', forces from 'REF_forces'; not read: energy" in outcome.out
    assert "4 structures of 3 to 3 atoms" in outcome.out
    outcome = run(capsys, "data", "check", "a@1.xyz", "--energy-key", "energy", "--forces-key", "nothing")
    assert outcome.code == 2
    assert "'nothing'" in outcome.err


def test_another_charge_than_that_of_the_molecule_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    outcome = run(capsys, "data", "xtb", "[O-]S(=O)(=O)[O-]", "--charge", "0", "--out", "so4")
    assert outcome.code == 2
    assert "its total charge is -2, asked for --charge 0; leave --charge out or change the source" in outcome.err
    assert not (tmp_path / "so4").exists()


def test_a_data_set_folder_takes_no_units_or_entries(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    comment = 'Properties=species:S:1:pos:R:3:forces:R:3 energy=-1 pbc="F F F"'
    text = "\n".join(["3", comment, *(f"{row} 2 2 2" for row in WATER)]) + "\n"
    (tmp_path / "a.xyz").write_text(text * 4)
    save_dataset(read_dataset(tmp_path / "a.xyz"), tmp_path / "set")
    assert run(capsys, "data", "check", "set").code == 0
    asked = ("--energy-unit", "Hartree", "--length-unit", "furlong", "--energy-key", "foo")
    outcome = run(capsys, "data", "check", "set", *asked)
    assert outcome.code == 2
    assert "set: is a data set folder, which has its own units and entries; leave out" in outcome.err
    assert "--energy-unit (energy_unit), received 'Hartree'" in outcome.err
    broken = read_dataset(tmp_path / "a.xyz")
    broken.column("energy").values[2] = np.nan
    save_dataset(broken, tmp_path / "nan")
    outcome = run(capsys, "data", "check", "nan")
    assert outcome.code == 2
    assert "energy of structure 2" in outcome.err
