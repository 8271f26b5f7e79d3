"""Cubes: a file becomes a lazy array `(band, y, x)` with its bands, scale and mask."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
