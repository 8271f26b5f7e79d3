"""Specimens: cubes become a collection, and each specimen a crop that is ready for views."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
