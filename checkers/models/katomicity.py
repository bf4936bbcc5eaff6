"""How far a register is from linearizable: the smallest k, and the smallest delta.

A key is *k-atomic* if its operations can be ordered, in accord with real time, so that every
read sees one of the last k writes. For k = 1 the zones of `register` decide. For k = 2 the
order is built from its end: a write that precedes no other may be the last; the reads that
begin after it must then see it, or else one and the same write, which is thereby forced to
be the last but one, and so on until no such read is left. Any success is as good as any
other, since taking the last writes away with their reads never makes the rest harder. So the
few writes that can be last are tried side by side, with ever more patience: limited
backtracking of Golab, Hurwitz and Li (On the k-Atomicity-Verification Problem, ICDCS 2013),
O(n log n + c n) where at most c writes are concurrent. For k > 2 no quick test is known: given
is a bound, by how many writes a read was certainly stale.

*Delta*: by how many ns reads would have to begin earlier for the key to be linearizable
(Golab, Li and Shah, Analyzing Consistency Properties for Fun and Profit, PODC 2011).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from dynamesis.checkers.graph.causality import NEVER
from dynamesis.checkers.history.pairing import Bools, Ints

#: operations that are tried before another write is
_PATIENCE = 64


def smallest_delta(fits: Callable[[int], bool], most: int) -> int:
    """The least number of ns, at most `most`, with which the key fits: by bisection, since more
    is never worse."""
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        if fits(middle):
            high = middle
        else:
            low = middle + 1
    return low


@dataclass(frozen=True, eq=False)
class Register:
    """The operations of one key. By write: begin and end, -1 the first (it wrote the initial
    value); by read: begin, end, and the write that it saw."""

    write_begin: Ints
    write_end: Ints
    begin: Ints
    end: Ints
    saw: Ints

    @classmethod
    def of(cls, write: Bools, value: Ints, begin: Ints, end: Ints) -> Register | None:
        """From columns of reads and writes of one key, values unique and -1 the initial one.
        None where some read cannot have seen what it saw: then no k explains it."""
        values = np.append([-1], value[write])
        write_begin, write_end = np.append([-2], begin[write]), np.append([-1], end[write])
        order = np.argsort(values, kind="stable")
        place = np.searchsorted(values[order], value[~write])
        known = place < len(order)
        known[known] = values[order][place[known]] == value[~write][known]
        if not known.all():
            return None
        saw = order[place]
        if np.any(end[~write] < write_begin[saw]):
            return None
        return cls(write_begin, write_end, begin[~write], end[~write], saw)

    def certain_staleness(self) -> int:
        """1 + the most writes that certainly fell between some read and the write it saw: those
        begun in between, less those still open when the read began. No k below it will do."""
        begun, ended = np.sort(self.write_begin), np.sort(self.write_end)
        started = np.searchsorted(begun, self.begin)
        between = started - np.searchsorted(begun, self.write_end[self.saw])
        still_open = started - np.searchsorted(ended, self.begin)
        return 1 + int(np.max(between - still_open, initial=0))

    def is_two_atomic(self) -> bool:
        """Can every read see one of the last two writes?"""
        return _Suffixes.of(self).all_placed()


@dataclass
class _Suffixes:
    """What is left to place while the order grows from its end. Writes and reads are sorted by
    begin; `last_write` and `last_read` are the last of these that may be left. The writes left
    are linked by end, each with the one `before` and `after` it, in a ring through the number
    that follows the last."""

    write_begin: list[int]
    write_end: list[int]
    begin: list[int]
    saw: list[int]
    readers: list[list[int]]
    last_write: int
    last_read: int
    before: list[int]
    after: list[int]
    placed: list[bool]
    served: list[bool]
    _undo: list[tuple[list[bool], int]] = field(default_factory=list)

    @classmethod
    def of(cls, r: Register) -> _Suffixes:
        # a write may end no later than the first of its reads; doubled, it ends before that
        end = 2 * np.minimum(r.write_end, NEVER // 4)
        np.minimum.at(end, r.saw, 2 * r.end - 1)
        writes, reads = np.argsort(r.write_begin), np.argsort(r.begin)
        number = np.empty(len(writes), np.int64)
        number[writes] = np.arange(len(writes))
        saw: list[int] = number[r.saw[reads]].tolist()
        readers: list[list[int]] = [[] for _ in writes]
        for read, write in enumerate(saw):
            readers[write].append(read)
        ring = [*np.argsort(end[writes]).tolist(), len(writes)]
        before, after = [0] * len(ring), [0] * len(ring)
        for one, other in zip(ring, ring[1:] + ring[:1], strict=True):
            before[other], after[one] = one, other
        return cls(
            (2 * r.write_begin[writes]).tolist(),
            end[writes].tolist(),
            (2 * r.begin[reads]).tolist(),
            saw,
            readers,
            len(writes) - 1,
            len(reads) - 1,
            before,
            after,
            [False] * len(writes),
            [False] * len(reads),
        )

    def all_placed(self) -> bool:
        while (candidates := self._may_be_last()) and self._place_one(candidates):
            pass
        return not candidates

    def _may_be_last(self) -> list[int]:
        """The writes that precede no other: those that end after the latest began."""
        found: list[int] = []
        latest, none = self._latest(), len(self.placed)
        write = self.before[none]
        while write != none and self.write_end[write] > self.write_begin[latest]:
            found.append(write)
            write = self.before[write]
        return found

    def _latest(self) -> int:
        """Of the writes left, the one that began last; -1 if none is left."""
        while self.last_write >= 0 and self.placed[self.last_write]:
            self.last_write -= 1
        return self.last_write

    def _place_one(self, candidates: list[int]) -> bool:
        """Place one of these last, with all writes that this forces. False if none can be."""
        patience = _PATIENCE
        while candidates:
            undecided = []
            for write in candidates:
                start = self.last_write, self.last_read
                done = self._place(write, patience)
                if done:
                    self._undo.clear()
                    return True
                self._take_back(*start)
                if done is None:
                    undecided.append(write)
            candidates, patience = undecided, 2 * patience
        return False

    def _place(self, write: int, patience: int) -> bool | None:
        """Place a write and what it forces; None when patience ends first."""
        forced: int | None = write
        while forced is not None:
            if len(self._undo) > patience:
                return None
            write = forced
            self._mark(self.placed, write)
            self.before[self.after[write]] = self.before[write]
            self.after[self.before[write]] = self.after[write]
            latest = self._latest()
            if latest >= 0 and self.write_begin[latest] > self.write_end[write]:
                return False
            seen = self._serve(write)
            if len(seen) > 1:
                return False
            forced = next(iter(seen), None)
        return True

    def _serve(self, write: int) -> set[int]:
        """Place the reads that begin after this write and those that saw it; which other writes
        the former saw."""
        seen: set[int] = set()
        while self.last_read >= 0:
            read = self.last_read
            if not self.served[read]:
                if self.begin[read] < self.write_end[write]:
                    break
                self._mark(self.served, read)
                seen.add(self.saw[read])
            self.last_read -= 1
        for read in self.readers[write]:
            if not self.served[read]:
                self._mark(self.served, read)
        return seen - {write}

    def _mark(self, which: list[bool], number: int) -> None:
        which[number] = True
        self._undo.append((which, number))

    def _take_back(self, last_write: int, last_read: int) -> None:
        for which, number in reversed(self._undo):
            which[number] = False
            if which is self.placed:
                self.before[self.after[number]] = self.after[self.before[number]] = number
        self._undo.clear()
        self.last_write, self.last_read = last_write, last_read
