"""What a node knows of its large records without reading them: their clocks, hashes and actors.

To replace a record, no more of it is needed than its clock, as long as none of its versions stays:
then a megabyte need not be read, checked and copied to be thrown away. An outline is kept of a
record that this process has stored, until the row changes otherwise. It has no values, so it is
used only where what takes its place knows every actor of which the record holds versions.
"""

from __future__ import annotations

from collections.abc import Container

import msgspec
from dynamesis.cluster.core.protocol.messages import State
from dynamesis.cluster.core.storage.row_keys import Row
from dynamesis.cluster.core.versions import clock

#: bytes of values from which a record is outlined
LARGE = 4096
#: outlines that are kept
MOST = 1024


class Outline(msgspec.Struct, frozen=True, gc=False):
    """A record without its values. `held`: the actors of which it holds versions."""

    state: State
    actor: str | None
    hash: int
    held: tuple[str, ...]


class Outlines:
    """The outlines of one table's rows; the oldest are forgotten first."""

    def __init__(self) -> None:
        self.of_rows: dict[Row, Outline] = {}

    def __len__(self) -> int:
        return len(self.of_rows)

    def keep(self, row: Row, state: State, actor: str | None, hash_: int) -> None:
        """The row is stored as this now."""
        held = tuple([name for name, entry in state.items() if entry.values])
        self.of_rows.pop(row, None)
        self.of_rows[row] = Outline(clock.seen(state), actor, hash_, held)
        if len(self.of_rows) > MOST:
            del self.of_rows[next(iter(self.of_rows))]

    def drop(self, row: Row) -> None:
        """The row changed, or is about to."""
        if self.of_rows:
            self.of_rows.pop(row, None)

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
