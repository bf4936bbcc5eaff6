"""Writes every key once before anything else is done.

What moves, compares or rebuilds partitions works in batches, and only what fills several of
them shows what becomes of the second. The clients share the keys out among themselves; then
each continues with what it has to do.
"""

from __future__ import annotations

import msgspec
from dynamesis.checkers.history.op import Op, Sibling
from dynamesis.workloads.script.modification import ReadModifyWrite, SeenValues
from dynamesis.workloads.script.script import Script
from dynamesis.workloads.script.settings import Load


class Filling(msgspec.Struct, frozen=True):
    """`keys`: those that are still to be written, blindly; `then`: what follows."""

    keys: tuple[str, ...]
    then: ReadModifyWrite

    def next(self, process: int, last: Op | None, now: int = 0) -> tuple[Op, Script]:
        """Write the next key, or continue."""
        if not self.keys:
            return self.then.next(process, last, now)
        serial = self.then.serial
        number = SeenValues(process, serial, ()).number
        op = Op(f="put", key=self.keys[0], id=f"{process}.{serial}", value=number, basis=None)
        wrote = Sibling(f"{process}.{serial}", number)
        then = msgspec.structs.replace(self.then, serial=serial + 1, wrote=wrote)
        return op, Filling(self.keys[1:], then)


def filling(load: Load, share: float, then: ReadModifyWrite) -> Script:
    """`then`, after this client's part of that share of all keys."""
    keys = load.keys[: round(share * len(load.keys))]
    own = keys[load.thread % load.setting.clients :: load.setting.clients]
    return Filling(own, then) if own else then
