"""What can be opened: files of other programs and of this one, each read by its own adapter."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
