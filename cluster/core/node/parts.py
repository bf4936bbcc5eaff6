"""The parts of which a node is built: its declared points of change.

A planted bug (cluster.zoo) is a subclass of `Node` that overrides one of its methods, or
puts a subclass of a part in place of that part. Nothing is replaced after construction,
so that mypy checks a bug as it checks the node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dynamesis.cluster.core.membership.bootstrap import Bootstrap
from dynamesis.cluster.core.membership.decommission import Decommission
from dynamesis.cluster.core.membership.detector import Detector
from dynamesis.cluster.core.membership.gossip import GossipExchange
from dynamesis.cluster.core.membership.membership import Membership
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.replication.antientropy import AntiEntropy
from dynamesis.cluster.core.replication.hints import Hints
from dynamesis.cluster.core.replication.replica import Replica
from dynamesis.cluster.core.replication.tombstone_reaper import TombstoneReaper
from dynamesis.cluster.core.replication.transfers import Transfers
from dynamesis.cluster.core.replication.tree_exchange import Exchange
from dynamesis.cluster.core.requests.get import GetRequest
from dynamesis.cluster.core.requests.put import PutRequest
from dynamesis.cluster.core.ring.placement import Rules
from dynamesis.cluster.core.runtime.admission import Admission
from dynamesis.cluster.core.runtime.request_dedup import RequestDedup
from dynamesis.cluster.core.runtime.runtime import Runtime
from dynamesis.cluster.core.storage.record_table import RecordTable
from dynamesis.cluster.core.storage.trees import Trees
from dynamesis.cluster.core.versions.context import Contexts
from dynamesis.cluster.core.versions.identity import Identity
from dynamesis.cluster.core.versions.versioning import Versioning, versioning


@dataclass(frozen=True)
class Parts:
    """The class of each part. `objects` and `hint_records` are the two record tables;
    `get_request` and `put_request` the state machines of client requests."""

    runtime: type[Runtime] = Runtime
    rules: type[Rules] = Rules
    admission: type[Admission] = Admission
    membership: type[Membership] = Membership
    identity: type[Identity] = Identity
    versioning: Callable[[Params], Versioning] = versioning
    objects: type[RecordTable] = RecordTable
    hint_records: type[RecordTable] = RecordTable
    hints: type[Hints] = Hints
    detector: type[Detector] = Detector
    replica: type[Replica] = Replica
    contexts: type[Contexts] = Contexts
    request_dedup: type[RequestDedup] = RequestDedup
    get_request: type[GetRequest] = GetRequest
    put_request: type[PutRequest] = PutRequest
    trees: type[Trees] = Trees
    anti_entropy: type[AntiEntropy] = AntiEntropy
    exchange: type[Exchange] = Exchange
    transfers: type[Transfers] = Transfers
    gossip: type[GossipExchange] = GossipExchange
    bootstrap: type[Bootstrap] = Bootstrap
    decommission: type[Decommission] = Decommission
    reaper: type[TombstoneReaper] = TombstoneReaper
