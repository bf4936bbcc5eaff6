"""Shrinking finds the few parts that matter, whatever they are, and always the same."""

from __future__ import annotations

from dataclasses import replace

from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators.given import Given
from dynamesis.harness.simulation.schedules.draw import SwarmScope, draw
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.simulation.schedules.shrink import shrink


def _operations(count: int, clients: int) -> tuple[Given, ...]:
    operations = []
    for number in range(count):
        op = Op(f="get", key=f"k{number}")
        if number % 2:
            op = Op(f="put", key=f"k{number}", id=f"0.{number}", value=number, basis=None)
        at = 7_654_321 * (number + 1)
        operations.append(Given(at, number % clients, op, number - 1 if number % 2 else None))
    return tuple(operations)


def _drawn() -> SimulatedSchedule:
    """A schedule with several faults and nodes to spare."""
    wanted = SwarmScope(("register",), ("cut", "kill"))
    drawn = next(
        each
        for each in (draw(seed, wanted) for seed in range(1000))
        if each.fault_count >= 3 and each.spec.param
        if (each.spec.nodes or 0) > max(4, each.spec.n or 0)
    )
    return replace(drawn, operations=_operations(80, drawn.spec.concurrency))


def _keys(schedule: SimulatedSchedule) -> set[str | None]:
    return {item.op.key for item in schedule.operations or ()}


def test_operations_faults_nodes_and_parameters_are_left_out() -> None:
    start = _drawn()
    member = start.faults[0].action.member

    def fails(schedule: SimulatedSchedule) -> bool:
        members = {event.action.member for event in schedule.faults}
        return {"k10", "k33"} <= _keys(schedule) and member in members

    small = shrink(start, fails)
    assert _keys(small) == {"k10", "k33"}
    assert small.fault_count == 1
    assert small.spec.nodes == max(3, small.spec.n)
    assert small.spec.param == ()
    assert small.spec.concurrency == 1
    assert small.tweaks == {}
    assert small.spec.time_limit < start.spec.time_limit
    assert shrink(start, fails) == small


def test_a_context_goes_with_the_operation_that_had_it() -> None:
    start = _drawn()

    def fails(schedule: SimulatedSchedule) -> bool:
        given = schedule.operations or ()
        return any(
            item.op.key == "k5" and item.basis is not None and given[item.basis].op.key == "k4"
            for item in given
        )

    small = shrink(start, fails)
    assert [(item.op.key, item.basis) for item in small.operations or ()] == [
        ("k4", None),
        ("k5", 0),
    ]


def test_no_schedule_is_run_twice_and_runs_are_bounded() -> None:
    seen: list[str] = []

    def fails(schedule: SimulatedSchedule) -> bool:
        seen.append(repr(schedule))
        return "k10" in _keys(schedule)

    shrink(_drawn(), fails, most=10)
    assert len(seen) == len(set(seen)) == 10


def test_what_fails_under_no_other_schedule_stays_as_it_is() -> None:
    start = _drawn()
    assert shrink(start, lambda schedule: False) == start


def test_the_operations_on_one_key_are_tried_alone_first() -> None:
    start = replace(_drawn(), operations=_operations(80, 2))
    runs: list[int] = []

    def fails(schedule: SimulatedSchedule) -> bool:
        runs.append(len(schedule.operations or ()))
        return "k0" in _keys(schedule)

    small = shrink(start, fails)
    assert _keys(small) == {"k0"}
    assert runs.index(1) < 12, "one key alone comes before halves of halves"
