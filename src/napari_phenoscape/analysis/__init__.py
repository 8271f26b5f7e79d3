"""Analysis: why a cluster is a cluster, and how well embeddings agree with what is known."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
