"""Are pair terms as strong as chemistry says of their elements and bonds?"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
