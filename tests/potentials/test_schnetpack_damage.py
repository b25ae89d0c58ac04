"""Whatever bytes are lost or changed: a clear refusal or a model, never another exception."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from atomlens.models import Potential, save_model
from atomlens.potentials import load_model
from atomlens.structures import InputError

# One of the zip format, one of the older one.
ZIP, OLDER = "energy_painn_one_layer", "energy_schnet_filters"
changes = st.lists(st.tuples(st.integers(0, 2**20), st.integers(1, 255)), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def load_bytes(tmp_path_factory):
    path = tmp_path_factory.mktemp("damage") / "best_model"

    def load(data):
        path.write_bytes(data)
        try:
            model = load_model(path, energy_unit="eV")
        except InputError:
            return None
        assert isinstance(model, Potential)
        return model

    return load


@pytest.fixture(scope="module")
def own_file(load_reference, tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "model.safetensors"
    save_model(load_reference(ZIP), path)
    return path.read_bytes()


def changed(data, flips, first=0, last=None):
    out = bytearray(data)
    width = (last or len(out)) - first
    for place, mask in flips:
        out[first + place % width] ^= mask
    return bytes(out)


@pytest.mark.parametrize("name", [ZIP, OLDER])
@given(data=st.data())
def test_truncated_files_are_refused(name, data, load_bytes, schnetpack_folder):
    whole = (schnetpack_folder / f"{name}.model").read_bytes()
    assert load_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None


@given(end=st.integers(0, 2**20))
@example(end=0)
@example(end=8)
def test_truncated_own_files_are_refused(end, load_bytes, own_file):
    assert load_bytes(own_file[: end % len(own_file)]) is None


@given(flips=changes)
def test_changed_files(flips, load_bytes, schnetpack_folder):
    load_bytes(changed((schnetpack_folder / f"{ZIP}.model").read_bytes(), flips))


@pytest.mark.slow
@settings(max_examples=40)
@given(flips=changes)
def test_changed_pickles_with_right_checksums(flips, load_bytes, repack, pickle_of):
    load_bytes(repack(ZIP, changed(pickle_of(ZIP), flips)))


@pytest.mark.slow
@settings(max_examples=40)
@given(flips=changes)
def test_changed_files_of_the_older_format(flips, load_bytes, schnetpack_folder):
    load_bytes(changed((schnetpack_folder / f"{OLDER}.model").read_bytes(), flips))


@given(flips=changes)
def test_changed_headers_of_own_files(flips, load_bytes, own_file):
    load_bytes(changed(own_file, flips, last=8 + int.from_bytes(own_file[:8], "little")))
