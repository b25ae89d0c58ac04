"""What is said of a structure before its terms."""

from __future__ import annotations

import ase
import ase.build
import pytest

from atomlens.structures import perceive_bonds, structure_from_smiles
from atomlens.tables import cautions


def said(atoms: ase.Atoms, cutoff: float = 5.0, outside: tuple[str, ...] = ()) -> tuple[str, ...]:
    return cautions(atoms, perceive_bonds(atoms), cutoff, outside)


def test_a_narrow_cell_is_said_to_be_narrow_and_a_wide_one_is_not():
    copper = ase.build.bulk("Cu", cubic=True)
    (text,) = said(copper)
    assert text.startswith("atoms meet several images of one atom within 5 Å")
    assert "10 Å apart" in text
    assert said(copper.repeat(3)) == ()
    chain = ase.Atoms("He", cell=[4.0, 0, 0], pbc=[True, False, False])
    assert len(said(chain)) == 1
    assert said(chain, cutoff=3.9) == ()


def test_positions_that_are_no_angstrom_are_asked_about():
    ethanol = ase.build.molecule("CH3CH2OH")
    assert said(ethanol) == ()
    ethanol.positions /= 0.529
    assert said(ethanol) == ("no two atoms are as near to each other as bonded atoms are: are positions in Å?",)
    assert said(ase.Atoms("Ar2", [[0, 0, 0], [0, 0, 3.8]])) == ()
    assert said(ase.Atoms("H")) == ()


@pytest.mark.parametrize("charge", [1, -1])
def test_a_charge_of_a_file_is_named_once(charge: int):
    ion = structure_from_smiles("[NH4+]" if charge > 0 else "CC(=O)[O-]")
    assert ion is not None
    assert said(ion) == ()  # the note on how the geometry was made says it
    of_file = ase.Atoms(ion.numbers, ion.positions, info={"charge": charge})
    (text,) = said(of_file)
    assert text.startswith(f"total charge {charge:+d} e by the file")
    assert said(of_file, outside=(f"total charge {charge:+d} e: trained on 0 e",)) == ()


def test_a_charge_that_fits_no_bonds_is_said_to():
    ethanol = ase.build.molecule("CH3CH2OH")
    ethanol.info["charge"] = -1
    texts = said(ethanol)
    assert len(texts) == 2
    assert texts[1].startswith("no bond orders fit a total charge of -1 e")
    (radical,) = said(ase.build.molecule("CH3"))
    assert radical.startswith("no bond orders fit a total charge of 0 e")


def test_a_structure_that_came_apart_is_no_fault_of_a_file():
    apart = ase.Atoms("H2O", positions=[[0, 0, 0], [0, 0, 9], [0, 9, 0]])
    assert len(said(apart)) == 1
    assert cautions(apart, perceive_bonds(apart), 5.0, as_read=False) == ()
    cell = ase.Atoms("H", cell=[2.0, 9.0, 9.0], pbc=True)
    assert len(cautions(cell, perceive_bonds(cell), 5.0, as_read=False)) == 1
    apart.info["charge"] = 1
    (charged,) = cautions(apart, perceive_bonds(apart), 5.0, as_read=False)
    assert charged.startswith("total charge +1 e by the file")
