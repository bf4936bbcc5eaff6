"""Bugs of versioning: how a version is stamped, and what it replaces."""

from __future__ import annotations

from cluster.core import clock
from cluster.core.messages import Entry, State, Version
from cluster.core.node import Node
from cluster.core.records import Records


def _tables(node: Node) -> tuple[Records, Records]:
    return node.objects, node.hints.records


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


def repair_overwrites(node: Node) -> None:
    """A write that reached the replica after the read did is gone again."""
    combine = node.objects.combine

    def overwrite(ours: State, incoming: State, why: str) -> State:
        return incoming if why == "read-repair" else combine(ours, incoming, why)

    node.objects.combine = overwrite  # type: ignore[method-assign]
