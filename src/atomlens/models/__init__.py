"""What predicts: SchNet, PaiNN, SO3net, their parts, and the files they come in."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
