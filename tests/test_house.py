"""The house rules: data flows one way, names are explicit, examples in docstrings run."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
import torch

import atomlens

SOURCE = Path(atomlens.__file__).parent
# A folder imports from itself and from those before it.
FLOORS = (
    "structures",
    "folders",
    "models",
    "recording",
    "chain",
    "potentials",
    "relevance",
    "interactions",
    "tables",
    "surveys",
    "reference",
    "analyses",
    "dynamics",
    "data",
    "training",
    "report",
    "runs",
    "studies",
    "cli",
)
FILES = sorted(SOURCE.rglob("*.py"))
MODULES = sorted(m.name for m in pkgutil.walk_packages([str(SOURCE)], "atomlens."))
# What only an extra brings (see pyproject): modules that need it are skipped where it is not installed.
EXTRAS = {"tensorboard", "tblite", "dftd4", "torch_sim", "qm9pack", "IPython", "dask"}


def imports(path: Path) -> Iterator[str]:
    """Full names of the modules of this package that a file imports, inside functions too."""
    module = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "atomlens")
        elif isinstance(node, ast.ImportFrom):
            package = module.removesuffix(".__init__").split(".")
            base = package[: len(package) - node.level + path.name.endswith("__init__.py")] if node.level else []
            name = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            if name == "atomlens":  # from atomlens import report
                yield from (f"atomlens.{alias.name}" for alias in node.names)
            elif name.startswith("atomlens."):
                yield name


def test_every_folder_has_its_floor():
    there = {p.name for p in SOURCE.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert there <= set(FLOORS), "give the new folder its place in FLOORS"


PACKAGES = {".".join(p.parent.relative_to(SOURCE.parent).parts) for p in FILES if p.name == "__init__.py"}


def face(importer: str, module: str) -> str:
    """The outermost package around a module that the importer is not in itself; the module, where there is none."""
    parts = module.split(".")
    for n in range(2, len(parts)):
        package = ".".join(parts[:n])
        if package in PACKAGES and not f"{importer}.".startswith(f"{package}."):
            return package
    return module


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_upwards_and_through_faces(path):
    parts = path.relative_to(SOURCE).parts
    if len(parts) == 1:  # the package itself may name everything
        return
    importer = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
    floor = FLOORS.index(parts[0])
    for name in imports(path):
        folder = name.split(".")[1]
        assert folder in FLOORS, f"{path} imports {name}: import from a folder, not from the top of the package"
        assert FLOORS.index(folder) <= floor, f"{path} imports {name}, which stands below {parts[0]}"
        assert face(importer, name) == name, f"{path} imports {name}: import from {face(importer, name)}"


def defaults(path: Path, argument: str) -> Iterator[str]:
    """Defaults, as written, of the arguments and fields of that name in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            given = node.args
            by_place = zip(reversed([*given.posonlyargs, *given.args]), reversed(given.defaults), strict=False)
            by_name = zip(given.kwonlyargs, given.kw_defaults, strict=True)
            yield from (ast.unparse(v) for a, v in (*by_place, *by_name) if a.arg == argument and v is not None)
        elif isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == argument and node.value is not None:
            yield ast.unparse(node.value)


def test_the_default_product_rule_is_one_constant():
    found = [value for path in FILES for value in defaults(path, "product_rule")]
    assert set(found) == {"DEFAULT_PRODUCT_RULE", "None", "''"}  # or: that of the run which goes on
    assert found.count("DEFAULT_PRODUCT_RULE") > 10


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_files_hold_one_idea(path):
    assert len(path.read_text().splitlines()) <= 400


def order(name: str) -> tuple[int, str]:
    """CONSTANTS, then Classes, then functions; by name within."""
    return (0 if name.isupper() else 1 if name.lstrip("_")[0].isupper() else 2, name)


STUBS = sorted(SOURCE.rglob("__init__.pyi"))


@pytest.mark.parametrize("stub", STUBS, ids=lambda p: str(p.parent.relative_to(SOURCE)))
def test_folders_list_their_names(stub):
    """A folder's stub is what type checkers and readers see; its ``__init__`` hands out the same names on demand."""
    tree = ast.parse(stub.read_text())
    imported = [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    (listed,) = (ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign))
    module = importlib.import_module(".".join(stub.parent.relative_to(SOURCE.parent).parts))
    assert listed == sorted(listed, key=order) or module is atomlens
    assert sorted(listed) == sorted([*imported, *(["__version__"] if module is atomlens else [])])
    assert set(listed) == set(module.__all__)
    for name in listed:
        try:
            assert getattr(module, name) is not None
        except ImportError as error:
            if not error.name or error.name.split(".")[0] not in EXTRAS:
                raise


def test_folders_are_named_after_the_theory():
    found = {p.name for p in SOURCE.rglob("*") if p.is_dir()} | {p.stem for p in FILES}
    assert not found & {"utils", "util", "core", "tools", "common", "helpers", "misc"}


def import_or_skip(name: str) -> object:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if error.name and error.name.split(".")[0] in EXTRAS:
            pytest.skip(f"needs {error.name}")
        raise


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    module = import_or_skip(name)
    with torch.random.fork_rng(devices=[]):
        result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.failed == 0


def test_examples_of_the_package_run():
    assert doctest.testmod(atomlens).attempted > 0
    assert doctest.testmod(atomlens).failed == 0


def test_annotations_are_checked_while_tests_run():
    """The import hook in conftest came before every module of the package."""
    graph = atomlens.AtomGraph
    whole = torch.zeros(2, dtype=torch.int64)
    wrong = {"numbers": whole, "positions": torch.zeros(3, 3), "cells": torch.zeros(1, 3, 3)}
    with pytest.raises(jaxtyping.TypeCheckError, match="positions"):
        graph(**wrong, target=whole, source=whole, offsets=torch.zeros(2, 3), batch=whole, cutoff=5.0)
    for name, module in list(sys.modules.items()):
        if name.startswith("atomlens.") and getattr(module, "__spec__", None) is not None:
            assert "jaxtyping" in type(module.__spec__.loader).__module__, f"{name} was imported before the hook"
