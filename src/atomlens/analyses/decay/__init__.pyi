from .distance_range import CUTOFF_ZONE, NEAREST
from .distance_range import Range as DecayRange
from .question import DecayResult

__all__ = [
    "CUTOFF_ZONE",
    "NEAREST",
    "DecayRange",
    "DecayResult",
]
