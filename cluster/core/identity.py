"""Who names versions: actors are (node, incarnation, epoch), and no epoch is used twice.

A dot must never name two versions. A record that was lost and begun again would count
its dots from 1 a second time, so every record is begun under a fresh epoch. Epochs are
leased in blocks, and a block is durable before any epoch of it is used; what a crash
leaves unused is skipped. A node whose disk is empty, or whose row here is damaged, cannot
know what it used before, so it draws a new incarnation. Records that a crash may have set
back (they were acknowledged from memory), or that could not be stored, are not stamped
on under their old epochs: the dots that follow may be in use elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from .events import Write
from .kernel import Kernel
from .store import Damaged, Reader

_ROW = b"identity"
_BLOCK = 1024


class _Row(msgspec.Struct, array_like=True):
    incarnation: int
    leased: int
    stale: int = 0
    buffered: bool = False


class Identity:
    """Hands out actor names for one node."""

    def __init__(
        self, node: str, kernel: Kernel, store: Reader, entropy: int, buffered: bool = False
    ) -> None:
        """`buffered`: writes of this life may be acknowledged before they are durable."""
        self.node = node
        self._kernel = kernel
        self._store = store
        self._incarnation = entropy & 0xFFFFFFFF
        self._next = 0
        self._leased = 0
        self._stale = 0
        self._buffered = buffered
        self._renewing = False

    def recover(self, ready: Callable[[], None]) -> None:
        """Read what an earlier life left behind, lease a first block, then ready(). Raises
        ReadFailed."""
        try:
            raw = self._store.get("meta", _ROW)
        except Damaged as e:
            self._kernel.emit("row-damaged", table="meta", reason=str(e))
            raw = None
        if raw is not None:
            row = msgspec.msgpack.decode(raw, type=_Row)
            self._incarnation = row.incarnation
            self._next = self._leased = row.leased
            self._stale = row.leased if row.buffered else row.stale
        self._renew(ready)

    def usable(self, actor: str) -> bool:
        """Whether a record may still be stamped under `actor`, which this node gave it."""
        node, incarnation, epoch = actor.rsplit(":", 2)
        mine = node == self.node and int(incarnation, 16) == self._incarnation
        return mine and int(epoch, 16) > self._stale

    def distrust(self) -> None:
        """A write failed: nobody knows what is stored. Give up all epochs handed out."""
        self._stale = self._next

    def new_actor(self) -> str | None:
        """An actor that nobody has used; None while the lease is being renewed."""
        if self._next >= self._leased:
            return None
        self._next += 1
        if self._leased - self._next < _BLOCK // 2 and not self._renewing:
            self._renew(lambda: None)
        return self.actor(self._next)

    def actor(self, epoch: int) -> str:
        return f"{self.node}:{self._incarnation:x}:{epoch:x}"

    def _renew(self, then: Callable[[], None]) -> None:
        self._renewing = True
        bound = self._leased + _BLOCK

        def stored(reason: str | None) -> None:
            self._renewing = False
            if reason is None:
                self._leased = bound
                then()
            else:
                self._kernel.emit("lease-failed", reason=reason)
                self._kernel.after(1.0, lambda: self._renew(then))

        row = msgspec.msgpack.encode(_Row(self._incarnation, bound, self._stale, self._buffered))
        self._kernel.persist((Write("meta", _ROW, row),), stored)
