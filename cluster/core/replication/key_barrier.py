"""Detects that nothing happens to a key.

States of a key live in records, in hints, in requests that are under way, and in messages
between nodes. A barrier around a key is unbroken as long as its record and hints do not
change here and no request for it begins. A node that sets one, then has an answer of every
peer on its own link, and finds the barrier unbroken, knows that no message about the key
that it ever sent is still under way: links deliver in order.
"""

from __future__ import annotations

from dynamesis.cluster.core.protocol.messages import Key


class KeyBarriers:
    """The barriers of one node, and the keys that something is under way for."""

    def __init__(self) -> None:
        #: key -> how much is under way for it
        self.under_way: dict[bytes, int] = {}
        #: key -> the name of its barrier
        self.names: dict[bytes, str] = {}

    def enter(self, key: Key) -> None:
        """Something that holds states of `key` in memory begins."""
        self.under_way[key] = self.under_way.get(key, 0) + 1
        if self.names:
            self.names.pop(key, None)

    def leave(self, key: Key) -> None:
        """It has ended, and will send nothing any more."""
        left = self.under_way[key] - 1
        if left:
            self.under_way[key] = left
        else:
            del self.under_way[key]

    def __len__(self) -> int:
        """How many keys something is under way for."""
        return len(self.under_way)

    def busy(self, key: Key) -> bool:
        return key in self.under_way

    def set(self, key: Key, name: str) -> None:
        self.names[key] = name

    def unbroken(self, key: Key, name: str) -> bool:
        """Whether the barrier of that name is set, and nothing has happened to `key` since."""
        return self.names.get(key) == name

    @property
    def any_set(self) -> bool:
        """Whether there is any barrier that could fall."""
        return bool(self.names)

    def fall(self, key: Key) -> None:
        if self.names:
            self.names.pop(key, None)

    def clear(self, author: str) -> None:
        """Take down what `author` had set earlier; names are "author round"."""
        old = [k for k, name in self.names.items() if name.partition(" ")[0] == author]
        for key in old:
            del self.names[key]
