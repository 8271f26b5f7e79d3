"""Widgets: the docks, and nothing that a script would miss."""

import lazy_loader

from napari_phenoscape.widgets._triton import bind_triton

# the modules of the docks import torch, and the window they are opened in draws already
bind_triton()

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
