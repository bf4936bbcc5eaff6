"""A hash tree over the keys of one partition (section 4.7).

Two levels below the root: 32 branches of 32 leaves. A leaf is the exclusive or of one
hash a key over the key and its record's hash (dots and values), so that a write updates
it in place, whatever else the leaf holds, and order never matters.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b, md5

from dynamesis.cluster.core.protocol.messages import Key

WIDTH = 32
LEAVES = WIDTH * WIDTH
#: the leaves of a branch that has none, and the branches of a tree that has none
_EMPTY = bytes(8 * WIDTH)
#: a hash of nothing yet, to be copied: that takes half of what making one does
_FRESH = blake2b(digest_size=8)


@lru_cache(maxsize=2048)  # a write asks several times for the leaf of one key
def leaf_of(key: Key) -> int:
    """The leaf of `key`: from the low bits of its MD5; the high ones chose the partition."""
    tail = md5(key, usedforsecurity=False).digest()[-2:]
    return int.from_bytes(tail, "big") % LEAVES


@lru_cache(maxsize=8192)  # what a record adds to its leaf is taken away when it is replaced
def item_hash(key: Key, record_hash: int) -> int:
    """What one key adds to its leaf, 64 bits."""
    return _hash(key + record_hash.to_bytes(8, "big"))


def _hash(data: bytes) -> int:
    """A hash of 64 bits."""
    fresh = _FRESH.copy()
    fresh.update(data)
    return int.from_bytes(fresh.digest(), "big")


class Tree:
    """The tree of one partition; branch hashes and the root are made when asked for, and kept
    until a leaf below them changes."""

    def __init__(self, leaves: array[int] | None = None) -> None:
        self._leaves = leaves or array("Q", bytes(8 * LEAVES))
        self._branches = [0] * WIDTH
        self._root: int | None = None if leaves else 0
        #: branches that a leaf has changed below
        self._stale = dict.fromkeys(range(WIDTH)) if leaves else {}

    def dump(self) -> bytes:
        """The leaves, as array("Q", dump) takes them on the same machine."""
        return self._leaves.tobytes()

    def change(self, key: Key, old: int | None, new: int | None) -> None:
        """The hash of key's record went from `old` to `new` (None: no record)."""
        changed = 0
        if old is not None:
            changed = item_hash(key, old)
        if new is not None:
            changed ^= item_hash(key, new)
        self.toggle(leaf_of(key), changed)

    def toggle(self, leaf: int, changed: int) -> None:
        """Add to a leaf what is not in it of `changed`, take away what is."""
        self._leaves[leaf] ^= changed
        self._stale[leaf // WIDTH] = None
        self._root = None

    def recount(self, leaf: int, items: Iterable[tuple[Key, int]]) -> None:
        """Make a leaf anew from its (key, record hash) pairs."""
        self._leaves[leaf] = 0
        for key, record_hash in items:
            self._leaves[leaf] ^= item_hash(key, record_hash)
        self._changed(leaf)

    def _changed(self, leaf: int) -> None:
        self._stale[leaf // WIDTH] = None
        self._root = None

    def branches(self) -> list[int]:
        """The 32 branch hashes."""
        for i in self._stale:
            self._branches[i] = self._fold(i)
        self._stale = {}
        return list(self._branches)

    def _fold(self, branch: int) -> int:
        raw = self._leaves[branch * WIDTH : (branch + 1) * WIDTH].tobytes()
        return 0 if raw == _EMPTY else _hash(raw)

    def root(self) -> int:
        """One hash for the whole partition; 0 for an empty one."""
        if self._root is None:
            self._root = self._fold_all()
        return self._root

    def _fold_all(self) -> int:
        raw = array("Q", self.branches()).tobytes()
        if raw == _EMPTY:
            return 0
        return _hash(raw)

    def leaves(self, branch: int) -> dict[int, int]:
        """leaf number -> hash, for the leaves under `branch`."""
        first = branch * WIDTH
        return {leaf: self._leaves[leaf] for leaf in range(first, first + WIDTH)}
