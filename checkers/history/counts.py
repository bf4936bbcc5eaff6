"""Counts in words: a number and its noun agree wherever either is shown.

Imports nothing: commands that have a history nowhere near show counts too.
"""

from __future__ import annotations


def counted(count: float, one: str, many: str = "") -> str:
    """A count and what is counted: "1 key", "1,204 keys"; `many` where an s does not make it, as
    of "entry"."""
    number = int(count) if count == int(count) else count
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def times(count: int) -> str:
    """`once`, `twice`, `3 times`."""
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def share(part: int, whole: int, one: str, done: str, of: str = "") -> str:
    """Of how many it was done: "3 of 4 tests were run", "1 of 1 test was run"; `of` follows the
    noun."""
    return f"{part:,} of {counted(whole, one)}{of} {'was' if whole == 1 else 'were'} {done}"
