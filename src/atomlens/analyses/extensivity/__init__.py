"""Does an extensive property add over molecules, and an intensive one not?"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
