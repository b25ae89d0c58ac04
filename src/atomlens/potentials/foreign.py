"""What every adapter of another library's files needs: trust, its library, quiet opening, edges, and a comparison."""

from __future__ import annotations

import importlib
import io
import os
import pickle
import pickletools
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import ase
import numpy as np
import torch
from ase.calculators.calculator import Calculator
from ase.data import chemical_symbols
from jaxtyping import Float
from torch import Tensor

from atomlens.models import sum_edges
from atomlens.recording import RecordedModel, StructureInputs
from atomlens.structures import AtomGraph, InputError, build_graph

# How far an energy or force may be from what the library's own ASE calculator gives, relative to the largest
# (and to 1 eV, 1 eV/Å where everything is smaller).
TOLERANCE = 1e-6


class ForeignModel(RecordedModel, Protocol):
    """A recorded model that came from a file of another library.

    Attributes
    ----------
    library
        Name and version of the library that made sense of the file.
    layers
        Number of rounds of messages.
    references
        Energy of a lone atom that the file states, by atomic number, in `unit`; empty where it states none.
    positions
        Which of `StructureInputs.tensors` holds the positions in Å, so that forces follow by autograd.
    """

    library: str
    layers: int
    references: Mapping[int, float]
    positions: str

    def inputs_of(self, graph: AtomGraph) -> StructureInputs:
        """The model's inputs for a graph of one structure."""
        ...

    def atom_energies(self, tensors: Mapping[str, Tensor]) -> Float[Tensor, " N"]:
        """What every atom contributes to `energy`, in `unit`; all contributions add up to it."""
        ...

    def calculator(self) -> Calculator:
        """The library's own ASE calculator for this model."""
        ...


def require_trust(path: Path, trust: bool, what: str) -> None:
    """Refuse to open a file that can run code unless the user vouches for it; say so too if there is no file.

    Raises
    ------
    InputError
        If there is no such file, or `trust` is not set.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a {what}")
    if not trust:
        raise InputError(
            f"{path}: opening a {what} runs code that the file contains; make sure where it comes from, then pass "
            "--trust (Python: load_model(..., trust=True))"
        )


def require_library(name: str, command: str) -> ModuleType:
    """Import a library without its warnings, or refuse with the command that installs it.

    What a library changes for the whole process while it is imported is put back.

    Raises
    ------
    InputError
        If it is not installed, or its import fails.
    """
    try:
        with quietly():
            return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"needs {name.split('.')[0]} ({error}); install it with: {command}") from error


@contextmanager
def quietly() -> Iterator[None]:
    """Run another library's code: no warnings, no chatter, and what it changes for the whole process is put back.

    MACE switches off the safe mode of `torch.load` for everybody, graph-pes sets how processes are started, NequIP
    changes the default type of reals.
    """
    started, real = torch.multiprocessing.get_start_method(allow_none=True), torch.get_default_dtype()
    flag = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"  # e3nn 0.4 cannot be imported without it
    before = os.environ.get(flag)
    os.environ[flag] = "1"
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_default_dtype(real)
        os.environ.pop(flag, None)
        if before is not None:
            os.environ[flag] = before
        torch.multiprocessing.set_start_method(started, force=True)


@contextmanager
def float64_default() -> Iterator[None]:
    """Make new reals float64: some libraries build constants and inputs of the default type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def open_pickle(path: Path) -> Any:
    """The object in a file of `torch.save`. This runs code: call `require_trust` before.

    Raises
    ------
    InputError
        If the file is damaged or needs what is not installed.
    """
    try:
        with quietly():
            return torch.load(path, map_location="cpu", weights_only=False)
    except ModuleNotFoundError as error:
        raise InputError(f"{path}: needs the Python package {error.name}, which is not installed") from error
    except (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, AttributeError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: cannot be opened ({reason}); fetch or write it again") from error


def packages_in(path: Path) -> set[str]:
    """Top-level packages that the pickles of a ``torch.save`` or ``torch.package`` file name. Nothing is executed.

    Empty for a file that is no such file. Tells which library a file belongs to.
    """
    names: set[str] = set()
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if member.endswith(".pkl"):
                    names |= _packages_named(archive.read(member))
    except (OSError, zipfile.BadZipFile, ValueError):
        return names
    return names


# Every adapter asks in turn, and a long pickle takes seconds.
@lru_cache(maxsize=2)
def _packages_named(data: bytes) -> frozenset[str]:
    """Top-level packages that a pickle names, up to where it is damaged."""
    names: set[str] = set()
    words: list[str] = []
    with warnings.catch_warnings(), suppress(ValueError):
        warnings.simplefilter("ignore")  # damaged strings hold odd escapes
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "GLOBAL":
                words = [str(argument).split(" ")[0]]
                names.add(words[0].split(".")[0])
            elif "UNICODE" in opcode.name:
                words = [*words[-1:], str(argument)]
            elif opcode.name == "STACK_GLOBAL" and words:
                names.add(words[0].split(".")[0])
    return frozenset(names)


def checked_graph(model: RecordedModel, atoms: ase.Atoms) -> AtomGraph:
    """Edges within the model's cutoff; atoms that the model does not know are refused.

    Raises
    ------
    InputError
        If the structure is unusable or has unknown elements.
    """
    unknown = sorted(set(atoms.numbers.tolist()) - set(model.elements)) if model.elements else []
    if unknown:
        known = " ".join(chemical_symbols[z] for z in model.elements)
        raise InputError(f"the structure has {' '.join(chemical_symbols[z] for z in unknown)}; the model knows {known}")
    return build_graph(atoms, model.cutoff, dtype=model.dtype)


def lattice_steps(graph: AtomGraph) -> Float[Tensor, "E 3"]:
    """Whole numbers n of cell vectors per edge, as reals, with ``offset = n @ cell``."""
    return torch.round(graph.offsets @ torch.linalg.pinv(graph.cells[0]))


def energy_and_forces(model: ForeignModel, atoms: ase.Atoms) -> tuple[float, Float[np.ndarray, "N 3"]]:
    r"""Energy and forces :math:`F = -\partial E / \partial R` by autograd, in the model's unit (per Å)."""
    energies, forces = energies_and_forces(model, checked_graph(model, atoms))
    return float(energies[0]), forces.numpy()


def energies_and_forces(model: ForeignModel, graph: AtomGraph) -> tuple[Float[Tensor, " G"], Float[Tensor, "N 3"]]:
    r"""Energies and forces of several structures in one call, in the model's unit (per Å).

    No edge joins two structures, so together they are one structure to the model: its atoms' energies add up
    structure by structure, and :math:`F = -\partial (\sum_g E_g) / \partial R` holds the forces of all.

    Parameters
    ----------
    model
        The model.
    graph
        Structures that share one cell, or have none: libraries want lattice steps in units of it.

    Raises
    ------
    InputError
        If cells differ.
    """
    if not torch.equal(graph.cells, graph.cells[:1].expand_as(graph.cells)):
        raise InputError("structures of one call need one and the same cell; give them one by one")
    together = replace(graph, batch=torch.zeros_like(graph.batch), cells=graph.cells[:1])
    tensors = dict(model.inputs_of(together).tensors)
    positions = tensors[model.positions].detach().clone().requires_grad_()
    with torch.enable_grad():
        energies = model.atom_energies({**tensors, model.positions: positions})
        (gradient,) = torch.autograd.grad(energies.sum(), positions)
    return sum_edges(energies.detach(), graph.batch, graph.n_graphs), -gradient


def probes(elements: Sequence[int]) -> list[ase.Atoms]:
    """Two small structures of the given elements, open and periodic, on which models are compared."""
    if not elements:
        elements = (1, 6, 8)
    spots = np.array([[0.0, 0.0, 0.0], [1.25, 0.1, -0.2], [-0.3, 1.3, 0.25], [0.2, -0.35, 1.4], [1.6, 1.2, 0.9]])
    numbers = [elements[k % len(elements)] for k in range(len(spots))]
    cell = [[4.6, 0.0, 0.0], [0.5, 4.9, 0.0], [-0.3, 0.4, 5.2]]
    return [ase.Atoms(numbers, spots), ase.Atoms(numbers, spots, cell=cell, pbc=True)]


def check_against_library(model: ForeignModel, structures: Sequence[ase.Atoms] | None = None) -> float:
    """Largest relative deviation of energies and forces from the library's own ASE calculator.

    Energies count relative to what is left of them without the energies of lone atoms.

    Raises
    ------
    InputError
        If it is above `TOLERANCE`; the message has the figure.
    """
    worst = 0.0
    with quietly(), float64_default():
        calculator = model.calculator()
        for atoms in structures or probes(model.elements):
            energy, forces = energy_and_forces(model, atoms)
            theirs = atoms.copy()
            theirs.calc = calculator
            rest = energy - sum(model.references.get(z, 0.0) for z in atoms.numbers.tolist())
            whole = float(model.energy(model.inputs(atoms).tensors))
            worst = max(
                worst,
                abs(whole - energy) / max(1.0, abs(rest)),
                abs(theirs.get_potential_energy() - energy) / max(1.0, abs(rest)),
                np.abs(theirs.get_forces() - forces).max() / max(1.0, np.abs(forces).max()),
            )
    if not worst <= TOLERANCE:
        raise InputError(
            f"energies or forces deviate from those of {model.library}'s own calculator by {worst:.1e} (relative, "
            f"allowed {TOLERANCE:.0e}); the model cannot be explained faithfully"
        )
    return worst
