"""Neighbour lists against a search through every image."""

from __future__ import annotations

import math

import ase
import ase.build
import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from atomlens.structures import AtomGraph, InputError, build_graph, collate
from samples import crowded_cell, crystals, molecules, neighbours_by_force


def edges_of(graph: AtomGraph, atoms: ase.Atoms) -> list[tuple[int, int, tuple[int, int, int]]]:
    """Edges as (target, source, image), the image found from the offset."""
    inverse = np.linalg.inv(atoms.cell.complete().array)
    images = np.rint(graph.offsets.numpy() @ inverse).astype(int)
    np.testing.assert_allclose(images @ atoms.cell.array, graph.offsets.numpy(), atol=1e-9)
    return [
        (i, j, tuple(image))
        for i, j, image in zip(graph.target.tolist(), graph.source.tolist(), images.tolist(), strict=True)
    ]


def clear_neighbours(atoms: ase.Atoms, cutoff: float) -> list[tuple[int, int, tuple[int, int, int]]]:
    """All neighbours; draws in which rounding decides whether a pair is one are passed over."""
    inside, outside = (neighbours_by_force(atoms, cutoff * (1 + by)) for by in (-1e-9, 1e-9))
    assume(inside == outside)
    return inside


@given(atoms=molecules(), cutoff=st.floats(0.7, 5.0))
def test_molecules_match_a_search_through_all_pairs(atoms, cutoff):
    expected = clear_neighbours(atoms, cutoff)
    assert sorted(edges_of(build_graph(atoms, cutoff), atoms)) == expected


@pytest.mark.parametrize("n_atoms", [1, 64, 65, 300])
def test_many_atoms_match_all_distances(n_atoms):
    atoms = ase.Atoms(f"H{n_atoms}", positions=np.random.default_rng(0).random((n_atoms, 3)) * 4 * n_atoms ** (1 / 3))
    near = atoms.get_all_distances() <= 5.0
    np.fill_diagonal(near, False)
    graph = build_graph(atoms, 5.0)
    assert [graph.target.tolist(), graph.source.tolist()] == [k.tolist() for k in near.nonzero()]


@given(atoms=crystals(), cutoff=st.floats(0.7, 5.0))
def test_cells_match_a_search_through_all_images(atoms, cutoff):
    expected = clear_neighbours(atoms, cutoff)
    graph = build_graph(atoms, cutoff)
    assert sorted(edges_of(graph, atoms)) == expected
    distances = torch.linalg.vector_norm(graph.vectors(), dim=1)
    assert bool((distances <= cutoff).all())


@given(atoms=crystals())
def test_edges_are_sorted_and_come_in_both_directions(atoms):
    graph = build_graph(atoms, 3.0)
    pairs = list(zip(graph.target.tolist(), graph.source.tolist(), strict=True))
    assert pairs == sorted(pairs)
    vectors = {(i, j, *np.round(v, 6)) for (i, j), v in zip(pairs, graph.vectors().numpy(), strict=True)}
    assert len(vectors) == graph.n_edges
    assert {(j, i, *np.round(-np.array(v), 6)) for i, j, *v in vectors} == vectors


def test_a_lattice_whose_neighbours_lie_on_the_cutoff_keeps_pairs_in_both_directions():
    # Rounding may put an atom on either side of the cutoff, but never in one direction only.
    for a in np.linspace(2.0, 3.0, 40):
        atoms = ase.build.bulk("Cu", "fcc", a=a, cubic=True)
        graph = build_graph(atoms, a)
        pairs = sorted(zip(graph.target.tolist(), graph.source.tolist(), strict=True))
        assert pairs == sorted((j, i) for i, j in pairs)


def test_partly_periodic_cells_have_images_only_where_they_repeat():
    chain = ase.Atoms("H", positions=[[0.3, 0.0, 0.0]], cell=[1.0, 0, 0], pbc=[True, False, False])
    graph = build_graph(chain, 2.5)
    assert sorted(graph.offsets[:, 0].tolist()) == [-2.0, -1.0, 1.0, 2.0]
    # A cell vector in a direction that is not periodic changes nothing, even one that is no direction of its own.
    chain.cell = [[1.0, 0, 0], [2.0, 0, 0], [0, 0, 7.0]]
    assert sorted(build_graph(chain, 2.5).offsets[:, 0].tolist()) == [-2.0, -1.0, 1.0, 2.0]


def test_one_image_out_of_the_cell_is_the_same_crystal():
    atoms = crowded_cell()
    moved = atoms.copy()
    moved.positions[1] += 3 * atoms.cell[0] - 2 * atoms.cell[2]
    before, after = build_graph(atoms, 3.0), build_graph(moved, 3.0)
    assert before.target.tolist() == after.target.tolist()
    key = [np.lexsort(np.round(g.vectors().numpy(), 6).T) for g in (before, after)]
    np.testing.assert_allclose(before.vectors()[key[0]], after.vectors()[key[1]], atol=1e-9)


@pytest.mark.parametrize("far", [[1e3, 0, 0], [1e5, 0, 0], [9e6, 0, 0], [1e4, 1e4, 0], [9e6, 9e6, 0], [9e6, 9e6, 9e6]])
@pytest.mark.parametrize("cutoff", [1.0, 5.0])
def test_an_atom_very_far_away_is_no_neighbour_and_ends_no_process(far, cutoff):
    # vesin 0.6 stops the process with a division by zero on long and flat systems of many cells.
    atoms = ase.Atoms("OHHe", positions=[[0, 0, 0], [0.9, 0.1, 0.0], far])
    graph = build_graph(atoms, cutoff)
    assert (graph.target.tolist(), graph.source.tolist()) == ([0, 1], [1, 0])


@pytest.mark.parametrize("size", [(2e4, 2e4, 3.0), (2e4, 3.0, 2e4), (2e5, 200.0, 10.0)])
def test_wide_flat_cells_are_searched_too(size):
    atoms = ase.Atoms("OH", positions=[[0, 0, 0], [0.9, 0.1, 0.0]], cell=size, pbc=True)
    assert sorted(edges_of(build_graph(atoms, 2.0), atoms)) == neighbours_by_force(atoms, 2.0)


def test_the_graph_is_no_view_of_the_structure():
    atoms = crowded_cell()
    graph = build_graph(atoms, 3.0)
    positions, cells = graph.positions.clone(), graph.cells.clone()
    atoms.positions += 1.0
    atoms.cell[:] = 7.0
    assert torch.equal(graph.positions, positions)
    assert torch.equal(graph.cells, cells)


@pytest.mark.parametrize("cutoff", [0.0, -1.0, math.nan, math.inf])
def test_a_cutoff_that_is_no_length_is_refused(cutoff):
    with pytest.raises(InputError, match="positive number"):
        build_graph(ase.Atoms("H"), cutoff)


@pytest.mark.parametrize(
    ("cell", "pbc", "cutoff"),
    [
        ([2.0, 2.0, 2.0], True, 300.0),
        ([2.0, 2.0, 0.0], [True, True, False], 5000.0),  # one atom a cell, and still millions of images
        ([1e-3, 0.0, 0.0], [True, False, False], 2e4),
    ],
)
def test_more_edges_than_memory_holds_are_refused_before_they_are_made(cell, pbc, cutoff):
    atoms = ase.Atoms("H", positions=[[0.1, 0.1, 0.1]], cell=cell, pbc=pbc)
    if cell[0] < 0.1:
        with pytest.raises(InputError, match="own periodic image"):
            build_graph(atoms, cutoff)
    else:
        with pytest.raises(InputError, match="edges between 1 atoms"):
            build_graph(atoms, cutoff)


def test_collate_puts_graphs_side_by_side():
    first, second = build_graph(ase.build.molecule("H2O"), 3.0), build_graph(crowded_cell(), 3.0)
    both = collate([first, second])
    assert both.n_graphs == 2
    assert both.sizes.tolist() == [3, 3]
    assert both.target.tolist() == first.target.tolist() + [i + 3 for i in second.target.tolist()]
    assert torch.equal(both.vectors(), torch.cat([first.vectors(), second.vectors()]))
    with pytest.raises(ValueError, match="no graph"):
        collate([])
    with pytest.raises(ValueError, match="different cutoffs"):
        collate([first, build_graph(crowded_cell(), 2.0)])


def test_dtype_changes_real_numbers_alone():
    graph = build_graph(crowded_cell(), 3.0, dtype=torch.float32)
    assert graph.positions.dtype == graph.offsets.dtype == graph.cells.dtype == torch.float32
    assert graph.target.dtype == graph.numbers.dtype == torch.int64
    assert graph.to(dtype=torch.float64).vectors().dtype == torch.float64


def test_a_box_of_thousands_of_atoms_at_the_density_of_water_is_not_refused():
    grid = np.stack(np.meshgrid(*[np.arange(16)] * 3, indexing="ij"), -1).reshape(-1, 3) * 2.15
    atoms = ase.Atoms("H" * len(grid), positions=grid, cell=[16 * 2.15] * 3, pbc=True)
    assert build_graph(atoms, 5.0).n_edges == 4096 * 56
