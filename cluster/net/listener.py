"""A port that greets first: HELLO out, HELLO in, then the messages that the role may
send. Nodes and administrators must know the secret (cluster.net.auth).

The data port takes clients and nodes, the admin port only questions about the node. What
a role may not send is refused by name and the connection lives on; bytes that are no
message end it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Container, Mapping
from itertools import count
from typing import get_args

import msgspec
from dynamesis.cluster.config.config import split_address
from dynamesis.cluster.core.protocol.messages import (
    Ask,
    ClientQuestion,
    ForwardPut,
    Get,
    Hello,
    Message,
    NodeQuestion,
    Put,
    Refusal,
    Welcome,
)
from dynamesis.cluster.net import auth as guard
from dynamesis.cluster.net.agreement import conflict, differences
from dynamesis.cluster.net.stream import Stream, mismatch
from dynamesis.cluster.net.wire import CLIENT_LIMIT, NODE_LIMIT, WireError

#: connections that the kernel may hold while the node is stopped or busy
BACKLOG = 1024
#: seconds for the other side to answer our HELLO, over however slow a link
GREETING_TIMEOUT = 10.0
#: unsent bytes at which a reader that does not read is cut off
READER_BOUND = 64 << 20
#: bytes of unfinished frames that all clients together may have here, and seconds in which a
#: client has to finish one
HALF_BOUND = 64 << 20
FRAME_TIMEOUT = 60.0

Emit = Callable[..., None]
Accepts = Mapping[str, frozenset[type]]

#: role -> the messages it may send on the data port
DATA: Accepts = {
    "client": frozenset(get_args(ClientQuestion)),
    "node": frozenset(get_args(NodeQuestion)),
}
#: and on the admin port
ADMIN: Accepts = {"admin": frozenset({Ask})}
_ROLES = {"client": "a client", "node": "a node", "admin": "an administrator"}
#: requests that a node which is shutting down refuses
_NEW_WORK = (Get, Put, ForwardPut)


class Inbound(Stream):
    """One accepted connection. `peer`: the node at its other end, None for a client."""

    def __init__(self, listener: Listener, channel: int) -> None:
        super().__init__(out_limit=listener.out_limit)
        self.channel = channel
        self.peer: str | None = None
        #: questions of a client that are not answered yet
        self.owed = 0
        #: bytes of a frame that is not complete, as the listener counted them
        self.held = 0
        #: when that frame began, s on the loop's clock
        self.since = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._listener = listener
        self._role = ""
        self._mine = msgspec.structs.replace(listener.mine, nonce=guard.nonce())
        self._deadline: asyncio.TimerHandle | None = None

    def reply(self, message: Message) -> None:
        """Answer one question. Raises WireError if the answer is over the limit."""
        self.owed -= 1
        self.send(message)
        if self.unsent > READER_BOUND:
            self._listener.emit("slow-reader", channel=self.channel, unsent=self.unsent)
            self.abort("does not read its answers")

    def on_open(self) -> None:
        self._listener.channels[self.channel] = self
        self._deadline = asyncio.get_running_loop().call_later(
            GREETING_TIMEOUT, self.abort, "no HELLO in time"
        )
        self.send(self._mine)

    def data_received(self, data: bytes) -> None:
        taken = self.decoder.taken
        super().data_received(data)
        if self.peer is None and not self.closing:
            pending = self.decoder.pending
            if pending and (not self.held or self.decoder.taken != taken):
                self._frame_began()
            if pending or self.held:
                self._listener.hold(self, pending)

    def _frame_began(self) -> None:
        self.since = self._loop.time()
        if self._watch is None:
            self._watch = self._loop.call_later(FRAME_TIMEOUT, self._look_at_frame)

    def _look_at_frame(self) -> None:
        """Cut off who does not finish a frame. Looks again as long as one is unfinished."""
        self._watch = None
        if not self.held or self.closing:
            return
        left = self.since + FRAME_TIMEOUT - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._look_at_frame)
        else:
            self.fault(f"a frame was not complete within {FRAME_TIMEOUT:g} s")

    def on_message(self, message: Message) -> None:
        if not self._role:
            self._greet(message)
        elif type(message) in self._listener.accepts[self._role]:
            self._take(message)
        else:
            self._refuse(
                message, "bad-request", f"{_name(message)} is not for {_ROLES[self._role]} here"
            )

    def on_fault(self, reason: str) -> None:
        self._listener.emit("bad-frame", channel=self.channel, peer=self.peer, reason=reason)

    def on_close(self, reason: str) -> None:
        self._listener.channels.pop(self.channel, None)
        self._listener.hold(self, 0)
        for timer in (self._deadline, self._watch):
            if timer is not None:
                timer.cancel()

    def pause_writing(self) -> None:
        # A connection that does not read its answers gets no more questions in.
        if not self.closing and self.transport is not None:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.closing and self.transport is not None:
            self.transport.resume_reading()

    def _greet(self, message: Message) -> None:
        if not isinstance(message, Hello):
            self.fault(f"{_name(message)} came before HELLO")
        elif problem := self._listener.objection(message):
            self.fault(problem)
        elif not self._trusted(message):
            self._listener.emit("wrong-secret", channel=self.channel, said=message.node)
            self.fault(f"{_ROLES[message.role]} must know the secret of the cluster")
        elif problem := self._listener.conflict(message):
            self.fault(problem)
        else:
            self._role = message.role
            self.peer = message.node if message.role == "node" else None
            self.decoder.limit = NODE_LIMIT if self.peer else CLIENT_LIMIT
            if self._deadline is not None:
                self._deadline.cancel()
            if self.peer is not None:
                self._listener.replace(self)
                self._listener.compare(message)

    def _trusted(self, theirs: Hello) -> bool:
        """Whether `theirs` may be believed; a proof that is right gets one in return."""
        secret = self._listener.secret
        if not theirs.proof:
            return theirs.role == "client" and not self._listener.clients_prove
        if not guard.proven(theirs.proof, guard.proof(secret, "dialled", theirs, self._mine)):
            return False
        self.send(Welcome(guard.proof(secret, "accepted", theirs, self._mine)))
        return True

    def _take(self, message: Message) -> None:
        if self._listener.stopping and isinstance(message, _NEW_WORK):
            self._refuse(message, "stopping", "this node is shutting down")
        else:
            self.owed += 1
            self._listener.deliver(self, message)

    def _refuse(self, message: Message, code: str, text: str) -> None:
        self._listener.emit("refused", channel=self.channel, peer=self.peer, reason=text)
        self.send(Refusal(getattr(message, "rid", 0), code, text))


class Listener:
    """One port and the connections that came in by it. `deliver` gets every question."""

    def __init__(
        self,
        mine: Hello,
        known: Container[str],
        accepts: Accepts,
        out_limit: int,
        numbers: count[int],
        deliver: Callable[[Inbound, Message], None],
        emit: Emit,
        secret: str = "",
        clients_prove: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`known` are the nodes that may connect; `numbers` gives each connection its
        channel; `out_limit` as for a Stream. `clients_prove`: clients must know the
        `secret` too."""
        self.mine = mine
        self.accepts = accepts
        self.out_limit = out_limit
        self.deliver = deliver
        self.emit = emit
        self.channels: dict[int, Inbound] = {}
        self.stopping = False
        self._held = 0
        self.secret = secret
        self.clients_prove = clients_prove
        self._tls = tls
        self._known = known
        self._numbers = numbers
        self._server: asyncio.Server | None = None
        #: by node, what its last HELLO had against it
        self._reasons: dict[str, str] = {}

    def hold(self, inbound: Inbound, pending: int) -> None:
        """A client has sent this much of a frame that is not complete. Above what all of them
        may have, the one that has left a frame unfinished for longest is cut off: idle connections
        can neither fill the memory nor keep others from sending."""
        self._held += pending - inbound.held
        inbound.held = pending
        while pending and self._held > HALF_BOUND:
            holding = (other for other in self.channels.values() if other.held)
            oldest = min(holding, key=lambda other: other.since)
            self._held -= oldest.held
            oldest.held = 0
            oldest.decoder.discard()
            oldest.fault(f"more than {HALF_BOUND} bytes of unfinished frames on all connections")

    @property
    def owed(self) -> int:
        """Questions of clients that are not answered yet."""
        return sum(inbound.owed for inbound in self.channels.values() if not inbound.peer)

    @property
    def unsent(self) -> int:
        """Bytes of answers that their readers have not read yet."""
        return sum(inbound.unsent for inbound in self.channels.values())

    async def bind(self, address: str) -> None:
        """Take the port, but no connection yet. Raises OSError."""
        host, port = split_address(address)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Inbound(self, next(self._numbers)),
            host,
            port,
            backlog=BACKLOG,
            start_serving=False,
            ssl=self._tls,
            ssl_handshake_timeout=None if self._tls is None else GREETING_TIMEOUT,
        )

    async def serve(self) -> None:
        """Take connections from now on."""
        if self._server is not None:
            await self._server.start_serving()

    def reply(self, channel: int, message: Message) -> None:
        """Answer on a connection; nothing if it is gone. An answer over the frame limit is
        logged and dropped, and its asker times out: what it asked for was done."""
        inbound = self.channels.get(channel)
        if inbound is None:
            return
        try:
            inbound.reply(message)
        except WireError as error:
            self.emit("frame-too-large", channel=channel, reason=str(error))

    def objection(self, theirs: Hello) -> str:
        """The reason to refuse the sender of `theirs`; empty if there is none."""
        if problem := mismatch(theirs, self.mine.cluster):
            return problem
        if theirs.role not in self.accepts:
            return f"{_ROLES[theirs.role]} has no business on this port"
        if theirs.role == "node" and theirs.node not in self._known:
            return f"node {theirs.node!r} is not known here"
        return ""

    def conflict(self, theirs: Hello) -> str:
        """Why a node that knows the secret cannot be worked with; empty if it can. Logged once
        for each reason, however often it dials again."""
        reason = conflict(self.mine.config, theirs.config) if theirs.role == "node" else ""
        if reason and self._reasons.get(theirs.node) != reason:
            self._reasons[theirs.node] = reason
            self.emit("node-refused", peer=theirs.node, reason=reason)
        return reason

    def compare(self, theirs: Hello) -> None:
        """Log in what the configuration of a node that was let in differs from this one's."""
        found = "; ".join(differences(self.mine.config, theirs.config))
        if self._reasons.get(theirs.node, "") != found:
            self.emit("config-differs", peer=theirs.node, differences=found)
        self._reasons[theirs.node] = found

    @property
    def objections(self) -> dict[str, str]:
        """What there is against nodes that dialled, by node: of the last HELLO of each."""
        return {node: reason for node, reason in self._reasons.items() if reason}

    def replace(self, newest: Inbound) -> None:
        """A node has one link to us. What an earlier one may still carry is out of date: the
        core relies on it that nothing overtakes what was sent on the newest."""
        for inbound in list(self.channels.values()):
            if inbound is not newest and inbound.peer == newest.peer:
                inbound.abort("the node has dialled again")

    def stop(self) -> None:
        """Take no more connections and no new work; finish what is in progress."""
        self.stopping = True
        if self._server is not None:
            self._server.close()

    def close(self) -> None:
        for inbound in list(self.channels.values()):
            inbound.close("the node stops")


def _name(message: Message) -> str:
    return type(message).__name__
