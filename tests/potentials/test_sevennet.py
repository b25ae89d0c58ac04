"""SevenNet: the pretrained models inside its package, and a checkpoint of one's own."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if find_spec("sevenn") is None:
    pytest.skip("needs sevenn: bash environments/test sevennet", allow_module_level=True)

from foreign_samples import STRUCTURES, assert_same, compare_with_chain, ethanol, recorded

from atomlens.interactions import explain, explain_module
from atomlens.potentials import load_model
from atomlens.potentials.foreign import energies_and_forces, float64_default, quietly
from atomlens.potentials.sevennet import SHIPPED, SevenNetModel, load_sevennet, recognises_sevennet
from atomlens.recording import RecordedModel
from atomlens.structures import InputError, build_graph, collate

with quietly():
    import sevenn
    from sevenn.calculator import SevenNetCalculator

FILE = Path(sevenn.__file__).parent / "pretrained_potentials" / SHIPPED["7net-0"]


@pytest.fixture(scope="module")
def model() -> SevenNetModel:
    return load_sevennet("sevenn:7net-0")


def test_it_is_a_recorded_model(model):
    assert isinstance(model, RecordedModel)
    assert (model.cutoff, model.layers, model.unit) == (5.0, 5, "eV")
    assert len(model.elements) == 89


@pytest.mark.parametrize("structure", list(STRUCTURES))
def test_energies_and_forces_are_the_calculators(model, structure):
    assert_same(model, model.calculator(), STRUCTURES[structure]())


def test_energies_are_those_of_the_model_as_it_ships(model):
    """The calculator that a user of sevenn has, in float32."""
    with quietly():
        theirs = ethanol()
        theirs.calc = SevenNetCalculator("7net-0", device="cpu")
        expected = theirs.get_potential_energy()
    ours = float(model.energy(model.inputs(ethanol()).tensors))
    assert ours == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("product_rule", ["full", "scalar"])
def test_checks_are_rounding(model, product_rule):
    assert max(recorded(model, STRUCTURES["crystal"](), "gate", product_rule)) < 1e-12


def test_terms_are_chemistry_and_those_of_the_chain(model):
    atoms = ethanol()
    ex = explain_module(model, atoms)
    assert abs(ex.residual) < 1e-10
    assert [layer.bias.shape[1] for layer in ex.chain.layers] == [480, 480, 480, 480, 1]
    compare_with_chain(ex, 3)
    terms = ex.interactions(2).order(2)
    strongest = terms.atoms[np.argsort(terms.relevance)[:8]]
    # The eight bonds, each stronger than anything else.
    assert all(atoms.get_distance(i, j) < 1.6 for i, j in strongest.tolist())
    assert terms.relevance.min() == pytest.approx(-1.48, abs=0.01)


def test_replicas_move_as_one_structure_would_by_the_calculator(model):
    """Energies and forces of several structures in one call are those of SevenNet's calculator on each."""
    structures = [ethanol() for _ in range(3)]
    for k, atoms in enumerate(structures):
        atoms.rattle(0.05, seed=k)
    graph = collate([build_graph(atoms, model.cutoff, dtype=model.dtype) for atoms in structures])
    energies, forces = energies_and_forces(model, graph)
    calculator = model.calculator()
    for k, atoms in enumerate(structures):
        with quietly(), float64_default():
            atoms.calc = calculator
            expected, pulled = atoms.get_potential_energy(), atoms.get_forces()
        assert float(energies[k]) == pytest.approx(expected, rel=1e-9)
        np.testing.assert_allclose(forces[9 * k : 9 * k + 9], pulled, rtol=0, atol=1e-8)


def test_pair_forces_add_up_to_forces():
    model = load_model("sevenn:7net-0")
    found = explain(model, ethanol()).pair_forces()
    np.testing.assert_allclose(found.forces, model.predict(ethanol()).forces, rtol=0, atol=1e-10)


def test_files_of_ones_own_are_opened_when_trusted(tmp_path):
    path = tmp_path / "checkpoint.pth"
    shutil.copy(FILE, path)
    with pytest.raises(InputError, match="--trust"):
        load_sevennet(path)
    assert load_sevennet(path, trust=True).layers == 5
    assert isinstance(recognises_sevennet(path), bool)


def test_what_cannot_be_opened_is_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"sevenn:7net-9: sevenn ships 7net-0"):
        load_sevennet("sevenn:7net-9")
    with pytest.raises(InputError, match="no such file"):
        load_sevennet(tmp_path / "absent.pth", trust=True)
    path = tmp_path / "text.pth"
    path.write_text("nothing")
    with pytest.raises(InputError, match="no checkpoint of SevenNet"):
        load_sevennet(path, trust=True)
