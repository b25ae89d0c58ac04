from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.units import Bohr, Hartree, kcal, mol

from atomlens.data import Dataset, Units, check_forces, read_dataset, require_matching_forces
from atomlens.structures import InputError


def scaled(dataset: Dataset, name: str, factor: float) -> Dataset:
    columns = tuple(replace(c, values=factor * c.values) if c.name == name else c for c in dataset.columns)
    return replace(dataset, columns=columns)


def test_forces_of_springs_match(springs: Dataset) -> None:
    check = require_matching_forces(springs)
    assert check.pairs >= 5
    assert abs(check.slope - 1) < 0.05


@pytest.mark.parametrize(
    ("name", "factor", "hint"),
    [
        ("energy", mol / kcal, "kcal/mol against eV"),
        ("forces", mol / kcal, "kcal/mol against eV"),
        ("energy", 1 / Hartree, "Hartree against eV"),
        ("forces", Bohr / Hartree, "Hartree/Bohr against eV/Å"),
        ("forces", Bohr, "Å against Bohr"),
        ("forces", -1.0, "change their sign"),
        ("forces", 3.0, "check the units"),
    ],
)
def test_wrong_units_are_named(springs: Dataset, name: str, factor: float, hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        require_matching_forces(scaled(springs, name, factor))


def test_forces_of_other_frames(springs: Dataset) -> None:
    rolled = tuple(replace(c, values=np.roll(c.values, 9, axis=0)) if c.per_atom else c for c in springs.columns)
    with pytest.raises(InputError, match="same frames"):
        require_matching_forces(replace(springs, columns=rolled))


def test_frames_too_far_apart_say_nothing(springs: Dataset) -> None:
    check = check_forces(springs.subset(np.arange(2)))
    assert check.pairs < 5
    assert check.complaint is None


@pytest.mark.slow
def test_shared_ethanol(ethanol_file: Path) -> None:
    assert abs(require_matching_forces(read_dataset(ethanol_file)).slope - 1) < 0.1
    with pytest.raises(InputError, match="kcal/mol against eV"):
        require_matching_forces(read_dataset(ethanol_file, Units(energy="kcal/mol", forces="eV/Å")))


@pytest.mark.parametrize("times", [2, 5])
def test_frames_that_occur_several_times_count_once(springs: Dataset, times: int) -> None:
    once = check_forces(springs)
    assert check_forces(springs.subset(np.tile(np.arange(len(springs)), times))) == once
    few = springs.subset(np.repeat(np.arange(2), times))
    assert check_forces(few).pairs < 5
    with pytest.raises(InputError, match="kcal/mol against eV"):
        require_matching_forces(scaled(springs.subset(np.tile(np.arange(len(springs)), times)), "energy", mol / kcal))


def test_few_pairs_of_stretched_bonds_are_no_complaint(ethanol_file: Path) -> None:
    dataset = read_dataset(ethanol_file)
    for seed in range(12):
        few = dataset.subset(np.sort(np.random.default_rng(seed).permutation(len(dataset))[:150]))
        require_matching_forces(few)
        wrong = scaled(few, "energy", mol / kcal)
        assert check_forces(few).pairs < 5 or check_forces(wrong).complaint is not None
