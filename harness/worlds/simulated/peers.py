"""The links that a simulated node dials, one to each peer: as cluster.net.peers keeps them up."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from dynamesis.cluster.core.protocol.events import LinkDown, LinkUp, Received, Send, SendFailed
from dynamesis.cluster.core.protocol.messages import Hello, Message, Question, Welcome
from dynamesis.cluster.net.peers import BACKOFF
from dynamesis.harness.worlds.simulated.network import Wire

if TYPE_CHECKING:
    from dynamesis.harness.worlds.simulated.node import NodeLife

#: s in which a dial must have brought a greeted connection
HELLO_TIMEOUT = 1.0
#: bytes that a message counts as in a link's status
_ABOUT = 100


class PeerLink:
    """The link to one peer: down, dialling or up."""

    def __init__(self, node: NodeLife, peer: str, address: str) -> None:
        self.process = node
        self.peer = peer
        self.address = address
        self.up = False
        self._node = node
        self._line: Wire | None = None
        self._waiting: list[Question] = []
        self._last_dial = 0.0
        self._last_reason = ""
        self._delay = BACKOFF[0]
        self._jitter: Random | None = None
        self._turn = 0
        self._greeted = False
        self._counts = {"connects": 0, "failures": 0, "hello_timeouts": 0}
        self._taken = self._sent = 0

    def send(self, message: Question) -> None:
        """Send, or wait for the dial under way, or post SendFailed."""
        if self.up and self._line is not None:
            self._sent += 1
            self._line.up.send(message)
        elif self._line is not None or self._may_dial():
            self._waiting.append(message)
        else:
            self._node.post(SendFailed(self.peer, message.rid))

    def dial(self) -> None:
        """Try to connect, again and again until it succeeds."""
        loop = self._node.loop
        self._turn += 1
        self._greeted = False
        self._last_dial = loop.now
        self._line = self._node.network.dial(self.address, self)
        self._node.later(HELLO_TIMEOUT, self._given_up, self._turn)

    def close(self) -> None:
        """Hang up, and dial no more."""
        self._turn += 1
        line, self._line, self.up = self._line, None, False
        if line is not None:
            line.hang_up(self)

    def status(self) -> dict[str, int | str]:
        """As cluster.net.peers.Link has it; bytes are an estimate."""
        carried = {"bytes_in": _ABOUT * self._taken, "bytes_out": _ABOUT * self._sent}
        reason = "" if self.up else self._last_reason
        return {"up": self.up, "reason": reason, **self._counts, **carried}

    # ---- the end of a connection

    def receive(self, line: Wire, message: Message) -> None:
        if line is not self._line:
            return
        self._taken += 1
        kind = type(message)
        if self.up and kind is not Hello and kind is not Welcome:
            self._node.post(Received(None, self.peer, message))
        elif kind is Hello and not self._greeted:
            self._greeted = True
            line.up.send(self._node.hello)
        elif kind is Welcome and self._greeted and not self.up:
            self._went_up(line)
        else:
            reason = f"{kind.__name__} is not an answer"
            self._node.emit("bad-frame", peer=self.peer, reason=reason)
            line.hang_up(self)
            self._went_down(reason)

    def lost(self, line: Wire, reason: str) -> None:
        if line is self._line:
            self._counts["failures"] += not self.up
            self._went_down(reason)

    def _given_up(self, turn: int) -> None:
        line = self._line
        if turn != self._turn or self.up or line is None:
            return
        self._counts["failures"] += 1
        self._counts["hello_timeouts"] += line.opened
        line.hang_up(self)
        what = "no HELLO" if line.opened else "no connection"
        self._went_down(f"{what} within {HELLO_TIMEOUT:g} s")

    def _went_up(self, line: Wire) -> None:
        self.up = True
        self._counts["connects"] += 1
        self._node.emit("link-up", peer=self.peer)
        self._node.post(LinkUp(self.peer))
        for message in self._take_waiting():
            self._sent += 1
            line.up.send(message)

    def _went_down(self, reason: str) -> None:
        was_up, self.up, self._line = self.up, False, None
        if not was_up and reason != self._last_reason:
            self._node.emit("dial-failed", peer=self.peer, reason=reason)
        self._last_reason = reason
        for message in self._take_waiting():
            self._node.post(SendFailed(self.peer, message.rid))
        self._node.post(LinkDown(self.peer, reason))
        self._delay = BACKOFF[0] if was_up else min(2 * self._delay, BACKOFF[1])
        if self._jitter is None:
            self._jitter = Random(f"{self._node.name}>{self.peer}")
        self._turn += 1
        self._node.later(
            self._delay * (0.75 + 0.5 * self._jitter.random()), self._again, self._turn
        )

    def _again(self, turn: int) -> None:
        if turn == self._turn:
            self.dial()

    def _may_dial(self) -> bool:
        """Dial immediately, unless it has only just been tried."""
        if self._node.loop.now - self._last_dial < BACKOFF[0]:
            return False
        self.dial()
        return True

    def _take_waiting(self) -> list[Question]:
        waiting, self._waiting = self._waiting, []
        return waiting


class SimulatedPeers:
    """All links of a node."""

    def __init__(self, node: NodeLife) -> None:
        self._node = node
        self.links: dict[str, PeerLink] = {}

    def add(self, peer: str, address: str) -> None:
        """Dial `peer` at `address` from now on."""
        if peer in self.links:
            self.links.pop(peer).close()
        link = self.links[peer] = PeerLink(self._node, peer, address)
        link.dial()

    def carry(self, effect: Send) -> None:
        """Send, or post SendFailed: for want of a link, or of an address."""
        link = self.links.get(effect.peer)
        if link is None:
            self._node.post(SendFailed(effect.peer, effect.message.rid))  # type: ignore[union-attr]
        else:
            link.send(effect.message)  # type: ignore[arg-type]

    def all_up(self) -> bool:
        return all(link.up for link in self.links.values())

    def status(self) -> dict[str, dict[str, int | str]]:
        return {peer: link.status() for peer, link in self.links.items()}

    def close(self) -> None:
        for link in self.links.values():
            link.close()
