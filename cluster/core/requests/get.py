"""A get: ask N, answer after R, linger, then repair the replicas that answered late or stale
(sections 4.5 and 5).

A fallback without a record of the key does not prove that there is none: its not-found does
not count towards R, unless the request asks for it (`notfound_ok`). The context handed out
covers exactly what is shown.
"""

from __future__ import annotations

from dynamesis.cluster.core.protocol.messages import (
    Answer,
    Dot,
    Get,
    GetReply,
    Refusal,
    ReplicaGet,
    ReplicaGetReply,
    ReplicaPut,
    State,
)
from dynamesis.cluster.core.requests.coordinator import QuorumTracker, Services
from dynamesis.cluster.core.requests.phase import Phase, advance
from dynamesis.cluster.core.ring.sloppy_quorum import ReplicaSlot, SloppyQuorum
from dynamesis.cluster.core.runtime.request_dedup import Respond
from dynamesis.cluster.core.runtime.runtime import Failure, Timer
from dynamesis.cluster.core.versions import clock
from dynamesis.cluster.core.versions.siblings import size_of


class GetRequest:
    """One get in progress at the node that received it."""

    def __init__(self, services: Services, get: Get, respond: Respond) -> None:
        self.services = services
        self.get = get
        self._respond = respond
        options, params = get.options, services.params
        self.plan = services.plan(get.key, options)
        self._quorum = QuorumTracker(
            options.r or min(params.r, options.n or params.n),
            options.pr or 0,
            0,
            options.local or 0,
            services.near,
        )
        self.phase = Phase.OPEN
        #: places that have yet to answer
        self._unanswered = len(self.plan.places)
        self._answers: dict[str, State] = {}
        #: the primaries that cannot read their record
        self._unreadable: dict[str, None] = {}
        self._shown: State = {}
        #: bytes of it that count as in progress
        self._held = 0
        self._received: list[tuple[ReplicaSlot, list[Dot]]] = []
        self._fastest = ""
        #: a node that takes no part does not vote before a tombstone is reaped: the states
        #: that it reads meanwhile must not be spread
        self._repairs = services.takes_part()
        #: primary -> its place, of a get that was taken over
        self._taken_over: dict[str, ReplicaSlot] = {}

    def start(self) -> None:
        runtime = self.services.runtime
        self.services.barriers.enter(self.get.key)
        self._deadline = runtime.after(self.services.timeout(self.get.options), self._expire)
        for place in list(self.plan.places):
            self._ask(place)

    # ---- taken over from a get that was usual until now (cluster.core.node.usual_get)

    def take_over(
        self,
        plan: SloppyQuorum,
        shown: State,
        got: list[tuple[str, bool]],
        answered: bool,
        deadline: Timer,
        repairs: bool,
    ) -> None:
        """Continue where the primaries `got` have answered with `shown`, which counts as in
        progress, and whether durably."""
        self._held = size_of(shown)
        self.plan, self._deadline, self._repairs = plan, deadline, repairs
        self._taken_over = {place.holder: place for place in plan.places}
        for node, durable in got:
            self.take_in(self._taken_over[node], shown, durable)
        self._unanswered -= len(got)
        if answered:
            self.phase = advance(self.phase, Phase.ANSWERED)

    def received(self, node: str, state: State | None, error: str | None, durable: bool) -> None:
        """What a primary answered."""
        self._received_from(self._taken_over[node], state, error, durable)

    def expire(self) -> None:
        """Time is up."""
        self._expire()

    def _ask(self, place: ReplicaSlot) -> None:
        key = self.get.key
        if place.holder == self.services.node:
            self.services.replica.get(
                key,
                place.hint_for,
                lambda state, error, stored: self._received_from(place, state, error, stored),
            )
            return
        self.services.runtime.call(
            place.holder,
            lambda rid: ReplicaGet(rid, key, place.hint_for),
            self.services.replica_timeout(place.holder, self.get.options),
            lambda outcome: self._answered(place, outcome),
        )

    def _answered(self, place: ReplicaSlot, outcome: Answer | Failure) -> None:
        if isinstance(outcome, ReplicaGetReply):
            self._received_from(place, outcome.state, outcome.error, outcome.durable)
        else:
            self._received_from(place, None, "unreachable")

    def _received_from(
        self, place: ReplicaSlot, state: State | None, error: str | None, durable: bool = False
    ) -> None:
        if error is not None:
            if error == "storage-read" and place.holder == place.primary:
                self._unreadable[place.holder] = None
            if self.phase is Phase.OPEN and self.plan.replace(place):
                self.services.runtime.note("place-replaced", code="get", to=place.holder)
                self._ask(place)
                return
        else:
            self.take_in(place, state, durable)
        self._unanswered -= 1
        self._progress()

    def take_in(self, place: ReplicaSlot, state: State | None, durable: bool) -> None:
        """Take in the answer of the holder of `place`."""
        if place.holder == place.primary:
            self._fastest = self._fastest or place.holder
            self._answers[place.holder] = state or {}
        if self.counts(place, state):
            self._quorum.count(place, durable)
        self._received.append((place, clock.dots(state or {})))
        merged = self.merge(self._shown, state or {})
        self._shown = self.services.versioning.of(self.get.key).settle(merged)
        size = size_of(self._shown)
        self.services.admission.hold(size - self._held)
        self._held = size

    def counts(self, place: ReplicaSlot, state: State | None) -> bool:
        """Whether this answer counts towards R."""
        return state is not None or place.hint_for is None or self.get.options.notfound_ok

    def merge(self, shown: State, state: State) -> State:
        """The state shown to the client after one more replica answered."""
        return self.services.versioning.clock.sync(shown, state)

    # ---- answering

    def _progress(self) -> None:
        if self.phase is Phase.OPEN and self._quorum.enough:
            self._answer()
        if self._unanswered:
            return
        if self.phase is Phase.OPEN:
            self._refuse("read-quorum", f"get: {self._quorum.shortfall()}")
        if self._repairs:
            self.repair(self._shown)
        self.services.barriers.leave(self.get.key)
        self.phase = advance(self.phase, Phase.OVER)
        self.services.admission.leave(self._held)

    def _log(self) -> None:
        """Which versions each node answered with, by dot."""
        answers = {_shown_by(place): dots for place, dots in self._received}
        self.services.runtime.log("read", {"key": self.get.key, "answers": answers})

    def _answer(self) -> None:
        self._log()
        siblings = clock.versions(self._shown)
        self.services.weigh(self.get.key, self._shown)
        self.services.stats.read(len(siblings), len(self._shown))
        self._finish(
            GetReply(
                self.get.rid,
                siblings,
                self.context(),
                self._quorum.info(self.services.node),
            )
        )

    def context(self) -> bytes:
        """The token that covers what is shown."""
        return self.services.contexts.token(
            self.get.key, self.services.versioning.clock.context_of(self._shown), self._fastest
        )

    def _refuse(self, code: str, message: str) -> None:
        self.services.runtime.emit("get-refused", code=code, key=self.get.key)
        self._finish(Refusal(self.get.rid, code, message))

    def _expire(self) -> None:
        if self.phase is Phase.OPEN:
            self._refuse("timeout", f"get: {self._quorum.shortfall()} in time")

    def abandon(self) -> None:
        """The client has gone."""
        if self.phase is Phase.OPEN:
            self._refuse("disconnected", "get: its client has gone")

    def _finish(self, reply: GetReply | Refusal) -> None:
        self.phase = advance(self.phase, Phase.ANSWERED)
        self.services.runtime.cancel(self._deadline)
        self._respond(reply)

    # ---- read repair

    def repair(self, merged: State) -> None:
        """Bring the primaries that answered, and differ, up to the merged state of all answers; and
        those that cannot read what they have: a record that is damaged gives way to it."""
        for holder, state in self._answers.items():
            if self.is_stale(state, merged):
                self.send_repair(holder, merged)
        for holder in self._unreadable if merged else ():
            self.send_repair(holder, merged)

    def is_stale(self, state: State, merged: State) -> bool:
        return state != merged

    def send_repair(self, holder: str, merged: State) -> None:
        key = self.get.key
        self.services.runtime.emit("read-repair", key=key, peer=holder)
        self.services.stats.read_repairs += 1
        if holder == self.services.node:
            self.services.replica.put(key, merged, None, "read-repair", lambda code: None, False)
            return
        self.services.runtime.call(
            holder,
            lambda rid: ReplicaPut(rid, key, merged, None, "read-repair", False),
            self.services.params.replica_timeout,
            lambda outcome: None,
        )


def _shown_by(place: ReplicaSlot) -> str:
    """The node that answered, and for which node, as the event log names it."""
    holder, primary = place.holder, place.primary
    return holder if holder == primary else f"{holder} for {primary}"
