"""The version schemes: clocks, and the reconciliation of concurrent versions.

Two choices, each an object. The clock (Params.clock) is a module: dotted version vectors,
or the paper's plain vectors. What becomes of concurrent versions is decided by bucket, the
part of a key before its first "/": they stay siblings, or, in a bucket of
Params.lww_buckets, the last writer wins and the others are lost.

Last writer means the greatest (time, actor, event). Three rules make replicas agree on it
whatever they receive in whatever order. The winner's clock covers all that it beat, because
a loser is dropped and stays known. A version is dated after everything known to the node that
stamps it, be the wall clock as wrong as it likes; so a version is never older than one
that it supersedes. And the latest time known is part of the clock (the entry "@"), so
that a context carries it to a node that has not seen the version. Without the second and
third, two replicas could each drop what the other one kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec
from dynamesis.cluster.core.protocol.messages import Dot, Entry, Key, State, Version
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.versions import clock, vector

_LATEST = "@"


class Clock(Protocol):
    """What cluster.core.versions.clock offers, and cluster.core.versions.vector too."""

    def sync(self, a: State, b: State) -> State: ...
    def next_event(self, state: State, actor: str) -> int: ...
    def update(
        self, context: State, version: Version, state: State, actor: str, event: int
    ) -> State: ...
    def context_of(self, state: State) -> State: ...
    def with_dot(self, context: State, actor: str, event: int, at: int = 0) -> State: ...
    def covers(self, state: State, context: State, actor: str) -> bool: ...


class Reconcile(Protocol):
    def date(self, version: Version, context: State, state: State, wall: int) -> Version:
        """`version` as it is to be stamped; `wall` in ms."""

    def settle(self, state: State) -> State:
        """`state` without the versions that lost."""

    def cover(self, context: State, version: Version) -> State:
        """`context`, the dot of `version` included, as the put's answer hands it out."""


class Siblings:
    """Concurrent versions stay; the application merges them."""

    def date(self, version: Version, context: State, state: State, wall: int) -> Version:
        return version

    def settle(self, state: State) -> State:
        return state

    def cover(self, context: State, version: Version) -> State:
        return context


class Dated(Siblings):
    """Siblings that carry the time of their stamp, for clocks that are cut by age."""

    def date(self, version: Version, context: State, state: State, wall: int) -> Version:
        return msgspec.structs.replace(version, at=wall)


class LastWriteWins:
    """One version stays; concurrent ones that were acknowledged are lost."""

    def date(self, version: Version, context: State, state: State, wall: int) -> Version:
        known = max(self.latest(context), self.latest(state))
        return msgspec.structs.replace(version, at=max(wall, known + 1))

    def settle(self, state: State) -> State:
        dots = [
            (version.at, actor, event)
            for actor, entry in state.items()
            for event, version in entry.values
        ]
        if not dots:
            return state
        at, winner, event = max(dots)
        kept = {actor: self._only(entry, actor == winner, event) for actor, entry in state.items()}
        return {**kept, _LATEST: Entry(max(at, self.latest(state)))}

    def cover(self, context: State, version: Version) -> State:
        return {**context, _LATEST: Entry(version.at)}

    def latest(self, context: State) -> int:
        """The latest time that a clock knows of, in ms."""
        return context[_LATEST].n if _LATEST in context else 0

    def _only(self, entry: Entry, wins: bool, event: int) -> Entry:
        values = tuple(pair for pair in entry.values if wins and pair[0] == event)
        return entry if values == entry.values else Entry(entry.n, values, entry.extra)


@dataclass(frozen=True)
class Versioning:
    """The choices of one cluster: `lww` in the buckets `lww_buckets`, else `default`."""

    clock: Clock
    default: Reconcile
    lww: LastWriteWins
    lww_buckets: frozenset[bytes]

    def of(self, key: Key) -> Reconcile:
        """What becomes of concurrent versions of `key`."""
        if not self.lww_buckets:
            return self.default
        bucket, slash, _ = key.partition(b"/")
        return self.lww if slash and bucket in self.lww_buckets else self.default

    def timestamp(self, covers: State) -> int | None:
        """The time, in ms, of the version whose put's answer covers this; None where no last
        writer wins."""
        return covers[_LATEST].n if _LATEST in covers else None

    def dot(self, covers: State, context: State) -> Dot | None:
        """The name of the version that was put with this context and whose answer covers that;
        None where names are not for ever (plain vectors, which are cut)."""
        if self.clock is not clock:
            return None
        for actor, entry in covers.items():
            event = clock.newest(entry, context.get(actor))
            if event and actor != _LATEST:
                return clock.dot(actor, event)
        return None


def versioning(params: Params) -> Versioning:
    """What `params` choose."""
    buckets = frozenset(name.encode() for name in params.lww_buckets)
    if params.clock == "vector":
        return Versioning(vector, Dated(), LastWriteWins(), buckets)
    return Versioning(clock, Siblings(), LastWriteWins(), buckets)
