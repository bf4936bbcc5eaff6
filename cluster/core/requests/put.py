"""A put: find a coordinator, stamp once, persist, replicate the stamped object, answer
after W, and go on until every place has its copy or its hint (sections 4.5, 4.6, 5).

One of the key's primaries coordinates; a node that is none forwards. Only where no
primary can be reached does a fallback stamp, into a hint. A forward whose fate is in
doubt is never tried elsewhere: the version might be stamped twice. For the same reason a
put that is sent again (`again`) is never stamped: whoever stamped the first try goes on
from that stamp, and if nobody who is asked remembers one, the put stays in doubt.

Where replicas acknowledge from memory, the coordinator asks some of them, itself last of
all, to have the version durable first; they cost the put no time unless the client waits
for them (section 6.1, and the option `dw`).
"""

from __future__ import annotations

from dynamesis.cluster.core.protocol.errors import is_definite
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
from dynamesis.cluster.core.ring.sloppy_quorum import ReplicaSlot
from dynamesis.cluster.core.runtime.request_dedup import Respond
from dynamesis.cluster.core.runtime.runtime import Failure
from dynamesis.cluster.core.versions import clock
from dynamesis.cluster.core.versions.context import SeenVersions


class PutRequest:
    """One put in progress; `hops` counts how often it has been forwarded."""

    def __init__(
        self, services: Services, put: Put, seen: SeenVersions, respond: Respond, hops: int = 0
    ) -> None:
        """`seen`: what the put's context says."""
        self._s = services
        self._put = put
        self._context = seen.state
        self._fastest = seen.fastest
        self._respond = respond
        self._hops = hops
        self._plan = services.plan(put.key, put.options)
        options, params = put.options, services.params
        self._tally = QuorumTracker(
            options.w or min(params.w, options.n or params.n),
            options.pw or 0,
            options.dw or 0,
            options.local or 0,
            services.near,
        )
        self._open = 0
        self._asked = 0
        self._durable: list[ReplicaSlot] = []
        self._responded = False
        self._left = False
        self._state: State = {}
        self._covers: State = {}

    def start(self) -> None:
        timeout = self._s.timeout(self._put.options)
        self._deadline = self._s.runtime.after(timeout, self._expire)
        if self._put.again and self._s.retries.stamp_of(self._put.request) is None:
            self._seek()
        else:
            self.route(self.coordinators())

    # ---- finding who stamped the first try

    def _seek(self) -> None:
        """Ask everybody who may have stamped it; a node that was asked so asks nobody."""
        healthy, order = self._s.detector.healthy, self._s.preference(self._put.key)
        others = [node for node in order if node != self._s.node and healthy(node)]
        if self._hops or not others:
            self._refuse("forgotten", f"{self._s.node} does not remember the first try")
            return
        self._asked = len(others)
        for node in others:
            self._s.runtime.call(
                node,
                lambda rid: ForwardPut(rid, self._hops + 1, self._put),
                self._s.timeout(self._put.options),
                self._sought,
            )

    def _sought(self, outcome: Answer | Failure) -> None:
        self._asked -= 1
        code = outcome.code if isinstance(outcome, Refusal) else "forgotten"
        if isinstance(outcome, PutReply) or (code != "forgotten" and not is_definite(code)):
            self._forwarded(outcome, [])
        elif not self._asked:
            self._refuse("forgotten", "nobody who could be asked remembers the first try")

    # ---- finding the coordinator

    def coordinators(self) -> list[str]:
        """Who may stamp this put, best first: the primaries that can be reached, and where
        there is none, who stands in for them. This node, being there, comes first, then
        who answered the preceding read fastest (section 5)."""
        primaries = [p.holder for p in self._plan.places if p.hint_for is None]
        healthy = [node for node in primaries if self._s.detector.healthy(node)]
        able = healthy or [p.holder for p in self._plan.places if p.hint_for is not None]
        return sorted(able, key=lambda node: (node != self._s.node, node != self._fastest))

    def route(self, candidates: list[str]) -> None:
        if not candidates:
            self._refuse("no-coordinator", "no node that may coordinate can be reached")
            return
        first, rest = candidates[0], candidates[1:]
        if first == self._s.node:
            self._coordinate(rest)
        elif self._hops >= self._s.params.max_hops:
            self._refuse("too-many-hops", f"forwarded {self._hops} times")
        else:
            self._forward(first, rest)

    def _forward(self, peer: str, rest: list[str]) -> None:
        self._s.runtime.call(
            peer,
            lambda rid: ForwardPut(rid, self._hops + 1, self._put),
            self._s.timeout(self._put.options),
            lambda outcome: self._forwarded(outcome, rest),
        )

    def _forwarded(self, outcome: Answer | Failure, rest: list[str]) -> None:
        if self._responded:
            return
        if outcome == "unsent":
            self.route(rest or self._fresh_candidates())
        elif isinstance(outcome, PutReply):
            self.finish(PutReply(self._put.rid, outcome.context, outcome.worth, outcome.siblings))
        elif isinstance(outcome, Refusal):
            self._refuse(outcome.code, outcome.message, outcome.retry_after)
        else:
            self.forward_in_doubt(rest)

    def forward_in_doubt(self, rest: list[str]) -> None:
        """The coordinator may have stamped it, so nobody else may."""
        self._refuse("forward-lost", "the coordinator did not answer")

    def _fresh_candidates(self) -> list[str]:
        """Nobody on the list could be reached: by now the detector knows better."""
        self._plan = self._s.plan(self._put.key, self._put.options)
        healthy = self._s.detector.healthy
        return [node for node in self.coordinators() if healthy(node)]

    # ---- coordinating

    def _coordinate(self, rest: list[str]) -> None:
        place = self._plan.held_by(self._s.node)
        if place is None:
            self._refuse("no-coordinator", f"{self._s.node} holds no place for this key")
            return
        before = self._s.retries.stamp_of(self._put.request)
        if self._put.again and before is None:
            self._refuse("forgotten", f"{self._s.node} does not remember the first try")
            return
        self._s.barriers.enter(self._put.key)
        self._durable = self.durable_places(place)

        def done(code: str | None) -> None:
            self._stamped(place, code, rest)

        key, durable = self._put.key, place in self._durable
        if self._put.options.n is not None:
            told = {"n": self._put.options.n, "request": self._put.request}
            self._s.runtime.emit("fewer-places", key=key, **told)
        # also where the answer of another node led here, what is logged is this request's
        with self._s.runtime.working_on(self._put.request):
            if before is not None:
                self._state, self._covers = before.state, before.covers
                self._s.replica.put(key, before.state, place.hint_for, "retry", done, durable)
                return
            version = Version(self._put.value, self._put.deleted)
            stamped = self._s.replica.stamp(
                key, place.hint_for, self._context, version, done, durable
            )
            if stamped is not None:
                self._state, self._covers = stamped
                self._s.retries.stamped(self._put, self._state, self._covers)

    def durable_places(self, own: ReplicaSlot) -> list[ReplicaSlot]:
        """Whose holders are to answer only once the version is durable with them."""
        params, dw = self._s.params, self._put.options.dw or 0
        others = [place for place in self._plan.places if place is not own]
        if params.durability != "buffered":
            return [*others, own]
        return [*others, own][: max(dw, params.durable_replicas)]

    def _stamped(self, place: ReplicaSlot, code: str | None, rest: list[str]) -> None:
        if code == "storage-read" and rest:
            self._s.barriers.leave(self._put.key)
            self.route(rest)  # nothing was stamped: another primary may be able to
            return
        if code is not None:
            self._s.barriers.leave(self._put.key)
            self._refuse(code, f"put: {code} at the coordinator")
            return
        self.count(place, place in self._durable and self._s.replica.durable)
        others = [other for other in self._plan.places if other is not place]
        self._open = len(others)
        for other in others:
            self._replicate(other)
        self.copy_to_newcomers()
        self._progress()

    def copy_to_newcomers(self) -> None:
        """Nodes that are about to own the key hear of every write, and count for nothing."""
        for node in self._s.pending(self._put.key):
            if self._plan.held_by(node) is None:
                self._s.runtime.call(
                    node,
                    lambda rid: self._copy(rid, None, "pending"),
                    self._s.params.replica_timeout,
                    lambda outcome: None,
                )

    def count(self, place: ReplicaSlot, durable: bool) -> None:
        self._tally.count(place, durable)

    def _replicate(self, place: ReplicaSlot) -> None:
        self._s.runtime.call(
            place.holder,
            lambda rid: self._copy(rid, place.hint_for, "put", place in self._durable),
            self._s.params.replica_timeout,
            lambda outcome: self._acknowledged(place, outcome),
        )

    def _copy(self, rid: int, hint_for: str | None, why: str, durable: bool = True) -> ReplicaPut:
        """What a replica is told."""
        put = self._put
        return ReplicaPut(rid, put.key, self._state, hint_for, why, durable, put.request)

    def _acknowledged(self, place: ReplicaSlot, outcome: Answer | Failure) -> None:
        if isinstance(outcome, ReplicaPutReply) and outcome.error is None:
            self.count(place, outcome.durable)
        elif self._plan.replace(place):
            self._replicate(place)
            return
        else:
            self._unplaced(place)
        self._open -= 1
        self._progress()
        self._leave()

    def _unplaced(self, place: ReplicaSlot) -> None:
        """Log that a place got neither a copy nor a hint, and which nodes it might have had: by
        name, whether they were healthy."""
        healthy, order = self._s.detector.healthy, self._s.preference(self._put.key)
        others = order if self._plan.sloppy else ()
        left = {n: healthy(n) for n in others if self._plan.held_by(n) is None}
        left = {n: well for n, well in left.items() if n not in self._plan.failed}
        told = {"primary": place.primary, "left": left, "failed": list(self._plan.failed)}
        self._s.runtime.emit("unplaced", key=self._put.key, request=self._put.request, **told)

    def _leave(self) -> None:
        """The put is over once it is answered and every place has answered or failed."""
        if self._responded and not self._open and not self._left:
            self._left = True
            self._s.admission.leave(len(self._put.value))

    # ---- answering

    def _progress(self) -> None:
        if not self._open:
            self._s.barriers.leave(self._put.key)
        if self._responded:
            return
        if self._tally.enough:
            self._answer()
        elif not self._open:
            self._refuse("write-quorum", f"put: {self._tally.shortfall()}")

    def _answer(self) -> None:
        siblings = clock.versions(self._state) if self._put.options.return_body else ()
        versioning = self._s.versioning
        covers = versioning.clock.context_of(self._state) if siblings else self._covers
        worth = self._tally.worth(
            self._s.node,
            versioning.timestamp(self._covers),
            versioning.dot(self._covers, self._context),
        )
        token = self._s.contexts.token(self._put.key, covers)
        self.finish(PutReply(self._put.rid, token, worth, siblings))

    def _refuse(self, code: str, message: str, retry_after: float | None = None) -> None:
        if not self._responded:
            put = self._put
            self._s.runtime.emit("put-refused", code=code, key=put.key, request=put.request)
            self.finish(Refusal(put.rid, code, message, retry_after))

    def _expire(self) -> None:
        self._refuse("timeout", f"put: {self._tally.shortfall()} in time")

    def finish(self, reply: PutReply | Refusal) -> None:
        """Answer the client."""
        self._responded = True
        self._s.runtime.cancel(self._deadline)
        self._respond(reply)
        self._leave()
