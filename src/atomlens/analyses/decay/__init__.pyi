from .question import DecayResult

__all__ = [
    "DecayResult",
]
