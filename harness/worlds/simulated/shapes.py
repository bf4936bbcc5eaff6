"""What a route's fault does to the messages of one direction of one connection.

The same as harness.links.shapes does to bytes, for whole messages: a frame is a message, and what
would reach the other side in part does not reach it at all.
"""

from __future__ import annotations

from math import ceil
from random import Random
from typing import TYPE_CHECKING, Any

from dynamesis.cluster.core.protocol.messages import Message
from dynamesis.cluster.net.wire import NODE_LIMIT, WireError, encode
from dynamesis.harness.links.faults import (
    Bandwidth,
    BlackHole,
    Frames,
    Latency,
    LimitData,
    LinkFault,
    Reset,
    Slicer,
    Stall,
)

if TYPE_CHECKING:
    from dynamesis.harness.worlds.simulated.network import RouteCounts, Way

#: s that a frame waits to be overtaken
_OVERTAKEN = 0.1


def size_of(message: Message) -> int:
    """Bytes of a message on the wire."""
    try:
        return len(encode(message, NODE_LIMIT))
    except WireError:
        return NODE_LIMIT


class Gate:
    """What messages go through. By default as if it were not there."""

    def __init__(self, fault: Any, counts: RouteCounts, seed: str) -> None:
        self.fault = fault
        self.counts = counts
        self._seed = seed
        self._drawn: Random | None = None

    @property
    def random(self) -> Random:
        if self._drawn is None:
            self._drawn = Random(self._seed)
        return self._drawn

    def take(self, way: Way, message: Message) -> None:
        """A message is to go this way."""
        way.carry(message)

    def end(self, way: Way) -> None:
        """The sender has gone."""
        way.carry(None)

    def release(self, way: Way) -> None:
        """The fault is over, and the connection lives on."""


class Swallow(Gate):
    """Nothing arrives, not even the end."""

    def take(self, way: Way, message: Message) -> None:
        self.counts.bitten += 1
        way.lose(message)

    def end(self, way: Way) -> None:
        """The other side never learns of it."""


class Break(Gate):
    """The first message resets the connection."""

    def take(self, way: Way, message: Message) -> None:
        self.counts.bitten += 1
        way.lose(message)
        way.line.drop("Connection reset by peer")


class Hold(Gate):
    """Nothing arrives until the fault is over; then all of it does."""

    def __init__(self, fault: Any, counts: RouteCounts, seed: str) -> None:
        super().__init__(fault, counts, seed)
        self._held: list[Message | None] = []

    def take(self, way: Way, message: Message) -> None:
        self.counts.bitten += 1
        self._held.append(message)

    def end(self, way: Way) -> None:
        self._held.append(None)

    def release(self, way: Way) -> None:
        for message in self._held:
            way.carry(message)


class CutOff(Gate):
    """The connection ends after so many bytes, in the middle of a frame."""

    def __init__(self, fault: LimitData, counts: RouteCounts, seed: str) -> None:
        super().__init__(fault, counts, seed)
        self._left = fault.after_bytes

    def take(self, way: Way, message: Message) -> None:
        self._left -= size_of(message)
        if self._left >= 0:
            way.carry(message)
        if self._left <= 0:
            self.counts.bitten += 1
            if self._left < 0:
                way.lose(message)
            way.line.up.finish()
            way.line.down.finish()


class Narrow(Gate):
    """So many bytes a second, one message after the other."""

    def __init__(self, fault: Bandwidth, counts: RouteCounts, seed: str) -> None:
        super().__init__(fault, counts, seed)
        self._free = 0.0

    def take(self, way: Way, message: Message) -> None:
        self.counts.bitten += 1
        now = way.line.network.loop.now
        self._free = max(self._free, now) + size_of(message) / (1000 * self.fault.rate_kbps)
        way.carry(message, self._free - now)


class Torn(Gate):
    """A message arrives with its last piece."""

    def __init__(self, fault: Slicer, counts: RouteCounts, seed: str) -> None:
        super().__init__(fault, counts, seed)
        self._free = 0.0

    def take(self, way: Way, message: Message) -> None:
        pieces = ceil(size_of(message) / self.fault.piece_bytes)
        self.counts.bitten += pieces > 1
        now = way.line.network.loop.now
        self._free = max(self._free, now) + pieces * self.fault.pause_us / 1e6
        way.carry(message, self._free - now)


class Slow(Gate):
    """Every message is late; order is kept."""

    def take(self, way: Way, message: Message) -> None:
        self.counts.bitten += 1
        fault = self.fault
        vary = (2 * self.random.random() - 1) * fault.jitter_ms if fault.jitter_ms else 0.0
        way.carry(message, (fault.latency_ms + vary) / 1000)


class Shuffle(Gate):
    """Messages are lost, come twice, or are overtaken by the next. The first is spared."""

    def __init__(self, fault: Frames, counts: RouteCounts, seed: str) -> None:
        super().__init__(fault, counts, seed)
        self._first = True
        self._waiting: list[Message] = []

    def take(self, way: Way, message: Message) -> None:
        fault, counts = self.fault, self.counts
        chance = 100.0 if self._first else 100 * self.random.random()
        self._first = False
        if chance < fault.drop:
            counts.dropped += 1
            counts.bitten += 1
            way.lose(message)
        elif chance < fault.drop + fault.duplicate:
            counts.duplicated += 1
            counts.bitten += 1
            way.carry(message)
            way.carry(message)
            self._let_go(way)
        elif chance < fault.drop + fault.duplicate + fault.reorder:
            counts.reordered += 1
            counts.bitten += 1
            self._waiting.append(message)
            way.line.network.loop.after(_OVERTAKEN, self._let_go, way)
        else:
            way.carry(message)
            self._let_go(way)

    def end(self, way: Way) -> None:
        self._let_go(way)
        way.carry(None)

    def _let_go(self, way: Way) -> None:
        waiting, self._waiting = self._waiting, []
        if way.line.alive:
            for message in reversed(waiting):
                way.carry(message)


_SHAPES: dict[type[LinkFault], type[Gate]] = {
    BlackHole: Swallow,
    Reset: Break,
    Stall: Hold,
    LimitData: CutOff,
    Frames: Shuffle,
    Bandwidth: Narrow,
    Slicer: Torn,
    Latency: Slow,
}


def shape(fault: LinkFault, counts: RouteCounts, seed: str) -> Gate | None:
    """What a connection suffers in a direction that has this fault."""
    made = _SHAPES.get(type(fault))
    return None if made is None else made(fault, counts, seed)
