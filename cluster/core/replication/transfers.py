"""Moving partitions (section 4.9): newcomers fetch what they will own, former owners
give up what they no longer own.

Both are anti-entropy, so both can be stopped at any instant and continue from what is
there. A newcomer is ready once it has finished an exchange, begun under this layout,
with every node that owns the partition now; writes reach it meanwhile. A former owner
deletes only once it has finished an exchange with every new owner: whatever it held,
they have acknowledged as durable.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Set
from itertools import islice
from typing import TypedDict

from dynamesis.cluster.core.membership.membership import Membership
from dynamesis.cluster.core.protocol.storage_reader import ReadFailed
from dynamesis.cluster.core.ring.placement import Placement
from dynamesis.cluster.core.runtime.runtime import Runtime
from dynamesis.cluster.core.storage.record_table import RecordTable
from dynamesis.cluster.core.storage.row_keys import Row, partition_prefix
from dynamesis.cluster.core.storage.trees import Trees

_SLICE = 256
#: seconds until rows that could not be deleted are tried again
_AGAIN = 1.0


class MoveStatus(TypedDict):
    """What a node's status has on a partition on the move. `state`: "receiving" or "giving up";
    `down`: those in `waiting_for` that cannot be reached now; `eta`: s until all has come, None
    where that is not known, as it never is while a node is down."""

    partition: int
    state: str
    waiting_for: list[str]
    down: list[str]
    eta: float | None


class Transfers:
    def __init__(
        self,
        node: str,
        runtime: Runtime,
        membership: Membership,
        placement: Callable[[], Placement],
        trees: Trees,
        objects: RecordTable,
        *,
        healthy: Callable[[str], bool],
    ) -> None:
        """`healthy(peer)`: whether a node can be reached now."""
        self._node = node
        self._runtime = runtime
        self._membership = membership
        self._placement = placement
        self._trees = trees
        self._objects = objects
        self.healthy = healthy
        self._version = 0
        self._began = 0.0
        #: when a partition was last ready, by which the rate is known
        self._at = 0.0
        self._first = 0
        self._synced: dict[int, dict[str, None]] = {}
        #: since when a partition is a leftover, and which owners have all of it since then
        self._since: dict[int, float] = {}
        self._given: dict[int, dict[str, None]] = {}
        self._dropping: dict[int, None] = {}
        #: what is to be held, what is, and the leftovers of just these
        self._left: tuple[Set[int], list[int], list[int]] = frozenset(), [], []

    def layout_changed(self) -> None:
        """Progress counts for one layout only."""
        version = self._placement().layout.version
        if version != self._version:
            self._version = version
            self._synced = {}
            self._given = {}
            self._began = self._at = self._runtime.now
            self._first = len(self.incoming())
        self._since = {p: self._since[p] for p in self.leftover()}
        self._given = {p: confirmed for p, confirmed in self._given.items() if p in self._since}
        self._runtime.soon(self._ready_without_owners)

    def _ready_without_owners(self) -> None:
        """Where all owners were removed, there is no source to wait for."""
        for partition in self.incoming():
            self._perhaps_ready(partition)

    def incoming(self) -> list[int]:
        """The partitions that this node still fetches."""
        return self._placement().incoming(self._node)

    def leftover(self) -> list[int]:
        """The partitions that this node holds rows of and is not to hold; not to be changed."""
        mine, held = self._placement().held(self._node), self._trees.held()
        if mine is not self._left[0] or held is not self._left[1]:
            self._left = mine, held, [p for p in held if p not in mine]
        found = self._left[2]
        for p in found:
            self._since.setdefault(p, self._runtime.now)
        return found

    def with_peer(self, peer: str) -> list[int]:
        """The partitions that an exchange begun here with `peer` is about."""
        view = self._placement()
        given = [p for p in self.leftover() if peer in view.primaries(p)]
        return view.shared(self._node, peer) + given

    def synced(self, peer: str, partitions: list[int], version: int, begun: float) -> None:
        """An exchange with `peer`, begun at that time, ended well: all that differed then is
        the same now. For giving up a partition only what began after this node stopped being
        an owner counts: until then it took writes that an earlier one did not see."""
        if version != self._version:
            return
        incoming = dict.fromkeys(self.incoming())
        for p in partitions if incoming or self._since else ():
            self._synced.setdefault(p, {})[peer] = None
            if begun > self._since.get(p, begun):
                self._given.setdefault(p, {})[peer] = None
        for p in [p for p in partitions if p in incoming]:
            self._perhaps_ready(p)
        for p in self.leftover():
            self._perhaps_drop(p)

    def _perhaps_ready(self, partition: int) -> None:
        """Log when all owners have answered. That may end this layout, and begin another."""
        confirmed = self._synced.get(partition, {})
        view = self._placement()
        if partition in self.incoming() and all(s in confirmed for s in view.sources(partition)):
            sources = [s for s in view.sources(partition) if s != self._node]
            fields = {"layout": self._version, "sources": sources}
            self._runtime.emit("transfer-ready", partition=partition, **fields)
            self._at = self._runtime.now
            self._membership.mark_ready(partition)

    def _perhaps_drop(self, partition: int) -> None:
        """Begin to delete when every new owner has acknowledged."""
        confirmed = self._given.get(partition, {})
        owners = self._placement().primaries(partition)
        if partition not in self._dropping and self.may_drop(owners, confirmed):
            self._dropping[partition] = None
            self._drop(partition)

    def may_drop(self, owners: tuple[str, ...], confirmed: Collection[str]) -> bool:
        """Whether all that this node holds of a partition is durable with its owners."""
        return all(owner in confirmed for owner in owners)

    def discard(self) -> None:
        """Delete all that this node is not to hold, whether or not other nodes have it."""
        for partition in self.leftover():
            if partition not in self._dropping:
                self._dropping[partition] = None
                self._drop(partition)

    def _drop(self, partition: int) -> None:
        """Delete a slice of what the new owners have acknowledged, then the next."""
        try:
            rows = self._slice(partition)
        except ReadFailed:
            self._drop_later(partition)
            return
        if not rows:
            self._dropping.pop(partition, None)
            owners = list(self._placement().primaries(partition))
            fields = {"owners": owners, "layout": self._version}
            self._runtime.emit("partition-dropped", partition=partition, **fields)
            return
        left, failed = len(rows), False

        def removed(code: str | None) -> None:
            nonlocal left, failed
            left -= 1
            failed |= code is not None
            if not left:
                (self._drop_later if failed else self._drop)(partition)

        for row in rows:
            self._objects.remove(row, removed)

    def _slice(self, partition: int) -> list[Row]:
        """The next rows to delete; none once this node is to hold the partition again. Raises
        ReadFailed."""
        if self._placement().holds(self._node, partition):
            return []
        rows = self._objects.scan(partition_prefix(partition))
        return [row for row, _ in islice(rows, _SLICE)]

    def _drop_later(self, partition: int) -> None:
        self._runtime.after(_AGAIN, lambda: self._drop(partition))

    def status(self) -> list[MoveStatus]:
        """One line a partition on the move, with the nodes that it waits for."""
        view = self._placement()
        moving = [
            self._line(p, "receiving", [s for s in view.sources(p) if s != self._node])
            for p in self.incoming()
        ]
        return moving + [
            self._line(p, "giving up", list(view.primaries(p))) for p in self.leftover()
        ]

    def _line(self, partition: int, what: str, peers: list[str]) -> MoveStatus:
        confirmed = (self._given if partition in self._since else self._synced).get(partition, {})
        waiting = [peer for peer in peers if peer not in confirmed]
        down = [peer for peer in waiting if not self.healthy(peer)]
        return {
            "partition": partition,
            "state": what,
            "waiting_for": waiting,
            "down": down,
            "eta": None if down or what != "receiving" else self._eta(),
        }

    def _eta(self) -> float | None:
        """Seconds until all has come, at the rate so far; None before anything has, and where
        nothing has for longer than that rate has it."""
        left = len(self.incoming())
        done = self._first - left
        if done <= 0:
            return None
        eta = (self._at - self._began) / done * left - (self._runtime.now - self._at)
        return round(eta, 1) if eta >= 0 else None

    def stuck(self) -> dict[str, str]:
        """The nodes for which the change under way waits and which cannot be reached, by node: why
        it waits. As far as it is known here: a newcomer alone knows which exchanges it has
        finished."""
        view = self._placement()
        found: dict[str, str] = {}
        for p in view.awaited:
            ready = view.layout.ready.get(p, ())
            for newcomer in (n for n in view.pending(p) if n not in ready and n not in view.gone):
                if not self.healthy(newcomer):
                    found.setdefault(newcomer, "it is to own partitions that it has yet to fetch")
                met = self._synced.get(p, {}) if newcomer == self._node else {}
                for source in view.sources(p):
                    if source not in met and not self.healthy(source):
                        found.setdefault(source, f"{newcomer} has partitions to fetch from it")
        return dict(sorted(found.items()))
