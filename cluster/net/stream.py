"""One connection: frames in, frames out.

All messages of a loop tick leave in one write (measured: half the CPU of a write each),
and nothing here starts a task. What comes in is handed on in the callback that brought
it. A fault in the bytes ends this connection, after an error that has the reason, and nothing else.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import cast

import msgspec
from dynamesis.cluster.config.config import split_address
from dynamesis.cluster.core.protocol.messages import PROTOCOL, Hello, Message, Refusal, Welcome
from dynamesis.cluster.net import auth as guard
from dynamesis.cluster.net.agreement import conflict
from dynamesis.cluster.net.wire import GREETING_LIMIT, NODE_LIMIT, Decoder, WireError, encode

#: characters of a reason that are shown: it may hold what came from the other side
_REASON = 500
#: unsent bytes above which a connection counts as clogged
HIGH_WATER = 1 << 20


class Stream(asyncio.Protocol):
    """Subclasses decide what to do with a message and at the end of the connection."""

    def __init__(self, limit: int = GREETING_LIMIT, out_limit: int = NODE_LIMIT) -> None:
        """`limit` and `out_limit`: largest frame body, bytes, taken and sent."""
        self.bytes_in = 0
        self.bytes_out = 0
        self.decoder = Decoder(limit)
        self.transport: asyncio.Transport | None = None
        self._out_limit = out_limit
        self._out: list[bytes] = []
        self._gathered = 0
        #: whether more than HIGH_WATER bytes wait for the kernel to take them
        self.clogged = False
        self._reason = ""
        self._given_up = False
        self._loop: asyncio.AbstractEventLoop

    # ---- for subclasses

    def on_open(self) -> None:
        """The transport is there."""

    def on_message(self, message: Message) -> None:
        """A message came in."""

    def on_fault(self, reason: str) -> None:
        """The other side broke the protocol; the connection is about to close."""

    def on_close(self, reason: str) -> None:
        """The connection is gone. Called once, if on_open was."""

    # ---- for users

    @property
    def closing(self) -> bool:
        transport = self.transport
        return self._given_up or transport is None or transport.is_closing()

    @property
    def given_up(self) -> bool:
        """Whether it ends now. One that is closing otherwise keeps what it has not sent yet."""
        return self._given_up

    @property
    def unsent(self) -> int:
        """Bytes that the kernel has not taken yet."""
        waiting = 0 if self.transport is None else self.transport.get_write_buffer_size()
        return waiting + self._gathered

    @property
    def delivered(self) -> int:
        """Bytes that the kernel has taken."""
        return self.bytes_out - (self.unsent - self._gathered)

    def send(self, message: Message) -> None:
        """Send with the rest of this tick. Raises WireError if it is over the limit."""
        self.send_frame(encode(message, self._out_limit))

    def send_frame(self, frame: bytes) -> None:
        """Send what `encode` made, with the rest of this tick; nothing if closing."""
        if not self._out:
            if self.closing:
                return
            self._loop.call_soon(self._flush)
        self._out.append(frame)
        self._gathered += len(frame)
        if self._gathered > HIGH_WATER:  # the kernel may as well begin with it
            self._flush()

    def close(self, reason: str) -> None:
        """End the connection once what was sent has left."""
        if not self.closing:
            self._flush()
            self._reason = self._reason or reason[:_REASON]
            cast(asyncio.Transport, self.transport).close()

    def abort(self, reason: str) -> None:
        """End the connection now. Nothing is written any more, even where the loop has
        closed the socket already and the transport does not know it: so it is when a dial
        that timed out was cancelled in the tick in which HELLO came."""
        self._given_up = True
        self._reason = self._reason or reason[:_REASON]
        if self.transport is not None:
            self.transport.abort()

    def fault(self, reason: str) -> None:
        """The other side broke the protocol: answer with the reason, and close."""
        if not self.closing:
            reason = reason[:_REASON]
            self.on_fault(reason)
            self.send(Refusal(0, "bad-request", reason))
            self.close(reason)

    # ---- called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # kept: asking for the running loop costs a system call where processes may fork
        self._loop = asyncio.get_running_loop()
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER)
        self.on_open()

    def data_received(self, data: bytes) -> None:
        if self.closing:
            return
        self.bytes_in += len(data)
        self.decoder.receive(data)
        while (message := self._next()) is not None:
            self.on_message(message)
            if self.closing:
                return

    def pause_writing(self) -> None:
        self.clogged = True

    def resume_writing(self) -> None:
        self.clogged = False

    def eof_received(self) -> None:
        try:
            self.decoder.finish()
        except WireError as error:
            self.fault(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        self._out.clear()
        self.decoder.discard()
        self.on_close(self._reason or (str(exc) if exc else "closed by the other side"))

    def _next(self) -> Message | None:
        try:
            return self.decoder.next()
        except WireError as error:
            self.fault(str(error))
            return None

    def _flush(self) -> None:
        if self._out and not self.closing:
            self.bytes_out += self._gathered
            try:
                out = self._out
                data = out[0] if len(out) == 1 else b"".join(out)
                cast(asyncio.Transport, self.transport).write(data)
            except RuntimeError as error:  # uvloop's word for a socket that it closed
                self.abort(str(error))
        self._out.clear()
        self._gathered = 0


class DialFailed(Exception):
    """No greeted connection came about: nothing was sent on it, so nothing happened.
    `silent`: it was opened, but HELLO did not come in time."""

    def __init__(self, reason: str, silent: bool = False) -> None:
        super().__init__(reason)
        self.silent = silent


class Dialled(Stream):
    """The end that dialled. The side that accepted speaks first: until its HELLO is here
    nothing is sent, so that a connection that dies before is a definite failure."""

    def __init__(self, mine: Hello, limit: int, out_limit: int, secret: str | None = None) -> None:
        """`mine` answers the HELLO; its cluster "" takes that of the other side. With a
        `secret`, both sides must prove that they know it."""
        super().__init__(limit, out_limit)
        loop = asyncio.get_running_loop()
        self.greeted: asyncio.Future[Hello] = loop.create_future()
        self.ended: asyncio.Future[str] = loop.create_future()
        self._mine = mine
        self._secret = secret
        self._theirs: Hello | None = None

    def on_answer(self, message: Message) -> None:
        """A message came in after HELLO."""

    def on_message(self, message: Message) -> None:
        if self.greeted.done():
            self.on_answer(message)
        elif isinstance(message, Refusal):
            self.close(message.message)  # they are about to hang up
        elif isinstance(message, Hello) and self._theirs is None:
            self._greet(message)
        elif isinstance(message, Welcome) and self._theirs is not None:
            self._welcomed(message, self._theirs)
        else:
            self.fault(f"{type(message).__name__} came before HELLO")

    def on_close(self, reason: str) -> None:
        if not self.greeted.done():
            self.greeted.set_exception(DialFailed(reason))
            self.greeted.exception()  # the dial may have been given up: then no other looks at it
        if not self.ended.done():
            self.ended.set_result(reason)

    def _greet(self, theirs: Hello) -> None:
        cluster = self._mine.cluster or theirs.cluster
        problem = mismatch(theirs, cluster) or conflict(self._mine.config, theirs.config)
        if problem:
            self.close(problem)
            return
        mine = msgspec.structs.replace(self._mine, cluster=cluster)
        if self._secret is None:
            self.send(mine)
            self.greeted.set_result(theirs)
            return
        mine = msgspec.structs.replace(mine, nonce=guard.nonce())
        shown = guard.proof(self._secret, "dialled", mine, theirs)
        self._mine, self._theirs = mine, theirs
        self.send(msgspec.structs.replace(mine, proof=shown))

    def _welcomed(self, welcome: Welcome, theirs: Hello) -> None:
        expected = guard.proof(self._secret or "", "accepted", self._mine, theirs)
        if guard.proven(welcome.proof, expected):
            self.greeted.set_result(theirs)
        else:
            self.close(f"{theirs.node} does not know the secret")


def mismatch(theirs: Hello, cluster: str) -> str:
    """Why two sides should not talk; empty if they should."""
    if theirs.cluster != cluster:
        return f"this is cluster {theirs.cluster[:80]!r}, not {cluster!r}"
    if theirs.protocol != PROTOCOL:
        return f"protocol {theirs.protocol} is spoken there, {PROTOCOL} here"
    return ""


async def dial(
    address: str, stream: Dialled, timeout: float, tls: ssl.SSLContext | None = None
) -> Hello:
    """Connect `stream` to `address` and await HELLO, `timeout` seconds in all. Raises
    DialFailed; the connection is closed then."""
    host, port = split_address(address)
    loop = asyncio.get_running_loop()
    hello = None
    try:
        async with asyncio.timeout(timeout):
            await loop.create_connection(lambda: stream, host, port, ssl=tls)
            hello = await stream.greeted
            return hello
    except TimeoutError:
        silent = stream.transport is not None
        what = "no HELLO" if silent else "no connection"
        raise DialFailed(f"{what} within {timeout:g} s", silent) from None
    except OSError as error:
        known = error.errno and error.errno > 0 and not isinstance(error, ssl.SSLError)
        why = os.strerror(error.errno) if known else str(error)  # type: ignore[arg-type]
        raise DialFailed(f"{address}: {why}") from error
    finally:
        if hello is None:
            stream.abort("given up")
