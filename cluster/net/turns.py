"""The turns in which a port hands on what its connections ask.

What nodes ask is handed on as it is read: it belongs to requests that were let in somewhere. What
clients ask waits until every socket of this tick of the loop was read, and then connections take
turns, SHARE questions each or as many as TURN seconds take; after so long the sockets are read
again. So neither many clients nor one that sends without a pause delay the answers on which
requests in progress wait, and each connection is as far away as any other.

A connection is not read while anything of it waits, nor is anything handed on of one, a node's
too, that does not read its answers: what waits is at most what two reads of the socket bring (it
is read as often in a tick as it has sent something, until something waits already), and unread
answers are bounded by those to one question more. Of what a client has sent together only so
much is made into questions at a time; the rest waits as the bytes that it came in.

How long a question has waited in this process (`waited`) is counted from when the socket could have
been read: as long as the loop is not idle, that is since the turn before.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from dynamesis.cluster.core.protocol.messages import Message

if TYPE_CHECKING:
    from dynamesis.cluster.net.inbound import Inbound

#: questions of one client in a turn
SHARE = 32
#: seconds of a turn, after which the sockets are read again
TURN = 0.002


class Turns:
    """Hands on the questions of all connections of a port."""

    def __init__(self, deliver: Callable[[Inbound, Iterable[Message]], None]) -> None:
        """`deliver` takes as many of a connection's questions as it is given, in order."""
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        #: connections with questions that wait, in the order of their turns
        self._row: deque[Inbound] = deque()
        self._is_due = False
        #: when the sockets were last read, s on the loop's clock; 0: it has been idle since
        self._looked = 0.0
        #: seconds that the question which is being handed on has waited here
        self.waited = 0.0

    def take(self, inbound: Inbound, asked: list[Message]) -> None:
        """These came on a connection, together."""
        if inbound.peer is not None and not inbound.waiting:
            self.waited = 0.0
            one = len(asked) == 1 and not inbound.clogged
            self._deliver(inbound, asked if one else _while_read(inbound, asked))
            if inbound.waiting:
                inbound.hold_back()
            return
        if inbound.waiting:
            inbound.hold_back()  # a tick, and ticks before its turn, may read a socket many times
        else:
            inbound.asked_at = self._looked or self._loop.time()
            self._row.append(inbound)
        inbound.waiting.extend(asked)
        self._ask_for_turn()

    def more(self, inbound: Inbound) -> None:
        """Of what came on a connection not all was looked at."""
        inbound.hold_back()
        if not inbound.waiting:
            self._row.append(inbound)
            self._ask_for_turn()

    def go_on(self, inbound: Inbound) -> None:
        """A connection reads its answers again."""
        if inbound.waiting and inbound not in self._row:
            self._row.append(inbound)
            self._ask_for_turn()

    def finish(self, inbound: Inbound) -> None:
        """Nothing follows on this connection: hand on what waits, as long as it reads its
        answers."""
        if inbound.waiting:
            self._deliver(inbound, self._share(inbound, math.inf, len(inbound.waiting)))

    def _ask_for_turn(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._is_due = False
        row, began = self._row, self._loop.time()
        now = began
        for _ in range(len(row)):
            inbound = row.popleft()
            self.waited = now - inbound.asked_at
            self._deliver(inbound, self._share(inbound, now + TURN))
            if inbound.waiting:
                inbound.hold_back()
                if not inbound.clogged:
                    row.append(inbound)
            elif inbound.decoder.more and not inbound.closing:
                asked_at = inbound.asked_at
                inbound.read_on()  # which gives it its next turn, if there is anything
                inbound.asked_at = asked_at
            else:
                inbound.release()
            now = self._loop.time()
            if now - began > TURN:
                break
        self._looked = began
        if row:
            self._ask_for_turn()
        else:
            self._loop.call_soon(self._perhaps_idle)

    def _share(self, inbound: Inbound, until: float, most: int = SHARE) -> Iterator[Message]:
        """Up to `most` of what waits, for so long, while the answers are read."""
        waiting, clock = inbound.waiting, self._loop.time
        while waiting and most and not inbound.clogged:
            most -= 1
            yield waiting.popleft()
            if clock() > until:
                return

    def _perhaps_idle(self) -> None:
        """The tick after a turn: without another one the loop waits for its sockets."""
        if not self._is_due:
            self._looked = 0.0


def _while_read(inbound: Inbound, asked: list[Message]) -> Iterator[Message]:
    """Of `asked` one after the other while the answers are read; the rest waits."""
    for at, message in enumerate(asked):
        if inbound.clogged:
            inbound.waiting.extend(asked[at:])
            return
        yield message
