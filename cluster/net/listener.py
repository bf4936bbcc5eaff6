"""A port that greets first: HELLO out, HELLO in, then the messages that the role may
send. Nodes and administrators must know the secret (cluster.net.auth).

The data port takes clients and nodes, the admin port only questions about the node. What
a role may not send is refused by name and the connection lives on; bytes that are no
message end it.
"""

from __future__ import annotations

import asyncio
import resource
import ssl
import sys
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
#: bytes of answers that one reader may leave unread, that all clients together may, and seconds in
#: which a client that has any unread must read some
READER_BOUND = 72 << 20
READERS_BOUND = 144 << 20
READER_TIMEOUT = 30.0
#: connections that a port takes, and descriptors that the process keeps free of them
MAX_CONNECTIONS = 10_000
RESERVED = 32
#: seconds for which a connection has to be idle to make room for another
IDLE = 1.0
#: seconds between two looks at readers, and until a port is listened on again after a failure
LOOK = 5.0
AGAIN = 1.0
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
        #: bytes that it has not read, as the listener counted them; of all that was sent to it,
        #: bytes read at the last look, and when it had last read any
        self.counted = 0
        self.read = 0
        self.read_at = 0.0
        #: when it last sent anything, s on the loop's clock
        self.active = 0.0
        #: bytes of a frame that is not complete, as the listener counted them
        self.held = 0
        #: when that frame began, s on the loop's clock
        self.since = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._listener = listener
        self._role = ""
        self._mine = msgspec.structs.replace(listener.mine, nonce=guard.nonce())
        self._deadline: asyncio.TimerHandle | None = None

    def idle(self, before: float) -> bool:
        """Whether it has no question open, and none came since `before`; never a node's."""
        return self.peer is None and self.owed <= 0 and not self.closing and self.active < before

    def reply(self, message: Message) -> None:
        """Answer one question. Raises WireError if the answer is over the limit."""
        self.owed -= 1
        self.send(message)
        unsent = self.unsent
        if unsent > self.counted or self.counted:
            self._listener.unread(self, unsent)

    def on_open(self) -> None:
        self.active = self.read_at = self._loop.time()
        self._listener.channels[self.channel] = self
        if not self._listener.room_for(self):
            return
        self._deadline = asyncio.get_running_loop().call_later(
            GREETING_TIMEOUT, self.abort, "no HELLO in time"
        )
        self.send(self._mine)

    def data_received(self, data: bytes) -> None:
        taken = self.decoder.taken
        self.active = self._loop.time()
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
        """Close the connection of a peer that does not finish a frame; look again meanwhile."""
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
        self._listener.left(self)
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
        *,
        gone: Callable[[int], None] = lambda channel: None,
        reserved: int = RESERVED,
    ) -> None:
        """`known` are the nodes that may connect; `numbers` gives each connection its
        channel; `out_limit` as for a Stream. `clients_prove`: clients must know the
        `secret` too. `gone(channel)` is called when a client ends before all is answered;
        `reserved`: descriptors that connections leave free."""
        self.gone = gone
        self.reserved = reserved
        self._unread = 0
        self._looking: asyncio.TimerHandle | None = None
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

    def unread(self, inbound: Inbound, unsent: int) -> None:
        """A connection has not read this much. One that leaves too much is cut off, and of all
        clients those that leave most."""
        self._unread += unsent - inbound.counted
        inbound.counted = unsent
        if unsent > READER_BOUND:
            self._cut_off(inbound, f"more than {READER_BOUND} bytes of answers unread")
        elif self._unread > READERS_BOUND:
            self._count_unread()
            while self._unread > READERS_BOUND:
                most = max(self.channels.values(), key=_unread_of_client)
                if not _unread_of_client(most):
                    return
                self._cut_off(most, f"clients have left more than {READERS_BOUND} bytes unread")

    def _count_unread(self) -> None:
        """Count anew: what was read since is not known before it is asked for."""
        for inbound in self.channels.values():
            inbound.counted = inbound.unsent
        self._unread = sum(inbound.counted for inbound in self.channels.values())

    def _cut_off(self, inbound: Inbound, reason: str) -> None:
        self._unread -= inbound.counted
        unsent, inbound.counted = inbound.counted, 0
        self.emit("slow-reader", channel=inbound.channel, unsent=unsent, reason=reason)
        inbound.abort(reason)

    def _look_at_readers(self) -> None:
        """Cut off the clients that have read nothing for too long."""
        loop = asyncio.get_running_loop()
        self._looking = loop.call_later(LOOK, self._look_at_readers)
        now = loop.time()
        for inbound in list(self.channels.values()):
            unsent, read = inbound.unsent, inbound.delivered
            if not unsent or read != inbound.read:
                inbound.read, inbound.read_at = read, now
            elif now - inbound.read_at > READER_TIMEOUT and inbound.peer is None:
                self._unread += unsent - inbound.counted
                inbound.counted = unsent
                self._cut_off(inbound, f"has read nothing for {READER_TIMEOUT:g} s")

    def left(self, inbound: Inbound) -> None:
        """A connection has ended."""
        self._unread -= inbound.counted
        inbound.counted = 0
        if inbound.owed > 0 and inbound.peer is None:
            self.gone(inbound.channel)

    def room_for(self, newest: Inbound) -> bool:
        """Whether a new connection may stay: there are not too many, and enough descriptors are
        left for what else the process needs. Otherwise the connection that was idle for longest
        has to go, and without an idle one the new one is refused."""
        crowd = len(self.channels) > MAX_CONNECTIONS
        number, most = _descriptor(newest), _descriptors()
        if not crowd and number < most - self.reserved:
            return True
        why = f"{MAX_CONNECTIONS} connections" if crowd else f"{number} of {most} descriptors"
        before = newest.active - IDLE
        others = (i for i in self.channels.values() if i is not newest and i.idle(before))
        longest = min(others, key=lambda inbound: inbound.active, default=None)
        if longest is not None:
            self.emit("idle-closed", channel=longest.channel, reason=f"{why} are in use")
            longest.abort("idle, and others need the room")
        if longest is None or number >= most - self.reserved // 2:
            self.emit("connection-refused", channel=newest.channel, reason=f"{why} are in use")
            newest.send(Refusal(0, "overloaded", f"{why} are in use", AGAIN))
            newest.close("no room")
            return False
        return True

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
            self._look_at_readers()

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
        if self._looking is not None:
            self._looking.cancel()
        for inbound in list(self.channels.values()):
            inbound.close("the node stops")


def _unread_of_client(inbound: Inbound) -> int:
    return 0 if inbound.peer is not None or inbound.closing else inbound.counted


def _descriptor(inbound: Inbound) -> int:
    """The number of a connection's descriptor: the system gives out the lowest that is free."""
    transport = inbound.transport
    socket = None if transport is None else transport.get_extra_info("socket")
    return -1 if socket is None else int(socket.fileno())


def _descriptors() -> int:
    """How many descriptors this process may have."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if most == resource.RLIM_INFINITY else most


def _name(message: Message) -> str:
    return type(message).__name__
