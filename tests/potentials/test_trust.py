"""Files that run code when they are opened stay closed unless they are trusted, with or without their library."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from atomlens.potentials.foreign import lattice_steps, packages_in, require_library
from atomlens.potentials.graphpes import load_graphpes, recognises_graphpes
from atomlens.potentials.mace import load_mace, recognises_mace
from atomlens.potentials.nequip import load_nequip, recognises_nequip
from atomlens.structures import InputError, build_graph, structure_from_smiles

LOADERS: dict[str, Callable[..., Any]] = {"mace": load_mace, "nequip": load_nequip, "graph_pes": load_graphpes}


class Malice:
    """Makes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return pathlib.Path.touch, (self.trace,)


@pytest.mark.parametrize("library", LOADERS)
def test_nothing_runs_without_trust(library, tmp_path):
    file, trace = tmp_path / "model.nequip.zip", tmp_path / "it-ran"
    torch.save(Malice(trace), file)
    with pytest.raises(InputError, match=r"runs code that the file contains; .*--trust .*trust=True"):
        LOADERS[library](file)
    assert packages_in(file) & {"pathlib", "builtins"}
    assert not any(recognises(file) for recognises in (recognises_mace, recognises_nequip, recognises_graphpes))
    assert not trace.exists()


@pytest.mark.parametrize("library", LOADERS)
def test_missing_files_are_named_first(library, tmp_path):
    with pytest.raises(InputError, match=r"none\.model: no such file"):
        LOADERS[library](tmp_path / "none.model")


@pytest.mark.parametrize("library", ["mace", "graph_pes"])
def test_an_absent_library_is_named_with_its_command(library, tmp_path):
    if find_spec(library) is not None:
        pytest.skip(f"{library} is installed here")
    torch.save({}, tmp_path / "m.model")
    with pytest.raises(InputError, match=rf"needs {library} .*install it with: pip install \S+==\d"):
        LOADERS[library](tmp_path / "m.model", trust=True)


def test_a_module_that_does_not_exist_is_named():
    with pytest.raises(InputError, match=r"needs no_such_library .*install it with: pip install it"):
        require_library("no_such_library.part", "pip install it")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 damaged"])
def test_other_files_are_not_recognised(content, tmp_path):
    (tmp_path / "f").write_bytes(content)
    assert packages_in(tmp_path / "f") == set()
    assert not recognises_nequip(tmp_path / "f")
    assert packages_in(tmp_path / "none") == set()


def test_lattice_steps_give_the_offsets_back():
    atoms = structure_from_smiles("O")
    atoms.set_cell([[3.1, 0.2, 0.0], [0.7, 3.4, 0.0], [-0.4, 0.6, 3.8]])
    for pbc in (True, (True, True, False), False):
        atoms.pbc = pbc
        graph = build_graph(atoms, 5.0)
        steps = lattice_steps(graph)
        assert torch.equal(steps, steps.round())
        torch.testing.assert_close(steps @ graph.cells[0], graph.offsets, rtol=0, atol=1e-10)
        assert bool(steps.any()) == atoms.pbc.any()
