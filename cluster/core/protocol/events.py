"""What goes into a node and what comes out: `Node.handle(now, event) -> [Effect]`.

The shell carries; the node decides. A channel is the shell's number for one inbound
connection; a peer is a node id, dialled by the shell at an address that only it knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dynamesis.cluster.core.protocol.messages import Arguments, Message

Table = Literal["objects", "hints", "meta"]


@dataclass(frozen=True, slots=True)
class Write:
    """One row to store; value None deletes it."""

    table: Table
    key: bytes
    value: bytes | None


# ---- events


@dataclass(frozen=True, slots=True)
class Started:
    """The shell is up: recover from storage, arm the periodic timers. `intact`: it vouches
    that the storage is what the last life of this node left, and no copy of it, older or
    in use elsewhere."""

    intact: bool = False


@dataclass(frozen=True, slots=True)
class Stopping:
    """The last event of a clean stop, once everything is durable: write down what spares
    the next life work. But for the outcome of that, nothing is handled any more."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message came in. On an inbound connection `channel` is its number, and `peer` the
    node that sent HELLO on it (None: a client). On a link that we dialled, channel is
    None and `peer` the node at its other end: the message is an answer."""

    channel: int | None
    peer: str | None
    message: Message


@dataclass(frozen=True, slots=True)
class SendFailed:
    """A message to `peer` was dropped before any byte of it was written: definite."""

    peer: str
    rid: int


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The link that we dial to `peer` has had its HELLO."""

    peer: str


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The link to `peer` broke, or could not be made. What was sent on it and not
    answered is in doubt."""

    peer: str
    reason: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    id: str


@dataclass(frozen=True, slots=True)
class Persisted:
    """Everything of Persist(token) is as durable as the engine makes it."""

    token: int


@dataclass(frozen=True, slots=True)
class PersistFailed:
    token: int
    reason: str


@dataclass(frozen=True, slots=True)
class AdminRequest:
    """An administrator's command (round the proxies). Answer with Answer(token, ...)."""

    token: int
    command: str
    args: Arguments


Event = (
    Started
    | Stopping
    | Received
    | SendFailed
    | LinkUp
    | LinkDown
    | TimerFired
    | Persisted
    | PersistFailed
    | AdminRequest
)

# ---- effects


@dataclass(frozen=True, slots=True)
class Send:
    """Send on the link to `peer`, dialling it if need be. Not written within the dial
    time-out, or refused: SendFailed(peer, message.rid)."""

    peer: str
    message: Message


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer on the connection that the question came by; dropped if it is gone."""

    channel: int
    message: Message


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Fire TimerFired(id) once, `after` seconds from now; replaces one of the same id."""

    id: str
    after: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    id: str


@dataclass(frozen=True, slots=True)
class Persist:
    """Store all writes in one atomic batch, in the order of tokens; then Persisted(token)."""

    token: int
    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of an AdminRequest. `error` is a message when the command was refused."""

    token: int
    result: Any = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Emit:
    """One structured line for the node's event log."""

    event: str
    fields: Mapping[str, object]


Effect = Send | Reply | SetTimer | CancelTimer | Persist | Answer | Emit
