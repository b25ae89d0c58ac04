"""A model that SchNetPack's authors trained, on data that it has not seen."""

from pathlib import Path

import ase
import ase.io
import pytest
import torch

from atomlens.models.units import ENERGY_UNITS
from atomlens.potentials import load_model
from atomlens.structures import build_graph, collate

SHARED = Path(__file__).parents[3] / "shared"
MODEL = SHARED / "testdata" / "schnetpack_rmd17_ethanol_painn" / "best_model"
FRAMES = SHARED / "data" / "rmd17_ethanol" / "test_MD.xyz"

pytestmark = pytest.mark.skipif(
    not (MODEL.exists() and FRAMES.exists()), reason="the third-party ethanol model and data are not beside this folder"
)


def test_what_is_known_about_it():
    config = load_model(MODEL).config
    assert (config.output.unit, config.card["unit_source"]) == ("kcal/mol", "config.yaml")
    assert config.elements == (1, 6, 8)
    assert config.card["training_data"] == "rMD17 ethanol"
    assert config.representation.n_features == 128
    assert config.representation.n_layers == 3


def test_force_error_is_the_published_one():
    model = load_model(MODEL, dtype=torch.float32)
    frames = [atoms for atoms in ase.io.iread(FRAMES) if isinstance(atoms, ase.Atoms)]
    factor, errors = ENERGY_UNITS[model.config.output.unit], []
    for k in range(0, len(frames), 100):
        part = frames[k : k + 100]
        for atoms in part:
            atoms.pbc = False
        _, forces = model.energy_and_forces(
            collate([build_graph(atoms, model.cutoff, dtype=model.dtype) for atoms in part])
        )
        true = torch.cat([torch.tensor(atoms.get_forces(apply_constraint=False)) for atoms in part])
        errors.append((forces.double() * factor - true).abs())
    assert float(torch.cat(errors).mean()) * 1000 == pytest.approx(6.65, abs=0.05)
