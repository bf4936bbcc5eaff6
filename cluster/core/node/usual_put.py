"""A put that this node coordinates, where all is as usual: it is one of the key's primaries,
all of them are healthy, nothing moves, the client asks for no option, and this is the first
try.

Then there is nothing to plan: stamp, persist, send the others their copies, answer after W,
leave once all have answered. As soon as anything else happens (a copy fails, the disk
fails, time is up) the put continues as a `PutRequest` from exactly where it is.
"""

from __future__ import annotations

from dynamesis.cluster.core.node.usual_replica import Held, UsualReplica, holds
from dynamesis.cluster.core.protocol.messages import (
    Answer,
    Entry,
    Put,
    PutReply,
    QuorumInfo,
    ReplicaPut,
    ReplicaPutReply,
    State,
    Version,
)
from dynamesis.cluster.core.protocol.storage_reader import ReadFailed
from dynamesis.cluster.core.requests.coordinator import Services
from dynamesis.cluster.core.requests.put import PutRequest
from dynamesis.cluster.core.runtime.queue import UNIT
from dynamesis.cluster.core.runtime.request_dedup import Respond
from dynamesis.cluster.core.runtime.runtime import Failure
from dynamesis.cluster.core.storage.record_table import NoActor, Record
from dynamesis.cluster.core.versions import clock
from dynamesis.cluster.core.versions.context import SeenVersions


class UsualPut:
    """One put in progress."""

    __slots__ = (
        "_answered",
        "_covers",
        "_deadline",
        "_digest",
        "_dot",
        "_durable",
        "_general",
        "_got",
        "_hops",
        "_left",
        "_primaries",
        "_put",
        "_respond",
        "_s",
        "_seen",
        "_state",
        "_view",
    )

    def __init__(
        self,
        services: Services,
        put: Put,
        seen: SeenVersions,
        respond: Respond,
        hops: int,
        primaries: tuple[str, ...],
    ) -> None:
        self._s = services
        self._put = put
        self._seen = seen
        self._respond = respond
        self._hops = hops
        self._primaries = primaries
        #: what continues with it once something unusual has happened
        self._general: PutRequest | None = None
        self._answered = False
        #: the nodes that have the version, and whether durably; how many have so
        self._got: list[tuple[str, bool]] = []
        self._durable = 0
        #: copies under way; before the own one is stored none
        self._left = 0

    def start(self, ways: UsualReplica) -> bool:
        """Stamp the version and store it here; False, with nothing done, if that is not usual."""
        s, put, context, objects = self._s, self._put, self._seen.state, ways.objects
        row = ways.row(put.key)
        if row is None or objects.damaged:
            return False
        outlines = objects.outlines
        old = outlines.young.get(row) or outlines.old.get(row) or ways.large(row, context)
        # what is left where the context covers all of it; None where something of it stays
        known = None if old is None else clock.replaced(context, old.state)
        try:
            old = objects.get(row) if known is None else old
        except ReadFailed:
            return False
        self._deadline = s.runtime.after(s.params.request_timeout, self._expire)
        state: State = {} if old is None else old.state
        version = Version(put.value, put.deleted)
        actor = old.actor if known is not None and old is not None else None
        if actor is not None and known is not None and ways.continues(actor, state, known):
            event = known[actor].n + 1
            known[actor] = Entry(event, ((event, version),))
            after = known
        else:
            try:
                actor = objects.actor_for(row, old, context)
            except NoActor:
                s.runtime.cancel(self._deadline)
                return False
            event = clock.next_event(state, actor)
            after = clock.update(context, version, state, actor, event)
            if objects.limit.exceeded(state, after):
                s.runtime.cancel(self._deadline)
                return False
        self._view = s.placement()
        s.barriers.enter(put.key)
        if known is None or len(put.value) >= UNIT or put.key in s.admission.sizes:
            s.weigh(put.key, after)
        if old is not None and old.actor is not None and old.actor != actor:
            s.runtime.emit("epoch-renewed", was=old.actor, actor=actor, key=put.key)
        self._state = after
        self._dot = clock.dot(actor, event)
        self._covers = clock.with_dot(context, actor, event)
        self._digest = clock.digest(after)
        new = Record(after, actor, self._digest)
        line: dict[str, object] = {"why": "stamp", "hash": "", "dot": self._dot}
        if put.deleted:
            line["deleted"] = True
        # where the context covers all that was here, the new version is all that is
        held: Held = holds(after) if known is None else ([self._dot], put.deleted, len(put.value))
        ways.store(row, put.key, line, put.request, held, old, new, self._stored)
        s.dedup.stamped(put, after, self._covers)
        return True

    def _stored(self, code: str | None) -> None:
        s = self._s
        if code is not None or self._general is not None or s.placement() is not self._view:
            # not to be stored, or its time was up before it was, or the key has other owners now
            (self._general or self._turn_general()).stored(code)
            return
        durable = s.replica.durable
        self._got.append((s.node, durable))
        self._durable = int(durable)
        self._left = len(self._primaries) - 1
        if self._left:
            self._send_copies()
        if not self._left or s.params.w == 1:
            self._progress()

    def _send_copies(self) -> None:
        s, put, me, runtime = self._s, self._put, self._s.node, self._s.runtime
        others = list(self._primaries)
        others.remove(me)
        timeout = s.usual_timeout()
        # one question, encoded once for all; but each with its own time where some are slow
        for peers in (others,) if timeout else [[peer] for peer in others]:
            rid = runtime.sequence = runtime.sequence + 1
            copy = ReplicaPut(
                rid, put.key, self._state, None, "put", True, put.request, self._digest
            )
            wait = timeout or s.replica_timeout(peers[0])
            runtime.ask_all(peers, rid, copy, wait, self._acknowledged)

    def _acknowledged(self, peer: str, outcome: Answer | Failure) -> None:
        if self._general is not None:
            self._general.acknowledged(peer, outcome)
        elif type(outcome) is ReplicaPutReply and outcome.error is None:
            self._got.append((peer, outcome.durable))
            self._durable += outcome.durable
            self._left -= 1
            if self._answered:
                if not self._left:
                    self._leave()
            else:
                self._progress()
        else:
            self._turn_general().acknowledged(peer, outcome)

    def _progress(self) -> None:
        if len(self._got) >= self._s.params.w:
            self._answer()
        if not self._left:
            self._leave()

    def _leave(self) -> None:
        """All have answered."""
        s = self._s
        s.barriers.leave(self._put.key)
        if self._answered:
            s.admission.leave(len(self._put.value))

    def _answer(self) -> None:
        s, put, got = self._s, self._put, len(self._got)
        info = QuorumInfo(got, got, self._durable, 0, s.node, None, self._dot)
        token = s.contexts.token_of(put.key, SeenVersions(self._covers))
        self._answered = True
        s.runtime.cancel(self._deadline)
        self._respond(PutReply(put.rid, token, info))

    def _expire(self) -> None:
        (self._general or self._turn_general()).expire()

    def _turn_general(self) -> PutRequest:
        s = self._s
        general = PutRequest(s, self._put, self._seen, self._respond, self._hops)
        plan = s.whole_plan(self._put.key)
        plan.begun_with(self._primaries)
        general.take_over(
            plan,
            self._state,
            self._covers,
            self._got,
            self._left,
            self._answered,
            self._deadline,
        )
        self._general = general
        return general
