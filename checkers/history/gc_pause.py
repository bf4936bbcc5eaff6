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

#: so few objects that were built in a pause may stay young
_FEW = 1_500
#: of what is built while something is frozen, most stays until the end: so many new objects are
#: looked at together
_SELDOM = 200_000
#: not empty while `gc_frozen` has frozen something: whether what is built meanwhile `stays`
_ours: list[bool] = []


@contextmanager
def gc_paused() -> Iterator[None]:
    """Hold the collector off while building what cannot contain cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    young = gc.get_count()[0]
    try:
        yield
    finally:
        if was_enabled:
            if gc.get_count()[0] - young >= _FEW:
                if _ours and _ours[-1]:
                    gc.freeze()
                elif not _is_frozen():
                    gc.freeze()
                    gc.unfreeze()  # to the oldest generation
            gc.enable()


@contextmanager
def gc_seldom() -> Iterator[None]:
    """Have the collector look seldom, where little is garbage before the end, at which it looks
    anyway. For a piece of work of a known size: what it leaves waits in memory."""
    before = gc.get_threshold()
    if 0 < before[0] < _SELDOM:
        gc.set_threshold(_SELDOM, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def gc_frozen(*, stays: bool = True) -> Iterator[None]:
    """Let the collector pass over all that is there already, and look seldom at what is new; not at
    all at what is built in a pause, where that `stays` until the end. Does nothing where a caller
    has frozen something itself."""
    if _is_frozen():
        yield
        return
    before = gc.get_threshold()
    gc.freeze()
    _ours.append(stays)
    if before[0]:
        gc.set_threshold(max(before[0], _SELDOM), *before[1:])
    try:
        yield
    finally:
        gc.freeze()  # so that what was built meanwhile is old as well, and not looked at now
        gc.set_threshold(*before)
        _ours.pop()
        gc.unfreeze()


def _is_frozen() -> bool:
    """Whether something is frozen: to ask the collector takes as long as that is large."""
    return bool(_ours) or gc.get_freeze_count() > 0
