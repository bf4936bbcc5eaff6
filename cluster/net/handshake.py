"""Connections that come in by a port with TLS, until the handshake is over.

Each has a descriptor and buffers of its own from the start, so it counts with the connections of
the port, and there are at most MOST of them: connections that are opened and send nothing keep
neither others nor an administrator out. The one that has not finished for longest goes first.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynamesis.cluster.net.inbound import Inbound
    from dynamesis.cluster.net.listener import Listener

#: handshakes under way at a port (some 50 KiB each), and seconds that one may take
MOST = 1_000
TIMEOUT = 10.0
#: seconds until the next connection is taken where that has failed
_AGAIN = 0.1
_PASSING = (errno.ECONNABORTED, errno.EAGAIN, errno.EINTR)


class Handshake:
    """Becomes `inbound` once the other side has shown that it speaks TLS."""

    def __init__(
        self,
        listener: Listener,
        inbound: Inbound,
        accepted: socket.socket,
        context: ssl.SSLContext,
    ) -> None:
        self.channel = inbound.channel
        self.socket = accepted
        #: when it came in, s on the loop's clock
        self.active = asyncio.get_running_loop().time()
        self._listener = listener
        self._inbound = inbound
        self._context = context
        self._task: asyncio.Task[None] | None = None

    @property
    def descriptor(self) -> int:
        """As of an Inbound."""
        return self.socket.fileno()

    def start(self) -> None:
        """Begin, if there is room."""
        self._listener.handshakes[self] = None
        if self._listener.room_for(self):
            self._task = asyncio.ensure_future(self._shake())
            self._task.add_done_callback(raise_bug)

    def abort(self, reason: str) -> None:
        """End the connection now."""
        self._listener.handshakes.pop(self, None)
        if self._task is None:
            self.socket.close()
        else:
            self._task.cancel()

    async def _shake(self) -> None:
        transport = None
        try:
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._inbound,
                self.socket,
                ssl=self._context,
                ssl_handshake_timeout=TIMEOUT,
            )
        except OSError as error:  # ssl.SSLError, and what a handshake without an end raises
            self._listener.emit("handshake-failed", channel=self.channel, reason=str(error)[:200])
        finally:
            self._listener.handshakes.pop(self, None)
            if transport is None:
                self.socket.close()


async def accept(listener: Listener, bound: socket.socket, context: ssl.SSLContext) -> None:
    """Take connections until cancelled; then close the port."""
    loop = asyncio.get_running_loop()
    with bound:
        while True:
            try:
                accepted, _ = await loop.sock_accept(bound)
            except OSError as error:
                if error.errno not in _PASSING:
                    listener.emit("out-of-descriptors", reason=str(error))
                    await asyncio.sleep(_AGAIN)
                continue
            Handshake(listener, listener.inbound(), accepted, context).start()


def raise_bug(task: asyncio.Task[None]) -> None:
    """A task that ends of itself with an exception is a bug: let the loop's exception handler have
    it."""
    if not task.cancelled():
        task.result()
