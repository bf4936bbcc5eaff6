"""Decides which nodes hold a key at this instant, while ownership may be on the move.

A partition moves in one step, when all its newcomers have its data. Until then the old
primaries serve it, and every write goes to the newcomers as well; from then on the new
ones serve it, and the old ones give up what they hold.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field

from dynamesis.cluster.core.protocol.messages import Key, Layout
from dynamesis.cluster.core.ring.claim import claim, shares
from dynamesis.cluster.core.ring.ring import Ring

_NONE: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Rules:
    """The rules of placement, the same on all nodes of a cluster: N, each node's weight and
    zone, each zone's replicas (see cluster.core.protocol.params)."""

    n: int
    weights: Mapping[str, float] = field(default_factory=dict)
    zones: Mapping[str, str] = field(default_factory=dict)
    zone_replicas: Mapping[str, int] = field(default_factory=dict)

    def claim(
        self, members: Sequence[str], partitions: int, previous: Sequence[str] | None = None
    ) -> tuple[str, ...]:
        """The owners of all partitions. Raises ValueError (cluster.core.ring.claim)."""
        return claim(members, partitions, self.n + 1, previous, self.weights, self.zones)

    def check(self, members: Sequence[str], partitions: int) -> None:
        """Raises ValueError where `members` cannot be given the shares of their weights."""
        shares(members, partitions, self.n, self.weights)

    def ring(self, owners: Sequence[str]) -> Ring:
        return Ring(owners, self.n, self.zones, self.zone_replicas)


class Placement:
    """A layout, read: N primaries a partition, its newcomers, and the fallbacks.

    `gone` are nodes that no transfer waits for, of which those that are `closed` hold nothing."""

    def __init__(
        self,
        layout: Layout,
        rules: Rules,
        gone: Collection[str] = (),
        closed: Collection[str] = (),
    ) -> None:
        self.layout = layout
        self.now = rules.ring(layout.owners)
        self.then = self.now if layout.target == layout.owners else rules.ring(layout.target)
        self.gone = frozenset(gone)
        self.closed = frozenset(closed)
        self.partitions = range(len(layout.owners))
        #: of each partition; none where nothing moves
        self._newcomers = [
            () if self.then is self.now else self._find_newcomers(p) for p in self.partitions
        ]
        self._switched = [self._is_switched(p) for p in self.partitions]
        #: the partitions that newcomers still fetch: in a settled layout none
        self._awaited = [p for p in self.partitions if not self._switched[p]]
        self._holders = [
            frozenset((*self.primaries(p), *self._newcomers[p])) - self.closed
            for p in self.partitions
        ]
        self._held: dict[str, set[int]] = {}
        for partition, holders in enumerate(self._holders):
            for node in holders:
                self._held.setdefault(node, set()).add(partition)
        self._shared: dict[tuple[str, str], list[int]] = {}

    def partition(self, key: Key) -> int:
        return self.now.partition(key)

    def _find_newcomers(self, partition: int) -> tuple[str, ...]:
        now = self.now.primaries(partition)
        return tuple(node for node in self.then.primaries(partition) if node not in now)

    def _is_switched(self, partition: int) -> bool:
        ready = self.layout.ready.get(partition, ())
        return all(n in ready or n in self.gone for n in self._newcomers[partition])

    def switched(self, partition: int) -> bool:
        """Whether the coming primaries serve already."""
        return self._switched[partition]

    @property
    def awaited(self) -> Sequence[int]:
        """The partitions that newcomers still fetch; not to be changed."""
        return self._awaited

    def _ring(self, partition: int) -> Ring:
        return self.then if self._switched[partition] else self.now

    def primaries(self, partition: int) -> tuple[str, ...]:
        """The nodes that serve a partition."""
        return self._ring(partition).primaries(partition)

    def preference(self, partition: int) -> tuple[str, ...]:
        """The primaries, then the fallbacks in order."""
        return self._ring(partition).preference(partition)

    def pending(self, partition: int) -> tuple[str, ...]:
        """The coming primaries, which get a copy of every write already."""
        return () if self._switched[partition] else self._newcomers[partition]

    def sources(self, partition: int) -> tuple[str, ...]:
        """The nodes with which a newcomer must have synchronised before it is ready."""
        return tuple(n for n in self.now.primaries(partition) if n not in self.gone)

    def holds(self, node: str, partition: int) -> bool:
        """Whether `node` is to hold the partition, now or soon."""
        return node in self._holders[partition]

    def held(self, node: str) -> Set[int]:
        """The partitions that `node` is to hold, now or soon."""
        return self._held.get(node, _NONE)

    def shared(self, node: str, peer: str) -> list[int]:
        """The partitions that both are to hold, now or soon; not to be changed."""
        if (node, peer) not in self._shared:
            self._shared[node, peer] = sorted(self.held(node) & self.held(peer))
        return self._shared[node, peer]

    def incoming(self, node: str) -> list[int]:
        """The partitions that `node`, a newcomer, still fetches."""
        return [
            p
            for p in self._awaited
            if node in self.pending(p)
            and self.holds(node, p)
            and node not in self.layout.ready.get(p, ())
        ]
