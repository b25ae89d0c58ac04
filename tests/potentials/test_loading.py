"""`load_model`: what a file is, told by its content; where it comes from; what is no model."""

import shutil
from pathlib import Path

import pytest
import torch

from atomlens.models import save_model, zoo_names
from atomlens.models.files import shipped
from atomlens.potentials import load_model
from atomlens.structures import InputError


def test_content_counts_and_not_the_name(tmp_path, schnetpack_folder, load_reference):
    shutil.copy(schnetpack_folder / "energy_schnet.model", tmp_path / "model.safetensors")
    model = load_model(tmp_path / "model.safetensors", energy_unit="eV")
    assert model.config.card["source"] == "SchNetPack whole-model file"
    save_model(model, tmp_path / "best_model")
    assert load_model(str(tmp_path / "best_model")).config == model.config


def test_headers_of_any_length_are_told_apart(tmp_path, load_reference):
    # The first byte of an own file is the length of its header, which may be that of a pickle or a zip file.
    model = load_reference("energy_schnet_linear")
    starts = set()
    for length in range(0, 300, 8):
        model.config.card["note"] = "x" * length
        save_model(model, tmp_path / "model")
        starts.add((tmp_path / "model").read_bytes()[:1])
        assert load_model(tmp_path / "model").config == model.config
    assert {b"\x80", b"P"} <= starts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty; give an atomlens model"),
        (b"3\n\nH 0 0 0\n", "not a model file; give an atomlens model"),
        (b"\x89PNG\r\n\x1a\n", "not a model file"),
        (b"PK\x03\x04", "a zip file that is truncated or damaged"),
        (b"PK\x05\x06" + bytes(18), "not one that torch.save wrote"),
        (b"\xff" * 8 + b"{}", "damaged safetensors file"),
        (b"\x02" + bytes(7) + b"{}", "not one of atomlens"),
        (b"\x02" + bytes(7) + b"{", "damaged safetensors file"),
        (b"\x80\x02]q\x00.", "a bare pickle, not a file that torch.save wrote"),
    ],
)
def test_what_is_no_model(content, message, tmp_path):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_model(tmp_path / "file")
    assert str(caught.value).startswith(f"{tmp_path / 'file'}: ")
    assert "\n" not in str(caught.value)


def test_paths_without_a_file(tmp_path):
    with pytest.raises(InputError, match="none: no such file; give an atomlens model"):
        load_model(tmp_path / "none")
    with pytest.raises(InputError, match="a folder; give"):
        load_model(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        load_model("a\0b")
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(InputError, match="cannot be read"):
        load_model(tmp_path / "file" / "below")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"x")

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(InputError, match=r"cannot be read .Permission denied"):
        load_model(tmp_path / "file")


def test_the_zoo(tmp_path, monkeypatch, load_reference):
    monkeypatch.setattr(shipped, "_folder", lambda: tmp_path / "zoo")
    assert zoo_names() == []
    with pytest.raises(InputError, match=r"zoo:mine: the zoo is empty"):
        load_model("zoo:mine")
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "README.md").touch()
    model = load_reference("energy_painn")
    for name in ("mine", "ethanol-2.1", ".hidden"):
        save_model(model, tmp_path / "zoo" / f"{name}.safetensors")
    save_model(model, tmp_path / "outside.safetensors")
    assert zoo_names() == ["ethanol-2.1", "mine"]
    assert load_model("zoo:ethanol-2.1").config == model.config
    for name in ("painn", "", "../outside", "mine.safetensors"):
        with pytest.raises(InputError, match=r"no model of that name in the zoo; .*[iI]t has ethanol-2\.1, mine"):
            load_model(f"zoo:{name}")


def test_checksums_may_be_left_out(tmp_path, schnetpack_folder, repack, pickle_of):
    data = bytearray((schnetpack_folder / "energy_schnet.model").read_bytes())
    place = -1
    while (place := data.find(b"PK\x01\x02", place + 1)) >= 0:  # every entry of the directory
        data[place + 16 : place + 20] = bytes(4)
    (tmp_path / "best_model").write_bytes(data)
    assert load_model(tmp_path / "best_model", energy_unit="eV").dtype == torch.float64
