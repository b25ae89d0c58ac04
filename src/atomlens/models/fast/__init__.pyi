from .convolution import convolve
from .forces import energy_gradient, is_written_out
from .messages import sum_messages
from .pairs import PairFeatures, half_of_edges, pair_features

__all__ = [
    "PairFeatures",
    "convolve",
    "energy_gradient",
    "half_of_edges",
    "is_written_out",
    "pair_features",
    "sum_messages",
]
