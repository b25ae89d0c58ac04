from .question import ExtensivityResult

__all__ = [
    "ExtensivityResult",
]
