"""Writes out what a schedule's clients did: from a history, its given operations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators.given import Given


def operations_of(history: Iterable[Op], concurrency: int) -> tuple[Given, ...]:
    """The operations of the clients in the load phase, in their order, each with the number of the
    one whose context it carried."""
    began: int | None = None
    found: list[Given] = []
    invoked: dict[int | str, int] = {}
    completed: dict[int, int] = {}
    for event in history:
        if event.f == "phase":
            if began is not None:
                break
            began = event.time if event.value == "load" else None
        elif began is not None and isinstance(event.process, int):
            if event.type == "invoke":
                invoked[event.process] = len(found)
                found.append(_given(event, event.time - began, concurrency, completed))
            elif event.process in invoked:
                completed[event.index] = invoked.pop(event.process)
    return tuple(found)


def _given(event: Op, at: int, concurrency: int, completed: dict[int, int]) -> Given:
    assert isinstance(event.process, int)
    carries = isinstance(event.basis, int)
    op = Op(
        f=event.f,
        key=event.key,
        id=event.id,
        value=event.value,
        basis=None if carries else event.basis,
        node=event.node,
        options=event.options,
    )
    number = completed.get(event.basis) if isinstance(event.basis, int) else None
    return Given(at, event.process % concurrency, op, number)


def without(operations: Sequence[Given], dropped: set[int]) -> tuple[Given, ...]:
    """The operations but for those of these numbers. What carried the context of one of them goes
    without a context."""
    kept = [number for number in range(len(operations)) if number not in dropped]
    now = {old: new for new, old in enumerate(kept)}
    return tuple([_renumbered(operations[number], now) for number in kept])


def _renumbered(item: Given, now: dict[int, int]) -> Given:
    basis = None if item.basis is None else now.get(item.basis)
    return Given(item.at, item.client, item.op, basis)


def renamed(operations: Sequence[Given]) -> tuple[Given, ...]:
    """The same with clients numbered from 0."""
    clients = {c: number for number, c in enumerate(sorted({each.client for each in operations}))}
    return tuple([Given(g.at, clients[g.client], g.op, g.basis) for g in operations])


def plain(item: Given) -> Given:
    """The operation without what it asks for."""
    return Given(item.at, item.client, msgspec.structs.replace(item.op, options=None), item.basis)
