"""Bugs of versioning: how a version is named, and what it replaces."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.events import Write
from dynamesis.cluster.core.protocol.messages import Entry, PutReply, State, Version
from dynamesis.cluster.core.requests.get import GetRequest
from dynamesis.cluster.core.requests.put import PutRequest
from dynamesis.cluster.core.storage.record_table import RecordTable
from dynamesis.cluster.core.versions import clock

_PAIRS = 10


def _tables(node: Node) -> tuple[RecordTable, RecordTable]:
    return node.objects, node.hints.records


# ---- stamping


def ctx_only_increment(node: Node) -> None:
    """Two blind puts at one node get one dot: the later replaces the earlier."""

    def apply(context: State, version: Version, state: State, actor: str, event: int) -> State:
        known = context.get(actor, Entry(0))
        return clock.update(context, version, state, actor, known.n + 1)

    for records in _tables(node):
        records.apply = apply  # type: ignore[method-assign]


def merged_clock_siblings(node: Node) -> None:
    """Without a dot of its own a sibling cannot be told from the others: a write whose
    context is behind any of them keeps all."""

    def apply(context: State, version: Version, state: State, actor: str, event: int) -> State:
        if all(clock.covers(context, state, known) for known in state):
            return clock.update(context, version, state, actor, event)
        return _keep(clock.update({}, version, state, actor, event), context)

    for records in _tables(node):
        records.apply = apply  # type: ignore[method-assign]


def _keep(state: State, context: State) -> State:
    """`state` with all its versions, knowing also what `context` does."""
    known = clock.sync(clock.seen(state), clock.seen(context))
    return {
        actor: Entry(entry.n, state[actor].values if actor in state else (), entry.extra)
        for actor, entry in known.items()
    }


def amnesia(node: Node) -> None:
    """A node has one name for all its versions: after a wipe it uses it from 1 on again."""
    _always(node, f"{node.params.node}:0:1")


def equal_actors(node: Node) -> None:
    """All nodes stamp as one actor."""
    _always(node, "v:0:1")


def _always(node: Node, name: str) -> None:
    node.identity.new_actor = lambda: name  # type: ignore[method-assign]
    node.identity.usable = lambda actor: actor == name  # type: ignore[method-assign]


def lazy_epoch(node: Node) -> None:
    """Epochs are used as soon as they are leased: the disk still says what it said before."""
    identity = node.identity

    def renew(then: Callable[[], None]) -> None:
        stored = msgspec.msgpack.encode(identity._row)
        identity._row.leased += 1024
        node.runtime.persist((Write("meta", b"identity", stored),), lambda reason: None)
        then()

    identity._renew = renew  # type: ignore[method-assign]


# ---- pruning


def _prune(state: State) -> State:
    """Without the actors, beyond ten, that have stamped least."""
    kept = sorted(state, key=lambda actor: (-state[actor].n, actor))[:_PAIRS]
    return {actor: entry for actor, entry in state.items() if actor in kept or entry.values}


def prune_clock(node: Node) -> None:
    """A put forgets the oldest of more than ten actors, and with them what they superseded."""
    for records in _tables(node):
        apply = records.apply

        def pruned(
            context: State,
            version: Version,
            state: State,
            actor: str,
            event: int,
            apply: object = apply,
        ) -> State:
            return _prune(apply(context, version, state, actor, event))  # type: ignore[operator]

        records.apply = pruned  # type: ignore[method-assign]


def prune_in_repair(node: Node) -> None:
    """Read repair prunes what it writes, so that replicas never come to agree."""
    combine = node.objects.combine

    def pruned(ours: State, incoming: State, why: str) -> State:
        merged = combine(ours, incoming, why)
        return _prune(merged) if why == "read-repair" else merged

    node.objects.combine = pruned  # type: ignore[method-assign]


# ---- merging


def self_merge(node: Node) -> None:
    """A version that both sides hold is taken for one that the other has superseded."""

    def combine(ours: State, incoming: State, why: str) -> State:
        merged = clock.sync(ours, incoming)
        if ours == incoming:
            return merged
        return {
            actor: Entry(
                entry.n,
                tuple(pair for pair in entry.values if not _both(ours, incoming, actor, pair[0])),
                entry.extra,
            )
            for actor, entry in merged.items()
        }

    node.objects.combine = combine  # type: ignore[method-assign]


def _both(a: State, b: State, actor: str, event: int) -> bool:
    return all(actor in s and event in dict(s[actor].values) for s in (a, b))


# ---- contexts


def ctx_underclaims(node: Node) -> None:
    """The context covers what the first replica showed, not what the client was shown."""

    class Underclaims(GetRequest):
        first: State | None = None

        def merge(self, shown: State, state: State) -> State:
            if self.first is None:
                self.first = state
            return super().merge(shown, state)

        def context(self) -> bytes:
            return self._s.contexts.token(self._get.key, clock.context_of(self.first or {}))

    node.get_request = Underclaims


def foreign_context(node: Node) -> None:
    """A context that was handed out for one key is taken for another."""
    contexts = node.services.contexts
    contexts.mac = lambda key, body: bytes(16)  # type: ignore[method-assign]


# ---- coordinating twice


def double_stamp(node: Node) -> None:
    """A forwarded put whose answer was lost is tried at the next coordinator."""

    class RetriesElsewhere(PutRequest):
        def forward_in_doubt(self, rest: list[str]) -> None:
            self._route(rest or [self._s.node])

    node.put_request = RetriesElsewhere


def stale_forward(node: Node) -> None:
    """The answer to an earlier put of the key is taken for that of a forward that failed."""
    last: dict[bytes, PutReply] = {}

    class Stale(PutRequest):
        def _finish(self, reply: object) -> None:
            if isinstance(reply, PutReply):
                last[self._put.key] = reply
            super()._finish(reply)  # type: ignore[arg-type]

        def forward_in_doubt(self, rest: list[str]) -> None:
            before = last.get(self._put.key)
            if before is None:
                super().forward_in_doubt(rest)
            else:
                self._finish(msgspec.structs.replace(before, rid=self._put.rid))

    node.put_request = Stale


def handoff_coordinates(node: Node) -> None:
    """What a transfer brings is stamped again where it arrives, as a put of its own."""
    combine = node.objects.combine

    def coordinate(ours: State, incoming: State, why: str) -> State:
        merged = combine(ours, incoming, why)
        if why != "pending":
            return merged
        version = clock.versions(incoming)[0]
        actor = f"{node.params.node}:0:0"
        return clock.update({}, version, merged, actor, clock.next_event(merged, actor))

    node.objects.combine = coordinate  # type: ignore[method-assign]
