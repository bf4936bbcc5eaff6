"""The loop between a schedule and its workers, on workers whose completions are scripted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from dynamesis.checkers.history.history import read_history
from dynamesis.checkers.history.op import Op
from dynamesis.checkers.measure.stats import stats
from dynamesis.harness import generators as gen
from dynamesis.harness.generators.base import Thread
from dynamesis.harness.generators.schedule import NEMESIS, Schedule, start
from dynamesis.harness.nemesis.faults import action_from_value
from dynamesis.harness.nemesis.schedule import Event, FaultTimeline
from dynamesis.harness.report import summary
from dynamesis.harness.run.interpreter import Interpreter, Worker
from dynamesis.harness.run.recorder import Recorder

from tests.harness.fakes import Scripted, events


def play(
    path: Path,
    source: gen.Source,
    workers: Mapping[Thread, Worker],
    stop: asyncio.Event | None = None,
) -> Schedule:
    async def run() -> Schedule:
        with Recorder(path) as recorder:
            interpreter = Interpreter(recorder, workers, stop or asyncio.Event())
            return await interpreter.run(start(source, len(workers), nemesis=False))

    return asyncio.run(run())


def puts(n: int) -> gen.Generator:
    ops = [gen.invoke("put", key="k", id=f"v{i}", basis=None) for i in range(n)]
    return gen.concat(*ops)


def test_each_operation_is_invoked_and_completed(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    play(path, puts(3), {0: Scripted("ok")})
    shown = [(op.type, op.process, op.id) for op in events(path)]
    assert shown == [(t, 0, f"v{i}") for i in range(3) for t in ("invoke", "ok")]
    assert len(read_history(path)) == 6


class Slow:
    """Takes 30 ms for an operation, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Op] = []

    async def invoke(self, op: Op) -> Op:
        self.asked.append(op)
        await asyncio.sleep(0.03)
        return msgspec.structs.replace(op, type="ok")

    def recorded(self, completion: Op) -> None:
        """Nothing follows from it."""

    async def close(self) -> None:
        """It holds nothing."""


def test_what_begins_late_has_when_it_was_due_and_latencies_count_from_then(tmp_path: Path) -> None:
    path, slow = tmp_path / "history.jsonl", Slow()
    play(path, gen.stagger(0.01, puts(4), gen.Rng(1), "fixed"), {0: slow})
    invoked = [op for op in events(path) if op.type == "invoke"]
    first = invoked[0]
    assert first.due is None
    late = [op for op in invoked if op.due is not None]
    assert [op.id for op in late] == ["v1", "v2", "v3"]
    gaps = [b.due - a for a, b in zip([first.time, *(o.due for o in late)], late, strict=False)]
    # more only where the machine stalls for longer than a load catches up with
    assert all(gap >= 10_000_000 for gap in gaps[1:])
    assert all(op.due < op.time for op in late)
    assert [op.due for op in events(path) if op.type != "invoke"] == [None] * 4
    assert [op.due for op in slow.asked] == [None] * 4
    found = stats(read_history(path))
    behind = found["behind"]
    assert behind["operations"] == 3
    # the last was due 30 ms after the first, and began after three that took 30 ms each
    assert behind["late_ms"]["most"] > 55
    assert found["by_f"]["put"]["latency_ms"]["p99.9"] > 85
    behind["late_ms"]["most"] = 100.2
    assert summary.behind(found).startswith("the load fell behind: 3 of 4 operations began late")
    behind["late_ms"]["most"] = 99.0
    assert summary.behind(found) == ""


def test_a_load_that_keeps_up_is_not_behind(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    play(path, puts(3), {0: Slow()})
    assert "behind" not in stats(read_history(path))
    assert all(op.due is None for op in events(path))


class Answered:
    """An answer arrives, and its task runs 40 ms later: other work comes between. Each thread's
    arrives 5 ms before that of the thread before it."""

    def __init__(self, thread: int = 0) -> None:
        self.thread = thread

    async def invoke(self, op: Op) -> Op:
        arrived = time.monotonic_ns() + 10_000_000 - 5_000_000 * self.thread
        await asyncio.sleep(0)
        if self.thread == 0:
            time.sleep(0.04)
        return msgspec.structs.replace(op, type="ok", time=arrived)

    def recorded(self, completion: Op) -> None:
        """Nothing follows from it."""

    async def close(self) -> None:
        """It holds nothing."""


def test_a_completion_has_the_time_at_which_its_answer_arrived(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    play(path, puts(1), {0: Answered()})
    invoked, done = events(path)
    assert 9_000_000 < done.time - invoked.time < 30_000_000, "not when its task ran"


def test_answers_of_one_tick_are_recorded_in_the_order_in_which_they_arrived(
    tmp_path: Path,
) -> None:
    path = tmp_path / "history.jsonl"
    play(path, puts(2), {0: Answered(0), 1: Answered(1)})
    done = [op for op in events(path) if op.type == "ok"]
    assert [op.process for op in done] == [1, 0]
    times = [op.time for op in read_history(path)]
    assert times == sorted(times)


def test_a_client_that_leaves_the_time_of_the_invocation_knows_none(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    play(path, puts(1), {0: Slow()})
    invoked, done = events(path)
    assert done.time - invoked.time >= 30_000_000


def test_info_retires_the_process(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    ended = play(path, puts(3), {0: Scripted("info", "fail", "info")})
    assert [op.process for op in events(path)] == [0, 0, 1, 1, 1, 1]
    assert ended.workers.processes == {0: 2}


def test_a_worker_that_breaks_leaves_an_unknown_outcome(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    play(path, puts(2), {0: Scripted("raise", "ok")})
    broken, fine = (op for op in events(path) if op.type != "invoke")
    assert broken.type == "info"
    assert broken.error is not None
    assert (broken.error.code, broken.error.definite) == ("client-broke", False)
    assert "ValueError: broken" in broken.error.message
    assert (fine.type, fine.process) == ("ok", 1)


def test_the_worker_gets_the_index_of_its_completion(tmp_path: Path) -> None:
    worker = Scripted("ok")
    play(tmp_path / "h", puts(2), {0: worker})
    assert [op.index for op in worker.completions] == [1, 3]


class Stuck:
    """Never answers, and stops the test when asked."""

    def __init__(self, stop: asyncio.Event) -> None:
        self.stop = stop

    async def invoke(self, op: Op) -> Op:
        self.stop.set()
        await asyncio.sleep(0.01)
        return Op(type="ok", process=op.process, f=op.f, key=op.key, id=op.id)

    def recorded(self, completion: Op) -> None:
        pass

    async def close(self) -> None:
        pass


def test_a_stop_begins_nothing_new_and_awaits_what_runs(tmp_path: Path) -> None:
    stop, path = asyncio.Event(), tmp_path / "h"
    play(path, puts(100), {0: Stuck(stop)}, stop)
    assert [op.type for op in events(path)] == ["invoke", "ok"]


def test_threads_work_at_the_same_time(tmp_path: Path) -> None:
    meeting = asyncio.Barrier(3)

    class Meeting(Scripted):
        async def invoke(self, op: Op) -> Op:
            await meeting.wait()
            return await super().invoke(op)

    path = tmp_path / "h"
    play(path, puts(3), {thread: Meeting("ok") for thread in range(3)})
    assert [op.type for op in events(path)] == ["invoke"] * 3 + ["ok"] * 3


def test_a_nemesis_that_is_given_up_keeps_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event of the nemesis names its fault, or the history could not be read."""
    monkeypatch.setattr("dynamesis.harness.run.interpreter.DRAIN", 0.02)
    path = tmp_path / "history.jsonl"
    value = {"fault": 0, "kind": "jump", "with": {"offset_ms": 5}, "nodes": ["n1"]}

    class Deaf(Scripted):
        async def invoke(self, op: Op) -> Op:
            await asyncio.sleep(3600)
            raise AssertionError

    async def run() -> None:
        timeline = FaultTimeline(
            (Event(0, "start-clock", action_from_value("start-clock", value)),)
        )
        with Recorder(path) as recorder:
            workers: Mapping[Thread, Worker] = {0: Scripted("ok"), NEMESIS: Deaf("ok")}
            source = gen.time_limit(0.05, gen.any(puts(1), timeline))
            await Interpreter(recorder, workers, asyncio.Event()).run(start(source, 1))

    asyncio.run(run())
    assert len(read_history(path)) == 4
    ended = [op for op in events(path) if op.process == NEMESIS][-1]
    assert (ended.type, ended.f, ended.value) == ("info", "start-clock", value)
    assert ended.error is not None
