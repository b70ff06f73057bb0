"""Referring remote sensing image segmentation: models, data, experiments.

The package imports nothing until a name is asked for, so that `sbanet.analysis` starts without torch. Nor do the
commands: their modules (`train`, `evaluate`, ...) read the command line, and what it asks for, with torch and all, is
imported from a module beside them (`running`, `evaluation`, ...) once it is known to make sense.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sbanet.models.segmenter import ReferringSegmenter

__version__ = "0.1.0"

# Albumentations asks its server for a newer release whenever it is imported, unless told not to before.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

__all__ = ["ReferringSegmenter", "__version__"]

_HOME_OF = {"ReferringSegmenter": "sbanet.models.segmenter"}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'sbanet' has no attribute '{name}'; it offers {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
