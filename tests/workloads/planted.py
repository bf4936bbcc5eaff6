"""Bugs that show only to clients with unusual options: `--bug tests/workloads/planted.py:NAME`.

Each breaks what an option of the workloads is there to reach (workloads.script.requests,
workloads.script.modification, workloads.bulk); a load without that option finds nothing wrong.
"""

from __future__ import annotations

from typing import Any

import msgspec
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.messages import PutReply, State, Version
from dynamesis.cluster.core.replication.tree_exchange import Exchange
from dynamesis.cluster.core.requests.get import GetRequest
from dynamesis.cluster.core.requests.put import PutRequest
from dynamesis.cluster.core.versions import clock


def pw_ignored(node: Node) -> None:
    """A put is acknowledged after W, however many primaries were to be among these."""

    class Deaf(PutRequest):
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, **more)
            self._quorum._need_primaries = 0

    node.put_request = Deaf


def pr_ignored(node: Node) -> None:
    """A get is answered after R, however many primaries were to be among these."""

    class Deaf(GetRequest):
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, **more)
            self._quorum._need_primaries = 0

    node.get_request = Deaf


def dw_as_w(node: Node) -> None:
    """DW answers are waited for, wherever what they acknowledge is: in memory, if need be."""

    class Trusting(PutRequest):
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, **more)
            tally = self._quorum
            tally._need, tally._need_durable = max(tally._need, tally._need_durable), 0

        def durable_places(self, own: Any) -> Any:
            return super().durable_places(own)[:1]

    node.put_request = Trusting


def r_ignored(node: Node) -> None:
    """A get is answered after the R of the cluster, whatever its own."""

    class Deaf(GetRequest):
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, **more)
            self._quorum._need = min(
                self.services.params.r, self.get.options.n or self.services.params.n
            )

    node.get_request = Deaf


def body_of_before(node: Node) -> None:
    """A put that is to return the current versions returns those before it."""

    class Early(PutRequest):
        def finish(self, reply: Any) -> None:
            if isinstance(reply, PutReply) and reply.siblings:
                before = tuple(v for v in reply.siblings if v.value != self.put.value)
                shown = before or (Version(b"{}"),)
                reply = PutReply(reply.rid, reply.context, reply.worth, shown)
            super().finish(reply)

    node.put_request = Early


def stamped_again(node: Node) -> None:
    """A put that is sent again is a new one: no node remembers that it was stamped."""

    class Forgetful(PutRequest):
        def __init__(self, services: Any, put: Any, *given: Any, **more: Any) -> None:
            super().__init__(services, msgspec.structs.replace(put, again=False), *given, **more)

    node.put_request = Forgetful
    node.services.dedup.stamped = lambda put, state, covers: None  # type: ignore[method-assign]
    node.services.dedup.begin = lambda put, respond: respond  # type: ignore[method-assign]


def delete_loses(node: Node) -> None:
    """Where the last writer wins, a delete wins only if there is nothing else."""
    lww = node.versioning.lww
    settle = lww.settle

    def values_first(state: State) -> State:
        alive = any(not v.deleted for entry in state.values() for _, v in entry.values)
        if not alive:
            return settle(state)
        return settle(
            {
                actor: msgspec.structs.replace(
                    entry, values=tuple(pair for pair in entry.values if not pair[1].deleted)
                )
                for actor, entry in state.items()
            }
        )

    object.__setattr__(lww, "settle", values_first)


def eaten(node: Node) -> None:
    """What all agreed to forget is forgotten some time later, whatever it is by then."""
    reaper = node.reaper
    asked = reaper.asked

    def later(question: Any, on_answer: Any) -> None:
        if question.round != "reap":
            asked(question, on_answer)
            return
        view = reaper.settled()

        def forget() -> None:
            for key in question.keys:
                if view is not None:
                    node.objects.remove(node.replica.row(key), reaper._forgotten)

        node.runtime.after(0.15, forget)
        on_answer(list(question.keys))

    reaper.asked = later  # type: ignore[method-assign]


def one_batch(node: Node) -> None:
    """Of the leaves that differ only those of the first batch are compared key by key."""

    class Hasty(Exchange):
        def _ask_keys(self) -> None:
            asked = bool(getattr(self, "_asked_once", False))
            self._asked_once = True
            if asked:
                self._leaves_left = []
            super()._ask_keys()

    node.anti_entropy.exchange = Hasty


def one_slice(node: Node) -> None:
    """Of a partition that was given away only the first rows are deleted."""
    dropped: set[int] = set()
    transfers = node.transfers
    slice_of = transfers._slice

    def once(partition: int) -> list[bytes]:
        if partition in dropped:
            return []
        dropped.add(partition)
        return slice_of(partition)

    transfers._slice = once  # type: ignore[method-assign]


def far_behind(node: Node) -> None:
    """A context far behind the current versions is taken for a truncated one: it covers all."""
    far = 10

    for records in (node.objects, node.hints.records):
        apply = records.apply

        def believing(
            context: State,
            version: Version,
            state: State,
            actor: str,
            event: int,
            apply: Any = apply,
        ) -> State:
            behind = [state[a].n - entry.n for a, entry in context.items() if a in state]
            if behind and max(behind) >= far:
                context = clock.context_of(state)
            return apply(context, version, state, actor, event)

        records.apply = believing  # type: ignore[method-assign]
