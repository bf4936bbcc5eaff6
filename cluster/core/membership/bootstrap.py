"""Founds the first ring: once, and only where there is none.

Every founder makes the same first layout (membership.first_layout), so founders need not
agree on it. What they must not do is to make it again after the ring has moved on: a
founder whose disk was wiped would serve under a ring of long ago, alone or with others of
its kind. So a founder without a layout asks all other founders for theirs. Any layout that
it receives is its own from then on. It founds the ring only when all of them, in one round,
answer that they have none.

That is proof enough. A question counts only for a founder whose link was up when the round
began, and an answer only comes over that same link: so its process lived at that instant
and had no layout at the end of the round. A process never forgets a layout, so it had none
at the beginning; and at that one instant, then, no founder had any.

All, not a majority: if a majority was wiped and is cut off from the rest, the rest is where
the ring is. The price is that every founder must be up once, at the same time, before there
is a ring.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from dynamesis.cluster.core.protocol.messages import Answer, GossipReply
from dynamesis.cluster.core.runtime.runtime import Failure, Runtime

#: ask(peer, done): send `peer` what is known here, merge what it answers, then done(answer)
Ask = Callable[[str, Callable[[Answer | Failure], None]], None]


class Bootstrap:
    """What one founder does until it has a layout; a node that joins later does nothing."""

    def __init__(
        self,
        node: str,
        runtime: Runtime,
        founders: tuple[str, ...],
        interval: float,
        *,
        has_layout: Callable[[], bool],
        found: Callable[[], None],
        is_up: Callable[[str], bool],
        ask: Ask,
    ) -> None:
        """`interval`: seconds between two rounds, when not all links come up meanwhile.
        `has_layout`: whether a layout is known here; `found` makes the first one; `is_up(peer)`:
        whether the link to a founder is up; `ask` exchanges gossip with it."""
        self._runtime = runtime
        self._looks = False
        self._is_founder = node in founders
        self._others = [founder for founder in founders if founder != node]
        self._interval = interval
        self._without: dict[str, None] = {}
        self.has_layout = has_layout
        self.found = found
        self.is_up = is_up
        self.ask = ask

    def start(self) -> None:
        """What an earlier life knew has been read by now."""
        if self._is_founder and not self.has_layout():
            self._looks = True
            self.look()
            self._runtime.after(self._interval, self.start)

    def linked(self, peer: str) -> None:
        """A link has come up. As long as one is lacking, a round cannot found the ring, so this
        founder alone is asked whether it knows one: the N links of N nodes would else cost N
        questions each."""
        if all(map(self.is_up, self._others)):
            self.look()
        elif peer in self._others:
            self._ask([peer])

    def look(self) -> None:
        """One round: now, and when the last link has come up."""
        self._ask([peer for peer in self._others if self.is_up(peer)])

    def _ask(self, peers: Sequence[str]) -> None:
        if not self._looks or self.has_layout():
            return
        silent = len(self._others)

        def received(peer: str, answer: Answer | Failure) -> None:
            nonlocal silent
            if isinstance(answer, GossipReply) and answer.layout is None:
                self._without[peer] = None
                silent -= 1
                self._perhaps_found(silent)
            else:
                self._without.pop(peer, None)

        for peer in peers:
            self.ask(peer, partial(received, peer))
        self._perhaps_found(silent)

    def _perhaps_found(self, silent: int) -> None:
        if not silent and not self.has_layout():
            self._runtime.emit("founded")
            self.found()

    def waiting_for(self) -> list[str]:
        """The founders that have not answered, when last asked, that they have no layout."""
        if not self._is_founder or self.has_layout():
            return []
        return [p for p in self._others if p not in self._without or not self.is_up(p)]
