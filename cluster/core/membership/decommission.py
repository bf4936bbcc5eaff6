"""Decommission: until when a node that has left, or was removed, takes part.

A node that leaves may still hold the only copy of a write, and hands it off (transfers, hints).
As long as it may, it takes part: its states are merged, and no tombstone is forgotten
without asking it, or an old value that it still holds would walk back. Then it is *closed*
(changes): no node asks it or takes a state from it any more, whatever it holds.

- A node that has gone closes itself once it holds nothing.
- One that was removed is taken for dead, and no message of it is taken ever again. The
  claimant closes it after `reap_after`, the age at which tombstones are reaped: until then it
  may come back, and what it alone was given is not lost. Meanwhile no tombstone is forgotten.
- One that has left and died on the way is waited for until it comes back or is removed.

A node that learns that it was closed throws away what it holds.
"""

from __future__ import annotations

from collections.abc import Callable

from dynamesis.cluster.core.membership.changes import claimant, closed, former, gone
from dynamesis.cluster.core.membership.membership import Membership, settled
from dynamesis.cluster.core.runtime.runtime import Runtime


class Decommission:
    def __init__(
        self,
        node: str,
        runtime: Runtime,
        membership: Membership,
        interval: float,
        grace: float,
        *,
        is_empty: Callable[[], bool],
        discard: Callable[[], None],
    ) -> None:
        """Looks every `interval` s; a removed node may come back for `grace` s, 0: for ever.
        `is_empty`: whether this node holds nothing, and nothing is on its way to its disk;
        `discard` deletes whatever it holds."""
        self._node = node
        self._runtime = runtime
        self._membership = membership
        self._interval = interval
        self._grace = grace
        self._removed: dict[str, float] = {}
        self.is_empty = is_empty
        self.discard = discard

    def start(self) -> None:
        self._runtime.every(self._interval, self.look)

    def look(self) -> None:
        layout, requests = self._membership.layout, self._membership.requests
        if layout is None:
            return
        waiting = former(layout, requests)
        if self._node in closed(requests):
            self.discard()
        elif self._node in waiting:
            if self.is_empty():
                self._close(self._node)
        elif settled(layout) and claimant(layout, requests) == self._node:
            self._wait(sorted(waiting & gone(layout, requests)))

    def _wait(self, removed: list[str]) -> None:
        """Close each node that was removed for long enough, as far as this life knows."""
        now = self._runtime.now
        self._removed = {node: self._removed.get(node, now) for node in removed}
        for node, since in self._removed.items():
            if self._grace and now - since >= self._grace:
                self._close(node)

    def _close(self, node: str) -> None:
        self._runtime.emit("closed", peer=node)
        self._membership.close(node)
