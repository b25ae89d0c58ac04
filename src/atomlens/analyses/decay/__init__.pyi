from .distance_range import CUTOFF_ZONE, NEAREST, DecayRange
from .question import DecayResult

__all__ = [
    "CUTOFF_ZONE",
    "NEAREST",
    "DecayRange",
    "DecayResult",
]
