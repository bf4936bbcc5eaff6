"""How the memory of large values is taken and given back: glibc's allocator, set while it runs.

A value above LARGE can come from the kernel by itself, and go back to it immediately: then a flood
leaves nothing behind, and every page of every copy costs a fault. Or it comes from the heap, which
keeps what was freed: then a megabyte costs no more than its copies. A node keeps a heap as long as
the values in progress are few, takes them one by one from the kernel while they are many, and gives
back every second what its heap has free. Without glibc nothing of this is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
from typing import Any

#: bytes of a value that is large
LARGE = 128 << 10
#: glibc's numbers for the size (bytes) from which memory comes from the kernel, one by one, and for
#: how much the end of the heap may have free
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1
#: the most that glibc takes for the first
_NEVER = 32 << 20
_KEPT = 64 << 20
#: free bytes of the heap that stay, and seconds between two looks
_FREE = 8 << 20
_LOOK = 1.0


class _Info(ctypes.Structure):
    """mallinfo2 of glibc 2.33."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("heap", "chunks", "fast_chunks", "mapped", "mapped_bytes"),
            *("unused", "fast_bytes", "used", "free", "end"),
        )
    ]


class Memory:
    """The allocator of this process. `most`: bytes of values in progress above which memory is
    given back immediately."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int) -> None:
        self._loop = loop
        self._most = most
        self._libc: Any = None
        self._flooded = False
        #: whether values were many since the last look
        self._many = False
        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL(None)
            libc.mallinfo2.restype = _Info
            libc.malloc_trim.argtypes = [ctypes.c_size_t]
            libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)
            libc.mallopt(_M_MMAP_THRESHOLD, _NEVER)
            self._libc = libc

    def start(self) -> None:
        """Look at the heap from now on."""
        if self._libc is not None:
            self._loop.call_later(_LOOK, self._look)

    def in_progress(self, size: int) -> None:
        """A large message came in, and values of so many bytes are in progress now."""
        if size > self._most:
            self._many = True
            if not self._flooded and self._libc is not None:
                self._flooded = True
                self._libc.mallopt(_M_MMAP_THRESHOLD, LARGE)

    def _look(self) -> None:
        """Give back what is free; take from the heap again once values have been few."""
        if self._flooded and not self._many:
            self._flooded = False
            self._libc.mallopt(_M_MMAP_THRESHOLD, _NEVER)
        self._many = False
        if self._libc.mallinfo2().free > _FREE:
            self._libc.malloc_trim(0)
        self._loop.call_later(_LOOK, self._look)
