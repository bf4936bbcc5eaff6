"""Decoding without the cyclic garbage collector.

Millions of fresh lists make the collector walk the whole heap again and again in search
of cycles that JSON cannot have; without it, decoding is two to three times as quick. What was
decoded stays until the judging ends: while it is frozen the collector walks only what is new. What
was built in a pause counts as old after it, or the next collection would walk all of it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


#: whether `gc_frozen` is in force. `gc.get_freeze_count` walks all that is frozen, which takes
#: longer than to judge a short test: it is asked only where none is
_in_force = False


@contextmanager
def gc_paused() -> Iterator[None]:
    """Hold the collector off while building what cannot contain cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if not _in_force and not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()  # to the oldest generation
            gc.enable()


@contextmanager
def gc_frozen() -> Iterator[None]:
    """Let the collector pass over all that is there already. Does nothing where a caller has
    frozen something."""
    global _in_force
    if _in_force or gc.get_freeze_count():
        yield
        return
    _in_force = True
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        _in_force = False
