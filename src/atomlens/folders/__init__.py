"""What a run leaves on disk: files that are complete or absent, claims, resuming, settings, stored results."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
