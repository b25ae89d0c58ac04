"""Make the pictures of the README and the first pages. Usage: python docs/images/make.py (needs Chromium)"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import ase.io

import atomlens
from atomlens.report.figures import overview_figure

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ETHANOL = "examples/ethanol.xyz"
# 3D needs WebGL, which a headless browser draws in software.
FLAGS = ("--headless", "--no-sandbox", "--enable-unsafe-swiftshader", "--use-angle=swiftshader", "--hide-scrollbars")


def overview() -> None:
    """The figure that opens the README."""
    model = atomlens.load_model("organic")
    overview_figure(atomlens.explain(model, ase.io.read(ROOT / ETHANOL))).savefig(HERE / "overview.png", dpi=160)


def page() -> None:
    """The page of ``atomlens explain``, as a browser shows it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no Chromium here; install it to make page.png")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        explain = ["explain", "organic", ETHANOL, "--out", str(run)]
        subprocess.run([sys.executable, "-c", "import atomlens.cli as c; c.main()", *explain], check=True, cwd=ROOT)
        show = ["--window-size=1300,1750", f"--user-data-dir={folder}/profile", "--virtual-time-budget=8000"]
        shot = f"--screenshot={HERE / 'page.png'}"
        subprocess.run([browser, *FLAGS, *show, shot, (run / "report.html").as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    overview()
    page()
