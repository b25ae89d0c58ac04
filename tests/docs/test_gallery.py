"""The gallery's pages are what its scripts print and draw today."""

from __future__ import annotations

import re
from types import ModuleType

import pytest
from scripts import ROOT, load_script

from atomlens.models import zoo_names

GALLERY = ROOT / "docs" / "gallery"
SCRIPTS = sorted(path.stem for path in GALLERY.glob("*.py") if path.stem != "make")
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.])")


@pytest.fixture(scope="module")
def make() -> ModuleType:
    return load_script(GALLERY / "make.py", "gallery_make")


# The only test that runs what the pages show, from start to end.
@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_the_page_is_what_the_script_makes(make, name, tmp_path):
    page = (GALLERY / f"{name}.md").read_text("utf-8")
    made = make.page(GALLERY / f"{name}.py", tmp_path)
    assert NUMBER.sub("#", made) == NUMBER.sub("#", page)
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (made, page)]
    # The last digit may differ from one processor to another.
    assert numbers[0] == pytest.approx(numbers[1], rel=0.01, abs=0.006)
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in GALLERY.glob(f"{name}-*.png")}
    assert all(f"]({picture})" in page for picture in drawn)


def test_cells_are_text_commands_and_python(make):
    text = '"""Title\n\nFirst.\n"""\n\n# %% [markdown]\n# A\n#\n# B\n\n'
    script = text + '# %%\nx = 1  # %% no cell\n\n# %% language="bash"\n# ls\n'
    found = [(cell.kind, cell.text) for cell in make.cells(script)]
    assert found == [
        ("markdown", "# Title\n\nFirst."),
        ("markdown", "A\n\nB"),
        ("python", "x = 1  # %% no cell"),
        ("bash", "ls"),
    ]


def test_every_script_is_in_the_index_and_names_shipped_models():
    index = (GALLERY / "index.md").read_text("utf-8")
    assert len(SCRIPTS) >= 6
    for name in SCRIPTS:
        assert f"({name}.md)" in index
        assert set(re.findall(r"zoo:([\w-]+)", (GALLERY / f"{name}.py").read_text("utf-8"))) <= set(zoo_names())


def test_pictures_are_small():
    assert all(path.stat().st_size < 60_000 for path in GALLERY.glob("*.png"))
