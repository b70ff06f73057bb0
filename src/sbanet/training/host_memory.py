"""What the C library does with memory that was freed: give it back to the system, or keep it for what comes next."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
"""`M_TRIM_THRESHOLD` and so on, from glibc's malloc.h."""

_KEPT = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1}
_GIVEN_BACK = {_MMAP_MAX: 65536, _MMAP_THRESHOLD: 32 * 2**20, _TRIM_THRESHOLD: 64 * 2**20}
"""Where glibc's own thresholds come to rest, once large blocks have been freed."""


def keep_freed_memory(keep: bool) -> None:
    """Let freed memory stay with this process, or go back to the system as by default; of glibc alone.

    A step on a CPU makes and frees the same large arrays as the step before. Each that comes from the system anew has
    its pages found and zeroed at the first touch, which is 8 to 16 % of the time of a large model.

    Args:
        keep: whether it stays.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return
    for parameter, value in (_KEPT if keep else _GIVEN_BACK).items():
        library.mallopt(parameter, value)
    if not keep and hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
