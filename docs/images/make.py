"""Make the pictures of the README. Usage: python docs/images/make.py"""

from pathlib import Path

import ase.io

import atomlens
from atomlens.report.figures import overview_figure

HERE = Path(__file__).parent
model = atomlens.load_model("zoo:rmd17-ethanol-painn")
atoms = ase.io.read(HERE.parents[1] / "examples" / "ethanol.xyz")
overview_figure(atomlens.explain(model, atoms)).savefig(HERE / "overview.png", dpi=160)
