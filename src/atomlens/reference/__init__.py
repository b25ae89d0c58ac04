"""What is known: GFN2-xTB, bond energies, dispersion, response couplings, many-body expansions, benchmark curves."""

from atomlens.reference.bond_energies import BondEnergy, bond_energies, bond_energy
from atomlens.reference.dispersion import Dispersion, d4_dispersion
from atomlens.reference.manybody import BodyTerms, ManyBodyExpansion, many_body_expansion
from atomlens.reference.orbitals import Orbitals
from atomlens.reference.response import Response, forces_response, gfn2_response, model_response
from atomlens.reference.s66x8 import Dimer, read_s66x8
from atomlens.reference.unavailable import ReferenceUnavailable
from atomlens.reference.xtb import Gfn2, XtbResult, gfn2, gfn2_bond_orders, gfn2_energy
from atomlens.reference.xtb_calculator import Gfn2Calculator

__all__ = [
    "BodyTerms",
    "BondEnergy",
    "Dimer",
    "Dispersion",
    "Gfn2",
    "Gfn2Calculator",
    "ManyBodyExpansion",
    "Orbitals",
    "ReferenceUnavailable",
    "Response",
    "XtbResult",
    "bond_energies",
    "bond_energy",
    "d4_dispersion",
    "forces_response",
    "gfn2",
    "gfn2_bond_orders",
    "gfn2_energy",
    "gfn2_response",
    "many_body_expansion",
    "model_response",
    "read_s66x8",
]
