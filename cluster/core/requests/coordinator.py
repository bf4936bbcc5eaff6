"""The collaborators of a client request, and the count of the answers that it has.

Each request is a state machine of its own on the node that received it (section 5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from dynamesis.cluster.core.membership.detector import Detector
from dynamesis.cluster.core.protocol.messages import (
    Dot,
    Key,
    QuorumInfo,
    RequestOptions,
    State,
)
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.replication.key_barrier import KeyBarriers
from dynamesis.cluster.core.replication.replica import Replica
from dynamesis.cluster.core.ring.placement import Placement
from dynamesis.cluster.core.ring.sloppy_quorum import ReplicaSlot, SloppyQuorum
from dynamesis.cluster.core.runtime.admission import Admission
from dynamesis.cluster.core.runtime.request_dedup import RequestDedup
from dynamesis.cluster.core.runtime.runtime import Runtime
from dynamesis.cluster.core.runtime.stats import Stats
from dynamesis.cluster.core.versions.context import Contexts
from dynamesis.cluster.core.versions.siblings import size_of
from dynamesis.cluster.core.versions.versioning import Versioning

_USUAL = RequestOptions()


@dataclass(frozen=True)
class Services:
    """The parts of the node that a request uses."""

    params: Params
    runtime: Runtime
    placement: Callable[[], Placement | None]
    detector: Detector
    replica: Replica
    versioning: Versioning
    contexts: Contexts
    dedup: RequestDedup
    barriers: KeyBarriers
    stats: Stats
    admission: Admission
    takes_part: Callable[[], bool]

    @cached_property
    def node(self) -> str:
        return self.params.node

    @property
    def view(self) -> Placement:
        """The placement as of now. A request is admitted only once there is one."""
        view = self.placement()
        assert view is not None
        return view

    def preference(self, key: Key) -> tuple[str, ...]:
        view = self.view
        return view.preference(view.partition(key))

    def newcomers(self, key: Key, plan: SloppyQuorum) -> list[str]:
        """The nodes that get a copy of a write besides the places of `plan`: those that are about
        to own the key, and those that came to own it since the plan was made."""
        view = self.view
        partition = view.partition(key)
        later = [node for node in view.primaries(partition) if node not in plan.primaries]
        return [n for n in (*view.pending(partition), *later) if plan.held_by(n) is None]

    def plan(self, key: Key, options: RequestOptions) -> SloppyQuorum:
        """The places for a request on `key`, by what is healthy now."""
        sloppy = self.params.sloppy if options.sloppy is None else options.sloppy
        healthy, zone = self.detector.healthy, self.params.zones.get
        return SloppyQuorum(self.preference(key), self.params.n, healthy, sloppy, zone, options.n)

    def all_well(self, key: Key) -> tuple[str, ...] | None:
        """The primaries of `key`, if all are healthy and none is about to change: the places of a
        request as usual; None otherwise."""
        view = self.view
        partition = view.partition(key)
        primaries = view.primaries(partition)
        if len(primaries) != self.params.n or view.pending(partition):
            return None
        healthy = self.detector.healthy
        for node in primaries:
            if not healthy(node):
                return None
        return primaries

    def whole_plan(self, key: Key) -> SloppyQuorum:
        """The places of a request that began when all primaries were healthy."""
        plan = self.plan(key, _USUAL)
        plan.make_whole(self.preference(key))
        return plan

    def near(self, node: str) -> bool:
        """Whether `node` is in the zone of this one."""
        zone = self.params.zones.get
        return zone(node) == zone(self.node)

    def replica_timeout(self, peer: str, options: RequestOptions = _USUAL) -> float:
        """Seconds for an answer of `peer`, after which a fallback takes its place. One that is slow
        gets longer, and never so long that no time is left for the fallback; much longer, where
        the client of a get has time for that: 64 MiB of siblings may take a busy replica longer
        than any answer that others give."""
        usual = self.params.replica_timeout
        if (options.timeout or 0.0) > self.params.request_timeout and self.detector.slow(peer):
            return max(usual, self.timeout(options) / 2)
        most = max(usual, self.params.request_timeout / 2)
        return min(usual * self.detector.patience(peer), most)

    def usual_timeout(self) -> float | None:
        """`replica_timeout` of every peer; None where they differ."""
        if self.detector.slow_until > self.runtime.now:
            return None
        return self.params.replica_timeout

    def weigh(self, key: Key, state: State) -> None:
        """A request of `key` moves this state."""
        self.admission.weigh(key, size_of(state), self.barriers.under_way.get(key, 0))

    def timeout(self, options: RequestOptions) -> float:
        return self.params.request_timeout if options.timeout is None else options.timeout


class QuorumTracker:
    """Counts the places that have answered against R or W, PR or PW, DW and `local`.

    Counted are answers, never the plan: a primary counts for PR or PW only once it has
    answered.
    """

    def __init__(
        self,
        need: int,
        need_primaries: int,
        need_durable: int,
        need_local: int,
        near: Callable[[str], bool],
    ) -> None:
        """The numbers of nodes that must have answered: in all, as primaries, durably, and in
        the zone of this node, as `near(node)` decides."""
        self._need = need
        self._need_primaries = need_primaries
        self._need_durable = need_durable
        self._need_local = need_local
        self._near = near
        self._answered: dict[str, tuple[bool, bool]] = {}

    def count(self, place: ReplicaSlot, durable: bool) -> None:
        """The holder of `place` answered. A node counts once."""
        self._answered[place.holder] = (place.holder == place.primary, durable)

    @property
    def primaries(self) -> int:
        return [primary for primary, _ in self._answered.values()].count(True)

    @property
    def durable(self) -> int:
        return [durable for _, durable in self._answered.values()].count(True)

    @property
    def local(self) -> int:
        """Answers from the zone of the coordinating node."""
        return sum(map(self._near, self._answered))

    @property
    def enough(self) -> bool:
        return (
            len(self._answered) >= self._need
            and (not self._need_primaries or self.primaries >= self._need_primaries)
            and (not self._need_durable or self.durable >= self._need_durable)
            and (not self._need_local or self.local >= self._need_local)
        )

    def info(
        self, coordinator: str, timestamp: int | None = None, dot: Dot | None = None
    ) -> QuorumInfo:
        """The quorum information of the answer to the client."""
        replicas, primaries = len(self._answered), self.primaries
        fallbacks = replicas - primaries
        return QuorumInfo(replicas, primaries, self.durable, fallbacks, coordinator, timestamp, dot)

    def shortfall(self) -> str:
        """How far the answers are from enough, in words."""
        parts = [f"{len(self._answered)} of {self._need} nodes answered"]
        if self._need_primaries:
            parts.append(f"{self.primaries} of {self._need_primaries} primaries")
        if self._need_durable:
            parts.append(f"{self.durable} of {self._need_durable} durably")
        if self._need_local:
            parts.append(f"{self.local} of {self._need_local} in this zone")
        return ", ".join(parts)
