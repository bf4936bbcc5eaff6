"""Given operations at given times, with the contexts of earlier ones of them.

What a script draws depends on everything that came before it. A schedule that is to lose an
operation and keep the others needs them written out: which process does what, when, and which
operation's context goes with it. Without that operation, or without its answer, a write goes
out without a context.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators.base import PENDING, Context, Generator, Pending, Step


@dataclass(frozen=True)
class Given:
    """One operation.

    at: ns after the load began
    client: the thread that does it
    op: what is done
    basis: the number, among all given operations, of the one whose context it carries; None: `op`
        itself has whether it carries none
    """

    at: int
    client: int
    op: Op
    basis: int | None = None


class GivenOperations(msgspec.Struct, frozen=True):
    """A generator of `items`. `left`: the numbers of those that have not begun, by their time;
    `doing`: the number of what each process does; `done`: the index of the completion of each
    that was ok; `start`: when the first was asked for, ns."""

    items: tuple[Given, ...]
    left: tuple[int, ...]
    doing: Mapping[int | str, int] = {}
    done: Mapping[int, int] = {}
    start: int | None = None

    def op(self, ctx: Context) -> Step:
        if not self.left:
            return None
        start = ctx.time if self.start is None else self.start
        begun = self if self.start is not None else msgspec.structs.replace(self, start=start)
        held: set[int] = set()
        for number in self.left:
            item = self.items[number]
            if item.client in held or item.client not in ctx.free:
                held.add(item.client)
            elif start + item.at > ctx.time:
                return Pending(start + item.at), begun
            else:
                return begun._invoke(number, ctx)
        return PENDING, begun

    def _invoke(self, number: int, ctx: Context) -> Step:
        item = self.items[number]
        process = ctx.workers[item.client]
        basis = item.op.basis if item.basis is None else self.done.get(item.basis)
        op = msgspec.structs.replace(
            item.op, type="invoke", index=-1, time=ctx.time, process=process, basis=basis
        )
        left = tuple([each for each in self.left if each != number])
        return op, msgspec.structs.replace(self, left=left, doing={**self.doing, process: number})

    def update(self, ctx: Context, event: Op) -> Generator | None:
        if event.type == "invoke" or event.process not in self.doing:
            return self
        doing = dict(self.doing)
        number = doing.pop(event.process)
        done = {**self.done, number: event.index} if event.type == "ok" else self.done
        return msgspec.structs.replace(self, doing=doing, done=done)


def given(items: Iterable[Given]) -> Generator:
    """These operations: none before its time, each client's in their order."""
    listed = tuple(items)
    order = sorted(range(len(listed)), key=lambda number: listed[number].at)
    return GivenOperations(listed, tuple(order))
