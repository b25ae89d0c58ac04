from .bond_energies import BondEnergy, bond_energies, bond_energy
from .bond_scans import BondScan, bond_path, gfn2_bond_scan, open_bonds, read_bond_scans
from .dispersion import Dispersion, d4_dispersion
from .known import KnownPotential, known_potential
from .manybody import BodyTerms, ManyBodyExpansion, many_body_expansion
from .nciatlas import SAPT_PARTS, DimerCurve, read_nciatlas, sapt_file
from .once import once_per_geometry
from .orbitals import Orbitals
from .properties import Kind, composed, composition, property_words
from .response import RESPONSE_STEP, Response, forces_response, gfn2_response, model_response
from .s66x8 import Dimer, read_s66x8
from .unavailable import ReferenceUnavailable
from .xtb import Gfn2, XtbResult, gfn2, gfn2_bond_orders, gfn2_energy
from .xtb_calculator import Gfn2Calculator

__all__ = [
    "RESPONSE_STEP",
    "SAPT_PARTS",
    "BodyTerms",
    "BondEnergy",
    "BondScan",
    "Dimer",
    "DimerCurve",
    "Dispersion",
    "Gfn2",
    "Gfn2Calculator",
    "Kind",
    "KnownPotential",
    "ManyBodyExpansion",
    "Orbitals",
    "ReferenceUnavailable",
    "Response",
    "XtbResult",
    "bond_energies",
    "bond_energy",
    "bond_path",
    "composed",
    "composition",
    "d4_dispersion",
    "forces_response",
    "gfn2",
    "gfn2_bond_orders",
    "gfn2_bond_scan",
    "gfn2_energy",
    "gfn2_response",
    "known_potential",
    "many_body_expansion",
    "model_response",
    "once_per_geometry",
    "open_bonds",
    "property_words",
    "read_bond_scans",
    "read_nciatlas",
    "read_s66x8",
    "sapt_file",
]
