"""Bugs that are planted from outside: of places, hints and ownership."""

from __future__ import annotations

from typing import Any

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.messages import State
from dynamesis.cluster.core.requests.put import PutRequest
from dynamesis.cluster.core.ring.sloppy_quorum import ReplicaSlot


def serve_before_transfer_ended(node: Node) -> None:
    """A newcomer claims to be ready as soon as it receives the layout that adds it."""
    changed = node.transfers.layout_changed

    def immediately() -> None:
        changed()
        node.runtime.after(0.0, claim)

    def claim() -> None:
        for partition in node.transfers.incoming() if node.placement is not None else ():
            if partition in node.transfers.incoming():
                node.membership.mark_ready(partition)

    node.transfers.layout_changed = immediately  # type: ignore[method-assign]


def owners_change_immediately(node: Node) -> None:
    """The claimant ends a layout without waiting for its newcomers."""
    node.membership.all_ready = lambda layout: True  # type: ignore[method-assign]


def no_hint_for_unreachable(node: Node) -> None:
    """A place whose holder does not answer goes to no other node."""

    class Hintless(PutRequest):
        def _acknowledged(self, place: ReplicaSlot, outcome: Any) -> None:
            self.plan.replace = lambda place: False  # type: ignore[method-assign]
            super()._acknowledged(place, outcome)

        def _replicate(self, place: ReplicaSlot) -> None:
            if place.hint_for is None:
                super()._replicate(place)
            else:
                self.count(place, True)
                self._copies -= 1

    node.put_request = Hintless


def hint_taken_and_thrown_away(node: Node) -> None:
    """A fallback acknowledges a hint and drops it."""
    put = node.replica.put

    def forget(
        key: bytes, state: State, hint_for: str | None, why: str, done: Any, *rest: Any
    ) -> None:
        if hint_for is not None and hint_for != node.params.node:
            done(None)
        else:
            put(key, state, hint_for, why, done, *rest)

    node.replica.put = forget  # type: ignore[method-assign,assignment]


def hands_off_what_was_first(node: Node) -> None:
    """A hint is sent as it was when it was begun, whatever it took in since."""
    first: dict[tuple[str, bytes], State] = {}
    hints = node.hints
    send, changed = hints.send, hints.records.on_change

    def remember(hint: bytes, old: Any, new: Any) -> None:
        changed(hint, old, new)
        target, _, key = hint.partition(b"\0")
        about = (target.decode(), key)
        if new is None:
            first.pop(about, None)
        else:
            first.setdefault(about, new.state)

    give = hints._give

    def older(to: str, key: bytes, state: State, answered: Any) -> None:
        give(to, key, first.get((to, key), state), answered)

    hints.records.on_change = remember
    hints._give = older  # type: ignore[method-assign]
    hints.send = send  # type: ignore[method-assign]
