"""A Dynamo node as one value: events in, effects out (section 5).

`Node` only wires the parts together and sends each event to the one it concerns. What a
node does stands in the parts: questions, get, put, replica, records, hints, antientropy,
detector, membership and so on.
"""

from __future__ import annotations

from collections.abc import Callable

from dynamesis.cluster.core.membership.bootstrap import Bootstrap
from dynamesis.cluster.core.membership.changes import closed, gone, known
from dynamesis.cluster.core.membership.decommission import Decommission
from dynamesis.cluster.core.membership.detector import Detector
from dynamesis.cluster.core.membership.gossip import GossipExchange
from dynamesis.cluster.core.membership.membership import Membership, first_layout, settled
from dynamesis.cluster.core.node.admin import Admin
from dynamesis.cluster.core.node.dispatch import Dispatch
from dynamesis.cluster.core.protocol.events import (
    AdminRequest,
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
    Table,
    TimerFired,
)
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.protocol.storage_reader import Reader, ReadFailed
from dynamesis.cluster.core.replication.antientropy import AntiEntropy
from dynamesis.cluster.core.replication.hints import Hints
from dynamesis.cluster.core.replication.key_barrier import KeyBarriers
from dynamesis.cluster.core.replication.replica import Replica
from dynamesis.cluster.core.replication.tombstone_reaper import TombstoneReaper
from dynamesis.cluster.core.replication.transfers import Transfers
from dynamesis.cluster.core.requests.coordinator import Services
from dynamesis.cluster.core.requests.get import GetRequest
from dynamesis.cluster.core.requests.put import PutRequest
from dynamesis.cluster.core.ring.placement import Placement, Rules
from dynamesis.cluster.core.ring.ring import partition_of
from dynamesis.cluster.core.runtime.admission import Admission
from dynamesis.cluster.core.runtime.request_dedup import RequestDedup
from dynamesis.cluster.core.runtime.runtime import Runtime
from dynamesis.cluster.core.runtime.stats import Stats
from dynamesis.cluster.core.storage.record_table import Record, RecordTable
from dynamesis.cluster.core.storage.row_keys import split_hint, split_object
from dynamesis.cluster.core.storage.trees import Trees
from dynamesis.cluster.core.versions.context import Contexts
from dynamesis.cluster.core.versions.identity import Identity
from dynamesis.cluster.core.versions.versioning import versioning

#: seconds until storage that could not be read is tried again
_READ_AGAIN = 1.0


class Node:
    """One node. `entropy` is a random number that no other life of any node was given."""

    def __init__(self, params: Params, store: Reader, entropy: int) -> None:
        self.params = params
        self.ready = False
        self.runtime = runtime = Runtime()
        self.rules = Rules(params.n, params.weights, params.zones, params.zone_replicas)
        self.stats = Stats()
        self.admission = Admission(
            runtime,
            self.stats.latency["get"],
            params.read_target,
            params.max_requests,
            params.max_request_bytes,
        )
        self.membership = Membership(params.node, self.rules, entropy)
        self.placement: Placement | None = None
        #: whose states are merged (Membership.participants, as of the last news)
        self.participants: frozenset[str] = frozenset()
        self._gone: set[str] = set()
        self._logged_layout: tuple[int, str, list[str]] | None = None
        self._closed: set[str] = set()
        self.versioning = versioning(params)
        self.barriers = KeyBarriers()
        self._keep(store, entropy)
        self._serve(store)
        self._agree(store, entropy)
        self._connect()
        self.admin = Admin(self)
        self.dispatch = Dispatch(self)
        #: the state machines of client requests
        self.get_request: type[GetRequest] = GetRequest
        self.put_request: type[PutRequest] = PutRequest
        self._recovered_identity = False
        self._stopped = False
        self._was_put_away = False

    def _keep(self, store: Reader, entropy: int) -> None:
        """Make the parts that keep: who names versions, records, hints."""
        params, runtime = self.params, self.runtime
        memory = params.buffer_rows if params.durability == "buffered" else 0
        self.identity = Identity(params.node, runtime, store, entropy, memory > 0)

        def records(table: Table, key_of: Callable[[bytes], bytes]) -> RecordTable:
            return RecordTable(
                table,
                runtime,
                store,
                self.identity,
                self.versioning,
                key_of,
                memory,
                params.buffer_interval,
            )

        self.objects = records("objects", lambda row: split_object(row)[1])
        self.objects.label = lambda row: {"key": split_object(row)[1]}
        self.hints = Hints(
            params.node,
            runtime,
            records("hints", lambda row: split_hint(row)[1]),
            params.handoff_interval,
            params.request_timeout,
        )

    def _serve(self, store: Reader) -> None:
        """Make the parts that answer: the replica, and what client requests stand on."""
        params, runtime = self.params, self.runtime
        self.detector = Detector(
            runtime, self.identity, params.probe_interval, params.replica_timeout
        )
        self.replica = Replica(
            params.node,
            runtime,
            lambda: self.placement,
            lambda key: partition_of(key, params.partitions),
            self.objects,
            self.hints,
            params.max_hint_bytes,
            store.durable,
        )
        self.services = Services(
            params,
            runtime,
            lambda: self.placement,
            self.detector,
            self.replica,
            self.versioning,
            Contexts(params.cluster, params.secret),
            RequestDedup(),
            self.barriers,
            self.stats,
            self.admission,
            self.takes_part,
        )

    def _agree(self, store: Reader, entropy: int) -> None:
        """Make the parts that bring nodes to agree: on what they hold, and on who they are."""
        params, runtime = self.params, self.runtime
        self.trees = Trees(runtime, store, self.objects, params.tree_expiry)
        self.anti_entropy = AntiEntropy(
            runtime,
            self.trees,
            self.replica,
            params.anti_entropy_interval,
            params.request_timeout,
            self.detector.healthy,
            self.barriers,
        )
        self.transfers = Transfers(
            params.node, runtime, self.membership, lambda: self.view, self.trees, self.objects
        )
        self.gossip = GossipExchange(
            params.node,
            runtime,
            store,
            self.membership,
            params.seeds,
            params.gossip_interval,
            params.request_timeout,
            entropy,
        )
        self.bootstrap = Bootstrap(params.node, runtime, params.members, params.gossip_interval)
        self.decommission = Decommission(
            params.node,
            runtime,
            self.membership,
            params.anti_entropy_interval or params.gossip_interval,
            params.reap_after,
        )
        self.reaper = TombstoneReaper(
            params.node,
            runtime,
            self.objects,
            self.hints,
            self.barriers,
            self.services.retries,
            params.reap_after,
            params.request_timeout,
        )

    def _connect(self) -> None:
        """Let the parts hear of each other."""
        self.runtime.on_outcome = self.detector.outcome
        self.objects.on_change = self._object_changed
        self.hints.records.on_change = self._hint_changed
        self.trees.on_row = self.reaper.met
        self.reaper.settled = self._settled_view
        self.reaper.peers = lambda: sorted(self.participants - {self.params.node})
        self.reaper.fingerprint = self.membership.fingerprint
        self.reaper.ping = self.detector.ping
        self.hints.window = lambda: self.admission.window
        self.anti_entropy.window = lambda: self.admission.window
        self.hints.destinations = self._destinations
        self.hints.keep = lambda key, state, done: self.replica.put(
            key, state, None, "handoff", done
        )
        self.gossip.on_news = self._layout_changed
        self.bootstrap.has_layout = lambda: self.membership.layout is not None
        self.bootstrap.is_up = self.detector.is_up
        self.bootstrap.ask = self.gossip.ask
        self.bootstrap.found = self._found
        self.decommission.is_empty = self._is_empty
        self.decommission.discard = self._discard
        self.membership.on_passed_over = lambda change, why: self.runtime.emit(
            "change-passed-over", change=change.id, reason=why
        )
        self.anti_entropy.partners = self._partners
        self.anti_entropy.version = lambda: self.view.layout.version
        self.anti_entropy.on_synced = self.transfers.synced

    @property
    def view(self) -> Placement:
        """Who holds what, as far as this node knows. It must have joined a cluster."""
        assert self.placement is not None
        return self.placement

    def handle(self, now: float, event: Event, wall: int = 0) -> list[Effect]:
        """React to one event at `now` (seconds, never going back). `wall`: what the
        machine's clock says, in ms since 1970; nothing relies on it but last-write-wins."""
        self.runtime.now = now
        self.runtime.wall = wall
        self._dispatch(event)
        return self.runtime.drain()

    def _dispatch(self, event: Event) -> None:
        if self._stopped and not isinstance(event, Persisted | PersistFailed):
            return
        match event:
            case Received(channel=None, peer=str(peer), message=message):
                # a late answer still shows that the peer is alive
                if not self.runtime.finish(message.rid, message):  # type: ignore[union-attr, arg-type]
                    self.detector.heard(peer)
            case Received(channel=int(channel)):
                self.dispatch.asked(channel, event)
            case Persisted(token):
                self.runtime.persisted(token)
            case PersistFailed(token, reason):
                self.runtime.persisted(token, reason)
            case TimerFired():
                self.runtime.fire()
            case SendFailed(_, rid):
                self.runtime.finish(rid, "unsent")
            case LinkUp(peer):
                self.detector.link_up(peer)
                self.bootstrap.look()
            case LinkDown(peer, reason):
                self.detector.link_down(peer, reason)
                self.runtime.lose(peer)
            case AdminRequest():
                self.admin.asked(event)
            case Stopping():
                self._stop()
            case Started(intact):
                self._start(intact)

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

    def _start(self, intact: bool) -> None:
        """Recover; as long as the storage cannot be read, which says nothing about what is
        in it, try again."""
        try:
            self.trees.recover()
            self.hints.recover()
            self.gossip.recover()
            self.identity.recover(intact, self._recovered)
        except ReadFailed as e:
            self.runtime.emit("storage-unreadable", reason=str(e))
            self.runtime.after(_READ_AGAIN, lambda: self._start(intact))
            return
        self.admission.start()
        self.hints.start()
        self.detector.start()
        self.membership.informed = not self.gossip.audience()
        self.gossip.start()
        self.bootstrap.start()
        self.decommission.start()

    def _found(self) -> None:
        p = self.params
        self.membership.adopt(first_layout(p.members, p.partitions, self.rules), {})

    def _recovered(self) -> None:
        self._recovered_identity = True
        self._become_ready()

    def _become_ready(self) -> None:
        """Ready: it can name versions, and has joined a cluster."""
        if self.ready or not self._recovered_identity or self.placement is None:
            return
        self.ready = True
        self.anti_entropy.start()
        self.reaper.start()
        self.runtime.emit("ready", objects=self.trees.objects, hints=self.hints.count())

    @property
    def serves(self) -> bool:
        """Whether clients' requests are taken."""
        return self.ready and self.params.node not in self._closed

    def why_not_ready(self) -> str:
        """Why clients are refused while it is not."""
        me, silent = self.params.node, self.bootstrap.waiting_for()
        if self.ready:
            return f"{me} has gone from the cluster"
        if self.placement is not None or not self._recovered_identity:
            return f"{me} is starting"
        if not silent:
            return f"{me} has not joined a cluster"
        return (
            f"{me} knows of no ring, and founds none before all other founders have said that "
            f"they know of none either; it waits for {', '.join(silent)}"
        )

    def _object_changed(self, row: bytes, old: Record | None, new: Record | None) -> None:
        self.trees.changed(row, old, new)
        self.reaper.changed(row, new)

    def _hint_changed(self, row: bytes, old: Record | None, new: Record | None) -> None:
        self.hints.changed(row, old, new)
        self.barriers.fall(split_hint(row)[1])

    # ---- membership

    def takes_part(self) -> bool:
        """Whether this node is one of those whose states are merged."""
        return self.params.node in self.participants

    def _is_empty(self) -> bool:
        """Whether nothing is held here, for anybody, and nothing is being written."""
        held = self.trees.objects or not self.trees.complete or self.hints.count()
        return not held and self.objects.settled and self.hints.records.settled

    def _discard(self) -> None:
        self.transfers.discard()
        self.hints.discard()

    def _settled_view(self) -> Placement | None:
        """Who holds what, unless a partition is on the move."""
        view = self.placement
        if view is None or not settled(view.layout) or self.transfers.status():
            return None
        return view

    def _layout_changed(self) -> None:
        membership = self.membership
        self.detector.watch(self.gossip.audience())
        if membership.layout is None:
            return
        before = self.placement
        self.participants = membership.participants()
        self._gone = gone(membership.layout, membership.requests)
        self._closed = closed(membership.requests)
        self.placement = Placement(membership.layout, self.rules, self._gone, self._closed)
        self._log_layout(before, self.placement)
        self.transfers.layout_changed()
        self._become_ready()

    def _log_layout(self, before: Placement | None, now: Placement) -> None:
        """Log a layout, or another list of nodes that nobody waits for; and the partitions that
        this node serves from now on, and no longer."""
        layout, gone = now.layout, sorted(self._gone)
        what = (layout.version, layout.author, gone)
        if what != self._logged_layout:
            self._logged_layout = what
            moving = {} if settled(layout) else {"target": list(layout.target)}
            told = {"members": list(layout.members), "owners": list(layout.owners), **moving}
            self.runtime.emit("layout", version=layout.version, **told, gone=gone)
        me = self.params.node
        said = {p for p, nodes in layout.ready.items() if me in nodes}
        if before is not None and before.layout.version == layout.version:
            said -= {p for p, nodes in before.layout.ready.items() if me in nodes}
        if said:
            self.runtime.emit("ready-for", layout=layout.version, partitions=sorted(said))
        serves, served = (
            {p for p in view.partitions if me in view.primaries(p)} if view is not None else set()
            for view in (now, before)
        )
        if serves != served:
            changed = {"gained": sorted(serves - served), "lost": sorted(served - serves)}
            self.runtime.emit("serves", layout=layout.version, **changed)

    def _partners(self) -> dict[str, list[int]]:
        """peer -> the partitions to compare with it."""
        partners = {
            peer: self.transfers.with_peer(peer)
            for peer in known(self.view.layout)
            if peer != self.params.node
        }
        return {peer: partitions for peer, partitions in partners.items() if partitions}

    def _destinations(self, target: str, key: bytes) -> tuple[str, ...]:
        """Where a hint goes: to its target, or, where that owns the key no longer, to all
        primaries."""
        if self.placement is None:
            return ()
        partition = self.view.partition(key)
        awaited = self.view.holds(target, partition) and target not in self._gone
        owners = (target,) if awaited else self.view.primaries(partition)
        return owners if all(map(self.detector.healthy, owners)) else ()


#: What a bug of the zoo is given: a freshly built node.
Plant = Callable[[Node], None]
