"""What a node knows of records that it has stored lately, so that it can replace them unread.

A small record is kept as it is. Of a large one no more is kept than its clock, hash and actor:
that is enough to replace it, as long as none of its versions stays; then a megabyte need not be
read, checked and copied to be thrown away. Such an outline is used only where what takes its place
knows every actor of which the record holds versions. Both are forgotten when the row changes
otherwise. Only what is about to be replaced is taken from here: what is shown is read.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Generic, TypeVar

import msgspec
from dynamesis.cluster.core.protocol.messages import State
from dynamesis.cluster.core.storage.row_keys import Row
from dynamesis.cluster.core.versions import clock

#: bytes of values from which a record is outlined
LARGE = 4096
#: outlines that are kept
MOST = 1024
#: bytes of values up to which a record is small, and such records of each of two generations
SMALL = 512
YOUNG = 4096


class Outline(msgspec.Struct, frozen=True, gc=False):
    """A record without its values. `held`: the actors of which it holds versions."""

    state: State
    actor: str | None
    hash: int
    held: tuple[str, ...]


Small = TypeVar("Small")


class Outlines(Generic[Small]):
    """The outlines and small records of one table's rows; the oldest are forgotten first."""

    def __init__(self) -> None:
        self.of_rows: dict[Row, Outline] = {}
        #: small records: those stored since the last turn of generations, and those before; of
        #: both the younger one counts
        self.young: dict[Row, Small] = {}
        self.old: dict[Row, Small] = {}

    def __len__(self) -> int:
        return len(self.of_rows)

    def keep(self, row: Row, state: State, actor: str | None, hash_: int) -> None:
        """The row is stored as this now."""
        held = tuple([name for name, entry in state.items() if entry.values])
        self.drop(row)
        self.of_rows[row] = Outline(clock.seen(state), actor, hash_, held)
        if len(self.of_rows) > MOST:
            del self.of_rows[next(iter(self.of_rows))]

    def keep_small(self, row: Row, record: Small) -> None:
        """The row is stored as this small record now."""
        young = self.young
        if len(young) >= YOUNG and row not in young:
            self.old, self.young = young, {}
            young = self.young
        young[row] = record
        if self.of_rows:
            self.of_rows.pop(row, None)

    def small(self, row: Row) -> Small | None:
        """The record of a row, if it is small and was stored lately; None otherwise."""
        return self.young.get(row) or self.old.get(row)

    def drop(self, row: Row) -> None:
        """The row changed, or is about to."""
        self.of_rows.pop(row, None)
        self.young.pop(row, None)
        self.old.pop(row, None)

    def of(self, row: Row, known: Container[str]) -> Outline | None:
        """The outline of a row to be replaced by a state that knows these actors; None where there
        is none, or where more than that has to be known."""
        outline = self.of_rows.get(row)
        if outline is None:
            return None
        for name in outline.held:
            if name not in known:
                return None
        return outline
