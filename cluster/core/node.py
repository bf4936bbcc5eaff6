"""A Dynamo node as one value: events in, effects out (section 5).

`Node` only wires the parts together and sends each event to the one it concerns. What a
node does stands in the parts: get, put, replica, records, hints, antientropy, detector.
"""

from __future__ import annotations

from collections.abc import Callable

from .antientropy import AntiEntropy, Trees
from .claim import claim
from .context import BadContext, Contexts
from .coordinator import Services
from .detector import Detector
from .events import (
    Asked,
    Effect,
    Event,
    LinkDown,
    LinkUp,
    Persisted,
    PersistFailed,
    Received,
    SendFailed,
    Started,
    TimerFired,
)
from .get import GetRequest
from .hints import Hints
from .identity import Identity
from .kernel import Kernel
from .messages import (
    ForwardPut,
    Get,
    GetReply,
    Options,
    Ping,
    Pong,
    Put,
    PutReply,
    Refusal,
    ReplicaGet,
    ReplicaGetReply,
    ReplicaPut,
    ReplicaPutReply,
    State,
    SyncKey,
    SyncKeyReply,
    TreeKeys,
    TreeLeaves,
    TreeRoots,
)
from .operate import Operator
from .params import Params
from .put import PutRequest
from .records import Records
from .replica import Replica
from .retries import Respond, Retries
from .ring import Ring
from .rows import split_object
from .store import Reader

_RETRY_AFTER = 0.1


class Node:
    """One node. `entropy` is a random number that no other life of any node was given."""

    def __init__(self, params: Params, store: Reader, entropy: int) -> None:
        self.params = params
        self.ready = False
        self.kernel = kernel = Kernel()
        owners = claim(
            params.members,
            params.partitions,
            params.n + 1,
            weights=params.weights,
            zones=params.zones,
        )
        self.ring = Ring(owners, params.n, params.zones, params.zone_replicas)
        peers = tuple(m for m in params.members if m != params.node)
        self.identity = Identity(params.node, kernel, store, entropy)
        self.detector = Detector(kernel, peers, params.probe_interval, params.replica_timeout)
        self.objects = Records("objects", kernel, store, self.identity)
        self.objects.label = lambda row: {"key": split_object(row)[1]}
        self.hints = Hints(
            kernel,
            Records("hints", kernel, store, self.identity),
            self.detector,
            params.handoff_interval,
            params.request_timeout,
        )
        self.replica = Replica(
            params.node, kernel, self.ring, self.objects, self.hints, params.max_hint_bytes
        )
        self.trees = Trees(self.objects)
        self.anti_entropy = AntiEntropy(
            kernel,
            self.ring,
            params.node,
            peers,
            self.trees,
            self.replica,
            params.anti_entropy_interval,
            params.request_timeout,
            self.detector.healthy,
        )
        self.services = Services(
            params,
            kernel,
            self.ring,
            self.detector,
            self.replica,
            Contexts(params.cluster, params.secret),
            Retries(),
        )
        self.operator = Operator(self)
        self.requests = 0
        kernel.on_outcome = self.detector.outcome

    def handle(self, now: float, event: Event) -> list[Effect]:
        """React to one event at `now` (seconds, never going back)."""
        self.kernel.now = now
        self._dispatch(event)
        return self.kernel.drain()

    def _dispatch(self, event: Event) -> None:
        match event:
            case Received(channel=None, peer=str(peer), message=message):
                # a late answer still shows that the peer is alive
                if not self.kernel.finish(message.rid, message):  # type: ignore[union-attr, arg-type]
                    self.detector.heard(peer)
            case Received(channel=int(channel)):
                self._question(channel, event)
            case Persisted(token):
                self.kernel.persisted(token)
            case PersistFailed(token, reason):
                self.kernel.persisted(token, reason)
            case TimerFired():
                self.kernel.fire()
            case SendFailed(_, rid):
                self.kernel.finish(rid, "unsent")
            case LinkUp(peer):
                self.detector.link_up(peer)
            case LinkDown(peer, reason):
                self.detector.link_down(peer, reason)
                self.kernel.lose(peer)
            case Asked():
                self.operator.asked(event)
            case Started():
                self._start()

    def _start(self) -> None:
        self.trees.build()
        self.hints.start()
        self.detector.start()
        self.identity.recover(self._recovered)

    def _recovered(self) -> None:
        self.ready = True
        self.anti_entropy.start()
        self.kernel.emit("ready", objects=self.trees.objects, hints=self.hints.count())

    # ---- questions

    def _question(self, channel: int, event: Received) -> None:
        message = event.message

        def respond(answer: GetReply | PutReply | Refusal) -> None:
            self.kernel.reply(channel, answer)

        match message:
            case Get():
                self._get(message, respond)
            case Put():
                self._put(message, respond, hops=0)
            case ForwardPut(rid, hops, put):
                self._put(_renumbered(put, rid), respond, hops)
            case ReplicaGet(rid, key):
                self.replica.get(
                    key,
                    lambda state, error: self.kernel.reply(
                        channel, ReplicaGetReply(rid, state, error)
                    ),
                )
            case ReplicaPut(rid, key, state, hint_for, why):
                self.replica.put(
                    key,
                    state,
                    hint_for,
                    why,
                    lambda code: self.kernel.reply(
                        channel, ReplicaPutReply(rid, code is None, code)
                    ),
                )
            case SyncKey(rid, key, state):
                self.replica.sync(
                    key,
                    state,
                    "anti-entropy",
                    lambda state, error: self.kernel.reply(
                        channel, SyncKeyReply(rid, state, error)
                    ),
                )
            case TreeRoots():
                self.kernel.reply(channel, self.anti_entropy.differing_roots(message))
            case TreeLeaves():
                self.kernel.reply(channel, self.anti_entropy.leaves(message))
            case TreeKeys():
                self.kernel.reply(channel, self.anti_entropy.keys(message))
            case Ping(rid):
                self.kernel.reply(channel, Pong(rid))

    def _get(self, get: Get, respond: Respond) -> None:
        refusal = self._admit(get.rid, get.key, b"", get.options)
        if refusal is not None:
            respond(refusal)
            return
        GetRequest(self.services, get, self._counted(respond)).start()

    def _put(self, put: Put, respond: Respond, hops: int) -> None:
        refusal = self._admit(put.rid, put.key, put.value, put.options)
        context: State = {}
        try:
            context = self.services.contexts.read(put.key, put.context)
        except BadContext as e:
            refusal = refusal or Refusal(put.rid, "bad-context", str(e))
        if refusal is not None:
            respond(refusal)
            return
        first = self.services.retries.begin(put, respond)
        if first is not None:
            PutRequest(self.services, put, context, self._counted(first), hops).start()

    def _admit(self, rid: int, key: bytes, value: bytes, options: Options) -> Refusal | None:
        """Why a request is refused before anything of it is done; None if it is not."""
        p = self.params
        if not self.ready:
            return Refusal(rid, "not-ready", f"{p.node} is starting", _RETRY_AFTER)
        if self.requests >= p.max_requests:
            return Refusal(rid, "overloaded", f"{self.requests} requests in progress", _RETRY_AFTER)
        if not 0 < len(key) <= p.max_key:
            return Refusal(rid, "key-too-large", _limit("key", len(key), 1, p.max_key))
        if len(value) > p.max_value:
            return Refusal(rid, "value-too-large", _limit("value", len(value), 0, p.max_value))
        wrong = _wrong_option(options, p.n)
        return None if wrong is None else Refusal(rid, "bad-request", wrong)

    def _counted(self, respond: Respond) -> Respond:
        self.requests += 1

        def answer(message: GetReply | PutReply | Refusal) -> None:
            self.requests -= 1
            respond(message)

        return answer


def _renumbered(put: Put, rid: int) -> Put:
    return Put(rid, put.request, put.key, put.value, put.context, put.deleted, put.options)


def _limit(what: str, size: int, least: int, most: int) -> str:
    return f"the {what} is {size} bytes; it must be {least} to {most} bytes"


def _wrong_option(options: Options, n: int) -> str | None:
    for name in ("r", "w", "dw", "pr", "pw", "local"):
        value: int | None = getattr(options, name)
        low = 1 if name in ("r", "w") else 0
        if value is not None and not low <= value <= n:
            return f"option {name} is {value}; it must be {low} to {n} (N)"
    if options.timeout is not None and not 0 < options.timeout <= 3600:
        return f"option timeout is {options.timeout}; it must be above 0, at most 3600 s"
    return None


#: What a bug of the zoo is given: a freshly built node.
Plant = Callable[[Node], None]
