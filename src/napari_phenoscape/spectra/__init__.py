"""Spectra: of a cube, its spectra, its pictures for the eye, and other cubes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
