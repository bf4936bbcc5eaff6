"""Failure detection, local to this node (section 4.8.3): which peers to ask now?

A peer is healthy while the link to it is up and it answers. Two time-outs in a row make
it suspect; any word from it, however late, clears it: slow is not dead. A peer whose answers come
late is given longer for a while (`patience`): to turn to a fallback each time, whose hint the peer
gets too in the end, would be more work for a peer that has too much already. Every peer is
probed all the time, so that no peer stays suspected and a silent cut is noticed without load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypedDict

from dynamesis.cluster.core.protocol.messages import Answer, Ping, Pong
from dynamesis.cluster.core.runtime.runtime import Failure, Runtime
from dynamesis.cluster.core.versions.identity import Identity

_SUSPECT_AFTER = 2
#: how much longer a peer is given that answers late, and for how many seconds after such an answer
_LONGER = 2.0
_SLOW_FOR = 5.0


class PeerStatus(TypedDict):
    """What a node's status has on a peer."""

    up: bool
    suspected: bool
    failures: int
    timeouts: int


@dataclass(slots=True)
class Peer:
    """What is known of one peer. `failures` counts links lost or refused, and messages
    that could not be sent; `timeouts` counts questions without an answer."""

    up: bool = False
    silent: int = 0
    failures: int = 0
    timeouts: int = 0
    slow_until: float = 0.0

    @property
    def suspected(self) -> bool:
        return self.silent >= _SUSPECT_AFTER

    @property
    def healthy(self) -> bool:
        return self.up and not self.suspected


class Detector:
    def __init__(
        self,
        runtime: Runtime,
        identity: Identity,
        interval: float,
        timeout: float,
        *,
        on_same_name: Callable[[str], None],
    ) -> None:
        """`on_same_name(peer)`: this peer meets two processes under the name of this node."""
        self._runtime = runtime
        self._identity = identity
        self._interval = interval
        self._timeout = timeout
        self.on_same_name = on_same_name
        self.peers: dict[str, Peer] = {}
        #: changes whenever a peer may be healthy that was not, or the other way round
        self.changes = 0
        #: until when some peer may be given longer
        self.slow_until = 0.0

    def start(self) -> None:
        self._runtime.every(self._interval, self._probe)

    def watch(self, peers: Iterable[str]) -> None:
        """Probe these from now on as well."""
        for peer in peers:
            if peer not in self.peers:
                self.peers[peer] = Peer()
                self.changes += 1

    def healthy(self, peer: str) -> bool:
        """True when it makes sense to ask `peer` (always true of this node itself)."""
        known = self.peers.get(peer)
        return known is None or (known.up and known.silent < _SUSPECT_AFTER)

    def is_up(self, peer: str) -> bool:
        """Whether the link to `peer` is up."""
        known = self.peers.get(peer)
        return known is not None and known.up

    def link_up(self, peer: str) -> None:
        self.watch([peer])
        self.peers[peer].up = True
        self.changes += 1
        self.contacted(peer)
        self._ping(peer)

    def link_down(self, peer: str, reason: str) -> None:
        self.watch([peer])
        known = self.peers[peer]
        if known.up:
            self._runtime.emit("link-down", peer=peer, reason=reason)
        known.up = False
        self.changes += 1
        known.failures += 1

    def late(self, peer: str) -> None:
        """`peer` answered a question that had been given up."""
        self.contacted(peer)
        self.slow_until = self._runtime.now + _SLOW_FOR
        self.peers[peer].slow_until = self.slow_until

    def slow(self, peer: str) -> bool:
        """Whether answers of `peer` came late of late."""
        known = self.peers.get(peer)
        return known is not None and known.slow_until > self._runtime.now

    def patience(self, peer: str) -> float:
        """How many times as long as usual to wait for an answer of `peer`."""
        return _LONGER if self.slow(peer) else 1.0

    def contacted(self, peer: str) -> None:
        """`peer` answered something."""
        known = self.peers.get(peer)
        if known is None:
            known = self.peers[peer] = Peer()
        elif not known.silent:
            return
        self.changes += 1
        if known.suspected:
            self._runtime.emit("peer-back", peer=peer)
        known.silent = 0

    def outcome(self, peer: str, failure: Failure | None) -> None:
        """A call to `peer` ended."""
        if failure is None:
            self.contacted(peer)
            return
        self.watch([peer])
        if failure == "timeout":
            self._timed_out(peer)
        else:
            self.peers[peer].failures += 1

    def _timed_out(self, peer: str) -> None:
        known = self.peers[peer]
        known.timeouts += 1
        known.silent += 1
        self.changes += 1
        if known.silent == _SUSPECT_AFTER:
            self._runtime.emit("peer-suspected", peer=peer)

    def _probe(self) -> None:
        for peer in self.peers:
            self._ping(peer)

    def _ping(self, peer: str) -> None:
        self.ping(peer, lambda outcome: None)

    def ping(self, peer: str, done: Callable[[Answer | Failure], None]) -> None:
        """Ask whether `peer` is there; done() with what came of it."""
        life = self._identity.life

        def ended(outcome: Answer | Failure) -> None:
            self._ponged(peer, outcome)
            done(outcome)

        self._runtime.call(peer, lambda rid: Ping(rid, life), self._timeout, ended)

    def _ponged(self, peer: str, answer: Answer | Failure) -> None:
        if isinstance(answer, Pong):
            self._identity.learn(answer.latest)
            if answer.same_name:
                self.on_same_name(peer)

    def status(self) -> dict[str, PeerStatus]:
        return {
            peer: {
                "up": known.up,
                "suspected": known.suspected,
                "failures": known.failures,
                "timeouts": known.timeouts,
            }
            for peer, known in self.peers.items()
        }
