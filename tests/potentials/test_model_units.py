"""Where the unit of a SchNetPack model comes from, and what its configuration tells about its data."""

import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomlens.potentials import load_model
from atomlens.potentials.schnetpack.provenance import read_provenance
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


@pytest.mark.parametrize("config", [None, "data: {property_units: {forces: kcal/mol/Ang}}"])
def test_a_unit_that_nobody_says_is_asked_for(run, config):
    with pytest.raises(InputError, match=r"unit of its energy is not known.*--unit.*config\.yaml"):
        run(config)
    assert run(config, energy_unit="kcal/mol").output.unit == "kcal/mol"


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


BOMB = "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"] + [
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 10)
])  # fmt: skip


@pytest.mark.parametrize(
    "config",
    [
        "",
        "just text",
        "[1, 2]",
        "{unclosed",
        "data:\n\tproperty_units: {energy: kcal/mol}",
        "data: {property_units: {energy: !unit kcal/mol}}",
        "data: !!python/object/apply:os.system ['touch marker']",
        "data: !!python/name:os.system",
        "\x00",
        "[" * 5000,
        MD17.encode("utf-16"),
        MD17.encode("utf-16-be"),
        MD17.encode() + b"# \xff",
        MD17.encode() + b"#" * 2**20,
        MD17 + "---\n" + MD17,
        BOMB,
        BOMB + "\ndata: {property_units: {energy: *a9}}",
        "data: &a {property_units: *a}",
        "data: {distance_unit: *nowhere}",
        "x: [" + "1, " * 30_000 + "1]",
    ],
)
def test_a_configuration_that_cannot_be_read_is_an_error(config, run, tmp_path):
    data = config if isinstance(config, bytes) else config.encode()
    (tmp_path / "config.yaml").write_bytes(data)
    for unit in (None, "eV"):  # whatever the user says: it may contradict
        with pytest.raises(InputError, match=r"config\.yaml beside it.*cannot be read.*--unit") as caught:
            run(energy_unit=unit)
        assert len(str(caught.value)) < 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best_model", "config.yaml"]


def test_a_configuration_that_is_no_file_is_an_error(run, tmp_path):
    for make in (lambda p: p.mkdir(), lambda p: p.symlink_to(tmp_path / "gone"), lambda p: os.mkfifo(p)):
        make(tmp_path / "config.yaml")
        with pytest.raises(InputError, match=r"config\.yaml beside it.*cannot be read"):
            run()
        path = tmp_path / "config.yaml"
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


@given(text=st.text(st.sampled_from("abc:{}[]&*!|>-? \n\t#'\"%@`,<~1"), max_size=60), where=st.integers(0, len(MD17)))
def test_whatever_is_in_a_configuration_the_unit_is_right_or_refused(text, where, tmp_path_factory, schnetpack_folder):
    folder = tmp_path_factory.mktemp("config")
    (folder / "config.yaml").write_text(MD17[:where] + text + MD17[where:])
    try:
        provenance = read_provenance(folder / "best_model")
    except InputError:
        return
    told = provenance.units.get("energy")
    # It still says kcal/mol, nothing, or what the text made of it; never eV of its own accord.
    assert told is None or told == "kcal/mol" or told != "eV" or "1" in text


@pytest.mark.parametrize("anchored", ["data: {property_units: &u {energy: kcal/mol}, more: *u}"])
def test_aliases_of_a_few_entries_are_read(anchored, run):
    assert run(anchored).output.unit == "kcal/mol"


@pytest.mark.parametrize(
    "config",
    [
        "data: nothing",
        "data: {property_units: [1, 2]}",
        "data: {_target_: 3, molecule: [a], distance_unit: '${data.distance_unit}'}",
        "when: 2020-99-99",
        "data: {property_units: {energy: null}}",
        "data: {property_units: {energy: [kcal/mol]}}",
        "data: {property_units: {energy: '${oc.env:UNIT}'}}",
        "data: {property_units: {energy: '${data.property_units.energy}'}}",
        f"n: 1{'0' * 100_000}",
        "n: " + "59:" * 30_000 + "59",
    ],
)
def test_a_configuration_without_the_unit_leaves_it_to_the_user(config, run):
    with pytest.raises(InputError, match="gives no unit of 'energy'"):
        run(config)
    assert run(config, energy_unit="Hartree").output.unit == "Hartree"


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
    assert run(name="energy_atomrefs", energy_unit="eV").elements == (1, 6, 7, 8)
    assert run(MD17, name="energy_atomrefs").elements == (1, 6, 8)


def test_other_properties_have_no_assumed_unit(run):
    config = run(name="dipole_magnitude")
    assert (config.output.unit, config.card["unit_source"]) == ("unit not known", "unknown")
    config = run("data: {property_units: {dipole: Debye}}", name="dipole_magnitude")
    assert (config.output.unit, config.card["unit_source"]) == ("Debye", "config.yaml")
