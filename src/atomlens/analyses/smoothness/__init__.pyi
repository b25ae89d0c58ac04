from .bonds import scan_deviation
from .question import DEVIATION
from .result import SmoothnessResult
from .wall_table import HIGH, compare_wall
from .walls import Wall, missing_energies, scan_walls

__all__ = [
    "DEVIATION",
    "HIGH",
    "SmoothnessResult",
    "Wall",
    "compare_wall",
    "missing_energies",
    "scan_deviation",
    "scan_walls",
]
