from .question import PAIR_POTENTIALS, FaithfulnessResult

__all__ = [
    "PAIR_POTENTIALS",
    "FaithfulnessResult",
]
