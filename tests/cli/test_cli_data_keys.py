"""``atomlens data check`` names the entries that it read, and takes others."""

from __future__ import annotations

from cli_samples import run

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
