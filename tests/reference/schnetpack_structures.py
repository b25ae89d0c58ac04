"""The structures that reference models of SchNetPack are asked about, and the tensors that they take.

Part of `make_schnetpack.py`, which prepares the import of SchNetPack.
"""

import numpy as np
import schnetpack.properties as keys
import torch
from ase import Atoms
from ase.build import molecule
from ase.neighborlist import neighbor_list

CUTOFF = 3.2


def structures():
    """Ethanol, a molecule with an atom that has no neighbour, and a small periodic cell."""
    ethanol = molecule("CH3CH2OH")
    ethanol.rattle(0.05, seed=1)
    lonely = Atoms("NCHOH", positions=[[0, 0, 0], [1.2, 0.1, 0], [1.9, 0.9, 0.2], [-1.0, 0.8, 0.1], [0, 0, 30.0]])
    cell = [[3.1, 0, 0], [0.4, 2.9, 0], [0.2, -0.3, 3.4]]
    crystal = Atoms("COH", scaled_positions=[[0, 0, 0], [0.4, 0.1, 0.1], [0.2, 0.7, 0.5]], cell=cell, pbc=True)
    return [ethanol, lonely, crystal]


def batch(atoms_list, cutoff=CUTOFF):
    """The tensors that SchNetPack's models take."""
    idx_i, idx_j, offsets, idx_m, start = [], [], [], [], 0
    for k, atoms in enumerate(atoms_list):
        i, j, shift = neighbor_list("ijS", atoms, cutoff)
        idx_i.append(i + start)
        idx_j.append(j + start)
        offsets.append(shift @ atoms.cell.array)
        idx_m += [k] * len(atoms)
        start += len(atoms)
    stack = {
        keys.Z: np.concatenate([a.numbers for a in atoms_list]),
        keys.R: np.concatenate([a.positions for a in atoms_list]),
        keys.cell: np.stack([a.cell.array for a in atoms_list]),
        keys.idx_i: np.concatenate(idx_i),
        keys.idx_j: np.concatenate(idx_j),
        keys.offsets: np.concatenate(offsets),
        keys.idx_m: np.array(idx_m),
        keys.n_atoms: np.array([len(a) for a in atoms_list]),
        keys.idx: np.arange(len(atoms_list)),
    }
    return {name: torch.tensor(value) for name, value in stack.items()}
