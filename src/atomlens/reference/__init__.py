"""What is known: GFN2-xTB, bond energies, dispersion, response couplings, many-body expansions, benchmark curves."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
