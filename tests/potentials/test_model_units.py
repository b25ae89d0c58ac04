"""Where the unit of a SchNetPack model comes from, and what its configuration tells about its data."""

import shutil

import pytest

from atomlens.potentials import load_model
from atomlens.structures import InputError

MD17 = """
globals: {energy_key: energy, unit: kcal/mol}
data:
  _target_: schnetpack.datasets.rMD17
  molecule: ethanol
  distance_unit: Ang
  property_units: {energy: kcal/mol, forces: kcal/mol/Ang}
"""


@pytest.fixture
def run(tmp_path, schnetpack_folder):
    """Function that puts a model beside a configuration and loads it."""

    def load(config=None, name="energy_schnet", **options):
        shutil.copy(schnetpack_folder / f"{name}.model", tmp_path / "best_model")
        if config is not None:
            (tmp_path / "config.yaml").write_text(config)
        return load_model(tmp_path / "best_model", **options).config

    return load


def test_the_configuration_tells(run):
    config = run(MD17)
    assert (config.output.unit, config.card["unit_source"]) == ("kcal/mol", "config.yaml")
    assert config.card["training_data"] == "rMD17 ethanol"
    assert config.elements == (1, 6, 8)


def test_the_user_tells(run):
    config = run(energy_unit="Hartree")
    assert (config.output.unit, config.card["unit_source"]) == ("Hartree", "given")


def test_nobody_tells(run):
    config = run()
    assert (config.output.unit, config.card["unit_source"]) == ("eV", "assumed eV")
    assert "training_data" not in config.card
    assert config.elements is None


def test_user_and_configuration_agree_or_not(run):
    assert run(MD17, energy_unit="kcal/mol").card["unit_source"] == "config.yaml"
    with pytest.raises(InputError, match=r"config\.yaml beside it gives energy in kcal/mol, energy_unit says eV"):
        run(energy_unit="eV")


def test_unknown_unit_of_the_user(run):
    with pytest.raises(InputError, match="energy_unit 'calories' is not known; give one of eV, meV, kcal/mol"):
        run(energy_unit="calories")


@pytest.mark.parametrize(
    ("spelled", "unit"),
    [
        ("kcal/mol", "kcal/mol"),
        ("'kcal / mol'", "kcal/mol"),
        ("KCAL/MOL", "kcal/mol"),
        ("hartree", "Hartree"),
        ("Ha", "Ha"),
        ("1.0", "eV"),
        ("'${globals.unit}'", "kcal/mol"),
        ("MeV", "MeV"),
        ("furlong", "furlong"),
    ],
)
def test_spellings_of_units(spelled, unit, run):
    assert run(MD17.replace("energy: kcal/mol,", f"energy: {spelled},")).output.unit == unit


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just text",
        "[1, 2]",
        "data: nothing",
        "data: {property_units: [1, 2]}",
        "data: {property_units: {forces: kcal/mol/Ang}}",
        "data: {_target_: 3, molecule: [a], distance_unit: ${data.distance_unit}}",
        "{unclosed",
        "data: !!python/object/apply:os.system ['touch marker']",
        "\x00",
        "[" * 5000,
        "when: 2020-99-99",
    ],
)
def test_odd_configurations_tell_nothing(text, run):
    assert run(text).card["unit_source"] == "assumed eV"


@pytest.mark.parametrize("unit", ["Bohr", "nm", "0.529", "a0"])
def test_other_distances_are_refused(unit, run):
    with pytest.raises(InputError, match=f"gives distances in {unit}; atomlens feeds models Å"):
        run(MD17.replace("distance_unit: Ang", f"distance_unit: {unit}"))


@pytest.mark.parametrize("unit", ["Angstrom", "1.0", "A", "null"])
def test_the_same_distances_are_taken(unit, run):
    assert run(MD17.replace("distance_unit: Ang", f"distance_unit: {unit}")).output.unit == "kcal/mol"


@pytest.mark.parametrize(
    ("dataset", "molecule", "elements"),
    [
        ("rMD17", "aspirin", (1, 6, 8)),
        ("rMD17", "azobenzene", (1, 6, 7)),
        ("MD17", "benzene", (1, 6)),
        ("MD17", "malonaldehyde", (1, 6, 8)),
        ("MD17", "naphthalene", (1, 6)),
        ("rMD17", "paracetamol", (1, 6, 7, 8)),
        ("rMD17", "salicylic_acid", (1, 6, 8)),
        ("MD17", "toluene", (1, 6)),
        ("MD17", "uracil", (1, 6, 7, 8)),
        ("QM9", "null", (1, 6, 7, 8, 9)),
        ("MD17", "water", None),
        ("AtomsDataModule", "null", None),
    ],
)
def test_elements_of_data_sets(dataset, molecule, elements, run):
    assert run(MD17.replace("rMD17", dataset).replace("ethanol", molecule)).elements == elements


def test_elements_of_the_data_go_before_atom_references(run):
    assert run(name="energy_atomrefs").elements == (1, 6, 7, 8)
    assert run(MD17, name="energy_atomrefs").elements == (1, 6, 8)


def test_other_properties_have_no_assumed_unit(run):
    config = run(name="dipole_magnitude")
    assert (config.output.unit, config.card["unit_source"]) == ("unknown", "unknown")
    config = run("data: {property_units: {dipole: Debye}}", name="dipole_magnitude")
    assert (config.output.unit, config.card["unit_source"]) == ("Debye", "config.yaml")
