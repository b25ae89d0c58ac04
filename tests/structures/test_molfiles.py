"""MDL molecule files: every molecule, both versions, bonds and charges as the file has them."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdDepictor

from atomlens.structures import (
    InputError,
    StructureWarning,
    perceive_bonds,
    read_frames,
    read_structures,
    structure_from_smiles,
)


def block(smiles: str, *, v3000: bool = False, hydrogen: bool = True, name: str = "") -> tuple[str, np.ndarray]:
    atoms = structure_from_smiles(smiles)
    assert atoms is not None
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    conformer = Chem.Conformer(len(atoms))
    for k, place in enumerate(atoms.positions.tolist()):
        conformer.SetAtomPosition(k, place)
    molecule.AddConformer(conformer)
    if not hydrogen:
        molecule = Chem.RemoveHs(molecule)
    molecule.SetProp("_Name", name)
    return Chem.MolToMolBlock(molecule, forceV3000=v3000), molecule.GetConformer().GetPositions()


@pytest.mark.parametrize("v3000", [False, True])
@pytest.mark.parametrize("name", ["a.sdf", "A.SDF", "a.sd"])
def test_all_molecules_of_both_versions(tmp_path, v3000, name):
    blocks = [block(smiles, v3000=v3000, name=smiles) for smiles in ("CCO", "c1ccccc1", "CC(=O)[O-]")]
    text = "".join(f"{text}>  <energy>\n-1.5\n\n$$$$\n" for text, _ in blocks)
    (tmp_path / name).write_text(text)
    found = read_structures(tmp_path / name)
    assert [atoms.get_chemical_formula() for atoms in found] == ["C2H6O", "C6H6", "C2H3O2"]
    assert [atoms.info["charge"] for atoms in found] == [0, 0, -1]
    for atoms, (_, positions) in zip(found, blocks, strict=True):
        np.testing.assert_allclose(atoms.positions, positions, atol=1e-4)
        assert perceive_bonds(atoms).has_orders
    assert str(read_frames(tmp_path / name, "1")) == "1 of 3 frames"
    assert perceive_bonds(found[1]).orders.tolist().count(1.5) == 6


def test_a_single_molecule_without_its_end(tmp_path):
    (tmp_path / "a.mol").write_text(block("CCO")[0])
    assert len(read_structures(tmp_path / "a.mol")) == 1


def test_radicals_keep_the_bonds_that_are_given(tmp_path):
    (tmp_path / "a.sdf").write_text(block("[CH3]")[0] + "$$$$\n")
    (atoms,) = read_structures(tmp_path / "a.sdf")
    bonds = perceive_bonds(atoms)
    assert bonds.has_orders
    assert len(bonds.pairs) == 3


def test_what_is_no_geometry_is_said(tmp_path):
    (tmp_path / "a.sdf").write_text(block("CCO", hydrogen=False)[0] + "$$$$\n")
    with pytest.warns(StructureWarning, match="6 hydrogen atoms are implied"):
        read_structures(tmp_path / "a.sdf")
    flat = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    rdDepictor.Compute2DCoords(flat)
    (tmp_path / "b.sdf").write_text(Chem.MolToMolBlock(flat) + "$$$$\n")
    with pytest.warns(StructureWarning, match="drawing"):
        read_structures(tmp_path / "b.sdf")


def test_molecules_that_are_not_separated_are_refused(tmp_path):
    (tmp_path / "a.mol").write_text(block("CCO")[0] * 2)
    with pytest.raises(InputError, match="another molecule follows"):
        read_structures(tmp_path / "a.mol")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[: len(text) // 2], "molecule 1: has no line 'M  END'"),
        (lambda text: text.replace(" C  ", " Qq ", 1), "molecule 1: "),
        (lambda text: text.replace(" C  ", " *  ", 1), "placeholder"),
        (lambda text: text.replace("V2000", "V9000"), "molecule 1: "),
        (lambda text: "\n\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n", "no atoms"),
    ],
)
def test_broken_molecules_are_named(tmp_path, change, said):
    text = block("CCO")[0]
    (tmp_path / "a.sdf").write_text(
        text + "$$$$\n" + change(text) + "\n$$$$\n" * (said != "molecule 1: has no line 'M  END'")
    )
    with pytest.raises(InputError, match=f"a.sdf: .*{said}"):
        read_structures(tmp_path / "a.sdf")
