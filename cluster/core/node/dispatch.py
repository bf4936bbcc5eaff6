"""Dispatches messages to the parts of a node.

One table maps each type of message to the method that answers it. It has three gates:
messages that make no sense are refused (validate); clients' requests that cannot be served
are refused before anything of them is done; and states are merged only from nodes that take
part, since only those agree before a tombstone is reaped (decommission, tombstone_reaper).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from dynamesis.cluster.core.node.assembly import Assembly
from dynamesis.cluster.core.node.usual_forward import UsualForward
from dynamesis.cluster.core.node.usual_get import UsualGet
from dynamesis.cluster.core.node.usual_put import UsualPut
from dynamesis.cluster.core.node.usual_replica import UsualReplica
from dynamesis.cluster.core.node.validate import objection
from dynamesis.cluster.core.protocol.events import Received
from dynamesis.cluster.core.protocol.events import Reply as EffectReply
from dynamesis.cluster.core.protocol.messages import (
    ForwardPut,
    Get,
    GetReply,
    Gossip,
    Locate,
    LocateReply,
    Message,
    Ping,
    Pong,
    Put,
    PutReply,
    Reap,
    ReapReply,
    Refusal,
    ReplicaGet,
    ReplicaGetReply,
    ReplicaPut,
    ReplicaPutReply,
    RequestOptions,
    State,
    SyncKey,
    SyncKeyReply,
    TreeKeys,
    TreeLeaves,
    TreeRoots,
)
from dynamesis.cluster.core.ring.placement import Placement
from dynamesis.cluster.core.runtime.admission import FEW
from dynamesis.cluster.core.runtime.request_dedup import MAX_REQUEST, Respond
from dynamesis.cluster.core.versions.context import BadContext, SeenVersions

_RETRY_AFTER = 0.1
#: judged where they are admitted
_CLIENTS = frozenset((Get, Put, Locate))
_USUAL = RequestOptions()
_NOTHING_SEEN = SeenVersions({})
#: the error that answers a state from a node that takes no part
_STRANGER = "not-member"

#: how many puts that other nodes handed on are remembered, to know them when they come twice
_HANDED_ON = 1024
#: Where the answer to one question goes.
Reply = Callable[[Any], None]


class Abandoned(Protocol):
    """A client's request in progress."""

    def abandon(self) -> None:
        """The client has gone."""


class Dispatch:
    """Answers what comes in on inbound connections."""

    def __init__(self, node: Assembly, usual: UsualReplica | None) -> None:
        """`usual`: the short way of this node, None if it has none."""
        self._node = node
        self.usual = usual
        #: channel of a client -> what came in on it and is not answered, by a number of ours: a
        #: client may give several questions one rid
        self._open: dict[int, dict[int, Abandoned]] = {}
        self._number = 0
        #: of the question that is being answered: its channel, and seconds that it waited before
        self._channel = 0
        self._waited = 0.0
        #: the placement under which clients are known to be served
        self._served: Placement | None = None
        #: (channel, rid) of the last puts that other nodes handed on
        self._handed_on: dict[tuple[int, int], None] = {}
        self._handlers: dict[type, Callable[[Any, str | None, Reply], None]] = {
            Get: lambda get, peer, reply: self._get(get),
            Put: lambda put, peer, reply: self._put(put, hops=0),
            ForwardPut: lambda asked, peer, reply: self._forwarded(asked),
            Locate: lambda asked, peer, reply: reply(self._locate(asked.rid)),
            ReplicaGet: self._replica_get,
            ReplicaPut: self._replica_put,
            SyncKey: self._sync_key,
            TreeRoots: lambda asked, peer, reply: node.anti_entropy.answer(asked, reply),
            TreeLeaves: lambda asked, peer, reply: node.anti_entropy.answer(asked, reply),
            TreeKeys: lambda asked, peer, reply: node.anti_entropy.answer(asked, reply),
            Gossip: lambda asked, peer, reply: reply(node.gossip.answer(asked)),
            Ping: self._ping,
            Reap: self._reap,
        }

    def asked(self, channel: int, event: Received) -> None:
        """Answer the question of `event` on its channel, now or later."""
        message = event.message
        kind = type(message)
        usual = self.usual
        if usual is not None:
            if kind is ReplicaPut:
                if usual.put(channel, event.peer, message):  # type: ignore[arg-type]
                    return
            elif kind is ReplicaGet and usual.get(channel, message):  # type: ignore[arg-type]
                return
        runtime = self._node.runtime
        self._channel, self._waited = channel, event.waited
        if usual is not None:
            if kind is Put:
                runtime.request = message.request  # type: ignore[union-attr]
                self._put(message, 0)  # type: ignore[arg-type]
                runtime.request = ""
                return
            if kind is Get:
                self._get(message)  # type: ignore[arg-type]
                return
            if kind is ForwardPut and message.hops == 1:  # type: ignore[union-attr]
                runtime.request = message.put.request  # type: ignore[union-attr]
                self._forwarded(message)  # type: ignore[arg-type]
                runtime.request = ""
                return
        reply = partial(runtime.reply, channel)
        wrong = None if kind in _CLIENTS else objection(message, self._node.params)
        if wrong is not None:
            runtime.emit("senseless", peer=event.peer, reason=wrong)
            reply(Refusal(getattr(message, "rid", 0), "bad-request", wrong))
            return
        handler = self._handlers.get(kind)
        if handler is not None:
            runtime.request = _request(message)
            handler(message, event.peer, reply)
            runtime.request = ""

    def gone(self, channel: int) -> None:
        """The client of `channel` waits no more: what waits for other nodes on its behalf ends."""
        for request in list(self._open.get(channel, {}).values()):
            request.abandon()

    # ---- nodes

    def _replica_get(self, asked: ReplicaGet, peer: str | None, reply: Reply) -> None:
        def answer(state: State | None, error: str | None, stored: bool) -> None:
            reply(ReplicaGetReply(asked.rid, state, error, stored))

        self._node.replica.get(asked.key, asked.hint_for, answer)

    def _replica_put(self, asked: ReplicaPut, peer: str | None, reply: Reply) -> None:
        replica = self._node.replica
        kept = asked.durable and replica.durable

        def done(code: str | None) -> None:
            reply(ReplicaPutReply(asked.rid, kept and code is None, code))

        if self._takes_part(peer):
            replica.put(asked.key, asked.state, asked.hint_for, asked.why, done, asked.durable)
        else:
            done(_STRANGER)

    def _sync_key(self, asked: SyncKey, peer: str | None, reply: Reply) -> None:
        def answer(state: State | None, error: str | None) -> None:
            reply(SyncKeyReply(asked.rid, state, error))

        if self._takes_part(peer):
            self._node.replica.sync(asked.key, asked.state, "anti-entropy", answer)
        else:
            answer(None, _STRANGER)

    def _takes_part(self, peer: str | None) -> bool:
        """Whether states that `peer` sends are merged here: only while both take part."""
        participants = self._node.participants
        known = peer in participants and self._node.params.node in participants
        if not known:
            self._node.runtime.note("stranger-refused", peer=peer)
        return known

    def _ping(self, asked: Ping, peer: str | None, reply: Reply) -> None:
        node, name = self._node, str(peer)
        two = node.same_name.met(name, asked.life)
        reply(Pong(asked.rid, node.identity.met(name, asked.life), two))

    def _reap(self, asked: Reap, peer: str | None, reply: Reply) -> None:
        self._node.reaper.asked(asked, lambda keys: reply(ReapReply(asked.rid, tuple(keys))))

    # ---- clients

    def _forwarded(self, asked: ForwardPut) -> None:
        if self._repeated(asked.rid):
            return
        rid, p = asked.rid, asked.put
        numbered = Put(rid, p.request, p.key, p.value, p.context, p.deleted, p.options, p.again)
        self._put(numbered, asked.hops)

    def _repeated(self, rid: int) -> bool:
        """Whether this put was handed on before on this connection. Its first copy is answered: an
        answer to another could be a refusal, of a put that is being carried out."""
        about = self._channel, rid
        if about in self._handed_on:
            return True
        self._handed_on[about] = None
        if len(self._handed_on) > _HANDED_ON:
            del self._handed_on[next(iter(self._handed_on))]
        return False

    def _locate(self, rid: int) -> LocateReply | Refusal:
        view = self._node.placement
        if view is None:
            return Refusal(rid, "not-ready", self._node.why_not_ready(), _RETRY_AFTER)
        primaries = tuple(view.primaries(partition) for partition in view.partitions)
        return LocateReply(rid, view.layout.version, primaries)

    def _get(self, get: Get) -> None:
        node = self._node
        usual = get.options is _USUAL or get.options == _USUAL
        refusal = self._objection(get, 0, usual, queued=True)
        if refusal is not None:
            self._refuse("get", refusal)
            return
        node.admission.enter(0)
        respond = self._enter("get", get, 0)
        primaries = self.usual.primaries(get.key) if usual and self.usual else None
        mine = self._open.setdefault(self._channel, {})
        if primaries is None or self.usual is None:
            general = mine[self._number] = node.get_request(node.services, get, respond)
            general.start()
        else:
            request = mine[self._number] = UsualGet(node.services, get, respond, primaries)
            request.start(self.usual)

    def _put(self, put: Put, hops: int) -> None:
        node, size = self._node, len(put.value)
        usual = put.options is _USUAL or put.options == _USUAL
        refusal = self._objection(put, size, usual, queued=not hops)
        if refusal is None and len(put.request) > MAX_REQUEST:
            text = f"the request id is {len(put.request)} characters; at most {MAX_REQUEST}"
            refusal = Refusal(put.rid, "bad-request", text)
        seen = _NOTHING_SEEN
        if refusal is None:  # what is refused costs no more than that
            try:
                seen = node.services.contexts.read(put.key, put.context)
            except BadContext as e:
                refusal = Refusal(put.rid, "bad-context", str(e))
        if refusal is not None:
            self._refuse("put", refusal)
            return
        respond = self._measured("put") if hops else self._enter("put", put, size)
        first = node.services.dedup.begin(put, respond)
        if first is None:
            joined = node.services.dedup.waits(put.request)
            node.runtime.note("retry-joined" if joined else "retry-answered")
        else:
            node.admission.enter(size)
            if not usual or not self._put_as_usual(put, seen, first, hops):
                request = node.put_request(node.services, put, seen, first, hops)
                if not hops:
                    self._open.setdefault(self._channel, {})[self._number] = request
                request.start()

    def _put_as_usual(self, put: Put, seen: SeenVersions, respond: Respond, hops: int) -> bool:
        """Coordinate or forward a put by the short way; False, with nothing done, where that is
        not to be taken. Coordinated, it waits for no node on behalf of a client that has gone: it
        is stamped immediately."""
        services, usual = self._node.services, self.usual
        primaries = None if put.again or usual is None else usual.primaries(put.key)
        if usual is None or primaries is None:
            return False
        if services.node not in primaries:
            if hops or not services.params.max_hops:
                return False
            forward = UsualForward(services, put, seen, respond, primaries)
            self._open.setdefault(self._channel, {})[self._number] = forward
            forward.start()
            return True
        if services.dedup.stamp_of(put.request) is not None:
            return False
        return UsualPut(services, put, seen, respond, hops, primaries).start(usual)

    def _objection(self, asked: Get | Put, size: int, usual: bool, queued: bool) -> Refusal | None:
        """Why a request is refused before anything of it is done; None if it is not. `size`: of
        its value; `usual`: it has no options; `queued`: it waits in the queue of the clients."""
        node, p = self._node, self._node.params
        rid, key, admission = asked.rid, asked.key, node.admission
        if (node.placement is not self._served or self._served is None) and not self._serves():
            return Refusal(rid, "not-ready", node.why_not_ready(), _RETRY_AFTER)
        overload = admission.objection(size)
        if overload is not None:
            return Refusal(rid, "overloaded", overload, _RETRY_AFTER)
        if not key:
            return Refusal(rid, "bad-request", "the key is empty")
        if len(key) > p.max_key:
            return Refusal(rid, "key-too-large", _limit("key", len(key), 1, p.max_key))
        if size > p.max_value:
            return Refusal(rid, "value-too-large", _limit("value", size, 0, p.max_value))
        under_way = node.barriers.under_way.get(key, 0)
        crowd = admission.crowd_objection(key, under_way) if under_way > FEW else None
        if crowd is not None:
            return Refusal(rid, "overloaded", crowd, _RETRY_AFTER)
        wrong = None if usual else _wrong_option(asked.options, p.n, p.max_timeout)
        if wrong is not None:
            return Refusal(rid, "bad-request", wrong)
        if not queued:
            return None
        queue = admission.queue
        reason = queue.objection(node.runtime.now, self._channel, key, size)
        return None if reason is None else Refusal(rid, "overloaded", reason, queue.retry_after)

    def _serves(self) -> bool:
        """Whether clients are served; kept until the placement changes."""
        node, view = self._node, self._node.placement
        if not node.ready or view is None or node.params.node in view.closed:
            return False
        self._served = view
        return True

    def _refuse(self, kind: str, refusal: Refusal) -> None:
        self._count_refusal(kind, refusal.code)
        self._node.runtime.reply(self._channel, refusal)

    def _enter(self, kind: str, asked: Get | Put, size: int) -> Respond:
        """Add a client's request to the queue; the responder that takes it out again."""
        node, channel = self._node, self._channel
        queue, runtime, key = node.admission.queue, node.runtime, asked.key
        number = self._number = self._number + 1
        queue.enter(channel, key, size)
        began, latencies = runtime.now - self._waited, node.stats.latency[kind]
        waiting = self._open

        def answer(message: GetReply | PutReply | Refusal) -> None:
            now = runtime.now
            refused = type(message) is Refusal
            queue.leave(channel, key, size, None if refused else now - began)
            mine = waiting.get(channel)
            if mine is not None and mine.pop(number, None) is not None and not mine:
                del waiting[channel]
            if refused:
                self._count_refusal(kind, message.code)  # type: ignore[union-attr]
            else:
                latencies.record(now, now - began)
            runtime.effects.append(EffectReply(channel, message))

        return answer

    def _count_refusal(self, kind: str, code: str) -> None:
        self._node.stats.refused(code)
        self._node.runtime.note("refused", code=code, kind=kind)

    def _measured(self, kind: str) -> Respond:
        stats, runtime, channel = self._node.stats, self._node.runtime, self._channel
        began = runtime.now

        def answer(message: GetReply | PutReply | Refusal) -> None:
            if isinstance(message, Refusal):
                self._count_refusal(kind, message.code)
            else:
                stats.latency[kind].record(runtime.now, runtime.now - began)
            runtime.effects.append(EffectReply(channel, message))

        return answer


def _limit(what: str, size: int, least: int, most: int) -> str:
    return f"the {what} is {size} bytes; it must be {least} to {most} bytes"


def _wrong_option(options: RequestOptions, n: int, longest: float) -> str | None:
    for name in ("n", "r", "w", "dw", "pr", "pw", "local"):
        value: int | None = getattr(options, name)
        low = 1 if name in ("n", "r", "w") else 0
        if value is not None and not low <= value <= n:
            return f"option {name} is {value}; it must be {low} to {n} (N)"
        if name == "n" and value is not None:
            n = value
    if options.timeout is not None and not 0 < options.timeout <= longest:
        return f"option timeout is {options.timeout}; it must be above 0, at most {longest:g} s"
    return None


def _request(message: Message) -> str:
    """The id of the client's request that a message comes of; empty if there is none."""
    kind = type(message)
    if kind is Put or kind is ReplicaPut:
        return message.request  # type: ignore[union-attr]
    return message.put.request if kind is ForwardPut else ""  # type: ignore[union-attr]
