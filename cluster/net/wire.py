"""Bytes to messages and back, without sockets (as h11 does it for HTTP).

A frame is a 4-byte big-endian length and that many bytes of msgpack: one message of
`cluster.core.protocol.messages`. A length field is a claim, never an order: nothing is allocated
for it, and a claim over the limit ends the conversation before the body arrives.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, reduce
from operator import or_
from typing import Any, cast, get_args

import msgspec
from dynamesis.cluster.core.protocol.messages import Message
from dynamesis.cluster.core.protocol.params import MOST_SIBLING_BYTES

#: Largest frame, bytes, before the other side has sent HELLO.
GREETING_LIMIT = 64 << 10
#: Largest frame from a client: a value of 1 MiB, its key and context, and room.
CLIENT_LIMIT = 2 << 20
#: Largest frame between nodes and in answers: all siblings that sixteen nodes may have stamped of
#: one key while they were apart, of the default `max_sibling_bytes` each, and room.
NODE_LIMIT = MOST_SIBLING_BYTES + (1 << 20)
#: Largest frame on the admin port in answers: a page of a dump.
ADMIN_LIMIT = 256 << 20

_LENGTH = struct.Struct(">I")
_encode = msgspec.msgpack.Encoder().encode
_Decode = Callable[[bytes | memoryview], Message]
_decode: _Decode = msgspec.msgpack.Decoder(Message).decode
#: the names of all kinds of messages
_KINDS = frozenset(kind.__name__ for kind in get_args(Message))
#: bytes of a frame up to which it is cheaper to copy it than to look at it where it is
_SMALL = 4096
#: what the decoder raises where bytes do not make a message; msgspec's own are ValueErrors
_WRONG = (ValueError, TypeError, RecursionError)


class WireError(Exception):
    """These bytes do not follow the protocol. The message: what is wrong with them."""


def encode(message: Message, limit: int = NODE_LIMIT) -> bytes:
    """One frame. Raises WireError if its body is longer than `limit` bytes."""
    body = _encode(message)
    if len(body) > limit:
        name = type(message).__name__
        raise WireError(f"{name} takes {len(body)} bytes, the limit of a frame is {limit}")
    return _LENGTH.pack(len(body)) + body


class Unwanted(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """In place of a message of a kind that is not taken, of which only this much is looked at.
    A list in a list in what an administrator may ask takes a byte in a frame, and 80 in memory."""

    kind: str
    rid: int = 0


class _Kind(msgspec.Struct, array_like=True, gc=False):
    kind: str


class Decoder:
    """Cuts a byte stream into messages, however it was chopped. After a WireError it is
    spent: nothing that follows on the connection can be trusted."""

    def __init__(self, limit: int) -> None:
        #: largest acceptable body, bytes; may be changed between two messages
        self.limit = limit
        #: messages that were complete
        self.taken = 0
        #: bytes of the body of the last one, or of all that came with it
        self.length = 0
        #: whether what came was not all looked at
        self.more = False
        self._buffer = bytearray()
        self._start = 0
        self._taken: frozenset[str] | None = None
        self._decode = _decode

    def take_only(self, kinds: frozenset[type]) -> None:
        """Only these kinds of messages are decoded from now on; each other one is an Unwanted."""
        self._taken, self._decode = frozenset(kind.__name__ for kind in kinds), _decoder(kinds)

    def receive(self, data: bytes) -> None:
        """Take what came in."""
        self._buffer += data

    def next(self) -> Message | None:
        """The next message, or None until more has come in. Raises WireError."""
        body = self._start + _LENGTH.size
        if len(self._buffer) < body:
            self._let_go()
            self.more = False
            return None
        (length,) = _LENGTH.unpack_from(self._buffer, self._start)
        if length > self.limit:
            raise _too_long(length, self.limit)
        if len(self._buffer) < body + length:
            self._let_go()
            self.more = False
            return None
        self._start = body + length
        self.length = length
        self.taken += 1
        with memoryview(self._buffer) as whole, whole[body : self._start] as frame:
            return self._parse(frame)

    def messages(self, data: bytes, left: int = sys.maxsize) -> Iterator[Message]:
        """The messages that are complete now that `data` has come in, to be taken to the end, but
        no more than are `left`: the others stay bytes (a message takes ten times that) until the
        next call. The usual case is that it holds whole frames: they are not gathered first. Raises
        WireError."""
        if len(self._buffer) > self._start:
            self.receive(data)
            most = 0
            self.more = True
            while left and (message := self.next()) is not None:
                left -= 1
                most = max(most, self.length)
                yield message
            self.length = most
            if self._start == len(self._buffer):  # so many and no more had come
                self._let_go()
                self.more = False
            return
        end = self.length = len(data)
        at, head, limit, decode = 0, _LENGTH.size, self.limit, self._decode
        while left and at + head <= end:
            left -= 1
            (length,) = _LENGTH.unpack_from(data, at)
            if length > limit:
                raise _too_long(length, limit)
            body, stop = at + head, at + head + length
            if stop > end:
                break
            self.taken += 1
            if length > _SMALL:
                with memoryview(data) as whole, whole[body:stop] as frame:
                    message = self._parse(frame)
            else:
                try:
                    message = decode(data[body:stop])
                except _WRONG as error:
                    message = self._unwanted(data[body:stop], error)
            yield message
            at = stop
        self.more = not left and at < end
        if at < end:
            self.receive(data[at:] if at else data)

    @property
    def pending(self) -> int:
        """Bytes of a message that is not complete."""
        return len(self._buffer) - self._start

    def finish(self) -> None:
        """The stream ended here. Raises WireError if that was inside a frame."""
        if half := self.pending:
            raise WireError(f"the stream ended {half} bytes into a frame")

    def discard(self) -> None:
        """Free what came in and is not complete; nothing follows on the connection."""
        self._buffer = bytearray()
        self._start = 0
        self.more = False

    def _parse(self, body: bytes | memoryview) -> Message:
        try:
            return self._decode(body)
        except _WRONG as error:
            return self._unwanted(body, error)

    def _unwanted(self, body: bytes | memoryview, error: Exception) -> Message:
        """In place of a message that was not decoded. Raises WireError for what is none."""
        unwanted = None if self._taken is None else _looked_at(body)
        if unwanted is None or unwanted.kind in (self._taken or ()) or unwanted.kind not in _KINDS:
            raise _not_a_message(len(body), error) from error
        return cast(Message, unwanted)  # no more is done with it than with a message to be refused

    def _let_go(self) -> None:
        """Free the bytes of messages that were handed out."""
        del self._buffer[: self._start]
        self._start = 0


def _too_long(length: int, limit: int) -> WireError:
    return WireError(f"a frame of {length} bytes is announced, the limit is {limit}")


def _not_a_message(length: int, error: Exception) -> WireError:
    return WireError(f"a frame of {length} bytes is not a message: {error}")


@cache
def _decoder(kinds: frozenset[type]) -> _Decode:
    some: Any = reduce(or_, sorted(kinds, key=lambda kind: kind.__name__))
    return cast(_Decode, msgspec.msgpack.Decoder(some).decode)


def _looked_at(body: bytes | memoryview) -> Unwanted | None:
    with suppress(*_WRONG):
        return _numbered(body)
    with suppress(*_WRONG):  # not all kinds begin with a number
        return Unwanted(_kind(body).kind)
    return None


_kind = msgspec.msgpack.Decoder(_Kind).decode
_numbered = msgspec.msgpack.Decoder(Unwanted).decode
