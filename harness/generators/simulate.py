"""Running a generator in virtual time against made-up completions.

A simulation takes no time and touches nothing, and gives the whole literal history: the
way to test generators. After Jepsen's generator/test.clj.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators.base import Pending
from dynamesis.harness.generators.schedule import Schedule, start
from dynamesis.harness.generators.sources import Source

#: How long a simulated operation takes, in ns.
LATENCY = 10

#: From an invocation to its completion, with a time not before that of the invocation.
Complete = Callable[[Op], Op]


class Deadlock(Exception):
    """The generator waits for something, and nothing is in flight."""


def simulate(
    source: Source,
    complete: Complete,
    concurrency: int = 2,
    recorded: Callable[[Op], None] | None = None,
) -> list[Op]:
    """The history of `source` on so many clients and a nemesis; `complete` is called once
    for each invocation, in the order of the history, and plays the store; `recorded` gets
    of every event with its index. At one time, what can begin begins before anything
    completes. Raises Deadlock."""
    schedule: Schedule = start(source, concurrency)
    history: list[Op] = []
    in_flight: list[tuple[int, int, Op]] = []
    order, now = count(), 0

    def record(op: Op) -> Op:
        event = msgspec.structs.replace(op, index=len(history), time=now)
        history.append(event)
        if recorded is not None:
            recorded(event)
        return event

    while True:
        step = schedule.ask(now)
        if step is None and not in_flight:
            return history
        if step is not None and isinstance(step[0], Op):
            event = record(step[0])
            schedule = step[1].invoked(event)
            if event.type == "invoke":
                completion = complete(msgspec.structs.replace(event, due=None))
                heapq.heappush(in_flight, (completion.time, next(order), completion))
            continue
        until = None
        if step is not None and isinstance(step[0], Pending):
            until, schedule = step[0].until, step[1]
        if in_flight and (until is None or in_flight[0][0] <= until):
            now, _, completion = heapq.heappop(in_flight)
            schedule = schedule.completed(record(completion))
        elif until is not None:
            now = until
        else:
            raise Deadlock(f"waits for ever at {now} ns: {schedule.generator!r}")


def _ending(op: Op, type: str, latency: int = LATENCY) -> Op:
    return msgspec.structs.replace(op, type=type, time=op.time + latency)


def quick(source: Source, concurrency: int = 2) -> list[Op]:
    """Everything is ok immediately."""
    return simulate(source, lambda op: _ending(op, "ok", latency=0), concurrency)


def perfect(source: Source, concurrency: int = 2) -> list[Op]:
    """Everything is ok after 10 ns."""
    return simulate(source, lambda op: _ending(op, "ok"), concurrency)


def perfect_info(source: Source, concurrency: int = 2) -> list[Op]:
    """Everything ends in info after 10 ns."""
    return simulate(source, lambda op: _ending(op, "info"), concurrency)


def imperfect(source: Source, concurrency: int = 2) -> list[Op]:
    """The operations of each thread end in fail, info and ok in turn, after 10 ns each."""
    turns: dict[int | str, int] = {}

    def complete(op: Op) -> Op:
        thread = op.process % concurrency if isinstance(op.process, int) else op.process
        turns[thread] = turns.get(thread, -1) + 1
        return _ending(op, ("fail", "info", "ok")[turns[thread] % 3])

    return simulate(source, complete, concurrency)


def invocations(history: list[Op]) -> list[Op]:
    """Only what began."""
    return [op for op in history if op.type == "invoke"]
