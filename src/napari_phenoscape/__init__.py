"""See which organisms look alike, in any part of the spectrum, without labels.

What people import, loaded when it is first used: this module imports neither torch nor Qt.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
