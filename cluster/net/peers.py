"""The links that a node dials: one to each peer, kept up from the start.

A link is down, dialling or up. While it is being dialled, messages wait, for as long as a
dial may take; if it fails they are handed back as certainly not sent. So are messages to
a link that is down and was tried a moment ago, and to one that is clogged: the core then
turns to another node immediately instead of waiting. What was written on a link that breaks
is in doubt, and the core knows that from LinkDown.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import get_args

from dynamesis.cluster.core.protocol.events import (
    Event,
    LinkDown,
    LinkUp,
    Received,
    Send,
    SendFailed,
)
from dynamesis.cluster.core.protocol.messages import Answer, Hello, Message, Question
from dynamesis.cluster.net.stream import DialFailed, Dialled, dial
from dynamesis.cluster.net.wire import NODE_LIMIT, WireError, encode

#: seconds between two attempts to dial: doubling from the first to the second
BACKOFF = (0.05, 1.0)
#: unsent bytes above which a link takes no more; below it a frame of any size
LINK_BOUND = 32 << 20
#: seconds for a peer that has broken the protocol to take what was sent to it, with the reason
LAST_WORDS = 5.0
#: bytes of a frame that is kept beyond its tick
_KEPT = 64 << 10

Emit = Callable[..., None]

_ANSWERS = frozenset(get_args(Answer))


class _LinkStream(Dialled):
    def __init__(self, link: Link, mine: Hello, secret: str | None) -> None:
        super().__init__(mine, NODE_LIMIT, NODE_LIMIT, secret)
        self._link = link
        #: whether all that comes now are answers
        self.link_is_up = False

    def data_received(self, data: bytes) -> None:
        if not self.link_is_up or self.closing:
            super().data_received(data)
            return
        self.bytes_in += len(data)
        peer, came, fault = self._link.peer, list[Event](), ""
        try:
            for message in self.decoder.messages(data):
                if type(message) not in _ANSWERS:
                    fault = _no_answer(message)
                    break
                came.append(Received(None, peer, message))
        except WireError as error:
            fault = str(error)
        self._link.post_all(came)
        if fault:
            self.fault(fault)

    def on_answer(self, message: Message) -> None:
        if type(message) in _ANSWERS:
            self._link.post(Received(None, self._link.peer, message))
        else:
            self.fault(_no_answer(message))

    def on_fault(self, reason: str) -> None:
        self._link.emit("bad-frame", peer=self._link.peer, reason=reason)
        self._loop.call_later(LAST_WORDS, self.abort, reason)


class Link:
    """One peer, by id, at `address`."""

    def __init__(
        self,
        peer: str,
        address: str,
        mine: Hello,
        hello_timeout: float,
        post: Callable[[Event], None],
        post_all: Callable[[Sequence[Event]], None],
        emit: Emit,
        secret: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.peer = peer
        self.address = address
        self.post = post
        self.post_all = post_all
        self.emit = emit
        self._mine = mine
        self._secret = secret
        self._tls = tls
        self._hello_timeout = hello_timeout
        self._jitter = Random(f"{mine.node}>{peer}")
        self._stream: Dialled | None = None
        self._up = False
        self._last_dial = 0.0
        self._last_reason = ""
        self._waiting: list[tuple[int, bytes]] = []
        self._waiting_bytes = 0
        self._wanted = asyncio.Event()
        self._counts = {"connects": 0, "failures": 0, "hello_timeouts": 0}
        self._bytes = [0, 0]

    def carry(self, rid: int, frame: bytes) -> None:
        """Send the frame of a question, or wait for the dial under way, or post SendFailed."""
        stream = self._stream
        if self._up and stream is not None:
            if stream.clogged and stream.unsent > LINK_BOUND:
                self._refuse(rid)
            else:
                stream.send_frame(frame)
        elif (stream or self._may_dial()) and self._waiting_bytes < LINK_BOUND:
            self._waiting.append((rid, frame))
            self._waiting_bytes += len(frame)
        else:
            self._refuse(rid)

    def too_large(self, rid: int, reason: str) -> None:
        """No frame takes the question."""
        self.emit("frame-too-large", peer=self.peer, reason=reason)
        self._refuse(rid)

    async def keep_up(self) -> None:
        """Dial for ever; ends when cancelled."""
        loop, delay = asyncio.get_running_loop(), BACKOFF[0]
        while True:
            self._wanted.clear()
            self._last_dial = loop.time()
            delay = BACKOFF[0] if await self._live() else min(2 * delay, BACKOFF[1])
            pause = delay * self._jitter.uniform(0.75, 1.25)
            # wait_for of Python 3.11 would lose a cancellation in the tick of a wake
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wanted.wait()
            # whatever wakes it, attempts keep the least distance
            await asyncio.sleep(max(0.0, self._last_dial + BACKOFF[0] - loop.time()))

    def give_up(self) -> None:
        """Another link takes its place: as if it had broken."""
        reason = "given up for another address"
        if self._stream is not None:
            self._stream.abort(reason)
            self._went_down(self._stream, reason)
        for rid, _ in self._take_waiting():
            self._refuse(rid)

    def wake(self) -> None:
        """There is reason to think that the peer can be reached: if it is not, dial it now and
        not at the end of the pause."""
        if not self._up:
            self._wanted.set()

    def status(self) -> dict[str, int | str]:
        """Whether it is up, why not, and counters since the start of the node."""
        stream = self._stream
        now = (stream.bytes_in, stream.bytes_out) if stream else (0, 0)
        return {
            "up": self._up,
            "reason": "" if self._up else self._last_reason,
            **self._counts,
            "bytes_in": self._bytes[0] + now[0],
            "bytes_out": self._bytes[1] + now[1],
        }

    async def _live(self) -> bool:
        """One connection from dial to end; whether it was ever up."""
        self._stream = stream = _LinkStream(self, self._mine, self._secret)
        try:
            theirs = await dial(self.address, stream, self._hello_timeout, self._tls)
            if theirs.node != self.peer:
                stream.close("wrong node")
                raise DialFailed(f"{self.address} is node {theirs.node[:80]!r}, not {self.peer!r}")
            self._went_up(stream)
            reason = await stream.ended
        except DialFailed as error:
            reason = str(error)
            self._counts["failures"] += 1
            self._counts["hello_timeouts"] += error.silent
        except asyncio.CancelledError:
            stream.abort("given up")  # by a node that stops, or for another address
            raise
        return self._went_down(stream, reason)

    def _went_up(self, stream: _LinkStream) -> None:
        self._up = stream.link_is_up = True
        self._counts["connects"] += 1
        self.emit("link-up", peer=self.peer)
        self.post(LinkUp(self.peer))
        for rid, frame in self._take_waiting():
            self._write(stream, rid, frame)

    def _went_down(self, stream: Dialled, reason: str) -> bool:
        was_up, self._up, self._stream = self._up, False, None
        self._bytes[0] += stream.bytes_in
        self._bytes[1] += stream.bytes_out
        if not was_up and reason != self._last_reason:
            self.emit("dial-failed", peer=self.peer, reason=reason)
        self._last_reason = reason
        for rid, _ in self._take_waiting():
            self._refuse(rid)
        self.post(LinkDown(self.peer, reason))
        return was_up

    def _may_dial(self) -> bool:
        """Wake the dialler, unless it has only just tried."""
        if asyncio.get_running_loop().time() - self._last_dial < BACKOFF[0]:
            return False
        self._wanted.set()
        return True

    def _write(self, stream: Dialled, rid: int, frame: bytes) -> None:
        if stream.unsent > LINK_BOUND:
            self._refuse(rid)
        else:
            stream.send_frame(frame)

    def _take_waiting(self) -> list[tuple[int, bytes]]:
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        return waiting

    def _refuse(self, rid: int) -> None:
        self.post(SendFailed(self.peer, rid))


class Peers:
    """All links of a node."""

    def __init__(
        self,
        mine: Hello,
        hello_timeout: float,
        post: Callable[[Event], None],
        post_all: Callable[[Sequence[Event]], None],
        emit: Emit,
        secret: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`post_all` has the core handle events that came together, as `post` does one."""
        self._mine = mine
        self._secret = secret
        self._tls = tls
        self._hello_timeout = hello_timeout
        self._post = post
        self._post_all = post_all
        self._emit = emit
        self._links: dict[str, Link] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._loop = asyncio.get_running_loop()
        #: the question that was encoded last, and its frame
        self._encoded: Message | None = None
        self._frame = b""

    def add(self, peer: str, address: str) -> None:
        """Dial `peer` at `address` from now on, and keep at it. The link to that address stays,
        where there is one."""
        known = self._links.get(peer)
        if known is not None:
            if known.address == address:
                known.wake()
                return
            self._tasks.pop(peer).cancel()
        link = Link(
            peer,
            address,
            self._mine,
            self._hello_timeout,
            self._post,
            self._post_all,
            self._emit,
            self._secret,
            self._tls,
        )
        self._links[peer] = link
        task = asyncio.ensure_future(link.keep_up())
        task.add_done_callback(_raise)
        self._tasks[peer] = task
        if known is not None:
            known.give_up()  # what is sent now for that goes by the new link

    def send(self, peer: str, message: Question) -> None:
        """Send, or post SendFailed: for want of a link, or of an address."""
        self.carry(Send(peer, message))

    def carry(self, effect: Send) -> None:
        """The same, of an effect of the core. What goes to several peers one after the other is
        encoded once."""
        link, message = self._links.get(effect.peer), effect.message
        rid: int = message.rid  # type: ignore[union-attr]
        if link is None:
            self._post(SendFailed(effect.peer, rid))
        elif message is self._encoded:
            link.carry(rid, self._frame)
        else:
            try:
                frame = encode(message, NODE_LIMIT)
            except WireError as error:
                link.too_large(rid, str(error))
                return
            self._encoded, self._frame = message, frame
            if len(frame) > _KEPT:
                self._loop.call_soon(self._forget)
            link.carry(rid, frame)

    def _forget(self) -> None:
        self._encoded, self._frame = None, b""

    def wake(self, peer: str) -> None:
        """Dial `peer` now, if there is no link to it: it has just dialled this node, say. So both
        sides of a path that is open again find each other when the first of them tries."""
        if peer in self._links:
            self._links[peer].wake()

    def wake_all(self) -> None:
        """Dial every peer now to which there is no link."""
        for link in self._links.values():
            link.wake()

    def status(self) -> dict[str, dict[str, int | str]]:
        return {peer: link.status() for peer, link in self._links.items()}

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


def _no_answer(message: Message) -> str:
    return f"{type(message).__name__} is not an answer"


def _raise(task: asyncio.Task[None]) -> None:
    """A link that ends of itself is a bug: let the loop's exception handler have it."""
    if not task.cancelled():
        task.result()
