import errno
import importlib.util
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import ase
import numpy as np
import pytest
from rdkit import Chem
from scipy.spatial.distance import cdist

from atomlens.data import OrganicSettings, find_edges, load_dataset, make_organic, organic
from atomlens.data.organic_geometries import Sampler, contact
from atomlens.data.organic_molecules import ELEMENTS, contact_pairs, entries, organic_molecules
from atomlens.folders import alone_in
from atomlens.reference import Gfn2
from atomlens.structures import InputError

needs_tblite = pytest.mark.skipif(
    importlib.util.find_spec("tblite") is None, reason="needs the extra xtb: pip install tblite"
)
TINY = OrganicSettings(molecules=4, frames=3, relaxed=2, pairs=2, contacts=2, clusters=1, seed=3)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("organic") / "set"
    make_organic(out, TINY)
    return out


@needs_tblite
def test_frames_are_what_was_asked_for(tiny: Path) -> None:
    dataset = load_dataset(tiny / "dataset")
    kind, group = dataset.column("kind").values, dataset.column("group").values
    assert {str(k): int(n) for k, n in zip(*np.unique(kind, return_counts=True), strict=True)} == {
        "thermal": 8,
        "stretched": 4,
        "relaxed": 2,
        "contact": 4,
        "cluster": 5,
        "atom": 140,
    }
    for k in range(len(dataset)):
        numbers = dataset.numbers[dataset.starts[k] : dataset.starts[k + 1]]
        if group[k] < 0:
            assert kind[k] == "atom"
            continue
        molecule = Chem.AddHs(Chem.MolFromSmiles(str(dataset.column("smiles").values[k])))
        assert sorted(a.GetAtomicNum() for a in molecule.GetAtoms()) == sorted(numbers.tolist())
        assert Chem.GetFormalCharge(molecule) == dataset.column("charge").values[k]
    find_edges(dataset, 5.0)  # refuses atoms on one spot


@needs_tblite
def test_labels_are_those_of_gfn2(tiny: Path) -> None:
    dataset = load_dataset(tiny / "dataset")
    owner = np.repeat(np.arange(len(dataset)), dataset.sizes)
    sums = np.bincount(owner, weights=dataset.column("charges").values)
    np.testing.assert_allclose(sums, dataset.column("charge").values, atol=1e-5)
    kinds = dataset.column("kind").values
    for kind in ("relaxed", "stretched", "contact", "cluster"):
        k = int(np.flatnonzero(kinds == kind)[0])
        part = slice(int(dataset.starts[k]), int(dataset.starts[k + 1]))
        xtb = Gfn2(dataset.atoms(k), int(dataset.column("charge").values[k]), accuracy=0.01)
        result = xtb.compute(np.asarray(dataset.positions[part]))
        assert dataset.column("energy").values[k] == pytest.approx(result.energy, abs=1e-4)
        forces = np.asarray(dataset.column("forces").values[part])
        np.testing.assert_allclose(forces, result.forces, atol=2e-3)
        step = 1e-3 * np.random.default_rng(0).standard_normal(forces.shape)
        ends = [xtb.compute(np.asarray(dataset.positions[part]) + s * step).energy for s in (1, -1)]
        assert ends[1] - ends[0] == pytest.approx(2 * float((forces * step).sum()), abs=1e-4)
        if kind == "relaxed":
            assert np.linalg.norm(forces, axis=1).max() < 0.06


@needs_tblite
def test_molecules_are_bound_and_free_atoms_are_the_zero(tiny: Path) -> None:
    dataset = load_dataset(tiny / "dataset")
    energy = dataset.column("energy")
    free = dict(energy.free_atoms)
    assert sorted(free) == sorted(ase.Atoms("".join(ELEMENTS)).numbers)
    owner = np.repeat(np.arange(len(dataset)), dataset.sizes)
    binding = energy.values - np.bincount(owner, weights=[free[int(z)] for z in dataset.numbers])
    atoms = dataset.sizes == 1
    assert (binding[atoms] == 0).all()
    neutral = ~atoms & (dataset.column("charge").values == 0)
    assert (binding[neutral] / dataset.sizes[neutral] < -2.0).all()


@needs_tblite
def test_neither_interruption_nor_workers_change_a_number(tiny: Path, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise Stop

    with pytest.raises(Stop):
        make_organic(tmp_path / "set", TINY, progress=stop)
    assert len(list((tmp_path / "set" / "blocks").glob("*.npz"))) == 2
    (tmp_path / "set" / "blocks" / "00000.npz").unlink()
    found, expected = make_organic(tmp_path / "set", TINY, workers=2), load_dataset(tiny / "dataset")
    np.testing.assert_array_equal(found.positions, expected.positions)
    for column in expected.columns:
        np.testing.assert_array_equal(found.column(column.name).values, column.values)


@needs_tblite
def test_another_set_is_not_mixed_in(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds a set with molecules = 4, asked for 5"):
        make_organic(tiny, OrganicSettings(molecules=5, frames=3, relaxed=2, pairs=2, contacts=2, clusters=1, seed=3))
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="not empty"):
        make_organic(tmp_path, TINY)


@needs_tblite
def test_one_process_at_a_time_makes_a_set(tiny: Path, tmp_path: Path) -> None:
    with alone_in(tmp_path / "set"), pytest.raises(InputError, match="set: another process is writing there"):
        make_organic(tmp_path / "set", TINY)
    with alone_in(tiny), pytest.raises(InputError, match="another process is writing there"):
        make_organic(tiny, TINY)


@needs_tblite
@pytest.mark.parametrize(
    ("error", "says"),
    [
        (BrokenProcessPool("abruptly"), r"a worker was killed.*the same command resumes \(0 of 3 blocks are kept\)"),
        (OSError(errno.ENOSPC, "No space left"), r"the disk is full \(No space left\); make room.*resumes"),
    ],
)
def test_what_ends_a_set_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    def failing(*_: object) -> Iterator[int]:
        raise error
        yield 0

    monkeypatch.setattr(organic, "_made", failing)
    with pytest.raises(InputError, match=says):
        make_organic(tmp_path / "set", TINY, workers=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"molecules": 0}, "molecules is 0; give a number from 1"),
        ({"clusters": -1}, "clusters is -1; give a number from 0"),
        ({"frames": 10**30}, "frames is 10000.*; give a number from 1 to 10,000,000"),
        ({"seed": 10**40}, "seed is 10000.*; give a number from 0"),
        ({"pairs": 10**6}, "pairs is 1000000; the list makes"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        OrganicSettings(**settings)


@pytest.mark.parametrize("workers", [0, 10**9])
def test_processes_beyond_reason(tmp_path: Path, workers: int) -> None:
    with pytest.raises(InputError, match=r"workers is .*; give 1 to 1024"):
        make_organic(tmp_path / "o", workers=workers)
    assert not (tmp_path / "o").exists()


def test_every_entry_of_the_list_is_a_molecule() -> None:
    for section in ("molecules", "contacts"):
        for smiles in entries(section):
            assert Sampler.of_smiles(smiles, seed=1) is not None, smiles
    for core in entries("cores"):
        assert Chem.MolFromSmiles(core.replace("(*)", "")) is not None, core
        for substituent in entries("substituents"):
            # One that closes a ring of the core would make another molecule.
            whole = Chem.MolFromSmiles(core.replace("(*)", f"({substituent})", 1).replace("(*)", ""))
            assert whole is not None, (core, substituent)
            bare = Chem.MolFromSmiles(core.replace("(*)", ""))
            grafted = Chem.MolFromSmiles(substituent)
            assert whole.GetNumAtoms() == bare.GetNumAtoms() + grafted.GetNumAtoms()


def test_molecules_are_different_and_a_longer_list_begins_with_a_shorter_one() -> None:
    few, many = organic_molecules(200, 0), organic_molecules(400, 0)
    assert many[:200] == few
    assert len(set(many)) == 400
    for smiles in many:
        molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
        assert {a.GetSymbol() for a in molecule.GetAtoms()} <= set(ELEMENTS)
        assert Chem.GetFormalCharge(molecule) == 0


def test_ions_of_like_charge_are_not_paired() -> None:
    for pair in contact_pairs():
        one, other = (Chem.GetFormalCharge(Chem.MolFromSmiles(s)) for s in pair)
        assert one * other <= 0
    assert ("[NH4+]", "[O-]C=O") in contact_pairs()


@pytest.mark.parametrize("closeness", [0.8, 1.3, 3.0])
def test_contacts_are_as_close_as_asked(closeness: float) -> None:
    radii = {1: 1.20, 6: 1.70, 8: 1.52}  # Bondi 1964
    parts = [Sampler.of_smiles("CO", 1), Sampler.of_smiles("O", 2)]
    assert parts[0] is not None
    assert parts[1] is not None
    for seed in range(5):
        found = contact([parts[0], parts[1]], closeness, docked=False, rng=np.random.default_rng(seed))
        assert found is not None
        r = np.array([radii[z] for z in found.numbers.tolist()])
        ratio = cdist(found.positions[:6], found.positions[6:]) / (r[:6, None] + r[6:])
        assert ratio.min() == pytest.approx(closeness, abs=1e-6)


def test_docked_ions_attract_each_other() -> None:
    ions = [Sampler.of_smiles("C[NH3+]", 1), Sampler.of_smiles("CC(=O)[O-]", 2)]
    assert ions[0] is not None
    assert ions[1] is not None
    shortest = []
    for seed in range(6):
        found = contact([ions[0], ions[1]], 1.0, docked=True, rng=np.random.default_rng(seed))
        assert found is not None
        assert found.charge == 0
        hydrogens, oxygens = np.flatnonzero(found.numbers[:8] == 1), 8 + np.flatnonzero(found.numbers[8:] == 8)
        shortest.append(cdist(found.positions[hydrogens], found.positions[oxygens]).min())
    assert np.median(shortest) < 2.6


def test_heat_gives_the_energy_of_its_temperature() -> None:
    # Equipartition: a molecule near its minimum has (3N - 6)/2 kT of potential energy.
    sampler = Sampler.of_smiles("c1ccccc1", 1)
    assert sampler is not None
    rng = np.random.default_rng(0)
    field, positions, found = sampler._field, sampler.positions, []
    lowest = field.CalcEnergy(positions.ravel().tolist())
    for _ in range(60):
        moved = sampler.heat(positions, 300.0, 100, rng)
        assert moved is not None
        positions = moved
        found.append(field.CalcEnergy(positions.ravel().tolist()) - lowest)
    assert np.mean(found[5:]) == pytest.approx(15 * 0.0019872 * 300.0, rel=0.12)


def test_one_bond_is_stretched() -> None:
    sampler = Sampler.of_smiles("CCO", 1)
    assert sampler is not None
    before = sampler.positions
    bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in sampler.molecule.GetBonds()]
    for seed in range(10):
        after = sampler.stretched(before, np.random.default_rng(seed))
        change = [np.linalg.norm(after[i] - after[j]) - np.linalg.norm(before[i] - before[j]) for i, j in bonds]
        longer = [c for c in change if abs(c) > 1e-9]
        assert len(longer) == 1
        assert 0.0 < longer[0] <= 0.5
