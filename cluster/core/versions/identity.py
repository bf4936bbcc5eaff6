"""The actors that name versions: they are (node, incarnation, epoch), and no dot ever names two.

A record's clock claims every event of its actor up to n. So an actor may be carried on
only by the node that holds the newest record of it, and no other may use its name. From the
outside in, this is what makes sure of that:

- *A lost record.* Every record is begun under a fresh epoch. Epochs are leased in
  blocks; a block is durable before any epoch of it is used, and what a crash leaves
  unused is skipped. Nothing else leaves a node before it is durable here, so after a kill the
  disk knows every dot that any other node may know, and old actors are carried on. That
  keeps clocks as short as before the kill.
- *A record that a crash set back*, because it was acknowledged from memory (section 6.1),
  or that could not be stored, is not stamped on under its old epoch.
- *A wiped disk*, or one whose row of the identity is damaged, proves nothing. It gets a new
  incarnation, drawn at random: actors of two incarnations never meet, whatever their
  epochs.
- *An old copy of the disk, or a clone.* No rule on the disk itself can distinguish a copy from
  the original; the shell can (`Started.intact`: the very files that the last life of this
  node wrote, and that no other process has open). Unless it vouches for them, a new
  incarnation begins before the first write. This needs no peer, so a node that is alone
  stays writable. Copies share a node id but never an actor.
- *A rollback below the files*, such as a virtual machine set back to a snapshot, deceives
  the shell. Peers remember how many lives of an incarnation they have met and send it
  back in every Pong, the first of them as soon as a link is up; and every incoming clock
  and context is looked at. A node that learns of a later life, or of an epoch that was not
  leased here, proves that this disk is behind: a new incarnation begins immediately.

What is left is a rollback below the files together with writes before any peer has
answered; no node that is always writable could notice that in time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b

import msgspec
from dynamesis.cluster.core.protocol.events import Write
from dynamesis.cluster.core.protocol.messages import Entry, Life
from dynamesis.cluster.core.protocol.storage_reader import Damaged, Reader
from dynamesis.cluster.core.runtime.runtime import Runtime

_ROW = b"identity"
_BLOCK = 1024


class _IdentityRow(msgspec.Struct, array_like=True):
    incarnation: int
    leased: int
    stale: int = 0
    buffered: bool = False
    lives: int = 0


class Identity:
    """Hands out actor names for one node."""

    def __init__(
        self, node: str, runtime: Runtime, store: Reader, entropy: int, buffered: bool
    ) -> None:
        """`buffered`: writes of this life may be acknowledged before they are durable."""
        self.node = node
        self.runtime = runtime
        self._store = store
        self._entropy = entropy
        self._drawn = 0
        self.row = _IdentityRow(self._draw(), 0, buffered=buffered)
        self._next = 0
        #: an incarnation, and what its actors' names begin with
        self._named = (-1, "")
        self._renewing = False
        self._met: dict[tuple[str, int], int] = {}

    def _draw(self) -> int:
        """A number that no other life of any node has, nor this one before."""
        self._drawn += 1
        seed = f"{self.node} {self._entropy} {self._drawn}".encode()
        return int.from_bytes(blake2b(seed, digest_size=6).digest(), "big")

    def recover(self, intact: bool, ready: Callable[[], None]) -> None:
        """Continue from what an earlier life left behind, if it is `intact`; lease a first
        block, then ready(). Raises ReadFailed."""
        try:
            raw = self._store.get("meta", _ROW)
        except Damaged as e:
            self.runtime.emit("row-damaged", table="meta", reason=str(e))
            raw = None
        if raw is not None and intact:
            row = msgspec.msgpack.decode(raw, type=_IdentityRow)
            stale = row.leased if row.buffered else row.stale
            self.row = _IdentityRow(
                row.incarnation, row.leased, stale, self.row.buffered, row.lives
            )
            self._next = row.leased
        elif raw is not None:
            self.runtime.emit("new-incarnation", reason="the storage may be an old copy")
        self.row.lives += 1
        self.renew(ready)

    def usable(self, actor: str) -> bool:
        """Whether a record may still be stamped under `actor`, which this node gave it."""
        incarnation, prefix = self._named
        row = self.row
        if incarnation != row.incarnation:
            prefix = self._prefix
        if not actor.startswith(prefix):
            return False
        return not row.stale or int(actor[len(prefix) :], 16) > row.stale

    def distrust(self) -> None:
        """A write failed: it is unknown what is stored. Give up all epochs handed out."""
        self.row.stale = self._next

    def new_actor(self) -> str | None:
        """An actor that was never used; None while the lease is being renewed."""
        if self._next >= self.row.leased:
            return None
        self._next += 1
        if self.row.leased - self._next < _BLOCK // 2 and not self._renewing:
            self.renew(lambda: None)
        return self.actor(self._next)

    def actor(self, epoch: int) -> str:
        return f"{self._prefix}{epoch:x}"

    @property
    def _prefix(self) -> str:
        incarnation, prefix = self._named
        if incarnation != self.row.incarnation:
            incarnation = self.row.incarnation
            prefix = f"{self.node}:{incarnation:x}:"
            self._named = incarnation, prefix
        return prefix

    def renew(self, then: Callable[[], None]) -> None:
        """Lease another block of epochs, then()."""
        self._renewing = True
        row = msgspec.structs.replace(self.row, leased=self.row.leased + _BLOCK)

        def stored(reason: str | None) -> None:
            self._renewing = False
            if row.incarnation != self.row.incarnation:
                self.renew(then)
            elif reason is None:
                self.row.leased = row.leased
                then()
            else:
                self.runtime.emit("lease-failed", reason=reason)
                self.runtime.after(1.0, lambda: self.renew(then))

        self.runtime.persist((Write("meta", _ROW, msgspec.msgpack.encode(row)),), stored)

    # ---- is this disk behind?

    @property
    def life(self) -> Life:
        """This life, as peers receive and remember it."""
        return Life(self.row.incarnation, self.row.lives)

    def met(self, node: str, life: Life) -> Life:
        """Remember the life of another node; what to answer it: the latest life of its
        incarnation that was met here."""
        name = node, life.incarnation
        self._met[name] = max(life.lives, self._met.get(name, 0))
        return Life(life.incarnation, self._met[name])

    def learn(self, latest: Life) -> None:
        """`latest`: the latest life of this node that a peer has met."""
        if latest.incarnation == self.row.incarnation and latest.lives > self.row.lives:
            self._begin_anew(f"a peer has met life {latest.lives}, this is {self.row.lives}")

    def look_at(self, clock: Mapping[str, Entry]) -> None:
        """See whether a clock from elsewhere knows an epoch that was not leased here."""
        if not clock:
            return
        incarnation, prefix = self._named
        if incarnation != self.row.incarnation:
            prefix = self._prefix
        for actor in clock:
            if actor.startswith(prefix) and int(actor[len(prefix) :], 16) > self.row.leased:
                self._begin_anew(f"another node knows {actor}, leased here is {self.row.leased:x}")
                return

    def _begin_anew(self, reason: str) -> None:
        self.runtime.emit("new-incarnation", reason=reason)
        self.row = _IdentityRow(self._draw(), 0, 0, self.row.buffered, 1)
        self._next = 0
        if not self._renewing:
            self.renew(lambda: None)
