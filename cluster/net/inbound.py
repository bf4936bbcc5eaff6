"""One connection that came in by a port: greeted, then asked; an unfinished frame is timed."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, get_args

import msgspec
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
from dynamesis.cluster.net.stream import Stream
from dynamesis.cluster.net.wire import CLIENT_LIMIT, NODE_LIMIT, Unwanted, WireError, encode

if TYPE_CHECKING:
    from dynamesis.cluster.net.listener import Listener

#: seconds for the other side to answer our HELLO, over however slow a link
GREETING_TIMEOUT = 10.0
#: seconds in which a client has to finish a frame
FRAME_TIMEOUT = 60.0
#: questions of a client that are made of what it sent before some were handed on
QUESTIONS = 64
#: bytes that came together which are too few to be counted, and what a question takes beside the
#: bytes that it came in
_FEW = 4096
_QUESTION = 384
_GREETING = frozenset[type]((Hello,))
#: role -> the messages that it may send
Accepts = Mapping[str, frozenset[type]]

#: role -> the messages it may send on the data port
DATA: Accepts = {
    "client": frozenset(get_args(ClientQuestion)),
    "node": frozenset(get_args(NodeQuestion)),
}
#: and on the admin port
ADMIN: Accepts = {"admin": frozenset({Ask})}
#: bytes of answers up to which writes that the kernel did not take count as one
_TOGETHER = 64 << 10
#: seconds after which a client that was refused here may come again
AGAIN = 1.0
ROLES = {"client": "a client", "node": "a node", "admin": "an administrator"}
#: requests that a node which is shutting down refuses
_NEW_WORK = (Get, Put, ForwardPut)


class Inbound(Stream):
    """One accepted connection. `peer`: the node at its other end, None for a client."""

    def __init__(self, listener: Listener, channel: int) -> None:
        super().__init__(out_limit=listener.out_limit)
        self.decoder.take_only(_GREETING)
        self.channel = channel
        self.peer: str | None = None
        #: questions of a client that are not answered yet
        self.owed = 0
        #: of the writes that the kernel has not all of: where each ends in all that was sent to it,
        #: and its bytes; and all those
        self._writes: deque[tuple[int, int]] = deque()
        self._kept = 0
        #: bytes of answers in memory, as the listener counted them; of all that was sent to it,
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
        #: questions that were read and wait for a turn (cluster.net.turns), and since when
        self.waiting: deque[Message] = deque()
        self.asked_at = 0.0
        #: bytes of what waits for a turn, as the listener counted them
        self.waits = 0
        self._is_held_back = False
        self._most = QUESTIONS
        self._watch: asyncio.TimerHandle | None = None
        self._listener = listener
        self._turns = listener.turns
        self._role = ""
        #: what it may send: until it is greeted nothing
        self._accepted: frozenset[type] = frozenset()
        self._mine = msgspec.structs.replace(listener.mine, nonce=guard.nonce())
        self._deadline: asyncio.TimerHandle | None = None

    def idle(self, before: float) -> bool:
        """Whether it has no question open, and none came since `before`; never a node's. So is one
        that is about to close, for as long as its reader takes for what it was sent."""
        if self.peer is not None or self.given_up or self.active >= before:
            return False
        return self.owed <= 0 or self.closing

    def reply(self, message: Message) -> None:
        """Answer one question. Raises WireError if the answer is over the limit."""
        self.owed -= 1
        self.send_frame(encode(message, self._out_limit))

    @property
    def descriptor(self) -> int:
        """The number of its descriptor: the system gives out the lowest that is free."""
        its = None if self.transport is None else self.transport.get_extra_info("socket")
        return -1 if its is None else int(its.fileno())

    @property
    def kept(self) -> int:
        """Bytes of answers in memory: a write stays there whole until the kernel has all of it."""
        taken, writes = self.delivered, self._writes
        while writes and writes[0][0] <= taken:
            self._kept -= writes.popleft()[1]
        return self._kept

    def _flush(self) -> None:
        wrote = self._gathered
        super()._flush()
        transport = self.transport
        if transport is not None:
            unsent = transport.get_write_buffer_size()
            if (unsent or self.counted) and not self.closing:
                if wrote:
                    self._wrote(wrote)
                self._listener.unread(self, unsent)

    def _wrote(self, size: int) -> None:
        writes = self._writes
        self._kept += size
        if writes and size + writes[-1][1] <= _TOGETHER:
            size += writes.pop()[1]
        writes.append((self.bytes_out, size))

    def on_open(self) -> None:
        self.active = self.read_at = self._loop.time()
        self._listener.channels[self.channel] = self
        self._listener.strangers[self] = None
        if not self._listener.room_for(self):
            return
        self._deadline = asyncio.get_running_loop().call_later(
            GREETING_TIMEOUT, self.abort, "no HELLO in time"
        )
        self.send(self._mine)

    def data_received(self, data: bytes) -> None:
        if self.peer is not None:
            self._questions(data)
            return
        taken, size = self.decoder.taken, len(data) + (self.waits or self.held)
        before = len(self.waiting)
        self.active = self._loop.time()
        if self._role:
            self._questions(data)
        else:
            self._first(data)
        if self.closing:
            return
        if self.peer is not None:
            self._listener.hold(self, 0)  # its HELLO may have come in pieces
        else:
            self._look_at_rest(taken)
            size += _QUESTION * (len(self.waiting) - before)
            if size > _FEW and (self.waiting or self.decoder.more):
                self._listener.wait(self, size)

    def _first(self, data: bytes) -> None:
        """What comes before it is greeted, and what came with that."""
        if self.closing:
            return
        self.bytes_in += len(data)
        self.decoder.receive(data)
        message = self._next()
        if message is not None:
            self.on_message(message)
            self._questions(b"")

    def read_on(self) -> None:
        """Make questions of what came in and was not looked at."""
        taken = self.decoder.taken
        self._questions(b"")
        if not self.closing:
            self._look_at_rest(taken)
            if not self.waiting and not self.decoder.more:
                self.release()

    def shed(self, reason: str) -> None:
        """Refuse what waits for a turn. A connection that has sent far more than that is closed."""
        self._listener.wait(self, 0)
        while self.waiting:
            self.owed -= 1
            self._refuse(self.waiting.popleft(), "overloaded", reason, AGAIN)
        if self.decoder.more:
            self.decoder.discard()
            self._listener.emit("connection-refused", channel=self.channel, reason=reason)
            self.send(Refusal(0, "overloaded", reason, AGAIN))
            self.close(reason)

    def _look_at_rest(self, taken: int) -> None:
        """Time and count a frame that is not complete; `taken`: messages before this read."""
        pending = 0 if self.decoder.more else self.decoder.pending
        if pending and (not self.held or self.decoder.taken != taken):
            self._frame_began()
        if pending or self.held:
            self._listener.hold(self, pending)

    def _frame_began(self) -> None:
        self.since = self._loop.time()
        self._listener.begins(self)
        if self._watch is None:
            self._watch = self._loop.call_later(FRAME_TIMEOUT, self._look_at_frame)

    def _look_at_frame(self) -> None:
        """Cut off a client that does not finish a frame; look again while one is unfinished."""
        self._watch = None
        if not self.held or self.closing:
            return
        left = self.since + FRAME_TIMEOUT - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._look_at_frame)
        else:
            self.fault(f"a frame was not complete within {FRAME_TIMEOUT:g} s")

    def _questions(self, data: bytes) -> None:
        """As for a Stream, of a connection that was greeted: what comes together is handed on
        together."""
        if self.closing or self._listener.stopping:
            super().data_received(data)
            return
        self.bytes_in += len(data)
        accepted, asked = self._accepted, list[Message]()
        try:
            for message in self.decoder.messages(data, self._most):
                if type(message) in accepted:
                    asked.append(message)
                    continue
                self._hand_on(asked)
                asked = []
                self.on_message(message)
                if self.closing:
                    return
        except WireError as error:
            self._hand_on(asked)
            self.fault(str(error))
            return
        self._hand_on(asked)
        if self.decoder.more:
            self._turns.more(self)

    def _hand_on(self, asked: list[Message]) -> None:
        if asked:
            self.owed += len(asked)
            self._turns.take(self, asked)

    def on_message(self, message: Message) -> None:
        if not self._role:
            self._greet(message)
        elif type(message) in self._accepted:
            self._take(message)
        else:
            self._refuse(
                message, "bad-request", f"{_name(message)} is not for {ROLES[self._role]} here"
            )

    def eof_received(self) -> None:
        if not self.decoder.more:  # else nothing of the rest is begun
            super().eof_received()

    def fault(self, reason: str) -> None:
        """The same, after what it asked before that."""
        self._turns.finish(self)
        super().fault(reason)

    def on_fault(self, reason: str) -> None:
        self._listener.emit("bad-frame", channel=self.channel, peer=self.peer, reason=reason)

    def on_close(self, reason: str) -> None:
        self.owed -= len(self.waiting)  # nothing of them was begun
        self.waiting.clear()
        self._listener.channels.pop(self.channel, None)
        self._listener.strangers.pop(self, None)
        self._listener.hold(self, 0)
        self._listener.wait(self, 0)
        self._listener.left(self)
        for timer in (self._deadline, self._watch):
            if timer is not None:
                timer.cancel()

    def pause_writing(self) -> None:
        # A connection that does not read its answers gets no more questions in.
        super().pause_writing()
        if not self.closing and self.transport is not None:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.waiting or self.decoder.more:
            self._turns.go_on(self)
        elif not self.closing and self.transport is not None:
            self._is_held_back = False  # what waited was shed
            self.transport.resume_reading()

    def hold_back(self) -> None:
        """Read no more of it while something of it waits."""
        if not self._is_held_back and not self.closing and self.transport is not None:
            self._is_held_back = True
            self.transport.pause_reading()

    def release(self) -> None:
        """Nothing of it waits."""
        if self.waits:
            self._listener.wait(self, 0)
        if self._is_held_back:
            self._is_held_back = False
            if not self.clogged and not self.closing and self.transport is not None:
                self.transport.resume_reading()

    def _greet(self, message: Message) -> None:
        if not isinstance(message, Hello):
            self.fault(f"{_name(message)} came before HELLO")
        elif problem := self._listener.objection(message):
            self.fault(problem)
        elif not self._trusted(message):
            self._listener.emit("wrong-secret", channel=self.channel, said=message.node[:80])
            self.fault(f"{ROLES[message.role]} must know the secret of the cluster")
        elif problem := self._listener.conflict(message):
            self.fault(problem)
        else:
            self._role = message.role
            self._listener.strangers.pop(self, None)
            self._accepted = self._listener.accepts[message.role]
            self.peer = message.node if message.role == "node" else None
            self.decoder.limit = NODE_LIMIT if self.peer else CLIENT_LIMIT
            self.decoder.take_only(self._accepted)
            if self._deadline is not None:
                self._deadline.cancel()
            if self.peer is not None:
                self._most = sys.maxsize
                self._listener.replace(self)
                self._listener.compare(message)
                self._listener.greeted(self.peer)

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
            self._hand_on([message])

    def _refuse(
        self, message: Message, code: str, text: str, retry_after: float | None = None
    ) -> None:
        self._listener.emit("refused", channel=self.channel, peer=self.peer, reason=text)
        self.send(Refusal(getattr(message, "rid", 0), code, text, retry_after))


def _name(message: Message) -> str:
    return message.kind if isinstance(message, Unwanted) else type(message).__name__
