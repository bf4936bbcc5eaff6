"""What a store may refuse, whatever its health: what is too large, too much or too long for it.

By itself, from sizes on that none has to take; or by the parameters of a test (`params` in
test.json), where these set lower limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from dynamesis.checkers.graph.pace import asking
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.op import canonical
from dynamesis.checkers.history.pairing import INVOKE

#: s that nodes have for a request of their own accord
PATIENT = 2.0
#: codes that clients and the harness give themselves
CLIENTS = ("closed", "context-evicted", "client-broke")
#: bytes that a client and a store may add to a value, and to a key
_WRAPPED, _PREFIX = 256, 16
#: A node whose `queue_target` is lower than the default, s, may take the delay of its network for
#: overload. So few requests it takes whatever their delay.
_QUEUE_TARGET, _QUEUE_FLOOR = 0.01, 4
#: bytes of a hint beside its value, at most
_HINT = 1024
#: One key has a quarter of `max_request_bytes`, of which a request takes so many bytes as long as
#: it is not known how large its siblings are.
_KEY_SHARE, _REQUEST = 4, 256 << 10


@dataclass(frozen=True)
class Limits:
    """The limits of one store.

    value: the largest value, bytes as JSON
    key: the longest key, characters
    siblings: fewest writes of a key that may be too many
    sibling_bytes: the same in bytes of their values, each with `wrapped` more
    timeout: the longest time-out, s
    waited: s after which a coordinator gives a replica up, and with it perhaps the quorum
    requests: so many in progress are never too many; None: not known
    lasting: s for which a request may be in progress
    hint_bytes: room for hints of a node; None: not known"""

    value: int = 1 << 16
    key: int = 256
    siblings: int = 16
    sibling_bytes: int = 1 << 16
    wrapped: int = 0
    timeout: float = 60.0
    waited: float = 0.5
    requests: int | None = None
    lasting: float = PATIENT
    hint_bytes: float | None = None

    @classmethod
    def of(cls, test: Mapping[str, Any]) -> Limits:
        """By `params` of test.json. A write that was sent twice may leave two siblings."""
        given = test.get("params")
        params = given if isinstance(given, Mapping) else {}

        def limit(name: str) -> float:
            value = params.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return value
            return float("inf")

        hasty = limit("queue_target") < _QUEUE_TARGET
        of_a_key = max(_QUEUE_FLOOR, limit("max_request_bytes") / _KEY_SHARE / _REQUEST)
        requests = min(limit("max_requests"), of_a_key, _QUEUE_FLOOR if hasty else float("inf"))
        return cls(
            value=int(min(cls.value, limit("max_value") - _WRAPPED)),
            key=int(min(cls.key, limit("max_key") - _PREFIX)),
            siblings=max(1, int(min(cls.siblings, limit("max_siblings") / 2))),
            sibling_bytes=int(min(cls.sibling_bytes, limit("max_sibling_bytes"))),
            wrapped=_WRAPPED if limit("max_sibling_bytes") < cls.sibling_bytes else 0,
            timeout=min(cls.timeout, limit("max_timeout")),
            waited=min(cls.waited, limit("replica_timeout")),
            requests=None if requests == float("inf") else int(requests),
            lasting=PATIENT + asking(test),
            hint_bytes=None if (room := limit("max_hint_bytes")) == float("inf") else room,
        )


def of_client(h: History, row: int, limits: Limits) -> bool:
    """Whether an operation failed by what the client itself did: it was never sent, or it had
    to be refused by any cluster with these limits."""
    code, begin = h.errors[row].code if row in h.errors else "", int(h.pair[row])
    if code == "bad-context":
        basis = int(h.basis[begin])
        return basis >= 0 and bool(h.key_of[basis] != h.key_of[begin])
    if code == "value-too-large":
        return _size(h.value_of(begin)) > limits.value
    if code == "key-too-large":
        return len(h.keys[h.key_of[begin]]) > limits.key
    if code == "too-many-siblings":
        return _many_written(h, row, limits)
    return code in CLIENTS


def crowded(h: History, row: int, limits: Limits) -> bool:
    """Whether a node may have had as many requests in progress (until all replicas have answered)
    as it takes: those that began lately."""
    if limits.requests is None:
        return False
    begin = int(h.pair[row])
    first = int(np.searchsorted(h.time, h.time[begin] - int(limits.lasting * 1e9)))
    begun = (h.kind[first:row] == INVOKE) & h.rows("get", "put", "delete")[first:row]
    return int(np.count_nonzero(begun & (h.process[first:row] >= 0))) >= limits.requests


def hints_may_be_full(h: History, row: int, limits: Limits, n: int) -> bool:
    """Whether a node may have no room for a hint any more as an operation ends: were all writes
    begun before it hints there, for each of n nodes."""
    if limits.hint_bytes is None:
        return False
    rows = np.flatnonzero((h.kind[:row] == INVOKE) & h.rows("put", "delete")[:row]).tolist()
    return n * sum(_size(h.value_of(each)) + _HINT for each in rows) >= limits.hint_bytes


def _many_written(h: History, row: int, limits: Limits) -> bool:
    """Whether a key may have had too many siblings for a write: so much else was written of it
    before that ended."""
    begin = int(h.pair[row])
    written = (h.kind[:row] == INVOKE) & h.rows("put", "delete")[:row]
    written &= h.key_of[:row] == h.key_of[row]
    written[begin] = False
    rows = np.flatnonzero(written)
    if len(rows) >= limits.siblings:
        return True
    sizes = [_size(h.value_of(each)) + limits.wrapped for each in (*rows.tolist(), begin)]
    return len(rows) > 0 and sum(sizes) >= limits.sibling_bytes


def _size(value: Any) -> int:
    """Bytes of a value as JSON, at least; of one that its client pads, with the padding (`pad`)."""
    pad = value.get("pad") if isinstance(value, dict) else None
    return len(canonical(value)) + (pad if isinstance(pad, int) else 0)
