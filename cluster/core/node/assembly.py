"""Builds a node: its parts, each with the collaborators that it calls.

Every part gets its collaborators as constructor arguments; a part that is built later is
reached through the node when it is first used. Without any one line or argument of this
wiring, mypy fails or tests/core/test_wiring.py does.
"""

from __future__ import annotations

from typing import ClassVar

from dynamesis.cluster.core.membership.changes import closed, gone, known
from dynamesis.cluster.core.membership.membership import first_layout, settled
from dynamesis.cluster.core.node.parts import Parts
from dynamesis.cluster.core.protocol.messages import Change, Key
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.protocol.storage_reader import Reader
from dynamesis.cluster.core.replication.key_barrier import KeyBarriers
from dynamesis.cluster.core.requests.coordinator import Services
from dynamesis.cluster.core.ring.placement import Placement
from dynamesis.cluster.core.ring.ring import partition_of
from dynamesis.cluster.core.runtime.stats import Stats
from dynamesis.cluster.core.runtime.wall_watch import WallWatch
from dynamesis.cluster.core.storage.record_table import Record
from dynamesis.cluster.core.storage.row_keys import (
    Row,
    hint_label,
    object_label,
    split_hint,
    split_object,
)
from dynamesis.cluster.core.versions.same_name import SameName
from dynamesis.cluster.core.versions.siblings import SiblingLimit


class Assembly:
    """The parts of one node. `entropy` is a random number that no other life of any node was
    given."""

    #: the classes of which it is built; a planted bug has others
    parts: ClassVar[Parts] = Parts()

    def __init__(self, params: Params, store: Reader, entropy: int) -> None:
        self.params = params
        self.ready = False
        self.placement: Placement | None = None
        #: nodes whose states are merged (Membership.participants, as of the last layout)
        self.participants: frozenset[str] = frozenset()
        self._logged_layout: tuple[int, str, list[str]] | None = None
        self._recovered_identity = False
        #: the state machines of client requests
        self.get_request = self.parts.get_request
        self.put_request = self.parts.put_request
        self._build_base(params, entropy)
        self._build_storage(params, store, entropy)
        self._build_requests(params, store)
        self._build_repair(params, store, entropy)

    def _build_base(self, params: Params, entropy: int) -> None:
        """Build what all other parts use."""
        self.runtime = self.parts.runtime(
            on_answer=lambda peer: self.detector.contacted(peer),
            on_failure=lambda peer, failure: self.detector.outcome(peer, failure),
        )
        self.wall_watch = WallWatch(self.runtime)
        self.rules = self.parts.rules(params.n, params.weights, params.zones, params.zone_replicas)
        self.stats = Stats()
        self.admission = self.parts.admission(
            self.runtime,
            self.stats.latency["get"],
            params.read_target,
            params.max_requests,
            params.max_request_bytes,
            params.queue_target,
        )
        self.barriers = KeyBarriers()
        self.membership = self.parts.membership(
            params.node,
            self.rules,
            entropy,
            on_change=lambda: self.gossip.changed(),
            on_passed_over=self._passed_over,
        )

    def _build_storage(self, params: Params, store: Reader, entropy: int) -> None:
        """Build the parts that keep data: names of versions, records, hints."""
        memory = params.buffer_rows if params.durability == "buffered" else 0
        self.identity = self.parts.identity(params.node, self.runtime, store, entropy, memory > 0)
        self.same_name = SameName(params.node, self.runtime)
        self.versioning = self.parts.versioning(params)
        limit = SiblingLimit(params.max_siblings, params.max_sibling_bytes, params.node)
        self.objects = self.parts.objects(
            "objects",
            self.runtime,
            store,
            self.identity,
            self.versioning,
            lambda row: split_object(row)[1],
            memory,
            params.buffer_interval,
            on_change=self.object_changed,
            on_damage=lambda row: self.trees.damaged(row),
            on_readable=lambda row, record: self.trees.readable(row, record),
            on_undone=_not_counted,
            on_unreadable=lambda row, new: self.trees.unreadable(row),
            limit=limit,
            label=object_label,
        )
        hint_records = self.parts.hint_records(
            "hints",
            self.runtime,
            store,
            self.identity,
            self.versioning,
            lambda row: split_hint(row)[1],
            memory,
            params.buffer_interval,
            on_change=self.hint_changed,
            on_damage=_not_compared,
            on_readable=lambda row, record: None,  # given up as it was found damaged
            on_undone=lambda row: self.hints.undone(row),
            on_unreadable=lambda row, new: self.hints.look_again(row, new),
            limit=limit,
            label=hint_label,
        )
        self.hints = self.parts.hints(
            params.node,
            self.runtime,
            hint_records,
            params.handoff_interval,
            params.request_timeout,
            destinations=self.hint_destinations,
            window=lambda: self.admission.window,
            pause=lambda: self.admission.pause,
            keep=lambda key, state, done: self.replica.put(key, state, None, "handoff", done),
        )

    def _build_requests(self, params: Params, store: Reader) -> None:
        """Build the parts that answer requests: detector, replica, and all that a request uses."""
        self.detector = self.parts.detector(
            self.runtime,
            self.identity,
            params.probe_interval,
            params.replica_timeout,
            on_same_name=self.same_name.learn,
        )
        self.replica = self.parts.replica(
            params.node,
            self.runtime,
            lambda: self.placement,
            lambda key: partition_of(key, params.partitions),
            self.objects,
            self.hints,
            params.max_hint_bytes,
            store.durable,
        )
        self.services = Services(
            params,
            self.runtime,
            lambda: self.placement,
            self.detector,
            self.replica,
            self.versioning,
            self.parts.contexts(params.cluster, params.secret),
            self.parts.request_dedup(),
            self.barriers,
            self.stats,
            self.admission,
            self.takes_part,
        )

    def _build_repair(self, params: Params, store: Reader, entropy: int) -> None:
        """Build the parts that bring replicas to agree: trees, transfers, anti-entropy, reaper."""
        self.trees = self.parts.trees(
            self.runtime,
            store,
            self.objects,
            params.tree_expiry,
            on_row=lambda row, record: self.reaper.met(row, record),
        )
        self.transfers = self.parts.transfers(
            params.node,
            self.runtime,
            self.membership,
            lambda: self.view,
            self.trees,
            self.objects,
            healthy=self.detector.healthy,
        )
        self.anti_entropy = self.parts.anti_entropy(
            self.runtime,
            self.trees,
            self.replica,
            params.anti_entropy_interval,
            params.request_timeout,
            self.detector.healthy,
            self.barriers,
            exchange=self.parts.exchange,
            partners=self._partners,
            version=lambda: self.view.layout.version,
            window=lambda: self.admission.window,
            pause=lambda: self.admission.pause,
            on_synced=self.transfers.synced,
        )
        self.reaper = self.parts.reaper(
            params.node,
            self.runtime,
            self.objects,
            self.hints,
            self.barriers,
            self.services.dedup,
            params.reap_after,
            params.request_timeout,
            settled=self._settled_view,
            fingerprint=self.membership.fingerprint,
            peers=lambda: sorted(self.participants - {params.node}),
            ping=self.detector.ping,
        )
        self._build_membership(params, store, entropy)

    def _build_membership(self, params: Params, store: Reader, entropy: int) -> None:
        """Build the parts by which a node becomes a member, and ceases to be one."""
        self.gossip = self.parts.gossip(
            params.node,
            self.runtime,
            store,
            self.membership,
            params.seeds,
            params.gossip_interval,
            params.request_timeout,
            entropy,
            on_news=self.layout_changed,
        )
        self.bootstrap = self.parts.bootstrap(
            params.node,
            self.runtime,
            params.members,
            params.gossip_interval,
            has_layout=lambda: self.membership.layout is not None,
            found=self._found,
            is_up=self.detector.is_up,
            ask=self.gossip.ask,
        )
        self.decommission = self.parts.decommission(
            params.node,
            self.runtime,
            self.membership,
            params.anti_entropy_interval or params.gossip_interval,
            params.reap_after,
            is_empty=self._is_empty,
            discard=self._discard,
        )

    def _passed_over(self, change: Change, reason: str) -> None:
        self.runtime.emit("change-passed-over", change=change.id, reason=reason)

    @property
    def view(self) -> Placement:
        """The placement as this node knows it. It must have joined a cluster."""
        assert self.placement is not None
        return self.placement

    @property
    def serves(self) -> bool:
        """Whether clients' requests are taken."""
        return self.ready and self.params.node not in self.view.closed

    def why_not_ready(self) -> str:
        """The reason for which clients are refused; to be called only while they are."""
        me, unanswered = self.params.node, self.bootstrap.waiting_for()
        if self.ready:
            return f"{me} has gone from the cluster"
        if self.placement is not None or not self._recovered_identity:
            return f"{me} is starting"
        if not unanswered:
            return f"{me} has not joined a cluster"
        return (
            f"{me} has no ring, and founds none before all other founders have answered that "
            f"they have none either; it waits for {', '.join(unanswered)}"
        )

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

    def object_changed(self, row: Row, old: Record | None, new: Record | None) -> None:
        self.trees.changed(row, old, new)
        self.reaper.changed(row, new)

    def hint_changed(self, row: Row, old: Record | None, new: Record | None) -> None:
        self.hints.changed(row, old, new)
        self.barriers.fall(split_hint(row)[1])

    # ---- membership

    def takes_part(self) -> bool:
        """Whether this node is one of those whose states are merged."""
        return self.params.node in self.participants

    def _is_empty(self) -> bool:
        """Whether this node holds no record and no hint, and no write is under way."""
        held = self.trees.objects or not self.trees.complete or self.hints.count()
        return not held and self.objects.settled and self.hints.records.settled

    def _discard(self) -> None:
        self.transfers.discard()
        self.hints.discard()

    def _settled_view(self) -> Placement | None:
        """The placement, None while a partition is on the move."""
        view = self.placement
        if view is None or not settled(view.layout) or self.transfers.status():
            return None
        return view

    def layout_changed(self) -> None:
        membership = self.membership
        self.detector.watch(self.gossip.audience())
        if membership.layout is None:
            return
        before = self.placement
        self.participants = membership.participants()
        self.placement = Placement(
            membership.layout,
            self.rules,
            gone(membership.layout, membership.requests),
            closed(membership.requests),
        )
        self._log_layout(before, self.placement)
        self.transfers.layout_changed()
        self._become_ready()

    def _log_layout(self, before: Placement | None, now: Placement) -> None:
        """Log a layout that differs from the last one logged, and the partitions that this
        node serves from now on, and no longer."""
        layout, gone = now.layout, sorted(now.gone)
        what = (layout.version, layout.author, gone)
        if what != self._logged_layout:
            self._logged_layout = what
            moving = {} if settled(layout) else {"target": list(layout.target)}
            fields = {"members": list(layout.members), "owners": list(layout.owners), **moving}
            self.runtime.emit("layout", version=layout.version, **fields, gone=gone)
        me = self.params.node
        announced = {p for p, nodes in layout.ready.items() if me in nodes}
        if before is not None and before.layout.version == layout.version:
            announced -= {p for p, nodes in before.layout.ready.items() if me in nodes}
        if announced:
            self.runtime.emit("ready-for", layout=layout.version, partitions=sorted(announced))
        serves, served = (_served(view, me) for view in (now, before))
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

    def hint_destinations(self, target: str, key: Key) -> tuple[str, ...]:
        """The nodes that a hint goes to: its target, or, where that owns the key no longer, all
        primaries."""
        if self.placement is None:
            return ()
        partition = self.view.partition(key)
        awaited = self.view.holds(target, partition) and target not in self.view.gone
        owners = (target,) if awaited else self.view.primaries(partition)
        return owners if all(map(self.detector.healthy, owners)) else ()


def _not_counted(row: Row) -> None:
    """Do nothing: how many were kept is counted of hints alone."""


def _not_compared(row: Row) -> None:
    """Do nothing: hash trees cover objects, not hints."""


def _served(view: Placement | None, node: str) -> set[int]:
    """The partitions that a node serves: as a primary that holds them. A node that was closed
    holds nothing, also where a layout made meanwhile counts it in again."""
    if view is None:
        return set()
    return {p for p in view.partitions if node in view.primaries(p) and view.holds(node, p)}
