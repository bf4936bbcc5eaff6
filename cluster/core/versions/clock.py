"""Dotted version vectors: which versions of a key are siblings, and what a context covers.

A version is named by a dot, (actor, event). A state knows, for each actor, all events
up to n (and perhaps single ones above it) and holds the versions among them that are
current. A version that is known and not held has been superseded. From this follow the
two operations of Preguica et al., "Dotted version vectors" (2012):

- sync: keep what both hold, and what one holds and the other has never known;
- update: drop what the writer's context covers, add the new version under a new dot.

Unlike the compact set of that paper, where an actor's standing versions are always its
newest ones, the dots are written out. The reason is the context that a put's answer
hands out: it covers the put's own dot and what its basis covered, but not a concurrent
version that the same actor assigned just before. Such a context has a hole, and so has
the state that a put with it leaves behind. A vector alone would have to cover too much
(and lose the concurrent version) or too little (and keep the writer's own older one).
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from dynamesis.cluster.core.protocol.messages import Dot, Entry, State, Version

#: actor -> Entry without values: what a reader has seen.
Context = Mapping[str, Entry]

_NOTHING = Entry(0)
#: of an empty state, to be copied: that takes half of what making one does
_EMPTY = blake2b(digest_size=8)
#: bytes from which a state is hashed piece by piece, and not copied for it
_LARGE = 4096


def knows(entry: Entry, event: int) -> bool:
    """True when `event` of the entry's actor is known to it."""
    return event <= entry.n or event in entry.extra


def newest(entry: Entry, known: Entry | None) -> int:
    """The last event of an entry's actor that `known` does not know; 0 without any."""
    known = known or _NOTHING
    if not entry.extra and not known.extra:
        return entry.n if entry.n > known.n else 0
    events = (*range(known.n + 1, entry.n + 1), *entry.extra)
    return max((event for event in events if not knows(known, event)), default=0)


def sync(a: State, b: State) -> State:
    """The merge of two states of one key: commutative, associative, idempotent."""
    if not b or a == b:
        return a
    if not a:
        return b
    merged = dict(a)
    for actor, theirs in b.items():
        ours = merged.get(actor)
        merged[actor] = theirs if ours is None else _sync_entry(ours, theirs)
    return merged


def _sync_entry(a: Entry, b: Entry) -> Entry:
    if follows(a, b):
        return b
    if follows(b, a):
        return a
    return merge_entries(a, b)


def follows(a: Entry, b: Entry) -> bool:
    """The usual case of a merge, seen at a glance: all that `b` holds was stamped after all
    that `a` knows, and `b` knows that too. Then the merge of the two is `b`."""
    if a.extra or b.extra or a.n > b.n:
        return False
    newer = b.n + 1
    for event, _ in b.values:
        if not a.n < event < newer:
            return False
        newer = event
    return True


def merge_entries(a: Entry, b: Entry) -> Entry:
    """The merge of what two states know and hold of one actor."""
    if a == b:
        return a
    b_holds = dict(b.values)
    a_holds = dict(a.values)
    kept = [(e, v) for e, v in a.values if e in b_holds or not knows(b, e)]
    kept += [(e, v) for e, v in b.values if e not in a_holds and not knows(a, e)]
    kept.sort(key=lambda pair: -pair[0])
    return _entry(max(a.n, b.n), (*a.extra, *b.extra), tuple(kept))


def _entry(n: int, extra: tuple[int, ...], values: tuple[tuple[int, Version], ...] = ()) -> Entry:
    """An entry in its one canonical form: n as high, extra as short as they can be."""
    rest = []
    for event in sorted(dict.fromkeys(extra)):
        if event == n + 1:
            n = event
        elif event > n:
            rest.append(event)
    return Entry(n, values, tuple(rest))


def seen(context: Context) -> State:
    """The state that knows what `context` covers and holds nothing."""
    return {actor: Entry(e.n, (), e.extra) if e.values else e for actor, e in context.items()}


def next_event(state: State, actor: str) -> int:
    """The event that `actor`, whose record `state` is, has not used yet."""
    return state.get(actor, _NOTHING).n + 1


def update(context: Context, version: Version, state: State, actor: str, event: int) -> State:
    """The state after a put: what the context covers is gone, `version` is at the dot
    (actor, event)."""
    after = replaced(context, state)
    if after is None or after.get(actor, _NOTHING).n != event - 1:
        return merged_update(context, version, state, actor, event)
    after[actor] = Entry(event, ((event, version),))
    return after


def replaced(context: Context, state: State) -> State | None:
    """The usual case of a put: where the context covers all of `state`, and neither has events
    out of order, what both know, as a new dictionary. None otherwise."""
    after: State = {}
    for actor, entry in context.items():
        if entry.extra:
            return None
        after[actor] = Entry(entry.n) if entry.values else entry
    for actor, entry in state.items():
        seen = after.get(actor)
        if entry.extra:
            return None
        if seen is None:
            if entry.values:
                return None
            after[actor] = entry
        elif seen.n < entry.n:
            return None
    return after


def merged_update(
    context: Context, version: Version, state: State, actor: str, event: int
) -> State:
    """`update`, whatever the context covers."""
    after = dict(sync(seen(context), state))
    entry = after.get(actor, _NOTHING)
    others = tuple(pair for pair in entry.values if pair[0] != event)
    after[actor] = _entry(entry.n, (*entry.extra, event), ((event, version), *others))
    return after


def context_of(state: State) -> State:
    """What a reader that was shown `state` has seen."""
    return seen(state)


def with_dot(context: Context, actor: str, event: int, at: int = 0) -> State:
    """`context` and one dot more: what the answer to a put covers. (`at` is for clocks that
    know the time.)"""
    entry = context.get(actor, _NOTHING)
    if event == entry.n + 1 and not entry.extra:
        if len(context) == 1 and entry is not _NOTHING:
            return {actor: Entry(event)}
        return {**seen(context), actor: Entry(event)}
    return {**seen(context), actor: _entry(entry.n, (*entry.extra, event))}


def covers(state: Context, context: Context, actor: str) -> bool:
    """True when `state` knows every event of `actor` that `context` knows."""
    theirs = context.get(actor)
    if theirs is None:
        return True
    ours = state.get(actor, _NOTHING)
    if not theirs.extra:
        return theirs.n <= ours.n
    return max(theirs.n, *theirs.extra) <= ours.n


def versions(state: State) -> tuple[Version, ...]:
    """The siblings, in an order that all replicas share."""
    order = sorted(state) if len(state) > 1 else state
    return tuple([version for actor in order for _, version in state[actor].values])


def dot(actor: str, event: int) -> Dot:
    return f"{actor}:{event}"  # type: ignore[return-value]


def dots(state: State) -> list[Dot]:
    """The names of the siblings, in the order of `versions`."""
    if len(state) == 1:
        ((actor, entry),) = state.items()
        if len(entry.values) == 1:
            return [f"{actor}:{entry.values[0][0]}"]  # type: ignore[list-item]
    names: list[Any] = []  # of type Dot: to say so for each would cost as much as to make it
    order = sorted(state) if len(state) > 1 else state
    for actor in order:
        for event, _ in state[actor].values:
            names.append(f"{actor}:{event}")
    return names


def digest(state: State) -> int:
    """A 64-bit hash over dots and values; equal states have equal hashes on every node."""
    if len(state) == 1:
        ((actor, entry),) = state.items()
        if len(entry.values) == 1 and not entry.extra:
            return _digest_of_one(actor, entry)
    parts = []
    for actor in sorted(state) if len(state) > 1 else state:
        entry = state[actor]
        parts.append(f"{actor} {entry.n} {entry.extra or '()'}\n".encode())
        for event, version in entry.values:
            value = version.value
            parts.append(f"{event} {version.deleted} {version.at} {len(value)}\n".encode())
            parts.append(value)
    h = _EMPTY.copy()
    if sum(map(len, parts)) < _LARGE:
        h.update(b"".join(parts))
    else:
        for part in parts:
            h.update(part)
    return int.from_bytes(h.digest(), "big")


def _digest_of_one(actor: str, entry: Entry) -> int:
    """`digest` of the usual state: one actor, one version."""
    ((event, version),) = entry.values
    value = version.value
    head = f"{actor} {entry.n} ()\n{event} {version.deleted} {version.at} {len(value)}\n"
    h = _EMPTY.copy()
    if len(value) < _LARGE:
        h.update(head.encode() + value)
    else:
        h.update(head.encode())
        h.update(value)
    return int.from_bytes(h.digest(), "big")
