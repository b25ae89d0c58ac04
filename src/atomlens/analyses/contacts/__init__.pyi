from .question import ContactsResult
from .scores import curve_ranks, far_ionic

__all__ = [
    "ContactsResult",
    "curve_ranks",
    "far_ionic",
]
