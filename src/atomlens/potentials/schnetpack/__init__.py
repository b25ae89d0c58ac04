"""SchNetPack's model files, read and written without SchNetPack.

Read are the whole-model files of SchNetPack 2.0 to 2.2 (``best_model``): SchNet, PaiNN and SO3net with
Atomwise, DipoleMoment or Polarizability. Such a file is a pickle, which may name any code; none is ever run here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
