import io
import json
import zipfile
from pathlib import Path

import ase
import pytest

from atomlens.models import Potential
from atomlens.potentials import load_model
from atomlens.structures import AtomGraph, build_graph, collate

SCHNETPACK = Path(__file__).parents[1] / "reference" / "schnetpack"
REFERENCES = json.loads((SCHNETPACK / "references.json").read_text())
NAMES = sorted(REFERENCES["models"])


@pytest.fixture(scope="session")
def schnetpack_folder():
    return SCHNETPACK


@pytest.fixture(scope="session")
def references():
    return REFERENCES["models"]


@pytest.fixture(scope="session")
def load_reference():
    def load(name, **options) -> Potential:
        return load_model(SCHNETPACK / f"{name}.model", **options)

    return load


@pytest.fixture(scope="session")
def reference_graph():
    """All reference structures side by side, with the edges of a model."""
    structures = [ase.Atoms(**fields) for fields in REFERENCES["structures"]]

    def graph(model: Potential) -> AtomGraph:
        return collate([build_graph(atoms, model.cutoff, dtype=model.dtype) for atoms in structures])

    return graph


def pytest_generate_tests(metafunc):
    if "reference_name" in metafunc.fixturenames:
        metafunc.parametrize("reference_name", NAMES)


def pickle_in(path: Path) -> bytes:
    """The pickle in a model file."""
    with zipfile.ZipFile(path) as file:
        return file.read(next(name for name in file.namelist() if name.endswith("/data.pkl")))


def with_pickle(path: Path, pickle: bytes) -> bytes:
    """A model file with another pickle in it, its checksums correct."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            new.writestr(name, pickle if name.endswith("/data.pkl") else old.read(name))
    return out.getvalue()


@pytest.fixture(scope="session")
def repack():
    """Function from a model file's name and its replaced pickle to the new file's bytes."""
    return lambda name, pickle: with_pickle(SCHNETPACK / f"{name}.model", pickle)


@pytest.fixture(scope="session")
def pickle_of():
    return lambda name: pickle_in(SCHNETPACK / f"{name}.model")
