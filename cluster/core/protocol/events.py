"""What goes into a node and what comes out: `Node.handle(now, event) -> [Effect]`.

The shell carries; the node decides. A channel is the shell's number for one inbound
connection; a peer is a node id, dialled by the shell at an address that only it knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from dynamesis.cluster.core.protocol.messages import Arguments, Message

Table = Literal["objects", "hints", "meta"]


class _Loose(msgspec.Struct, frozen=True):
    """An event or effect: a struct, because dozens are made for every request."""


class _Value(_Loose, frozen=True, gc=False):
    """One that nothing it refers to can refer back to: the garbage collector need not look."""


class Write(_Value, frozen=True):
    """One row to store; value None deletes it."""

    table: Table
    key: bytes
    value: bytes | None


# ---- events


class Started(_Value, frozen=True):
    """The shell is up: recover from storage, arm the periodic timers. `intact`: it vouches
    that the storage is what the last life of this node left, and no copy of it, older or
    in use elsewhere."""

    intact: bool = False


class Stopping(_Value, frozen=True):
    """The last event of a clean stop, once everything is durable: write down what spares
    the next life work. But for the outcome of that, nothing is handled any more."""


class Received(_Value, frozen=True):
    """A message came in. On an inbound connection `channel` is its number, and `peer` the
    node that sent HELLO on it (None: a client). On a link that we dialled, channel is
    None and `peer` the node at its other end: the message is an answer. `waited`: seconds that
    it was in this process, or could have been, before it came to the core."""

    channel: int | None
    peer: str | None
    message: Message
    waited: float = 0.0


class SendFailed(_Value, frozen=True):
    """A message to `peer` was dropped before any byte of it was written: definite."""

    peer: str
    rid: int


class LinkUp(_Value, frozen=True):
    """The link that we dial to `peer` has had its HELLO."""

    peer: str


class LinkDown(_Value, frozen=True):
    """The link to `peer` broke, or could not be made. What was sent on it and not
    answered is in doubt."""

    peer: str
    reason: str


class TimerFired(_Value, frozen=True):
    id: str


class ClientGone(_Value, frozen=True):
    """The connection of a client has ended before all was answered that came in on it."""

    channel: int


class Persisted(_Value, frozen=True):
    """Everything of Persist(token) is as durable as the engine makes it."""

    token: int


class PersistFailed(_Value, frozen=True):
    token: int
    reason: str


class AdminRequest(_Loose, frozen=True):
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
    | ClientGone
    | Persisted
    | PersistFailed
    | AdminRequest
)

# ---- effects


class Send(_Value, frozen=True):
    """Send on the link to `peer`, dialling it if need be. Not written within the dial
    time-out, or refused: SendFailed(peer, message.rid)."""

    peer: str
    message: Message


class Reply(_Value, frozen=True):
    """Answer on the connection that the question came by; dropped if it is gone."""

    channel: int
    message: Message


class SetTimer(_Value, frozen=True):
    """Fire TimerFired(id) once, `after` seconds from now; replaces one of the same id."""

    id: str
    after: float


class CancelTimer(_Value, frozen=True):
    id: str


class Persist(_Value, frozen=True):
    """Store all writes in one atomic batch, in the order of tokens; then Persisted(token)."""

    token: int
    writes: tuple[Write, ...]


class Answer(_Loose, frozen=True):
    """The result of an AdminRequest. `error` is a message when the command was refused."""

    token: int
    result: Any = None
    error: str | None = None


class Emit(_Value, frozen=True):
    """One structured line for the node's event log. `only_key`: there is a key among the fields,
    and all others are such as JSON carries."""

    event: str
    fields: Mapping[str, object]
    only_key: bool = False


Effect = Send | Reply | SetTimer | CancelTimer | Persist | Answer | Emit
