"""A get where all is as usual: all primaries are healthy, the client asks for no option, and
all that answer show the same.

Then there is nothing to plan, merge or repair: ask the primaries, answer after R, leave
once all have answered. As soon as anything else happens (an answer differs or fails, time
is up) the get continues as a `GetRequest` from exactly where it is.
"""

from __future__ import annotations

from functools import partial

from dynamesis.cluster.core.node.usual_replica import UsualReplica
from dynamesis.cluster.core.protocol.messages import (
    Answer,
    Get,
    GetReply,
    QuorumInfo,
    ReplicaGet,
    ReplicaGetReply,
    State,
)
from dynamesis.cluster.core.protocol.storage_reader import ReadFailed
from dynamesis.cluster.core.requests.coordinator import Services
from dynamesis.cluster.core.requests.get import GetRequest
from dynamesis.cluster.core.runtime.admission import FEW
from dynamesis.cluster.core.runtime.queue import UNIT
from dynamesis.cluster.core.runtime.request_dedup import Respond
from dynamesis.cluster.core.runtime.runtime import Failure
from dynamesis.cluster.core.versions import clock


class UsualGet:
    """One get in progress."""

    __slots__ = (
        "_answered",
        "_deadline",
        "_general",
        "_get",
        "_got",
        "_held",
        "_left",
        "_primaries",
        "_repairs",
        "_respond",
        "_s",
        "_shown",
    )

    def __init__(
        self, services: Services, get: Get, respond: Respond, primaries: tuple[str, ...]
    ) -> None:
        self._s = services
        self._get = get
        self._respond = respond
        self._primaries = primaries
        #: what continues with it once something unusual has happened
        self._general: GetRequest | None = None
        self._answered = False
        self._shown: State = {}
        #: bytes of it that count as in progress
        self._held = 0
        #: the nodes that answered, and whether what they showed is durable
        self._got: list[tuple[str, bool]] = []
        self._left = len(primaries)
        self._repairs = services.takes_part()

    def start(self, ways: UsualReplica) -> None:
        s, key = self._s, self._get.key
        s.barriers.enter(key)
        self._deadline = s.runtime.after(s.params.request_timeout, self._expire)
        me, runtime, timeout = s.node, s.runtime, s.usual_timeout()
        if timeout and s.params.r > 1:  # the own answer is not enough, so it may come last
            rid = runtime.sequence = runtime.sequence + 1
            others = list(self._primaries)
            if me in others:
                others.remove(me)
            runtime.ask_all(others, rid, ReplicaGet(rid, key, None), timeout, self._outcome)
            if len(others) < self._left:
                self._own(ways)
            return
        for peer in self._primaries:
            if peer == me:
                self._own(ways)
            else:
                rid = runtime.sequence = runtime.sequence + 1
                wait = timeout or s.replica_timeout(peer)
                runtime.ask_all([peer], rid, ReplicaGet(rid, key, None), wait, self._outcome)

    def _own(self, ways: UsualReplica) -> None:
        """What this node has itself."""
        s, key = self._s, self._get.key
        try:
            record = ways.durable(key)
        except ReadFailed:
            self._received(s.node, None, "storage-read", False)
            return
        if record is None:
            s.replica.get(key, None, partial(self._received, s.node))
        else:
            self._received(s.node, record.state, None, s.replica.durable)

    def _outcome(self, peer: str, outcome: Answer | Failure) -> None:
        if type(outcome) is ReplicaGetReply:
            self._received(peer, outcome.state, outcome.error, outcome.durable)
        else:
            self._received(peer, None, "unreachable", False)

    def _received(self, peer: str, state: State | None, error: str | None, durable: bool) -> None:
        if self._general is not None:
            self._general.received(peer, state, error, durable)
            return
        held = state or {}
        if error is not None or (self._got and held != self._shown):
            self._turn_general().received(peer, state, error, durable)
            return
        if not self._got:
            self._shown = held
            self._hold(held)
        self._got.append((peer, durable))
        self._left -= 1
        if not self._answered and len(self._got) >= self._s.params.r:
            self._answer()
        if not self._left:
            self._s.barriers.leave(self._get.key)
            self._s.admission.leave(self._held)

    def _hold(self, state: State) -> None:
        for entry in state.values():
            for _, version in entry.values:
                self._held += len(version.value)
        self._s.admission.hold(self._held)

    def _answer(self) -> None:
        s, get, shown, got = self._s, self._get, self._shown, len(self._got)
        dots = clock.dots(shown)
        answers = {peer: dots for peer, _ in self._got}
        s.runtime.log("read", {"key": get.key, "answers": answers}, only_key=True)
        siblings = clock.versions(shown)
        if (
            len(siblings) > 1
            or (siblings and len(siblings[0].value) >= UNIT)
            or get.key in s.admission.sizes
            or s.barriers.under_way[get.key] > FEW
        ):
            s.weigh(get.key, shown)
        s.stats.read(len(siblings), len(shown))
        token = s.contexts.token(get.key, shown, self._got[0][0])
        durable = [durable for _, durable in self._got].count(True)
        info = QuorumInfo(got, got, durable, 0, s.node)
        self._answered = True
        s.runtime.cancel(self._deadline)
        self._respond(GetReply(get.rid, siblings, token, info))

    def abandon(self) -> None:
        """The client has gone."""
        (self._general or self._turn_general()).abandon()

    def _expire(self) -> None:
        (self._general or self._turn_general()).expire()

    def _turn_general(self) -> GetRequest:
        s = self._s
        general = GetRequest(s, self._get, self._respond)
        plan = s.whole_plan(self._get.key)
        plan.begun_with(self._primaries)
        general.take_over(
            plan,
            self._shown,
            self._got,
            self._answered,
            self._deadline,
            self._repairs,
        )
        self._general = general
        return general
