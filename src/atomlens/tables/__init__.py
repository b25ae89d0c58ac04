"""Explained structures as tidy tables: one row an atom, a pair, a triple, a walk, a term of groups."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
