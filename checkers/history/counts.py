"""Counts in words: a number and its noun agree wherever either is shown.

Imports nothing of ours: commands that have a history nowhere near show counts too.
"""

from __future__ import annotations

from numbers import Number


def counted(count: object, one: str, many: str = "") -> str:
    """A count and what is counted: "1 key", "1,204 keys"; `many` where an s does not make it, as
    of "entry". Other values, from a file of another
    program, are shown as they are, short."""
    noun = one if count == 1 else many or one + "s"
    if isinstance(count, float) and count.is_integer():
        count = int(count)
    return f"{count:,} {noun}" if isinstance(count, Number) else f"{str(count)[:20]} {noun}"


def times(count: int) -> str:
    """`once`, `twice`, `3 times`."""
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def share(part: int, whole: int, one: str, done: str, of: str = "") -> str:
    """Of how many it was done: "3 of 4 tests were run", "1 of 1 test was run"; `of` follows the
    noun."""
    return f"{part:,} of {counted(whole, one)}{of} {'was' if whole == 1 else 'were'} {done}"
