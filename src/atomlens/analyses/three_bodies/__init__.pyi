from .question import ThreeBodiesResult

__all__ = [
    "ThreeBodiesResult",
]
