"""The constants of a node; none changes while it runs. Times in seconds,
sizes in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

#: bytes of siblings under one key that frames between nodes carry (cluster.net.wire)
MOST_SIBLING_BYTES = 64 << 20

#: bytes of a value that a frame of a client carries (2 MiB), beside its key and context
MOST_VALUE = (2 << 20) - (256 << 10)


@dataclass(frozen=True)
class Params:
    """Constants of one node. `members` are the founders, the same on each of them; a node
    that joins later is given none, and `seeds`, which it gossips with, instead."""

    node: str
    members: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    cluster: str = "dynamesis"
    #: binds the contexts that are handed out to this cluster; each has its own
    secret: str = ""
    partitions: int = 64
    n: int = 3
    r: int = 2
    w: int = 2
    sloppy: bool = True
    #: dotted version vectors, or the paper's plain vectors cut to ten pairs
    clock: Literal["dvv", "vector"] = "dvv"
    #: buckets (the part of a key before the first "/") where the last writer wins: lossy
    lww_buckets: tuple[str, ...] = ()
    #: a node's share of the ring is its weight's (1 where none is given)
    weights: Mapping[str, float] = field(default_factory=dict)
    #: node -> zone, and how many replicas of a key each zone holds (equal shares of N)
    zones: Mapping[str, str] = field(default_factory=dict)
    zone_replicas: Mapping[str, int] = field(default_factory=dict)
    #: how long a coordinator waits for one replica before it turns to a fallback
    replica_timeout: float = 0.5
    #: how long a whole client request may take
    request_timeout: float = 2.0
    gossip_interval: float = 1.0
    probe_interval: float = 0.5
    handoff_interval: float = 0.25
    #: 0: no anti-entropy; replicas agree on a key again once it is read
    anti_entropy_interval: float = 0.5
    #: tombstones unchanged for this long are reaped; 0: never
    reap_after: float = 86_400.0
    #: hash trees older than this are made anew from the records
    tree_expiry: float = 86_400.0
    #: forwarded puts may take this many hops
    max_hops: int = 3
    max_key: int = 1024
    max_value: int = 1 << 20
    #: siblings of one key, and bytes of their values, above which a put is refused
    max_siblings: int = 256
    max_sibling_bytes: int = 4 << 20
    #: requests in progress at one node, and bytes of values in them, above which new ones
    #: are refused
    max_requests: int = 4096
    max_request_bytes: int = 64 << 20
    #: new ones are refused while the median answer takes longer than this (and than twice what it
    #: takes when hardly anything is in progress)
    queue_target: float = 0.01
    #: the longest time-out that a client may ask for
    max_timeout: float = 60.0
    #: background work gives way when the p99 of the last minute's reads is above this
    read_target: float = 0.1
    #: when a write is acknowledged: `each` once it was synced alone, `batched` once it was
    #: synced with others, `buffered` once it is in memory, and durable at some replicas only
    durability: Literal["each", "batched", "buffered"] = "batched"
    #: buffered: rows a table that may wait in memory, and how long one waits
    buffer_rows: int = 1000
    buffer_interval: float = 0.1
    #: buffered: how many of the N are asked to have a write durable before they answer
    durable_replicas: int = 1
    #: hint bytes one node will hold
    max_hint_bytes: int = 1 << 30
