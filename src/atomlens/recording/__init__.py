"""Any PyTorch model as a linear program of its atom states: recorded once, executed on any set of atoms."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
