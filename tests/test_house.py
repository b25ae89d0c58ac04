from __future__ import annotations

import ast
from pathlib import Path

import pytest

import atomlens

PACKAGE = Path(__file__).parents[1] / "src" / "atomlens"
# From the ground up: a module imports from its own folder and from those before it.
FOLDERS = (
    "structures",
    "models",
    "chain",
    "relevance",
    "interactions",
    "reference",
    "analyses",
    "dynamics",
    "data",
    "training",
    "report",
    "cli",
)


def imported_folders(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return {name.split(".")[1] for name in names if name.startswith("atomlens.")}


@pytest.mark.parametrize("folder", [f for f in FOLDERS if (PACKAGE / f).exists()])
def test_a_folder_imports_only_from_those_before_it(folder):
    allowed = set(FOLDERS[: FOLDERS.index(folder) + 1])
    for path in sorted((PACKAGE / folder).rglob("*.py")):
        assert imported_folders(path) <= allowed, path


def test_every_folder_has_its_place():
    assert {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()} <= set(FOLDERS)


def test_no_file_holds_a_second_idea():
    long = {str(p): n for p in PACKAGE.rglob("*.py") if (n := len(p.read_text().splitlines())) > 400}
    assert not long


def test_public_names_are_there():
    wanted = {"Explanation", "Interactions", "Walks", "explain", "load_model", "read_structures", "save_model"}
    assert wanted <= set(atomlens.__all__)
    for name in atomlens.__all__:
        assert getattr(atomlens, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = atomlens.nothing
