from .question import SpeciesResult

__all__ = [
    "SpeciesResult",
]
