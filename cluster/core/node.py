"""A Dynamo node as one value: events in, effects out (section 5).

`Node` only wires the parts together and sends each event to the one it concerns. What a
node does stands in the parts: get, put, replica, records, hints, antientropy, detector.
"""

from __future__ import annotations

from collections.abc import Callable

from . import messages
from .admission import Admission
from .antientropy import AntiEntropy, Trees
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
from .gossip import Gossip
from .hints import Hints
from .identity import Identity
from .kernel import Kernel
from .membership import Membership, first_layout, gone, known
from .messages import (
    ForwardPut,
    Get,
    GetReply,
    Locate,
    LocateReply,
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
from .placement import Placement, Rules
from .put import PutRequest
from .records import Records
from .replica import Replica
from .retries import Respond, Retries
from .ring import partition_of
from .rows import split_object
from .stats import Stats
from .store import Reader, ReadFailed
from .transfers import Transfers

_RETRY_AFTER = 0.1
#: seconds until storage that could not be read is tried again
_READ_AGAIN = 1.0


class Node:
    """One node. `entropy` is a random number that no other life of any node was given."""

    def __init__(self, params: Params, store: Reader, entropy: int) -> None:
        self.params = params
        self.ready = False
        self.kernel = kernel = Kernel()
        self.rules = rules = Rules(params.n, params.weights, params.zones, params.zone_replicas)
        self.stats = Stats()
        self.admission = Admission(
            kernel,
            self.stats.latency["get"],
            params.read_target,
            params.max_requests,
            params.max_request_bytes,
        )
        self.membership = Membership(params.node, rules)
        self.placement: Placement | None = None
        memory = params.buffer_rows if params.durability == "buffered" else 0
        self.identity = Identity(params.node, kernel, store, entropy, memory > 0)
        self.detector = Detector(kernel, params.probe_interval, params.replica_timeout)
        self.objects = Records(
            "objects", kernel, store, self.identity, memory, params.buffer_interval
        )
        self.objects.label = lambda row: {"key": split_object(row)[1]}
        hints = Records("hints", kernel, store, self.identity, memory, params.buffer_interval)
        self.hints = Hints(
            params.node, kernel, hints, params.handoff_interval, params.request_timeout
        )
        self.replica = Replica(
            params.node,
            kernel,
            lambda: self.placement,
            lambda key: partition_of(key, params.partitions),
            self.objects,
            self.hints,
            params.max_hint_bytes,
            store.durable,
        )
        self.trees = Trees(self.objects)
        self.anti_entropy = AntiEntropy(
            kernel,
            self.trees,
            self.replica,
            params.anti_entropy_interval,
            params.request_timeout,
            self.detector.healthy,
        )
        self.transfers = Transfers(
            params.node, kernel, self.membership, lambda: self.view, self.trees, self.objects
        )
        self.gossip = Gossip(
            params.node,
            kernel,
            store,
            self.membership,
            params.seeds,
            params.gossip_interval,
            params.request_timeout,
            entropy,
        )
        self.services = Services(
            params,
            kernel,
            lambda: self.placement,
            self.detector,
            self.replica,
            Contexts(params.cluster, params.secret),
            Retries(),
            self.stats,
            self.admission,
        )
        self._connect()
        self.operator = Operator(self)
        #: the state machines of client requests
        self.get_request: type[GetRequest] = GetRequest
        self.put_request: type[PutRequest] = PutRequest
        self._recovered_identity = False

    def _connect(self) -> None:
        """Let the parts hear of each other."""
        self.kernel.on_outcome = self.detector.outcome
        self.hints.window = lambda: self.admission.window
        self.anti_entropy.window = lambda: self.admission.window
        self.hints.destination = self._destination
        self.hints.keep = lambda key, state, done: self.replica.put(
            key, state, None, "handoff", done
        )
        self.gossip.on_news = self._layout_changed
        self.anti_entropy.partners = self._partners
        self.anti_entropy.version = lambda: self.view.layout.version
        self.anti_entropy.on_synced = self.transfers.synced

    @property
    def view(self) -> Placement:
        """Who holds what, as far as this node knows. It must have joined a cluster."""
        assert self.placement is not None
        return self.placement

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
        """Recover; as long as the storage cannot be read, which says nothing about what is
        in it, try again."""
        try:
            self.trees.build()
            self.hints.recover()
            self.gossip.recover()
            self.identity.recover(self._recovered)
        except ReadFailed as e:
            self.kernel.emit("storage-unreadable", reason=str(e))
            self.kernel.after(_READ_AGAIN, self._start)
            return
        self.admission.start()
        self.hints.start()
        self.detector.start()
        p = self.params
        if self.membership.layout is None and p.members:
            self.membership.adopt(first_layout(p.members, p.partitions, self.rules), {})
        self.gossip.start()

    def _recovered(self) -> None:
        self._recovered_identity = True
        self._become_ready()

    def _become_ready(self) -> None:
        """Ready: it can name versions, and has joined a cluster."""
        if self.ready or not self._recovered_identity or self.placement is None:
            return
        self.ready = True
        self.anti_entropy.start()
        self.kernel.emit("ready", objects=self.trees.objects, hints=self.hints.count())

    # ---- membership

    def _layout_changed(self) -> None:
        membership = self.membership
        self.detector.watch(self.gossip.audience())
        if membership.layout is None:
            return
        before = self.placement
        self.placement = Placement(membership.layout, self.rules, gone(membership.requests))
        self.transfers.layout_changed()
        if before is None or before.layout.version != membership.layout.version:
            layout = membership.layout
            self.kernel.emit("layout", version=layout.version, members=list(layout.members))
        self._become_ready()

    def _partners(self) -> dict[str, list[int]]:
        """peer -> the partitions to compare with it."""
        partners = {
            peer: self.transfers.with_peer(peer)
            for peer in known(self.view.layout)
            if peer != self.params.node
        }
        return {peer: partitions for peer, partitions in partners.items() if partitions}

    def _destination(self, target: str, key: bytes) -> str | None:
        """Where a hint goes: to its target, or, where that owns the key no longer, to a
        primary that does."""
        if self.placement is None:
            return None
        healthy = self.detector.healthy
        partition = self.view.partition(key)
        if self.view.holds(target, partition) and target not in gone(self.membership.requests):
            return target if healthy(target) else None
        owners = self.view.primaries(partition)
        return next((owner for owner in owners if healthy(owner)), None)

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
            case Locate(rid):
                self.kernel.reply(channel, self._locate(rid))
            case ForwardPut(rid, hops, put):
                self._put(_renumbered(put, rid), respond, hops)
            case messages.Gossip():
                self.kernel.reply(channel, self.gossip.heard(message))
            case ReplicaGet(rid, key, hint_for):
                self.replica.get(
                    key,
                    hint_for,
                    lambda state, error: self.kernel.reply(
                        channel, ReplicaGetReply(rid, state, error)
                    ),
                )
            case ReplicaPut(rid, key, state, hint_for, why, durable):
                kept = durable and self.replica.durable
                self.replica.put(
                    key,
                    state,
                    hint_for,
                    why,
                    lambda code: self.kernel.reply(
                        channel, ReplicaPutReply(rid, kept and code is None, code)
                    ),
                    durable,
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

    def _locate(self, rid: int) -> LocateReply | Refusal:
        view = self.placement
        if view is None:
            return Refusal(rid, "not-ready", f"{self.params.node} is no member", _RETRY_AFTER)
        primaries = tuple(view.primaries(partition) for partition in view.partitions)
        return LocateReply(rid, view.layout.version, primaries)

    def _get(self, get: Get, respond: Respond) -> None:
        respond = self._measured("get", respond)
        refusal = self._admit(get.rid, get.key, b"", get.options)
        if refusal is not None:
            respond(refusal)
            return
        self.admission.enter(0)
        self.get_request(self.services, get, respond).start()

    def _put(self, put: Put, respond: Respond, hops: int) -> None:
        respond = self._measured("put", respond)
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
            self.admission.enter(len(put.value))
            self.put_request(self.services, put, context, first, hops).start()

    def _admit(self, rid: int, key: bytes, value: bytes, options: Options) -> Refusal | None:
        """Why a request is refused before anything of it is done; None if it is not."""
        p = self.params
        if not self.ready:
            return Refusal(rid, "not-ready", f"{p.node} is starting", _RETRY_AFTER)
        overload = self.admission.objection(len(value))
        if overload is not None:
            return Refusal(rid, "overloaded", overload, _RETRY_AFTER)
        if not 0 < len(key) <= p.max_key:
            return Refusal(rid, "key-too-large", _limit("key", len(key), 1, p.max_key))
        if len(value) > p.max_value:
            return Refusal(rid, "value-too-large", _limit("value", len(value), 0, p.max_value))
        wrong = _wrong_option(options, p.n)
        return None if wrong is None else Refusal(rid, "bad-request", wrong)

    def _measured(self, kind: str, respond: Respond) -> Respond:
        began = self.kernel.now

        def answer(message: GetReply | PutReply | Refusal) -> None:
            if isinstance(message, Refusal):
                self.stats.refused(message.code)
            else:
                self.stats.latency[kind].record(self.kernel.now, self.kernel.now - began)
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
