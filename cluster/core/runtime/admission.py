"""What work a node takes on: requests up to a bound, background work as the readers allow
(section 6.5).

Requests in progress are bounded in number and in bytes: of a put its value, of a get what
the first replicas have answered with while it waits for others. What is above is refused
immediately, with a time to come back. A request counts until its last replica has answered or
timed out, not only until its client has its answer. Replicas' traffic is exempt: to
refuse it would turn overload into hints and repairs, and so into more of it.

A request may move far more than it has in it: a put of one byte sends all siblings of its key to
the replicas, and a get brings them from there. So the bytes that requests of one key move are
bounded too, where that key has its coordinator: by a share of those that may be in progress, and
as long as nothing is known of the key by so many requests (UNKNOWN bytes each).

What clients wait for is bounded by its delay as well, and shared (cluster.core.runtime.queue).

Background work (handoff, exchanges, transfers) runs in slices. Every second the p99 of
the last minute's reads is held against a target: above it the slices are halved, below
it one is added. There is always at least one, so that nothing waits for ever, and never
more than a bound, so that an idle node cannot drown its peers.
"""

from __future__ import annotations

from dynamesis.cluster.core.protocol.messages import Key
from dynamesis.cluster.core.runtime.queue import UNIT, ClientQueue
from dynamesis.cluster.core.runtime.runtime import Runtime
from dynamesis.cluster.core.runtime.stats import Latencies

#: slices of background work: at least, while clients ask, at most; messages that one may have open
LEAST = 1
BUSY = 1
MOST = 16
PER_SLICE = 4
_PAUSE = 0.01
#: requests of one key that are never too many; of max_request_bytes, those of one key may move one
#: in so many; bytes that one of an unknown key is taken to move; keys that are known
FEW = 4
_SHARE = 4
UNKNOWN = 256 << 10
_KNOWN = 1024
#: seconds between two looks at the readers
_LOOK = 1.0


class Admission:
    """Counts what is in progress, and sets the pace of what can wait."""

    def __init__(
        self,
        runtime: Runtime,
        reads: Latencies,
        target: float,
        most: int,
        most_bytes: int,
        queue_target: float,
    ) -> None:
        """`target`: the p99 of foreground reads that background work must leave alone (s);
        `most` requests and `most_bytes` of values may be in progress; `queue_target`: as for a
        ClientQueue."""
        self.queue = ClientQueue(queue_target, most, most_bytes)
        self._runtime = runtime
        self._reads = reads
        self._target = target
        self._most = most
        self._most_bytes = most_bytes
        self.requests = 0
        self.bytes = 0
        #: key -> bytes of its siblings when they were last seen: of large keys, and of those for
        #: which there was more than a few requests
        self.sizes: dict[Key, int] = {}
        self.slices = MOST

    def start(self) -> None:
        self._runtime.every(_LOOK, self.adjust)

    # ---- requests

    def objection(self, size: int) -> str | None:
        """Why a request with `size` bytes of value is not taken now; None if it is."""
        if self.requests >= self._most:
            return f"{self.requests} requests are in progress"
        if self.bytes and self.bytes + size > self._most_bytes:
            return f"{self.bytes} bytes of values are in progress"
        return None

    def crowd_objection(self, key: Key, under_way: int) -> str | None:
        """Why no more is taken on for `key`, for which more than a FEW requests are under way; None
        if it is."""
        size = self.sizes.get(key, UNKNOWN)
        most = self._most_bytes // _SHARE
        if under_way * size <= most:
            return None
        return (
            f"{under_way} requests of this key are in progress, of {size} bytes each; those of one "
            f"key may move {most} bytes"
        )

    def weigh(self, key: Key, size: int, under_way: int) -> None:
        """A request of `key`, of so many that are under way, moves so many bytes."""
        sizes = self.sizes
        if size >= UNIT or under_way > FEW or key in sizes:
            sizes.pop(key, None)
            sizes[key] = size
            if len(sizes) > _KNOWN:
                del sizes[next(iter(sizes))]

    def enter(self, size: int) -> None:
        self.requests += 1
        self.bytes += size

    def hold(self, size: int) -> None:
        """A get in progress has so many bytes more of the values that it found."""
        self.bytes += size

    def leave(self, size: int) -> None:
        self.requests -= 1
        self.bytes -= size

    # ---- background work

    @property
    def window(self) -> int:
        """How many messages one background activity may have open at a peer."""
        slices = min(self.slices, BUSY) if self.queue.in_use(self._runtime.now) else self.slices
        return slices * PER_SLICE

    @property
    def pause(self) -> float:
        """Seconds that a background activity rests before its next messages: so much that clients
        hardly notice it meanwhile."""
        return _PAUSE if self.queue.in_use(self._runtime.now) else 0.0

    def adjust(self) -> None:
        """Look at the readers, and set the slices."""
        p99 = self._reads.quantile(self._runtime.now, 0.99)
        before = self.slices
        if p99 is not None and p99 > self._target:
            self.slices = max(LEAST, self.slices // 2)
        else:
            self.slices = min(MOST, self.slices + 1)
        if self.slices == LEAST != before:
            self._runtime.emit("background-throttled", p99=p99)
