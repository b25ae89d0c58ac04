"""What a card says that a model was trained on, and what lies outside of it."""

from __future__ import annotations

import json
from dataclasses import replace

import ase
import ase.build
import numpy as np
import pytest

from atomlens.models import DOMAIN, Domain, ModelFacts, outside, zoo_config, zoo_names
from atomlens.structures import structure_from_smiles

WATER = ase.build.molecule("H2O")


def shaken(n: int) -> list[ase.Atoms]:
    made = []
    for k in range(n):
        atoms = WATER.copy()
        atoms.rattle(0.05, seed=k)
        made.append(atoms)
    return made


def facts(domain: Domain, elements=(1, 8)) -> ModelFacts:
    return ModelFacts("schnet", elements=elements, card={DOMAIN: json.loads(json.dumps(domain.to_card()))})


def test_extremes_are_those_of_all_pairs():
    structures = shaken(20)
    domain = Domain.of(structures, 5.0, (0,))
    oh = [a.get_distance(0, k) for a in structures for k in (1, 2)]
    np.testing.assert_allclose(domain.distances["H-O"], (min(oh), max(oh)), atol=1e-3)
    assert domain.sizes == (3, 3)
    assert domain.formulas == ("H2O",)
    assert Domain.from_card(facts(domain).card) == domain


def test_training_structures_lie_inside():
    structures = shaken(20)
    model = facts(Domain.of(structures, 5.0, (0,)))
    assert all(outside(model, atoms) == () for atoms in structures)


def test_radicals_are_told_from_closed_shells_by_their_electrons():
    molecules = [ase.build.molecule(name) for name in ("CH4", "C2H6", "C2H4")]
    model = facts(Domain.of(molecules, 5.0, (0,), odd_electrons=False), elements=(1, 6))
    (said,) = [text for text in outside(model, ase.build.molecule("CH3")) if "electrons" in text]
    assert said.startswith("an odd number of electrons: ")
    triplet = ase.build.molecule("CH2_s3B1d")
    assert not [text for text in outside(model, triplet) if "electrons" in text]
    triplet.info["uhf"] = 2
    (said,) = [text for text in outside(model, triplet) if "electrons" in text]
    assert said.startswith("2 unpaired electrons: no radical was trained on")
    cation = ase.build.molecule("CH3")
    cation.info["charge"] = 1
    assert not [text for text in outside(model, cation) if "odd" in text]
    assert not [text for text in outside(model, ase.Atoms("H")) if "odd" in text]  # free atoms are the zero of energy
    unknown = facts(Domain.of(molecules, 5.0, (0,)), elements=(1, 6))
    assert not [text for text in outside(unknown, ase.build.molecule("CH3")) if "odd" in text]


def moved(distance: float) -> ase.Atoms:
    atoms = WATER.copy()
    atoms.set_distance(0, 1, distance, fix=0)
    return atoms


@pytest.mark.parametrize(
    ("atoms", "said"),
    [
        (ase.build.molecule("CH3OH"), "elements C: trained on H, O"),
        (ase.build.molecule("H2O2"), "formula H2O2: trained on H2O alone"),
        (moved(2.0), "H-O distances of 2.00 Å: trained on"),
        (moved(0.5), "H-O distances of 0.50 Å"),
        (ase.build.molecule("H2O2"), "O-O within 5 Å: no such pair in training"),
        (ase.Atoms(WATER, cell=[9, 9, 9], pbc=True), "a periodic structure: trained on molecules without a cell"),
        (ase.Atoms(WATER, info={"charge": 1}), r"total charge +1 e: trained on 0 e"),
    ],
)
def test_what_lies_outside_is_said(atoms, said):
    model = facts(Domain.of(shaken(20), 5.0, (0,)))
    assert any(sentence.startswith(said) for sentence in outside(model, atoms)), outside(model, atoms)


def test_sizes_count_where_formulas_are_many():
    molecules = [structure_from_smiles("C" * k) for k in range(1, 12)]
    model = facts(Domain.of([m for m in molecules if m is not None], 5.0), elements=(1, 6))
    large = structure_from_smiles("C" * 14)
    assert large is not None
    assert outside(model, large)[0] == "44 atoms: trained on structures of 5 to 35"


def test_the_cutoff_is_no_end_of_the_data():
    far = ase.Atoms("H2", [[0, 0, 0], [0, 0, 4.99]])
    near = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])
    assert outside(facts(Domain.of([near, far], 5.0), (1,)), ase.Atoms("H2", [[0, 0, 0], [0, 0, 4.999]])) == ()


@pytest.mark.parametrize(
    "entry", [None, 3, [], {"atoms": 3}, {"atoms": ["a", "b"]}, {"distances": [1]}, {"charges": "x"}]
)
def test_cards_that_cannot_be_understood_say_nothing(entry):
    assert outside(replace(facts(Domain()), card={DOMAIN: entry}), WATER) == ()


@pytest.mark.parametrize("name", zoo_names())
def test_shipped_models_say_what_they_were_trained_on(name):
    domain = Domain.from_card(zoo_config(name).card)
    assert domain is not None
    assert domain.sizes is not None
    assert domain.periodic is False


def test_benzene_is_nothing_that_a_model_of_ethanol_knows():
    config = zoo_config("rmd17-ethanol-painn")
    model = ModelFacts("painn", elements=config.elements, card=config.card)
    benzene, ethanol = structure_from_smiles("c1ccccc1"), structure_from_smiles("CCO")
    assert benzene is not None
    assert ethanol is not None
    found = outside(model, benzene)
    assert "formula C6H6: trained on C2H6O alone" in found
    assert any(sentence.startswith("C-C distances") for sentence in found)
    assert outside(model, ethanol) == ()
