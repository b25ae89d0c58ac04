"""What is imported is declared, what is declared is listed with its tested version, and what is advised works."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import atomlens
from atomlens.structures import install_command

ROOT = Path(__file__).parents[1]
SOURCES = sorted(Path(atomlens.__file__).parent.rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = ("train", "qm9", "xtb", "reference", "md", "dask")
# Imported where they are, and nowhere needed: the notebook, and what Dask and torch bring along.
OPTIONAL = {"ipython", "dask", "tqdm"}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*extras: str) -> dict[str, Requirement]:
    texts = [*PROJECT["dependencies"], *(text for extra in extras for text in PROJECT["optional-dependencies"][extra])]
    found = {plain(r.name): r for r in map(Requirement, texts)}
    found.pop("atomlens", None)
    return found


def test_every_import_is_declared() -> None:
    known, owners = declared(*EXTRAS), packages_distributions()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in {name.split(".")[0] for name in names}:
                if name in sys.stdlib_module_names or name == "atomlens":
                    continue
                packages = {plain(owner) for owner in owners.get(name, [name])}
                assert packages & (set(known) | OPTIONAL), f"{source.name} imports {name}"


def test_the_page_of_versions_is_that_of_the_project() -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    pins = {plain(name): version for name, version in pins.items()}
    page = (ROOT / "docs/reference/versions.md").read_text()
    rows = re.findall(r"^\| (\S+) \| `(.*?)` \| (\S+) \|", page, re.MULTILINE)
    assert {plain(name): version for name, _, version in rows} == {name: pins[name] for name in declared(*EXTRAS)}
    for name, allowed, version in rows:
        requirement = declared(*EXTRAS)[plain(name)]
        assert str(requirement.specifier) == str(Requirement(f"x{allowed}").specifier)
        assert requirement.specifier.contains(version)


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_is_advised_installs_the_libraries_of_an_extra(extra: str) -> None:
    words = install_command(extra).split()
    assert words[:2] == ["pip", "install"]
    advised = {plain(Requirement(word.strip("'")).name) for word in words[2:]}
    wanted = set(declared(extra)) - set(declared())
    if extra == "reference":
        wanted |= set(declared("xtb")) - set(declared())
    assert requires("atomlens")
    assert advised == wanted


def test_nothing_advises_an_index_that_does_not_have_us() -> None:
    for path in [*SOURCES, ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        assert not re.search(r"pip install '?\"?atomlens", path.read_text()), path
