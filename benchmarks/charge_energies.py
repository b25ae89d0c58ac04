"""How far charges of atoms account for electrostatics: of a model, and GFN2-xTB's Mulliken charges, beside DFT-SAPT.

For every dimer with an ion of an NCIAtlas archive, from 1.5 equilibrium distances on: sum of q_i q_j / r over atoms of
the one and the other molecule, charges of each molecule alone, against DFT-SAPT's electrostatics (the file beside the
archive). What GFN2's charges reach is what a model that was fitted to them could reach.

Usage: python benchmarks/charge_energies.py ARCHIVE [--model FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import ase
import numpy as np
from ase import units

import atomlens
from atomlens.models import Potential
from atomlens.reference import Gfn2, read_nciatlas

# e² / (4 π ε0) in eV Å.
COULOMB = units.Hartree * units.Bohr
FROM = 1.5


def charges_of(model: Potential) -> Callable[[ase.Atoms], np.ndarray]:
    """Learned charges of a molecule, e."""

    def charges(atoms: ase.Atoms) -> np.ndarray:
        found = model.with_charges(model.graph(atoms))[1]
        if found is None:
            raise SystemExit("the model has no charges; give one with long_range = 'coulomb' or 'coulomb+dispersion'")
        return found.detach().double().numpy()

    return charges


def gfn2_charges(atoms: ase.Atoms) -> np.ndarray:
    """Mulliken charges of a molecule by GFN2-xTB, e."""
    return Gfn2(atoms).compute(atoms.positions).charges


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive")
    parser.add_argument("--model")
    arguments = parser.parse_args()
    sources = {"GFN2-xTB": gfn2_charges}
    if arguments.model:
        sources[arguments.model] = charges_of(atomlens.load_model(arguments.model))
    found = {name: [] for name in sources}
    electrostatics = []
    for curve in read_nciatlas(arguments.archive):
        if not curve.sapt or not any(curve.charges):
            continue
        for k in np.flatnonzero(curve.factors >= FROM):
            a, b = (curve.structures[k].positions[part] for part in curve.monomers)
            distance = np.linalg.norm(a[:, None] - b, axis=2)
            for name, charges in sources.items():
                one, other = (charges(molecule) for molecule in curve.alone[k])
                found[name].append(COULOMB * (one[:, None] * other / distance).sum())
            electrostatics.append(curve.sapt["electrostatics"][k])
    print(f"{len(electrostatics)} points")
    for name, energies in found.items():
        print(f"{name}: r = {np.corrcoef(energies, electrostatics)[0, 1]:.3f}")


if __name__ == "__main__":
    main()
