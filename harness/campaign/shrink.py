"""Finds a smaller schedule that still fails: delta debugging (Zeller and Hildebrandt,
"Simplifying and isolating failure-inducing input", 2002), after a first try without any
fault at all.

Real processes do not fail every time. A subset counts as failing as soon as it has failed
once; one that did not fail may only have been lucky, so the result is small, not minimal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def shrink(faults: Sequence[T], fails: Callable[[list[T]], bool]) -> list[T]:
    """A part of `faults` for which `fails` was true; all of them if none is smaller."""
    if fails([]):
        return []
    kept, parts = list(faults), 2
    while len(kept) > 1:
        smaller = _smaller(kept, parts, fails)
        if smaller is not None:
            kept, parts = smaller, max(2, parts - 1)
        elif parts < len(kept):
            parts = min(len(kept), 2 * parts)
        else:
            break
        parts = min(parts, len(kept))
    return kept


def _smaller(kept: list[T], parts: int, fails: Callable[[list[T]], bool]) -> list[T] | None:
    """What is left of `kept` without one of so many equal parts, if that still fails."""
    size = len(kept) / parts
    for part in range(parts):
        rest = kept[: round(part * size)] + kept[round((part + 1) * size) :]
        if fails(rest):
            return rest
    return None
