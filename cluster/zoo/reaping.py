"""Bugs of deletes: a tombstone that is forgotten too early, or never was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.messages import Answer, Reap, ReapReply, State
from dynamesis.cluster.core.replication.tombstone_reaper import Told, is_grave
from dynamesis.cluster.core.runtime.runtime import Failure
from dynamesis.cluster.core.storage.buffer import Done
from dynamesis.cluster.core.storage.record_table import Record


def reap_at_w(node: Node) -> None:
    """All are asked and nobody can object: a tombstone goes once those who have it agree."""
    reaper, put = node.reaper, node.reaper._put

    def ping(peer: str, done: Callable[[Answer | Failure], None]) -> None:
        node.runtime.soon(lambda: done(ReapReply(0, ())))

    def ask(member: str, question: Reap, told: Told) -> None:
        keys = tuple(question.keys)
        put(member, question, told if member == node.params.node else lambda _: told(keys))

    reaper.ping = ping
    reaper._put = ask  # type: ignore[method-assign]


def doomstone(node: Node) -> None:
    """A key that is created again is stamped as before it was reaped, and a tombstone that
    a fallback has kept meanwhile knows that name."""
    reap_at_w(node)
    stamp, actor = node.objects.stamp, node.objects._actor
    names: dict[bytes, str] = {}

    def as_before(key: bytes, *rest: Any) -> tuple[State, State] | None:
        node.objects._actor = lambda old, context: (  # type: ignore[method-assign]
            names.get(key) or names.setdefault(key, actor(old, context))
        )
        return stamp(key, *rest)

    node.objects.stamp = as_before  # type: ignore[assignment, method-assign]


def hard_delete(node: Node) -> None:
    """Each replica deletes for good, and nothing tells an old value that it is dead."""
    put = node.objects._put

    def delete(
        key: bytes, old: Record | None, new: Record | None, done: Done, durable: bool
    ) -> None:
        put(key, old, None if new is not None and is_grave(new.state) else new, done, durable)

    node.objects._put = delete  # type: ignore[method-assign]
