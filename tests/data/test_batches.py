import ase
import ase.build
import numpy as np
import pytest
import torch

from atomlens.data import Column, Dataset, GraphStore, epoch_order, find_edges
from atomlens.structures import InputError, build_graph, collate


def make_dataset(structures: list[ase.Atoms]) -> Dataset:
    sizes = [len(a) for a in structures]
    return Dataset(
        name="some",
        source="ase.build",
        numbers=np.concatenate([a.numbers for a in structures]).astype(np.int64),
        positions=np.concatenate([a.positions for a in structures]),
        cells=np.stack([a.cell.array for a in structures]),
        periodic=np.stack([a.pbc for a in structures]),
        starts=np.concatenate([[0], np.cumsum(sizes)]),
        columns=(
            Column("energy", "eV", np.arange(len(structures), dtype=np.float64)),
            Column("forces", "eV/Å", np.arange(3.0 * sum(sizes)).reshape(-1, 3), per_atom=True),
        ),
    )


MOLECULES = [ase.build.molecule(name) for name in ("CH3CH2OH", "H2O", "C6H6", "CH4", "H2O")] + [ase.Atoms("He")]
PERIODIC = [ase.build.bulk("Si", cubic=True), ase.build.bulk("NaCl", "rocksalt", a=5.6), ase.build.molecule("H2O")]


@pytest.mark.parametrize("structures", [MOLECULES, PERIODIC], ids=["molecules", "periodic"])
@pytest.mark.parametrize("cutoff", [2.0, 5.0])
def test_a_batch_equals_graphs_built_one_by_one(structures: list[ase.Atoms], cutoff: float) -> None:
    dataset = make_dataset(structures)
    store = GraphStore(dataset, find_edges(dataset, cutoff), "energy", "forces", torch.float64)
    chosen = [2, 0, 1, 0]
    batch = store.batch(torch.tensor(chosen))
    expected = collate([build_graph(structures[k], cutoff) for k in chosen])
    for name in ("numbers", "positions", "cells", "target", "source", "offsets", "batch"):
        torch.testing.assert_close(getattr(batch.graph, name), getattr(expected, name), rtol=0, atol=0)
    assert batch.target.tolist() == chosen
    rows = np.concatenate([np.arange(dataset.starts[k], dataset.starts[k + 1]) for k in chosen])
    assert batch.forces is not None
    np.testing.assert_array_equal(batch.forces.numpy(), dataset.column("forces").values[rows])


def test_large_molecules_take_the_other_way_to_the_same_edges() -> None:
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(8.0)] * 3), -1).reshape(-1, 3)[:450]
    atoms = ase.Atoms("H450", positions=1.6 * grid + 0.1 * rng.random((450, 3)))
    table = find_edges(make_dataset([atoms]), 3.0)
    graph = build_graph(atoms, 3.0)
    np.testing.assert_array_equal(table.target, graph.target.numpy())
    np.testing.assert_array_equal(table.source, graph.source.numpy())


def test_atoms_on_one_spot_are_refused() -> None:
    atoms = ase.Atoms("HHO", positions=[[0, 0, 0], [0, 0, 0.01], [0, 0, 2]])
    with pytest.raises(InputError, match=r"structure 1: atoms 0 and 1 lie within 0.1 Å"):
        find_edges(make_dataset([ase.build.molecule("H2O"), atoms]), 5.0)


def test_every_epoch_has_an_order_of_its_own_and_keeps_it() -> None:
    indices = np.arange(100, 150)
    first = epoch_order(indices, seed=3, epoch=1)
    assert sorted(first) == indices.tolist()
    np.testing.assert_array_equal(first, epoch_order(indices, seed=3, epoch=1))
    assert (first != epoch_order(indices, seed=3, epoch=2)).any()
    assert (first != epoch_order(indices, seed=4, epoch=1)).any()


def test_batches_visit_everything_once() -> None:
    dataset = make_dataset(MOLECULES)
    store = GraphStore(dataset, find_edges(dataset, 5.0), "energy", None)
    seen = [int(y) for batch in store.batches(np.array([5, 3, 1, 0, 2]), 2) for y in batch.target]
    assert seen == [5, 3, 1, 0, 2]


def test_subset_takes_structures_and_their_atoms() -> None:
    dataset = make_dataset(MOLECULES)
    part = dataset.subset(np.array([4, 0]))
    assert part.atoms(1).get_chemical_formula() == MOLECULES[0].get_chemical_formula()
    np.testing.assert_array_equal(part.column("energy").values, [4.0, 0.0])
    assert len(part.column("forces").values) == 12


def test_missing_property_names_those_that_are_there() -> None:
    with pytest.raises(InputError, match=r"no property 'homo'; it has: energy, forces"):
        make_dataset(MOLECULES).column("homo")
