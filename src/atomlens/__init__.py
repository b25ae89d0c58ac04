"""atomlens: which atomic interactions has a neural-network potential learned?

>>> import atomlens
>>> atomlens.__all__[:3]
['AtomGraph', 'AtomShares', 'AtomlensCalculator']
"""

import sys
from importlib import import_module

import lazy_loader

__version__ = "0.2.0"

# Names are imported when they are first used: `atomlens --help` need not wait for torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]

if "IPython" in sys.modules:  # in a notebook, explanations show themselves
    import_module("atomlens.report.jupyter").register()
