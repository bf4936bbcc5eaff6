"""Gossip: every second with a random peer, and immediately with all when there is news
(section 4.8.1). What travels is the whole membership; it is small, and merging it in any
order gives the same."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from dynamesis.cluster.core.membership.changes import Requests, closed, known
from dynamesis.cluster.core.membership.membership import Membership
from dynamesis.cluster.core.protocol import messages
from dynamesis.cluster.core.protocol.events import Write
from dynamesis.cluster.core.protocol.messages import Answer, Change, GossipReply, Layout, Refusal
from dynamesis.cluster.core.protocol.storage_reader import Damaged, Reader
from dynamesis.cluster.core.runtime.rng import Rng
from dynamesis.cluster.core.runtime.runtime import Failure, Runtime

_ROW = b"membership"


class _LayoutRow(msgspec.Struct, array_like=True):
    layout: Layout | None
    requests: dict[str, Change]


class GossipExchange:
    """Keeps one node's membership in step with the others, and on disk."""

    def __init__(
        self,
        node: str,
        runtime: Runtime,
        store: Reader,
        membership: Membership,
        seeds: tuple[str, ...],
        interval: float,
        timeout: float,
        entropy: int,
        *,
        on_news: Callable[[], None],
    ) -> None:
        """`on_news` is called after each change of the membership, before it is stored and
        passed on. `interval` and `timeout` in seconds; `entropy` seeds the choice of peers."""
        self._node = node
        self._runtime = runtime
        self._store = store
        self._membership = membership
        self._seeds = seeds
        self._interval = interval
        self._timeout = timeout
        self._rng = Rng(entropy)
        self._recovered = False
        self._saving = 0
        self.on_news = on_news

    def recover(self) -> None:
        """What an earlier life knew; if that is damaged, the others have it. Raises
        ReadFailed."""
        try:
            raw = self._store.get("meta", _ROW)
        except Damaged as e:
            self._runtime.emit("row-damaged", table="meta", reason=str(e))
            raw = None
        if raw is not None:
            row = msgspec.msgpack.decode(raw, type=_LayoutRow)
            self._membership.adopt(row.layout, row.requests)
        self._recovered = True

    def start(self) -> None:
        self._runtime.every(self._interval, self._round)

    def audience(self) -> list[str]:
        """The nodes that this node gossips with: the seeds, all that take part, want to,
        or have gone and may not know it. One that was closed asks, if it comes back."""
        people = dict.fromkeys(self._seeds)
        if self._membership.layout is not None:
            people.update(dict.fromkeys(known(self._membership.layout)))
        people.update(dict.fromkeys(c.node for c in self._membership.requests.values()))
        return sorted({*people} - closed(self._membership.requests) - {self._node})

    def answer(self, asked: messages.Gossip) -> GossipReply | Refusal:
        """Merge the membership of a peer, and answer with this node's. It is refused as long
        as the own one could not be read; what is not durable yet is sent once it is."""
        if self._recovered:
            self._learn(asked.layout, asked.requests)
        if not self._recovered or self._saving:
            return Refusal(asked.rid, "not-ready", f"{self._node} is starting, or storing this")
        return GossipReply(asked.rid, self._membership.layout, self._membership.requests)

    def _round(self) -> None:
        audience = self.audience()
        if audience and not self._saving:
            self._exchange_with(self._rng.choice(audience))

    def _exchange_with(self, peer: str) -> None:
        self.ask(peer, lambda answer: None)

    def ask(self, peer: str, done: Callable[[Answer | Failure], None]) -> None:
        """Send `peer` what is known here, learn what it knows, then done(answer)."""
        m = self._membership

        def received(answer: Answer | Failure) -> None:
            if isinstance(answer, GossipReply):
                self._learn(answer.layout, answer.requests)
            done(answer)

        self._runtime.call(
            peer, lambda rid: messages.Gossip(rid, m.layout, m.requests), self._timeout, received
        )

    def _learn(self, layout: Layout | None, requests: Requests) -> None:
        self._membership.informed |= layout is not None
        self._membership.adopt(layout, requests)

    def changed(self) -> None:
        """News: act on it, keep it, and once it is durable pass it on."""
        m = self._membership
        self.on_news()
        row = msgspec.msgpack.encode(_LayoutRow(m.layout, m.requests))
        self._saving += 1
        self._runtime.persist((Write("meta", _ROW, row),), self._kept)

    def _kept(self, reason: str | None) -> None:
        self._saving -= 1
        if reason is not None:
            self._runtime.emit("storage-error", table="meta", reason=reason)
        if self._saving:
            return
        for peer in self.audience():
            self._exchange_with(peer)
