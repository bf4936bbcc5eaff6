"""What every client request has in common: one answer, a deadline, and what it was worth.

Each request is a state machine of its own on the node that received it (section 5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dynamesis.cluster.core.membership.detector import Detector
from dynamesis.cluster.core.protocol.messages import QuorumInfo, RequestOptions
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
from dynamesis.cluster.core.versions.versioning import Versioning


@dataclass(frozen=True)
class Services:
    """What a request needs of its node."""

    params: Params
    runtime: Runtime
    placement: Callable[[], Placement | None]
    detector: Detector
    replica: Replica
    versioning: Versioning
    contexts: Contexts
    retries: RequestDedup
    barriers: KeyBarriers
    stats: Stats
    admission: Admission
    takes_part: Callable[[], bool]

    @property
    def node(self) -> str:
        return self.params.node

    @property
    def view(self) -> Placement:
        """Who holds what now. A request is admitted only once there is one."""
        view = self.placement()
        assert view is not None
        return view

    def preference(self, key: bytes) -> tuple[str, ...]:
        return self.view.preference(self.view.partition(key))

    def pending(self, key: bytes) -> tuple[str, ...]:
        """Who gets a copy of a write besides its places."""
        return self.view.pending(self.view.partition(key))

    def plan(self, key: bytes, options: RequestOptions) -> SloppyQuorum:
        """The places for a request on `key`, by what is healthy now."""
        sloppy = self.params.sloppy if options.sloppy is None else options.sloppy
        healthy, zone = self.detector.healthy, self.params.zones.get
        return SloppyQuorum(self.preference(key), self.params.n, healthy, sloppy, zone, options.n)

    def near(self, node: str) -> bool:
        """Whether `node` is in the zone of this one."""
        zone = self.params.zones.get
        return zone(node) == zone(self.node)

    def timeout(self, options: RequestOptions) -> float:
        return self.params.request_timeout if options.timeout is None else options.timeout


class QuorumTracker:
    """Which places have answered, and whether that is enough.

    Judged on who answered, never on the plan: a primary that was to answer counts for
    PR or PW only once it has.
    """

    def __init__(
        self,
        need: int,
        need_primaries: int,
        need_durable: int = 0,
        need_local: int = 0,
        near: Callable[[str], bool] = lambda node: True,
    ) -> None:
        self._need = need
        self._need_primaries = need_primaries
        self._need_durable = need_durable
        self._need_local = need_local
        self._near = near
        self._answered: dict[str, tuple[bool, bool]] = {}

    def count(self, place: ReplicaSlot, durable: bool) -> None:
        """The holder of `place` answered. A node counts once."""
        self._answered[place.holder] = (place.hint_for is None, durable)

    @property
    def primaries(self) -> int:
        return sum(primary for primary, _ in self._answered.values())

    @property
    def durable(self) -> int:
        return sum(durable for _, durable in self._answered.values())

    @property
    def local(self) -> int:
        """Answers from the zone of the node that asks."""
        return sum(map(self._near, self._answered))

    @property
    def enough(self) -> bool:
        return (
            len(self._answered) >= self._need
            and self.primaries >= self._need_primaries
            and self.durable >= self._need_durable
            and self.local >= self._need_local
        )

    def worth(
        self, coordinator: str, timestamp: int | None = None, dot: str | None = None
    ) -> QuorumInfo:
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
