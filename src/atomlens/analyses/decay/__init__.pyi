from .dimer_scan import MAX_ATOMS, Pair, make_dimers
from .distance_range import CUTOFF_ZONE, NEAREST, DecayRange
from .question import DecayResult

__all__ = [
    "CUTOFF_ZONE",
    "MAX_ATOMS",
    "NEAREST",
    "DecayRange",
    "DecayResult",
    "Pair",
    "make_dimers",
]
