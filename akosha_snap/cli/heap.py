"""How much of the memory it has freed this process keeps for itself."""

from __future__ import annotations

import contextlib
import sys

__all__ = ["return_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""From glibc's malloc.h."""

_LARGE = 2 * 1024 * 1024
"""Bytes of a block that goes back to the system as soon as it is freed: larger than any chunk, smaller than most
reads."""

_KEPT = 8 * 1024 * 1024
"""Bytes at the end of a heap that are kept for the next chunks."""


def return_freed_memory() -> None:
    """Have glibc give large blocks back to the system; where there is another C library, nothing happens.

    By itself it keeps, in each thread's heap, blocks as large as the largest that was ever freed: what a
    restore of 10 GB has read left 80 MB behind that way (design-notes.md). This is a setting of the
    whole process, so it is not the library's to change.
    """
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
