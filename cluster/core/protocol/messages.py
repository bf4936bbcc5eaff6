"""The messages of a connection, as data. `cluster.net.wire` makes bytes of it.

Every message but Hello and Welcome carries `rid`, which its answer repeats; it is unique on the
connection that the question went by.
"""

from __future__ import annotations

from typing import Any, Literal, NewType

import msgspec

#: Raised by one whenever a message changes shape. A field more at its end, with a default, is no
#: such change: an older node passes over it, and takes part without it.
PROTOCOL = 5

#: a client's key; never a row, which names a record in a table (storage.row_keys)
Key = NewType("Key", bytes)
#: the name of a version, "actor:event"
Dot = NewType("Dot", str)


class _Base(msgspec.Struct, array_like=True, frozen=True, tag=True, gc=False):
    """A tagged array on the wire: compact, and unknown tags are refused. No message refers back
    to itself, so the garbage collector need not look at any (`gc=False`, here and below)."""


class RequestOptions(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Per-request options; None takes the node's default. `timeout` in seconds. `local`: how
    many of the answers must come from the zone of the node that coordinates. `n`: how many
    of the key's primaries are asked, at most the cluster's N."""

    r: int | None = None
    w: int | None = None
    dw: int | None = None
    pr: int | None = None
    pw: int | None = None
    sloppy: bool | None = None
    timeout: float | None = None
    return_body: bool = False
    notfound_ok: bool = False
    local: int | None = None
    n: int | None = None


class Version(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A value as written. A tombstone is an ordinary value with `deleted` set; it may
    carry bytes of its own (the harness keeps the version id there). `at` is the time of its
    stamp in ms where that decides anything (cluster.core.versions.versioning), else 0."""

    value: bytes
    deleted: bool = False
    at: int = 0


class Entry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What is known of one actor: all its events up to `n`, and those in `extra` above it;
    `values` are the (event, version) pairs that are still current, newest first."""

    n: int
    values: tuple[tuple[int, Version], ...] = ()
    extra: tuple[int, ...] = ()


#: actor -> Entry: a dotted version vector set with its dots written out (versions.clock:
#: why). Never mutated.
State = dict[str, Entry]


class QuorumInfo(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Quorum information of an answer: how many nodes, of these how many primaries, durable
    copies (of what each of them showed or took) and fallbacks, and the coordinator.
    `timestamp`: where the last writer wins, by what a version that was put is ordered, ms
    since 1970. `dot`: the name under which it was stamped, "actor:event"."""

    replicas: int
    primaries: int
    durable: int
    fallbacks: int
    coordinator: str
    timestamp: int | None = None
    dot: Dot | None = None


ChangeKind = Literal["join", "leave", "remove", "close"]


class Change(msgspec.Struct, array_like=True, frozen=True):
    """A change of the membership; their meaning: cluster.core.membership.changes."""

    id: str
    kind: ChangeKind
    node: str


class Layout(msgspec.Struct, array_like=True, frozen=True):
    """The members, the owner of each partition, its next owner (the same when no change
    is under way), and for each partition the newcomers that have their data. `applied`
    names the changes that it takes in; `author` made it."""

    version: int
    author: str
    members: tuple[str, ...]
    owners: tuple[str, ...]
    target: tuple[str, ...]
    ready: dict[int, tuple[str, ...]] = {}
    applied: tuple[str, ...] = ()


class Hello(_Base, frozen=True):
    """First on every connection, from the side that accepted; the side that dialled answers with
    its own, and if it speaks as a node or an administrator with a proof (cluster.net.auth).
    `config`: of a node, what its peers must have alike (cluster.net.agreement)."""

    node: str
    cluster: str
    protocol: int = PROTOCOL
    role: Literal["node", "client", "admin"] = "node"
    nonce: bytes = b""
    proof: bytes = b""
    config: dict[str, str] = {}


class Welcome(_Base, frozen=True):
    """The answer to a proof: one in return."""

    proof: bytes


# ---- clients to nodes


class Get(_Base, frozen=True):
    rid: int
    key: Key
    options: RequestOptions = RequestOptions()


class Put(_Base, frozen=True):
    """`request` names the operation itself and stays the same across retries. `again`: an
    earlier try may have been stamped, so this one never is."""

    rid: int
    request: str
    key: Key
    value: bytes
    context: bytes = b""
    deleted: bool = False
    options: RequestOptions = RequestOptions()
    again: bool = False


class Locate(_Base, frozen=True):
    """Asks for the primaries of every partition."""

    rid: int


class LocateReply(_Base, frozen=True):
    """The primaries of each partition, under this version of the layout."""

    rid: int
    version: int
    primaries: tuple[tuple[str, ...], ...]


class GetReply(_Base, frozen=True):
    rid: int
    siblings: tuple[Version, ...]
    context: bytes
    worth: QuorumInfo


class PutReply(_Base, frozen=True):
    rid: int
    context: bytes
    worth: QuorumInfo
    siblings: tuple[Version, ...] = ()


class Refusal(_Base, frozen=True):
    """`code` is from dynamesis.cluster.core.protocol.errors; `retry_after` in seconds."""

    rid: int
    code: str
    message: str
    retry_after: float | None = None


# ---- nodes to nodes


class ForwardPut(_Base, frozen=True):
    rid: int
    hops: int
    put: Put


class ReplicaGet(_Base, frozen=True):
    """`hint_for`: the primary that the receiver replaces; None if it is one itself."""

    rid: int
    key: Key
    hint_for: str | None = None


class ReplicaGetReply(_Base, frozen=True):
    """state None: nothing here. error: a code; then state means nothing. `durable`: the
    whole state is on this node's disk."""

    rid: int
    state: State | None
    error: str | None = None
    durable: bool = False


class ReplicaPut(_Base, frozen=True):
    """Sync `state` into the record of `key`; on a fallback, into its hint for `hint_for`.
    `durable`: answer only once that is durable, however writes are acknowledged. `request`:
    the client's, if it comes of one. `digest`: of the state, where the sender has it (0: it
    has not)."""

    rid: int
    key: Key
    state: State
    hint_for: str | None = None
    why: str = "put"
    durable: bool = True
    request: str = ""
    digest: int = 0


class ReplicaPutReply(_Base, frozen=True):
    rid: int
    durable: bool
    error: str | None = None


class Life(msgspec.Struct, array_like=True, frozen=True):
    """The `lives`-th process that goes by this incarnation of a node."""

    incarnation: int
    lives: int


class Ping(_Base, frozen=True):
    rid: int
    life: Life = Life(0, 0)


class Pong(_Base, frozen=True):
    """`latest`: the latest life of your incarnation that I have met. `same_name`: I meet two
    processes under your name."""

    rid: int
    latest: Life = Life(0, 0)
    same_name: bool = False


class TreeRoots(_Base, frozen=True):
    """Anti-entropy, first question: my root for each partition that we share."""

    rid: int
    roots: dict[int, int]


class TreeRootsReply(_Base, frozen=True):
    """For each partition whose root differs: the hashes of its branches."""

    rid: int
    branches: dict[int, list[int]]
    error: str | None = None


class TreeLeaves(_Base, frozen=True):
    """Second question: the leaves under these branches, by partition."""

    rid: int
    branches: dict[int, list[int]]


class TreeLeavesReply(_Base, frozen=True):
    """partition -> leaf number -> hash."""

    rid: int
    leaves: dict[int, dict[int, int]]
    error: str | None = None


class TreeKeys(_Base, frozen=True):
    """Third question: the keys in these leaves, by partition."""

    rid: int
    leaves: dict[int, list[int]]


class TreeKeysReply(_Base, frozen=True):
    """key -> hash of its record."""

    rid: int
    keys: dict[Key, int]
    error: str | None = None


class SyncKey(_Base, frozen=True):
    """Last: merge my state of a key (None: I have none) with yours, and answer with the
    result."""

    rid: int
    key: Key
    state: State | None


class SyncKeyReply(_Base, frozen=True):
    rid: int
    state: State | None
    error: str | None = None


class Reap(_Base, frozen=True):
    """A round about tombstones (replication.tombstone_reaper): their keys and the hashes of
    their records. `name`: the node that asks, and its attempt; `view`: the fingerprint of what the
    membership is to them."""

    rid: int
    round: Literal["fence", "check", "reap"]
    name: str
    view: int
    keys: dict[Key, int]


class ReapReply(_Base, frozen=True):
    """The keys for which the node agrees, or has done it."""

    rid: int
    keys: tuple[Key, ...]


class Gossip(_Base, frozen=True):
    """What I know of the membership; layout None: nothing yet."""

    rid: int
    layout: Layout | None
    requests: dict[str, Change]


class GossipReply(_Base, frozen=True):
    """The state of the receiver, after the merge."""

    rid: int
    layout: Layout | None
    requests: dict[str, Change]


# ---- administration (on the admin port only)


#: What a command is given, by name. Each command checks its own.
Arguments = dict[str, Any]


class Ask(_Base, frozen=True):
    rid: int
    command: str
    args: Arguments = {}


class AskReply(_Base, frozen=True):
    rid: int
    result: Any = None
    error: str | None = None


Answer = (
    GetReply
    | PutReply
    | LocateReply
    | Refusal
    | ReplicaGetReply
    | ReplicaPutReply
    | Pong
    | TreeRootsReply
    | TreeLeavesReply
    | TreeKeysReply
    | SyncKeyReply
    | GossipReply
    | ReapReply
    | AskReply
)
#: what a client may ask, what a node may ask another, what an administrator may
ClientQuestion = Get | Put | Locate
NodeQuestion = (
    ForwardPut
    | ReplicaGet
    | ReplicaPut
    | Ping
    | TreeRoots
    | TreeLeaves
    | TreeKeys
    | SyncKey
    | Gossip
    | Reap
)
Question = ClientQuestion | NodeQuestion | Ask
Message = Hello | Welcome | Question | Answer
