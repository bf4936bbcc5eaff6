"""The event log of a simulated node, over all of its lives."""

from __future__ import annotations

from typing import Any

import msgspec
from dynamesis.checkers.history.op import JsonObject
from dynamesis.cluster.process.eventlog import FLUSH_AFTER, PLAIN, printable
from dynamesis.harness.worlds.simulated.loop import VirtualLoop

_encode = msgspec.json.Encoder(enc_hook=repr).encode
_decode = msgspec.json.Decoder().decode
#: what comes out of JSON as it went in, in a list too
_EXACT = frozenset((str, int, bool, type(None)))


class SimulatedLog:
    """Events as cluster.process.eventlog writes them: the last moments before a SIGKILL are
    lost."""

    def __init__(self, node: str, loop: VirtualLoop) -> None:
        self._node = node
        self._loop = loop
        #: ns since 1970 as the node knows them, monotonic ns, event, fields
        self._events: list[tuple[int, float, str, Any]] = []
        self._written = 0
        self._due = float("inf")

    def add(self, wall_ns: int, event: str, fields: Any) -> None:
        """One event, now."""
        now = self._loop.now
        if now >= self._due:
            self.flush()
        if self._due == float("inf"):
            self._due = now + FLUSH_AFTER
        self._events.append((wall_ns, now, event, fields))

    def flush(self) -> None:
        """What there is can be lost no more."""
        self._written, self._due = len(self._events), float("inf")

    def cut(self, paused_at: float | None) -> None:
        """The process was killed; it had been paused at this time (s), if it was."""
        if (self._loop.now if paused_at is None else paused_at) >= self._due:
            self.flush()
        del self._events[self._written :]
        self._due = float("inf")

    def lines(self) -> tuple[JsonObject, ...]:
        """The log as it is read from a file."""
        return tuple([self._line(*event) for event in self._events])

    def _line(self, wall: int, now: float, name: str, fields: Any) -> JsonObject:
        line = {"time": wall / 1e9, "mono": round(now * 1e9), "node": self._node, "event": name}
        if PLAIN.issuperset(map(type, fields.values())):  # most lines
            line.update(fields)
            return line
        nested = False
        for key, value in fields.items():
            kind = type(value)
            if kind in PLAIN:
                line[key] = value
            elif kind is bytes:
                line[key] = value.decode("utf-8", "backslashreplace")
            elif kind is list and _EXACT.issuperset(map(type, value)):
                line[key] = value[:]
            else:
                line[key], nested = printable(value), True
        # what JSON has as it is needs no way through it: most lines
        return _decode(_encode(line)) if nested else line
