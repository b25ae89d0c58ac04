from .calculated import ROOM, CalculatorModel, load_calculator
from .foreign import ForeignModel
from .guarded import CalculatorFailed
from .imported import described, import_calculator, is_import_path
from .loading import load_model, load_potential
from .opened import AnyModel, OpenedModel, Origin
from .registry import ARCHITECTURES, Architecture, shipped_with_a_library
from .scanning import AnyPotential, Scan, scan
from .schnetpack import save_schnetpack_state_dict

__all__ = [
    "ARCHITECTURES",
    "ROOM",
    "AnyModel",
    "AnyPotential",
    "Architecture",
    "CalculatorFailed",
    "CalculatorModel",
    "ForeignModel",
    "OpenedModel",
    "Origin",
    "Scan",
    "described",
    "import_calculator",
    "is_import_path",
    "load_calculator",
    "load_model",
    "load_potential",
    "save_schnetpack_state_dict",
    "scan",
    "shipped_with_a_library",
]
