"""One event of a history, in the form in which files hold it.

A history is the ordered record of invocations and completions, one JSON object a
line (docs/history.md). `type` is the whole of what is known about an effect: `ok`
took effect, `fail` certainly did not, of `info` it is unknown.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

Type = Literal["invoke", "ok", "fail", "info"]
#: a JSON object, decoded
JsonObject = dict[str, Any]
#: what a column of 64 bits holds
Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Sibling(msgspec.Struct, omit_defaults=True, gc=False):
    """One of the concurrent versions a get returned, named by its version id."""

    id: str
    value: Any = None
    deleted: bool = False


class OpError(msgspec.Struct, gc=False):
    """Why an operation ended in fail (definite) or info (not definite)."""

    code: str
    definite: bool
    message: str = ""


class Op(msgspec.Struct, omit_defaults=True, gc=False):
    """One event, in the fields of a history file (docs/history.md)."""

    index: int = -1
    #: ns since the test began
    time: int = -1
    type: Type = "invoke"
    process: int | str = "harness"
    f: str = ""
    key: str | None = None
    #: the version that a write makes
    id: str | None = None
    value: Any = None
    #: the index of the completion whose context was sent, null for a blind write
    basis: int | UnsetType | None = UNSET
    #: the node that was asked
    node: str | None = None
    #: the node of which a dump shows a replica
    replica: str | None = None
    siblings: list[Sibling] | None = None
    error: OpError | None = None
    #: quorum information of an answer: {replicas, primaries, durable, fallbacks, coordinator},
    #: and timestamp where the last writer wins
    worth: JsonObject | None = None
    #: what an invocation asks for itself (n, r, w, pr, pw, dw, timeout, return_body, ...); of a
    #: completion, how often it was sent, if more than once ({tries})
    options: JsonObject | None = None
    #: of an invocation that began late: when it was due, ns since the test began
    due: int | None = None


#: a value that is not there; it decodes to None
NO_VALUE = msgspec.Raw()


class RawSibling(msgspec.Struct, omit_defaults=True, gc=False):
    """A Sibling whose value is still JSON."""

    id: str
    value: msgspec.Raw = NO_VALUE
    deleted: bool = False


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    """An Op as files hold it: the first five fields always, values still JSON."""

    index: Natural
    time: Natural
    type: Type
    process: Natural | str
    f: str
    key: str | None = None
    id: str | None = None
    value: msgspec.Raw = NO_VALUE
    basis: Natural | UnsetType | None = UNSET
    node: str | None = None
    replica: str | None = None
    siblings: list[RawSibling] | None = None
    error: OpError | None = None
    worth: JsonObject | None = None
    options: JsonObject | None = None
    due: Natural | None = None


class Unheld(str):
    """The JSON of a value that cannot be decoded (1e999, or nested too deep). It is equal to
    the same text only, and never to a string."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other.__class__ is Unheld and str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((Unheld, str(self)))


_encoder = msgspec.json.Encoder()


def text(value: Any) -> bytes:
    """A value as JSON, empty for none."""
    if value is None:
        return b""
    return value.encode() if value.__class__ is Unheld else _encoder.encode(value)


def raw(value: Any) -> msgspec.Raw:
    """A value as undecoded JSON."""
    return NO_VALUE if value is None else msgspec.Raw(text(value))


def as_raw(sibling: Sibling) -> RawSibling:
    """The sibling with its value encoded."""
    return RawSibling(sibling.id, raw(sibling.value), sibling.deleted)


def canonical(value: Any) -> bytes:
    """A value as the one JSON of all that are equal, whatever the order of their fields."""
    return msgspec.json.encode(value, order="sorted")


def as_line(op: Op) -> Line:
    """The event with its values encoded. Raises TypeError for a value JSON cannot hold."""
    siblings = op.siblings
    return Line(
        op.index,
        op.time,
        op.type,
        op.process,
        op.f,
        op.key,
        op.id,
        raw(op.value),
        op.basis,
        op.node,
        op.replica,
        None if siblings is None else list(map(as_raw, siblings)),
        op.error,
        op.worth,
        op.options,
        op.due,
    )


def encode(op: Op) -> bytes:
    """One line of a history file, with its newline."""
    return _encoder.encode(as_line(op)) + b"\n"
