"""Which keys were used: what the final reads must read, where a workload makes up keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dynamesis.checkers.history.op import Op


def keys_of(op: Op) -> Iterator[str]:
    """The keys of an operation: its own, and those of the micro-operations of a transaction."""
    if op.key is not None:
        yield op.key
    if op.f == "txn" and isinstance(op.value, list):
        yield from (str(mop[1]) for mop in op.value if isinstance(mop, list) and len(mop) == 3)


class UsedKeys:
    """Collects the keys of what clients invoke: a listener of the recorder."""

    def __init__(self) -> None:
        self._keys: dict[str, None] = {}

    def observe(self, event: Op) -> None:
        """Take in one event of the history."""
        if event.type != "invoke" or not isinstance(event.process, int):
            return
        if event.f == "txn":
            self.add(keys_of(event))
        elif event.key is not None:
            self._keys[event.key] = None

    def add(self, keys: Iterable[str]) -> None:
        """Take in keys that were used elsewhere."""
        self._keys.update(dict.fromkeys(keys))

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys so far, in the order in which they were first used."""
        return tuple(self._keys)
