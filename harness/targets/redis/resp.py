"""A connection to Redis: commands go out, replies come in, as RESP 2 has them.

What matters to a test is whether a command that got no answer may have been carried out. Only one
that was never sent, or that Redis answered with an error, certainly was not.
"""

from __future__ import annotations

import asyncio
from typing import Any

#: Text, a number, nothing, or a list of replies, in which errors of a transaction's parts stay.
Reply = Any


class RedisError(Exception):
    """Redis answered with an error, whose first word is its code, such as READONLY."""

    @property
    def code(self) -> str:
        return str(self).partition(" ")[0]


class Resp:
    """One connection, one command at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def dial(cls, host: str, port: int) -> Resp:
        """Raises OSError."""
        return cls(*await asyncio.open_connection(host, port, limit=1 << 24))

    @property
    def open(self) -> bool:
        """Whether the other end has not closed it yet, as far as known."""
        return not self._writer.is_closing() and not self._reader.at_eof()

    def close(self) -> None:
        self._writer.close()

    async def __call__(self, *words: object) -> Reply:
        """The reply to one command. Raises RedisError, OSError, EOFError."""
        self._writer.write(encoded(words))
        await self._writer.drain()
        return await self._reply()

    async def together(self, commands: list[list[object]]) -> list[Reply]:
        """The replies to these commands, carried out as one transaction. Raises as a call does;
        also what one of them has failed with."""
        for words in (["MULTI"], *commands, ["EXEC"]):
            self._writer.write(encoded(words))
        await self._writer.drain()
        refusal: RedisError | None = None
        for _ in range(len(commands) + 1):
            try:
                await self._reply()
            except RedisError as error:  # EXEC then does nothing, and answers as well
                refusal = refusal or error
        try:
            replies: list[Reply] = await self._reply()
        except RedisError as error:
            raise refusal or error from error
        for reply in replies:
            if isinstance(reply, RedisError):
                raise reply
        return replies

    async def _reply(self) -> Reply:
        line = await self._reader.readuntil(b"\r\n")
        kind, text = line[:1], line[1:-2].decode()
        if kind == b"+":
            return text
        if kind == b"-":
            raise RedisError(text)
        if kind == b":":
            return int(text)
        size = int(text)
        if size < 0:
            return None
        if kind == b"$":
            return (await self._reader.readexactly(size + 2))[:-2].decode()
        if kind != b"*":
            raise OSError(f"not a reply of Redis: {line[:40]!r}")
        return [await self._part() for _ in range(size)]

    async def _part(self) -> Reply:
        try:
            return await self._reply()
        except RedisError as error:
            return error


def encoded(words: object) -> bytes:
    """A command as Redis takes it."""
    assert isinstance(words, list | tuple)
    parts = [str(word).encode() for word in words]
    body = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"*%d\r\n%s" % (len(parts), body)
