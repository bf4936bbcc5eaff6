"""The values of a history, still JSON, by number.

Equal texts have one number, so that most values are compared by it. Those of transactions are
not looked up: hardly two are the same, and a table of a million of them takes as much
memory as they do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count

from dynamesis.checkers.history.codes import NameTable


class ValueTable:
    """Gives out numbers in order of first use; -1 to a value that is not there."""

    def __init__(self) -> None:
        self._known = NameTable(b"")
        #: values that were not looked up, by the number of the first of each list
        self._others: dict[int, list[bytes]] = {}
        self._many = 0

    def __getitem__(self, values: Iterable[bytes]) -> list[int]:
        """The numbers of values."""
        return list(map(self._known.__getitem__, values))

    def of_transactions(self, values: Sequence[bytes]) -> Sequence[int]:
        """The numbers of values that are lists, which they need not share."""
        if not {value[:1] for value in values} <= {b"[", b""}:
            return self[values]
        first, there = self._size, list(filter(None, values))
        after = first + len(there)
        self._others[first] = there
        self._many += len(there)
        self._known.default_factory = count(after).__next__
        if len(there) == len(values):
            return range(first, after)
        fresh = iter(range(first, after))
        return [next(fresh) if value else -1 for value in values]

    @property
    def _size(self) -> int:
        return len(self._known) - 1 + self._many

    @property
    def null(self) -> int:
        """The number of null, -1 if no value is."""
        return self._known.get(b"null", -1)

    def all(self) -> list[bytes]:
        """All values by number; the table is spent then."""
        if not self._others:
            return self._known.all()
        values: list[bytes] = [b""] * self._size
        for text, number in self._known.items():
            if number >= 0:
                values[number] = text
        while self._others:
            first, others = self._others.popitem()
            values[first : first + len(others)] = others
        return values
