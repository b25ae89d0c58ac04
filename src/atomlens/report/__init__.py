"""Typed results -> tables, figures, one HTML file; a run folder that is complete or not there.

Names are looked up when they are first used, so that a command that draws nothing does not load a plotting library.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
