"""The queue of a node's clients: which requests enter it, and how long it may become.

A node has no queue of its own: what it has taken and not answered is the queue, wherever it waits
(for the processor, the disk, other replicas). It is bounded by delay, after the idea of CoDel
(Nichols and Jacobson 2012): while the median answer of an interval took longer than a target, the
queue is too long, and the limit on it falls, by more the longer it took; otherwise the limit rises
as far as it is used. What an answer took counts from when its question could have been read: what
waits in a socket for the node's loop is in the queue too. It is the median, so that one slow peer
or key does not look like overload. A store that is slow by itself is not overloaded either: the
target is at least twice what answers took while hardly anything was in progress.

A request counts one, and one more for each 64 KiB of its value. What is above the limit is
refused, the heaviest first: a connection with less than its equal share is let in. No connection
and no key ever has more than a quarter of all that a node takes, and in a queue that is half full
no key has more than half of it.
"""

from __future__ import annotations

from dynamesis.cluster.core.protocol.messages import Key

#: below this much no delay is shed
FLOOR = 4
UNIT = 64 << 10
#: an interval ends after so many seconds; with so many answers, after fewer
_INTERVAL = 0.1
_ANSWERS = 8
_EARLY = 0.02
#: seconds without a request after which what was learned is forgotten
_FORGET = 5.0
#: and after which clients are not at it any more
_RECENT = 1.0
#: the limit falls by this much an interval at most and at least, and rises by so much, or drifts
#: while it is not used
_MUCH_LESS, _LESS, _MORE, _DRIFT = 0.5, 0.8, 1.25, 1.02
#: connections with less than their share are let in as long as the queue is so many times its limit
_SLACK = 1.5
#: a connection, or a key, has one in so many of all
_SHARE = 4
#: seconds after which a refused client may come again: at least, at most
_AGAIN = (0.1, 1.0)


class ClientQueue:
    """Clients' requests that were taken and not answered; those forwarded by peers are not."""

    def __init__(self, target: float, most: int, most_bytes: int) -> None:
        """`target`: seconds that the median answer may take; `most` requests and `most_bytes` of
        values are taken in all."""
        self._target = target
        self._top = float(most + most_bytes // UNIT)
        self._share = max(FLOOR, self._top / _SHARE)
        self.limit = self._top
        self.units = 0
        self._channels: dict[int, int] = {}
        self._keys: dict[Key, int] = {}
        self._began = -_FORGET
        #: what the answers of this interval took
        self._took: list[float] = []
        self._last = 0.0
        self._peak = 0
        #: what answers took while hardly anything was in progress
        self._base = 0.0

    def objection(self, now: float, channel: int, key: Key, size: int) -> str | None:
        """Why one more request is not taken; None if it is."""
        passed = now - self._began
        if passed >= _INTERVAL or (passed >= _EARLY and len(self._took) >= _ANSWERS):
            self._look(now)
        cost = 1 + size // UNIT
        mine, of_key = self._channels.get(channel, 0), self._keys.get(key, 0)
        if mine and mine + cost > self._share:
            return f"this connection has {mine} units in progress, its share of max_requests"
        if of_key and of_key + cost > self._share:
            return f"this key has {of_key} units in progress, its share of max_requests"
        units, limit = self.units + cost, self.limit
        if units * 2 <= limit or not self.units:
            return None
        if of_key and of_key + cost > max(FLOOR, limit / 2):
            return self._too_slow("of which this key has half")
        if units <= limit:
            return None
        connections = len(self._channels) + (mine == 0)
        if mine + cost > max(1.0, limit / connections) or units > _SLACK * limit:
            return self._too_slow(f"from {connections} connections")
        return None

    def _too_slow(self, share: str) -> str:
        return (
            f"answers take {1e3 * self._last:.0f} ms (queue_target "
            f"{1e3 * self._target:.0f} ms), {self.units} units are in progress {share}"
        )

    def in_use(self, now: float) -> bool:
        """Whether clients send requests, or sent one a moment ago."""
        return self.units > 0 or now - self._began < _RECENT

    @property
    def retry_after(self) -> float:
        """Seconds after which a refused client may come again."""
        least, most = _AGAIN
        return min(most, max(least, 4 * self._last))

    def enter(self, channel: int, key: Key, size: int) -> None:
        cost = 1 + size // UNIT
        self.units += cost
        if self.units > self._peak:
            self._peak = self.units
        self._channels[channel] = self._channels.get(channel, 0) + cost
        self._keys[key] = self._keys.get(key, 0) + cost

    def leave(self, channel: int, key: Key, size: int, seconds: float | None) -> None:
        """It was answered after so long; None: refused."""
        cost = 1 + size // UNIT
        self.units -= cost
        left = self._channels[channel] - cost
        if left:
            self._channels[channel] = left
        else:
            del self._channels[channel]
        left = self._keys[key] - cost
        if left:
            self._keys[key] = left
        else:
            del self._keys[key]
        if seconds is not None:
            self._took.append(seconds)

    def _look(self, now: float) -> None:
        """The end of an interval: set the limit by its median answer."""
        took, self._took = sorted(self._took), []
        peak, self._peak = self._peak, self.units
        if now > self._began + _FORGET and not self.units:
            self.limit, self._base, self._last = self._top, 0.0, 0.0
        elif took:
            self._adjust(took[len(took) // 2], peak)
        self._began = now

    def _adjust(self, median: float, peak: int) -> None:
        self._last = median
        if peak <= FLOOR or median < self._base:
            self._base = median
        target = max(self._target, 2 * self._base)
        if median > target:
            less = min(_LESS, max(_MUCH_LESS, target / median))
            self.limit = max(float(FLOOR), min(self.limit, peak) * less)
        else:
            rise = _MORE if peak * 2 > self.limit else _DRIFT
            self.limit = min(self._top, self.limit * rise)
