"""Scientific questions, one file each: ``compute(inputs)`` (expensive, stored), ``judge(result)`` (cheap)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
