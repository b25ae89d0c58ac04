"""Molecular dynamics with the models. `atomlens.dynamics.torchsim` needs the extra ``md`` and is imported by name."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
