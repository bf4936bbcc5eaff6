"""A port that greets first: HELLO out, HELLO in, then the messages that the role may
send. Nodes and administrators must know the secret (cluster.net.auth).

The data port takes clients and nodes, the admin port only questions about the node. What
a role may not send is refused by name and the connection lives on; bytes that are no
message end it.
"""

from __future__ import annotations

import asyncio
import heapq
import socket
import ssl
from collections import deque
from collections.abc import Callable, Container, Iterable
from itertools import count
from operator import attrgetter

from dynamesis.cluster.config.config import split_address
from dynamesis.cluster.core.protocol.events import Reply
from dynamesis.cluster.core.protocol.messages import (
    Hello,
    Message,
    Refusal,
)
from dynamesis.cluster.net import descriptors, ports
from dynamesis.cluster.net.agreement import conflict, differences
from dynamesis.cluster.net.handshake import MOST as MOST_HANDSHAKES
from dynamesis.cluster.net.handshake import Handshake, accept, raise_bug
from dynamesis.cluster.net.inbound import AGAIN, ROLES, Accepts, Inbound
from dynamesis.cluster.net.stream import mismatch
from dynamesis.cluster.net.turns import Turns
from dynamesis.cluster.net.wire import WireError, encode

#: connections that the kernel may hold while the node is stopped or busy
BACKLOG = 1024
#: bytes of answers that one reader may leave unread, that all clients together may, and seconds in
#: which a client that has any unread must read some
READER_BOUND = 72 << 20
READERS_BOUND = 144 << 20
READER_TIMEOUT = 30.0
#: connections that a port takes, and descriptors that the process keeps free of them
MAX_CONNECTIONS = 10_000
RESERVED = 32
#: seconds for which a connection has to be idle to make room for another; so many are looked for
#: together, and after a search in vain no other one for so many seconds
IDLE = 1.0
IDLEST = 256
SEARCH_AGAIN = 0.1
#: seconds between two looks at readers
LOOK = 5.0
#: bytes of unfinished frames that all clients together may have here
HALF_BOUND = 64 << 20
#: bytes of questions that all clients together may have wait here for a turn; where there are more,
#: the longest ones are shed until so many are left
WAITING_BOUND = 128 << 20
WAITING_LEFT = 96 << 20

Emit = Callable[..., None]


class Listener:
    """One port and the connections that came in by it. `deliver` gets the next questions of a
    connection, in order, and takes all that it is given."""

    def __init__(
        self,
        mine: Hello,
        known: Container[str],
        accepts: Accepts,
        out_limit: int,
        numbers: count[int],
        deliver: Callable[[Inbound, Iterable[Message]], None],
        emit: Emit,
        secret: str = "",
        clients_prove: bool = False,
        tls: ssl.SSLContext | None = None,
        *,
        gone: Callable[[int], None],
        greeted: Callable[[str], None],
        reserved: int = RESERVED,
    ) -> None:
        """`known` are the nodes that may connect; `numbers` gives each connection its
        channel; `out_limit` as for a Stream. `clients_prove`: clients must know the
        `secret` too. `gone(channel)` is called when a client ends before all is answered,
        `greeted(peer)` when a node has connected; `reserved`: descriptors that connections
        leave free."""
        self.gone = gone
        self.greeted = greeted
        self.reserved = reserved
        self._unread = 0
        self._looking: asyncio.TimerHandle | None = None
        self.mine = mine
        self.accepts = accepts
        self.out_limit = out_limit
        self.turns = Turns(deliver)
        self.emit = emit
        self.channels: dict[int, Inbound] = {}
        #: connections that have no TLS yet, oldest first
        self.handshakes: dict[Handshake, None] = {}
        #: connections that have not sent HELLO yet, with a proof where one is due, oldest first
        self.strangers: dict[Inbound, None] = {}
        self.stopping = False
        #: clients that have left a frame unfinished, for longest first, and bytes of all these
        self._holders: dict[Inbound, None] = {}
        self._held = 0
        self._waiting = 0
        #: those that were idle for longest at the last search, and when the next one is due
        self._idlest: deque[Inbound] = deque()
        self._search_at = 0.0
        self.secret = secret
        self.clients_prove = clients_prove
        self._tls = tls
        self._known = known
        self._numbers = numbers
        self._server: asyncio.Server | None = None
        #: of a port with TLS: its socket, and what takes its connections
        self._bound: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        #: by node, what its last HELLO had against it
        self._reasons: dict[str, str] = {}

    def hold(self, inbound: Inbound, pending: int) -> None:
        """A client has sent this much of a frame that is not complete. Above what all of them
        may have, the one that has left a frame unfinished for longest is cut off: idle connections
        can neither fill the memory nor keep others from sending."""
        self._held += pending - inbound.held
        inbound.held = pending
        if not pending:
            self._holders.pop(inbound, None)
            return
        self._holders[inbound] = None
        while self._held > HALF_BOUND:
            oldest = next(iter(self._holders))
            self._held -= oldest.held
            oldest.held = 0
            del self._holders[oldest]
            oldest.decoder.discard()
            oldest.fault(f"more than {HALF_BOUND} bytes of unfinished frames on all connections")

    def begins(self, inbound: Inbound) -> None:
        """A client has begun another frame, which is the latest."""
        self._holders.pop(inbound, None)

    def wait(self, inbound: Inbound, size: int) -> None:
        """So many bytes of a client's questions wait for a turn. Above what all of them may have,
        those for which most waits are shed, many at a time: to look for each would take too long
        where there are thousands."""
        self._waiting += size - inbound.waits
        inbound.waits = size
        if size and self._waiting > WAITING_BOUND:
            reason = f"more than {WAITING_BOUND} bytes of questions wait on all connections"
            for most in sorted(self.channels.values(), key=lambda other: -other.waits):
                if self._waiting <= WAITING_LEFT:
                    return
                most.shed(reason)

    def unread(self, inbound: Inbound, unsent: int) -> None:
        """A connection has not read this much. One that leaves too much is cut off, and of all
        clients those for which most is kept."""
        if inbound.peer is None:  # what nodes leave is not for clients to pay for
            kept = inbound.kept
            self._unread += kept - inbound.counted
            inbound.counted = kept
        if unsent > READER_BOUND:
            self._cut_off(inbound, f"more than {READER_BOUND} bytes of answers unread")
        elif self._unread > READERS_BOUND:
            self._count_unread()
            while self._unread > READERS_BOUND:
                most = max(self.channels.values(), key=attrgetter("counted"))
                if not most.counted:
                    return
                self._cut_off(most, f"clients have left more than {READERS_BOUND} bytes unread")

    def _count_unread(self) -> None:
        """Count anew: what was read since is not known before it is asked for."""
        self._unread = 0
        for inbound in self.channels.values():
            its = inbound.peer is None and not inbound.given_up
            inbound.counted = inbound.kept if its else 0
            self._unread += inbound.counted

    def _cut_off(self, inbound: Inbound, reason: str) -> None:
        self._unread -= inbound.counted
        inbound.counted = 0
        self.emit("slow-reader", channel=inbound.channel, unsent=inbound.unsent, reason=reason)
        inbound.abort(reason)

    def _look_at_readers(self) -> None:
        """Cut off the clients, and what is about to close, that have read nothing for too long."""
        loop = asyncio.get_running_loop()
        self._looking = loop.call_later(LOOK, self._look_at_readers)
        now = loop.time()
        for inbound in list(self.channels.values()):
            unsent, read = inbound.unsent, inbound.delivered
            if not unsent or read != inbound.read:
                inbound.read, inbound.read_at = read, now
            elif now - inbound.read_at <= READER_TIMEOUT:
                continue
            elif inbound.peer is None or inbound.closing:
                self._cut_off(inbound, f"has read nothing for {READER_TIMEOUT:g} s")

    def left(self, inbound: Inbound) -> None:
        """A connection has ended."""
        self._unread -= inbound.counted
        inbound.counted = 0
        if inbound.owed > 0 and inbound.peer is None:
            self.gone(inbound.channel)

    def room_for(self, newest: Inbound | Handshake) -> bool:
        """Whether a new connection may stay: there are not too many, and enough descriptors are
        left for what else the process needs. Otherwise a stranger has to go, or else the connection
        that was idle for longest; without either the new one is refused."""
        full = self._full()
        number, most = newest.descriptor, descriptors.most()
        reserved = descriptors.reserved(most, self.reserved)
        if not full and number < most - reserved:
            return True
        why = full or f"{number} of {most} descriptors"
        longest = (
            self._oldest_handshake(newest)
            or self._oldest_stranger(newest)
            or self._longest_idle(newest)
        )
        if longest is not None:
            self.emit("idle-closed", channel=longest.channel, reason=f"{why} are in use")
            longest.abort("idle, and others need the room")
        if longest is None or number >= most - reserved // 2:
            self.emit("connection-refused", channel=newest.channel, reason=f"{why} are in use")
            if isinstance(newest, Inbound):
                newest.send(Refusal(0, "overloaded", f"{why} are in use", AGAIN))
                newest.close("no room")
            else:
                newest.abort("no room")
            return False
        return True

    def _full(self) -> str:
        """What there is too much of; empty if there is not."""
        if len(self.handshakes) > MOST_HANDSHAKES:
            return f"{MOST_HANDSHAKES} unfinished handshakes"
        if len(self.channels) + len(self.handshakes) > MAX_CONNECTIONS:
            return f"{MAX_CONNECTIONS} connections"
        return ""

    def _oldest_handshake(self, newest: Inbound | Handshake) -> Handshake | None:
        """The handshake that has not ended for longest, if that is long enough."""
        oldest = next(iter(self.handshakes), None)
        return None if oldest is None or oldest.active >= newest.active - IDLE else oldest

    def _oldest_stranger(self, newest: Inbound | Handshake) -> Inbound | None:
        """The first that came of those that have not sent their HELLO. That takes a moment, so it
        need not be idle for long: else strangers in great number would keep all others out."""
        while self.strangers:
            oldest = next(iter(self.strangers))
            if oldest is newest:
                return None
            del self.strangers[oldest]
            if not oldest.closing:
                return oldest
        return None

    def _longest_idle(self, newest: Inbound | Handshake) -> Inbound | None:
        """The connection that was idle for longest. All are searched for many newcomers together:
        connections that are opened without end do not cost a search each."""
        before, idlest = newest.active - IDLE, self._idlest
        if not idlest and newest.active >= self._search_at:
            others = (i for i in self.channels.values() if i is not newest and i.idle(before))
            idlest.extend(heapq.nsmallest(IDLEST, others, key=lambda inbound: inbound.active))
            self._search_at = newest.active + SEARCH_AGAIN
        while idlest:
            inbound = idlest.popleft()
            if inbound.idle(before):
                return inbound
        return None

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
        if self._tls is not None:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._bound = socket.create_server((host, port), family=family, backlog=BACKLOG)
            self._bound.setblocking(False)
            return
        self._server = await loop.create_server(
            self.inbound, host, port, backlog=BACKLOG, start_serving=False
        )

    def inbound(self) -> Inbound:
        """A connection that comes in."""
        return Inbound(self, next(self._numbers))

    async def serve(self) -> None:
        """Take connections from now on. Raises OSError: another one has the address."""
        if self._server is not None:
            ports.listen(self._server, BACKLOG)
            await self._server.start_serving()
        if self._bound is not None and self._tls is not None:
            self._accepting = asyncio.ensure_future(accept(self, self._bound, self._tls))
            self._accepting.add_done_callback(raise_bug)
        self._look_at_readers()

    def carry(self, effect: Reply) -> None:
        """Answer on a connection; nothing if it is gone. An answer over the frame limit is
        logged and dropped, and its asker times out: what it asked for was done."""
        inbound = self.channels.get(effect.channel)
        if inbound is None:
            return
        inbound.owed -= 1
        try:
            inbound.send_frame(encode(effect.message, self.out_limit))
        except WireError as error:
            self.emit("frame-too-large", channel=effect.channel, reason=str(error))

    def objection(self, theirs: Hello) -> str:
        """The reason to refuse the sender of `theirs`; empty if there is none."""
        if problem := mismatch(theirs, self.mine.cluster):
            return problem
        if theirs.role not in self.accepts:
            return f"{ROLES[theirs.role]} has no business on this port"
        if theirs.role == "node" and theirs.node not in self._known:
            return f"node {theirs.node[:80]!r} is not known here"
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
        if self._accepting is not None:
            self._accepting.cancel()
        elif self._bound is not None:
            self._bound.close()

    def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        for handshake in list(self.handshakes):
            handshake.abort("the node stops")
        for inbound in list(self.channels.values()):
            inbound.close("the node stops")

    def end(self) -> None:
        """Wait no longer for readers that do not read."""
        for inbound in list(self.channels.values()):
            inbound.abort("the node stops")
