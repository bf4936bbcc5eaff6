"""A put: find a coordinator, stamp once, persist, replicate the stamped object, answer
after W, and continue until every place has its copy or its hint (sections 4.5, 4.6, 5).

One of the key's primaries coordinates; any other node forwards. Only where no primary can
be reached does a fallback stamp, into a hint. A forward whose outcome is in doubt is never
tried elsewhere: the version might be stamped twice. For the same reason a put that is sent
again (`again`) is never stamped: the node that stamped the first try continues from that
stamp, and if no node that can be reached remembers one, the put stays in doubt.

Where replicas acknowledge from memory, the coordinator asks some of them, itself last of
all, to have the version durable first; they cost the put no time unless the client waits
for them (section 6.1, and the option `dw`).
"""

from __future__ import annotations

from collections.abc import Callable

from dynamesis.cluster.core.protocol.messages import (
    Answer,
    ForwardPut,
    Put,
    PutReply,
    Refusal,
    ReplicaPut,
    ReplicaPutReply,
    State,
    Version,
)
from dynamesis.cluster.core.requests.coordinator import QuorumTracker, Services
from dynamesis.cluster.core.requests.first_try import FirstTry
from dynamesis.cluster.core.requests.phase import Phase, advance
from dynamesis.cluster.core.ring.sloppy_quorum import ReplicaSlot, SloppyQuorum
from dynamesis.cluster.core.runtime.request_dedup import Respond, Stamp
from dynamesis.cluster.core.runtime.runtime import Failure, Timer
from dynamesis.cluster.core.versions import clock
from dynamesis.cluster.core.versions.context import SeenVersions


class PutRequest:
    """One put in progress; `hops` counts how often it has been forwarded."""

    def __init__(
        self, services: Services, put: Put, seen: SeenVersions, respond: Respond, hops: int
    ) -> None:
        """`seen`: what the put's context covers."""
        self.services = services
        self.put = put
        self._context = seen.state
        self._fastest = seen.fastest
        self._respond = respond
        self._hops = hops
        self.plan = services.plan(put.key, put.options)
        options, params = put.options, services.params
        self._quorum = QuorumTracker(
            options.w or min(params.w, options.n or params.n),
            options.pw or 0,
            options.dw or 0,
            options.local or 0,
            services.near,
        )
        self.phase = Phase.OPEN
        #: copies under way
        self._copies = 0
        #: the search for the node that stamped this put before, if it is sent again
        self._first_try: FirstTry | None = None
        #: the call by which it was forwarded; 0 while it is not
        self._call = 0
        self._durable: list[ReplicaSlot] = []
        self._state: State = {}
        self._covers: State = {}
        #: primary -> its place, of a put that was taken over
        self._taken_over: dict[str, ReplicaSlot] = {}

    def start(self) -> None:
        timeout = self.services.timeout(self.put.options)
        self._deadline = self.services.runtime.after(timeout, self._expire)
        if self.put.again and self.services.dedup.stamp_of(self.put.request) is None:
            self._first_try = FirstTry(self.services, self.put, self._hops)
            self._first_try.seek(lambda outcome: self._forwarded(outcome, []))
        else:
            self.route(self.coordinators())

    # ---- taken over from a put that was usual until now (cluster.core.node.usual_put)

    def take_over(
        self,
        plan: SloppyQuorum,
        state: State,
        covers: State,
        got: list[tuple[str, bool]],
        copies: int,
        answered: bool,
        deadline: Timer,
    ) -> None:
        """Continue where this node has stamped: with the places of `plan`, the stamped state and
        what the answer covers, the nodes that have it (and whether durably), and the copies
        under way."""
        self.plan, self._state, self._covers = plan, state, covers
        self._durable = list(plan.places)
        self._copies, self._deadline = copies, deadline
        self._taken_over = {place.holder: place for place in plan.places}
        for node, durable in got:
            self._quorum.count(self._taken_over[node], durable)
        if answered:
            self.phase = advance(self.phase, Phase.ANSWERED)

    def take_over_forwarded(self, plan: SloppyQuorum, deadline: Timer, call: int) -> None:
        """Continue where this node has handed the put to a primary of `plan`, by this call."""
        self.plan, self._deadline, self._call = plan, deadline, call

    def forwarded(self, outcome: Answer | Failure, rest: list[str]) -> None:
        """What came of it; `rest`: the candidates that were not asked."""
        self._forwarded(outcome, rest)

    def stored(self, code: str | None) -> None:
        """The version was stored here, or could not be."""
        self._stamped(self._taken_over[self.services.node], code, [])

    def acknowledged(self, node: str, outcome: Answer | Failure) -> None:
        """What came of the copy that was sent to a primary."""
        self._acknowledged(self._taken_over[node], outcome)

    def expire(self) -> None:
        """Time is up."""
        self._expire()

    # ---- finding the coordinator

    def coordinators(self) -> list[str]:
        """The nodes that may stamp this put, best first: the primaries that can be reached,
        and without any, their fallbacks. This node comes first, needing no message, then
        the one that answered the preceding read fastest (section 5)."""
        places, healthy = self.plan.places, self.services.detector.healthy
        able = [p.holder for p in places if p.holder == p.primary and healthy(p.holder)]
        able = able or [p.holder for p in places if p.holder != p.primary]
        for first in (self._fastest, self.services.node):
            if first in able and able[0] != first:
                able.remove(first)
                able.insert(0, first)
        return able

    def route(self, candidates: list[str]) -> None:
        if not candidates:
            self._refuse("no-coordinator", "no node that may coordinate can be reached")
            return
        first, rest = candidates[0], candidates[1:]
        if first == self.services.node:
            self._coordinate(rest)
        elif self._hops >= self.services.params.max_hops:
            self._refuse("too-many-hops", f"forwarded {self._hops} times")
        else:
            self._forward(first, rest)

    def _forward(self, peer: str, rest: list[str]) -> None:
        self.services.runtime.note("forwarded", to=peer)
        self._call = self.services.runtime.call(
            peer,
            lambda rid: ForwardPut(rid, self._hops + 1, self.put),
            self.services.timeout(self.put.options),
            lambda outcome: self._forwarded(outcome, rest),
        )
        self._watch(peer, self._call)

    def _watch(self, peer: str, call: int) -> None:
        """A client may be more patient than a node: one that waits for longer than
        `request_timeout` does so only while the coordinator is healthy."""
        params = self.services.params
        if self.services.timeout(self.put.options) <= params.request_timeout:
            return

        def look() -> None:
            if self.phase is not Phase.OPEN or self._call != call:
                return
            if self.services.detector.healthy(peer):
                self.services.runtime.after(params.probe_interval, look)
            else:
                self._let_go()
                self.forward_in_doubt([])

        self.services.runtime.after(params.request_timeout, look)

    def _let_go(self) -> None:
        """Wait no more for the coordinator that this put was forwarded to."""
        self.services.runtime.forget(self._call)
        self._call = 0

    def abandon(self) -> None:
        """The client has gone: wait for no other node. What was stamped here continues; so does a
        put for which a retry waits."""
        seeks = self._first_try is not None and self._first_try.unanswered
        waits = self._call or seeks
        if self.phase is Phase.OPEN and waits and not self.services.dedup.joined(self.put.request):
            self._let_go()
            self._refuse("disconnected", "put: its client has gone")

    def _forwarded(self, outcome: Answer | Failure, rest: list[str]) -> None:
        if self.phase is not Phase.OPEN:
            return
        self._call = 0
        if outcome == "unsent":
            self.services.runtime.note("rerouted")
            self.route(rest or self._fresh_candidates())
        elif isinstance(outcome, PutReply):
            self.finish(PutReply(self.put.rid, outcome.context, outcome.worth, outcome.siblings))
        elif isinstance(outcome, Refusal):
            self._refuse(outcome.code, outcome.message, outcome.retry_after)
        else:
            self.forward_in_doubt(rest)

    def forward_in_doubt(self, rest: list[str]) -> None:
        """Refuse: the coordinator may have stamped it, so no other node may."""
        self._refuse("forward-lost", "the coordinator did not answer")

    def _fresh_candidates(self) -> list[str]:
        """The candidates once no node on the list could be reached: the detector has learned
        of that meanwhile."""
        self.plan = self.services.plan(self.put.key, self.put.options)
        healthy = self.services.detector.healthy
        return [node for node in self.coordinators() if healthy(node)]

    # ---- coordinating

    def _coordinate(self, rest: list[str]) -> None:
        place = self.plan.held_by(self.services.node)
        if place is None:
            self._refuse("no-coordinator", f"{self.services.node} holds no place for this key")
            return
        before = self.services.dedup.stamp_of(self.put.request)
        if self.put.again and before is None:
            self._refuse("forgotten", f"{self.services.node} does not remember the first try")
            return
        self.services.barriers.enter(self.put.key)
        self._durable = self.durable_places(place)

        def done(code: str | None) -> None:
            self._stamped(place, code, rest)

        key, durable = self.put.key, place in self._durable
        if self.put.options.n is not None:
            fields = {"n": self.put.options.n, "request": self.put.request}
            self.services.runtime.emit("fewer-places", key=key, **fields)
        # also where the answer of another node led here, what is logged is this request's
        with self.services.runtime.working_on(self.put.request):
            self._stamp(place, before, done, durable)

    def _stamp(
        self,
        place: ReplicaSlot,
        before: Stamp | None,
        done: Callable[[str | None], None],
        durable: bool,
    ) -> None:
        """Stamp the version here, or continue from the stamp of an earlier try."""
        put = self.put
        if before is not None:
            self._state, self._covers = before.state, before.covers
            self.services.replica.put(put.key, before.state, place.hint_for, "retry", done, durable)
            return
        version = Version(put.value, put.deleted)
        stamped = self.services.replica.stamp(
            put.key, place.hint_for, self._context, version, done, durable
        )
        if stamped is not None:
            self._state, self._covers = stamped
            self.services.weigh(put.key, self._state)
            self.services.dedup.stamped(put, self._state, self._covers)

    def durable_places(self, own: ReplicaSlot) -> list[ReplicaSlot]:
        """The places whose holders answer only once the version is durable there."""
        params, dw = self.services.params, self.put.options.dw or 0
        others = [place for place in self.plan.places if place is not own]
        if params.durability != "buffered":
            return [*others, own]
        return [*others, own][: max(dw, params.durable_replicas)]

    def _stamped(self, place: ReplicaSlot, code: str | None, rest: list[str]) -> None:
        if code == "storage-read" and rest:
            self.services.barriers.leave(self.put.key)
            self.route(rest)  # nothing was stamped: another primary may be able to
            return
        if code is not None:
            self.services.barriers.leave(self.put.key)
            self._refuse(code, self._why_not_stamped(code))
            return
        self.count(place, place in self._durable and self.services.replica.durable)
        others = [other for other in self.plan.places if other is not place]
        self._copies = len(others)
        for other in others:
            self._replicate(other)
        self.copy_to_newcomers()
        self._progress()

    def _why_not_stamped(self, code: str) -> str:
        if code != "too-many-siblings":
            return f"put: {code} at the coordinator"
        p = self.services.params
        return (
            f"a key may have {p.max_siblings} siblings and {p.max_sibling_bytes} bytes of them: "
            "read it, and put with the context of that"
        )

    def copy_to_newcomers(self) -> None:
        """Send the write to the nodes that own the key now, or are about to, and have no place in
        the plan. They do not count for W."""
        for node in self.services.newcomers(self.put.key, self.plan):
            self.services.runtime.call(
                node,
                lambda rid: self._copy(rid, None, "pending"),
                self.services.params.replica_timeout,
                lambda outcome: None,
            )

    def count(self, place: ReplicaSlot, durable: bool) -> None:
        self._quorum.count(place, durable)

    def _replicate(self, place: ReplicaSlot) -> None:
        self.services.runtime.call(
            place.holder,
            lambda rid: self._copy(rid, place.hint_for, "put", place in self._durable),
            self.services.replica_timeout(place.holder),
            lambda outcome: self._acknowledged(place, outcome),
        )

    def _copy(self, rid: int, hint_for: str | None, why: str, durable: bool = True) -> ReplicaPut:
        """The message that gives a replica its copy."""
        put = self.put
        return ReplicaPut(rid, put.key, self._state, hint_for, why, durable, put.request)

    def _acknowledged(self, place: ReplicaSlot, outcome: Answer | Failure) -> None:
        if isinstance(outcome, ReplicaPutReply) and outcome.error is None:
            self.count(place, outcome.durable)
        elif self.plan.replace(place):
            self.services.runtime.note("place-replaced", code="put", to=place.holder)
            self._replicate(place)
            return
        else:
            self._unplaced(place)
        self._copies -= 1
        self._progress()
        self._leave()

    def _unplaced(self, place: ReplicaSlot) -> None:
        """Log that a place got neither a copy nor a hint; `left`: the nodes that held no place
        and had not failed, by name, and whether each was healthy."""
        healthy, order = self.services.detector.healthy, self.services.preference(self.put.key)
        others = order if self.plan.sloppy else ()
        left = {n: healthy(n) for n in others if self.plan.held_by(n) is None}
        left = {n: well for n, well in left.items() if n not in self.plan.failed}
        fields = {"primary": place.primary, "left": left, "failed": list(self.plan.failed)}
        self.services.runtime.emit("unplaced", key=self.put.key, request=self.put.request, **fields)

    def _leave(self) -> None:
        """Leave admission once the put is answered and every place has answered or failed."""
        if self.phase is Phase.ANSWERED and not self._copies:
            self.phase = advance(self.phase, Phase.OVER)
            self.services.admission.leave(len(self.put.value))

    # ---- answering

    def _progress(self) -> None:
        if not self._copies:
            self.services.barriers.leave(self.put.key)
        if self.phase is not Phase.OPEN:
            return
        if self._quorum.enough:
            self._answer()
        elif not self._copies:
            self._refuse("write-quorum", f"put: {self._quorum.shortfall()}")

    def _answer(self) -> None:
        siblings = clock.versions(self._state) if self.put.options.return_body else ()
        versioning = self.services.versioning
        covers = versioning.clock.context_of(self._state) if siblings else self._covers
        info = self._quorum.info(
            self.services.node,
            versioning.timestamp(self._covers),
            versioning.dot(self._covers, self._context),
        )
        token = self.services.contexts.token(self.put.key, covers)
        self.finish(PutReply(self.put.rid, token, info, siblings))

    def _refuse(self, code: str, message: str, retry_after: float | None = None) -> None:
        if self.phase is Phase.OPEN:
            put = self.put
            self.services.runtime.emit("put-refused", code=code, key=put.key, request=put.request)
            self.finish(Refusal(put.rid, code, message, retry_after))

    def _expire(self) -> None:
        self._refuse("timeout", f"put: {self._quorum.shortfall()} in time")

    def finish(self, reply: PutReply | Refusal) -> None:
        """Answer the client. Raises WrongPhase if it was answered before."""
        self.phase = advance(self.phase, Phase.ANSWERED)
        self.services.runtime.cancel(self._deadline)
        self._respond(reply)
        self._leave()
