"""Gossip: every second with a random peer, and at once with all when there is news
(section 4.8.1). What travels is the whole membership; it is small, and merging it in any
order gives the same."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from . import messages
from .dice import Dice
from .events import Write
from .kernel import Failure, Kernel
from .membership import Membership, known
from .messages import Answer, Change, GossipReply, Layout
from .store import Damaged, Reader

_ROW = b"membership"


class _Row(msgspec.Struct, array_like=True):
    layout: Layout | None
    requests: dict[str, Change]


class Gossip:
    """Keeps one node's membership in step with the others, and on disk."""

    def __init__(
        self,
        node: str,
        kernel: Kernel,
        store: Reader,
        membership: Membership,
        seeds: tuple[str, ...],
        interval: float,
        timeout: float,
        entropy: int,
    ) -> None:
        self._node = node
        self._kernel = kernel
        self._store = store
        self._membership = membership
        self._seeds = seeds
        self._interval = interval
        self._timeout = timeout
        self._dice = Dice(entropy)
        self.on_news: Callable[[], None] = lambda: None
        membership.on_change = self._changed

    def recover(self) -> None:
        """What an earlier life knew; if that is damaged, the others will tell. Raises
        ReadFailed."""
        try:
            raw = self._store.get("meta", _ROW)
        except Damaged as e:
            self._kernel.emit("row-damaged", table="meta", reason=str(e))
            raw = None
        if raw is not None:
            row = msgspec.msgpack.decode(raw, type=_Row)
            self._membership.adopt(row.layout, row.requests)

    def start(self) -> None:
        self._kernel.every(self._interval, self._round)

    def audience(self) -> list[str]:
        """Whom this node gossips with: all who take part, who wants to, and the seeds."""
        people = dict.fromkeys(self._seeds)
        if self._membership.layout is not None:
            people.update(dict.fromkeys(known(self._membership.layout)))
        people.update(dict.fromkeys(c.node for c in self._membership.requests.values()))
        people.pop(self._node, None)
        return sorted(people)

    def heard(self, asked: messages.Gossip) -> GossipReply:
        """Somebody told us what they know."""
        self._membership.informed = True
        self._membership.adopt(asked.layout, asked.requests)
        return GossipReply(asked.rid, self._membership.layout, self._membership.requests)

    def _round(self) -> None:
        audience = self.audience()
        if audience:
            self._tell(self._dice.choice(audience))

    def _tell(self, peer: str) -> None:
        m = self._membership
        self._kernel.call(
            peer,
            lambda rid: messages.Gossip(rid, m.layout, m.requests),
            self._timeout,
            self._told,
        )

    def _told(self, answer: Answer | Failure) -> None:
        if isinstance(answer, GossipReply):
            self._membership.informed = True
            self._membership.adopt(answer.layout, answer.requests)

    def _changed(self) -> None:
        """News: act on it, keep it, and once it is durable pass it on."""
        m = self._membership
        self.on_news()
        row = msgspec.msgpack.encode(_Row(m.layout, m.requests))
        self._kernel.persist((Write("meta", _ROW, row),), self._kept)

    def _kept(self, reason: str | None) -> None:
        if reason is not None:
            self._kernel.emit("storage-error", table="meta", reason=reason)
        for peer in self.audience():
            self._tell(peer)
