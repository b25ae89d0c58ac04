from .clusters import WATER
from .question import ManyBodyResult

__all__ = [
    "WATER",
    "ManyBodyResult",
]
