"""A Dynamo node as one value: events in, effects out (section 5).

`Node` sends each event to the part that it concerns. The parts do the work:
dispatch, get, put, replica, record_table, hints, antientropy, detector, membership and so on.
"""

from __future__ import annotations

from dynamesis.cluster.core.node.admin import Admin
from dynamesis.cluster.core.node.assembly import Assembly
from dynamesis.cluster.core.node.dispatch import Dispatch
from dynamesis.cluster.core.node.usual_replica import UsualReplica
from dynamesis.cluster.core.node.validate import judged, objection
from dynamesis.cluster.core.protocol.events import (
    AdminRequest,
    ClientGone,
    Effect,
    Event,
    LinkDown,
    LinkUp,
    Persisted,
    PersistFailed,
    Received,
    SendFailed,
    Started,
    Stopping,
    TimerFired,
)
from dynamesis.cluster.core.protocol.messages import Answer, Refusal
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.protocol.storage_reader import Reader, ReadFailed

#: seconds until storage that could not be read is tried again
_READ_AGAIN = 1.0


class Node(Assembly):
    """One node. `entropy` is a random number that no other life of any node was given."""

    def __init__(self, params: Params, store: Reader, entropy: int) -> None:
        super().__init__(params, store, entropy)
        self.runtime.expect(params.request_timeout, params.replica_timeout)
        self.admin = Admin(self)
        self.dispatch = Dispatch(self, UsualReplica(self) if self.is_usual() else None)
        self._to_judge = judged(params)
        self._stopped = False
        self._was_put_away = False

    def is_usual(self) -> bool:
        """Whether short ways are taken: in a stock node (a subclass may have any part
        replaced), with the usual durability and versions."""
        params, versioning = self.params, self.versioning
        return (
            type(self) is Node
            and params.durability != "buffered"
            and params.clock == "dvv"
            and not versioning.lww_buckets
        )

    @property
    def value_bytes(self) -> int:
        """Bytes of values in progress."""
        return self.admission.bytes

    def handle(self, now: float, event: Event, wall: int = 0) -> list[Effect]:
        """React to one event at `now` (seconds, never going back). `wall`: what the
        machine's clock shows, in ms since 1970; nothing relies on it but last-write-wins."""
        runtime = self.runtime
        runtime.now = now
        runtime.wall = wall
        kind = type(event)
        if kind is Persisted:
            runtime.persisted(event.token)  # type: ignore[union-attr]
        elif self._stopped:
            if kind is PersistFailed:
                self._other(event)
        elif kind is Received:
            channel = event.channel  # type: ignore[union-attr]
            if channel is not None:
                self.dispatch.asked(channel, event)  # type: ignore[arg-type]
            else:
                message = event.message  # type: ignore[union-attr]
                if type(message) in self._to_judge:
                    message = self._judged(event.peer, message)  # type: ignore
                if not runtime.finish(event.peer, message.rid, message):  # type: ignore
                    self._late(event.peer, message)  # type: ignore[union-attr, arg-type]
        else:
            self._other(event)
        if runtime.unsettled:
            return runtime.drain()
        effects = runtime.effects
        runtime.effects = []
        return effects

    def _judged(self, peer: str, answer: Answer) -> Answer:
        """`answer`, or a refusal in its place where it makes no sense."""
        wrong = objection(answer, self.params)
        if wrong is None:
            return answer
        self.runtime.emit("senseless", peer=peer, reason=wrong)
        return Refusal(answer.rid, "bad-request", wrong)

    def _late(self, peer: str, message: Answer) -> None:
        # a late answer still shows that the peer is alive
        self.runtime.note("late-answer", code=type(message).__name__, peer=peer)
        self.detector.late(peer)

    def _other(self, event: Event) -> None:
        match event:
            case PersistFailed(token, reason):
                self.runtime.persisted(token, reason)
            case TimerFired():
                self.runtime.fire()
            case ClientGone(channel):
                self.dispatch.gone(channel)
            case SendFailed(peer, rid):
                self.runtime.finish(peer, rid, "unsent")
            case LinkUp(peer):
                self.detector.link_up(peer)
                self.bootstrap.linked(peer)
            case LinkDown(peer, reason):
                self.detector.link_down(peer, reason)
                self.runtime.lose(peer)
            case AdminRequest():
                self.admin.asked(event)
            case Stopping():
                self._stop()
            case Started(intact):
                self.start(intact)

    def _stop(self) -> None:
        """Write down what waits in memory, then what spares the next life work."""
        self._stopped = True
        for records in (self.objects, self.hints.records):
            records.buffer.flush()
        self._put_away()

    def _put_away(self) -> None:
        if not self._was_put_away and self.objects.settled and self.hints.records.settled:
            self._was_put_away = True
            self.trees.put_away()

    def start(self, intact: bool) -> None:
        """Recover; try again as long as the storage cannot be read, which proves nothing about
        what is in it."""
        try:
            self.trees.recover()
            self.hints.recover()
            self.gossip.recover()
            self.identity.recover(intact, self._recovered)
        except ReadFailed as e:
            self.runtime.emit("storage-unreadable", reason=str(e))
            self.runtime.after(_READ_AGAIN, lambda: self.start(intact))
            return
        self.admission.start()
        self.wall_watch.start()
        self.hints.start()
        self.detector.start()
        self.membership.informed = not self.gossip.audience()
        self.gossip.start()
        self.bootstrap.start()
        self.decommission.start()
