"""One connection to a Cassandra node, in its native protocol, version 4.

Only what the clients need: statements with bound values, and the answers as rows. What the node
answers with an error is an `Answered`; anything else that goes wrong is an error of the connection.

https://github.com/apache/cassandra/blob/trunk/doc/native_protocol_v4.spec
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable, Sequence
from typing import TypeAlias

#: a bound value, and what a column may hold here
Value: TypeAlias = "str | int | bool | None"

CONSISTENCY = {"one": 0x01, "quorum": 0x04, "all": 0x05, "serial": 0x08}
_REQUEST, _RESPONSE = 0x04, 0x84
_ERROR, _STARTUP, _READY, _QUERY, _RESULT = 0x00, 0x01, 0x02, 0x07, 0x08
_ROWS = 2
_VALUES, _SERIAL, _TIMESTAMP = 0x01, 0x10, 0x20
_GLOBAL, _MORE = 0x01, 0x02
_NUMBERS = (0x02, 0x05, 0x09)  # bigint, counter, int
_BOOLEAN = 0x04

#: the codes of errors, by which nothing has happened and nothing will
UNAVAILABLE, OVERLOADED, BOOTSTRAPPING = 0x1000, 0x1001, 0x1002
#: from here on: the statement was refused as it is written
_REFUSED_FROM = 0x2000
NAMES = {
    UNAVAILABLE: "unavailable",
    OVERLOADED: "overloaded",
    BOOTSTRAPPING: "bootstrapping",
    0x1100: "write-timeout",
    0x1200: "read-timeout",
    0x1300: "read-failure",
    0x1500: "write-failure",
    0x1700: "cas-unknown",
}


class Answered(Exception):
    """A node's error. `definite`: nothing has happened."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.code = NAMES.get(number, f"error-{number:#x}")
        never = (UNAVAILABLE, OVERLOADED, BOOTSTRAPPING)
        self.definite = number in never or number >= _REFUSED_FROM


class CqlConnection:
    """Carries out one statement at a time. After any error but Answered it must be closed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: str) -> CqlConnection:
        """Raises OSError; Answered if the node does not take connections yet."""
        host, _, port = address.rpartition(":")
        connection = cls(*await asyncio.open_connection(host, int(port)))
        pair = _string("CQL_VERSION") + _string("3.0.0")
        await connection._ask(_STARTUP, struct.pack(">H", 1) + pair)
        return connection

    def close(self) -> None:
        self._writer.close()

    async def run(
        self,
        statement: str,
        values: Sequence[Value] = (),
        consistency: str = "one",
        timestamp: int | None = None,
    ) -> list[dict[str, Value]]:
        """The rows of its answer, by column. `timestamp`: of what it writes, in us since 1970;
        by default that of the node. Raises Answered, OSError, EOFError."""
        flags = _VALUES | _SERIAL | (0 if timestamp is None else _TIMESTAMP)
        text = statement.encode()
        body = struct.pack(">I", len(text)) + text
        body += struct.pack(">HBH", CONSISTENCY[consistency], flags, len(values))
        body += b"".join(map(_bound, values)) + struct.pack(">H", CONSISTENCY["serial"])
        if timestamp is not None:
            body += struct.pack(">q", timestamp)
        answer = await self._ask(_QUERY, body)
        return list(answer.rows()) if answer.number() == _ROWS else []

    async def _ask(self, opcode: int, body: bytes) -> _Answer:
        self._writer.write(struct.pack(">BBhBI", _REQUEST, 0, 0, opcode, len(body)) + body)
        await self._writer.drain()
        header = await self._reader.readexactly(9)
        version, _, _, kind, length = struct.unpack(">BBhBI", header)
        answer = _Answer(await self._reader.readexactly(length))
        if kind == _ERROR:
            raise Answered(answer.number(), answer.string())
        if version != _RESPONSE or kind not in (_READY, _RESULT):
            raise ConnectionError(f"a frame of version {version:#x} and kind {kind:#x}")
        return answer


class _Answer:
    """The body of a frame, read from its beginning."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._place = 0

    def number(self) -> int:
        return int.from_bytes(self._take(4), signed=True)

    def string(self) -> str:
        return self._take(self._short()).decode()

    def rows(self) -> Iterable[dict[str, Value]]:
        """The rest, after its kind."""
        flags, count = self.number(), self.number()
        if flags & _MORE:
            self._take(self.number())
        if flags & _GLOBAL:
            self.string(), self.string()
        columns = [self._column(flags) for _ in range(count)]
        for _ in range(self.number()):
            yield {name: self._value(kind) for name, kind in columns}

    def _column(self, flags: int) -> tuple[str, int]:
        if not flags & _GLOBAL:
            self.string(), self.string()
        return self.string(), self._short()

    def _value(self, kind: int) -> Value:
        length = self.number()
        if length < 0:
            return None
        content = self._take(length)
        if kind == _BOOLEAN:
            return content != b"\0"
        if kind in _NUMBERS:
            return int.from_bytes(content, signed=True)
        return content.decode("utf-8", "replace")

    def _short(self) -> int:
        return int.from_bytes(self._take(2))

    def _take(self, length: int) -> bytes:
        self._place += length
        return self._body[self._place - length : self._place]


def _string(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def _bound(value: Value) -> bytes:
    """A value of a statement: text, and numbers of 8 bytes."""
    if value is None:
        return struct.pack(">i", -1)
    content = struct.pack(">q", value) if isinstance(value, int) else value.encode()
    return struct.pack(">i", len(content)) + content
