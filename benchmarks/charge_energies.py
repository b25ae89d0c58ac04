"""How far charges of atoms account for electrostatics: of a model, and GFN2-xTB's Mulliken charges, beside DFT-SAPT.

For every dimer with an ion of an NCIAtlas archive, from 1.5 equilibrium distances on: sum of q_i q_j / r over atoms of
the one and the other molecule, charges of each molecule alone, against DFT-SAPT's electrostatics (the file beside the
archive). What GFN2's charges reach is what a model that was fitted to them could reach.

Usage: python benchmarks/charge_energies.py ARCHIVE [--model FILE] [--apart cyan nitros nitrite]

Dimers whose names contain one of the words after ``--apart`` are counted for themselves, too.
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


def charges_of(name: str) -> Callable[[ase.Atoms], np.ndarray]:
    """Learned charges of a molecule by a model, e."""
    model = atomlens.load_model(name)

    def charges(atoms: ase.Atoms) -> np.ndarray:
        found = model.with_charges(model.graph(atoms))[1] if isinstance(model, Potential) else None
        if found is None:
            raise SystemExit(f"{name} has no charges; give a model with long_range = 'coulomb' or 'coulomb+dispersion'")
        return found.detach().double().numpy()

    return charges


def gfn2_charges(atoms: ase.Atoms) -> np.ndarray:
    """Mulliken charges of a molecule by GFN2-xTB, e."""
    return Gfn2(atoms).compute(atoms.positions).charges


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive")
    parser.add_argument("--model")
    parser.add_argument("--apart", nargs="*", default=[], metavar="WORD")
    arguments = parser.parse_args()
    sources: dict[str, Callable[[ase.Atoms], np.ndarray]] = {"GFN2-xTB": gfn2_charges}
    if arguments.model:
        sources[arguments.model] = charges_of(arguments.model)
    found: dict[str, list[float]] = {name: [] for name in sources}
    electrostatics, apart = [], []
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
            apart.append(any(word in curve.name for word in arguments.apart))
    some = np.array(apart)
    for label, chosen in {"all": some | True, "apart": some, "the rest": ~some}.items():
        for name, energies in found.items():
            if chosen.sum() > 1 and (some.any() or label == "all"):
                r = np.corrcoef(np.array(energies)[chosen], np.array(electrostatics)[chosen])[0, 1]
                print(f"{label}, {chosen.sum()} points, {name}: r = {r:.3f}")


if __name__ == "__main__":
    main()
