from .pairs import MIN_CLASSES, MIN_COMMON
from .question import SpeciesResult

__all__ = [
    "MIN_CLASSES",
    "MIN_COMMON",
    "SpeciesResult",
]
