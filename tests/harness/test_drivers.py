"""Load drivers: real processes that perform what they are asked to, and log where we do."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from dynamesis.checkers.history.op import Op
from dynamesis.harness.results.logs import logging_to
from dynamesis.harness.run.driver_process import Performer
from dynamesis.harness.run.drivers import start_drivers


class Echo:
    """Answers with the process that it runs in, and with what it got before."""

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self.seen: list[object] = []

    async def open(self, addresses) -> None:
        self.seen.append(addresses)

    async def invoke(self, op: Op) -> Op:
        if op.f == "break":
            raise ValueError("broken on purpose")
        if op.f == "wait":
            await asyncio.sleep(60)
        return msgspec.structs.replace(op, type="ok", value=[os.getpid(), self.thread, self.seen])

    def recorded(self, index: int) -> None:
        self.seen.append(index)

    async def close(self) -> None:
        logging.getLogger("echo").info("thread %d closed", self.thread)


def drive(
    tmp_path: Path, drivers: int, threads: int, act: Callable[[list[Performer]], Awaitable[None]]
) -> str:
    """Returns what was logged."""
    log = tmp_path / "harness.log"

    async def whole(performers: list[Performer]) -> None:
        for performer in performers:
            await performer.open({"n1": "127.0.0.1:1"})
        await act(performers)
        await asyncio.gather(*(performer.close() for performer in performers))

    with logging_to(log, workers=True), start_drivers(drivers, threads, lambda: Echo) as started:
        asyncio.run(whole(started.performers))
    return log.read_text()


def op(index: int, f: str = "get") -> Op:
    return Op(index=index, process=3, f=f, key="k")


@pytest.mark.parametrize(("drivers", "processes"), [(1, 1), (2, 2), (9, 3)])
def test_threads_are_shared_out_among_processes(
    tmp_path: Path, drivers: int, processes: int
) -> None:
    async def act(performers: list[Performer]) -> None:
        done = await asyncio.gather(*(each.invoke(op(i)) for i, each in enumerate(performers)))
        assert [one.value[1] for one in done] == [0, 1, 2]
        pids = {one.value[0] for one in done}
        assert len(pids) == processes
        assert os.getpid() not in pids

    logged = drive(tmp_path, drivers, 3, act)
    assert logged.count("performed") == processes
    for number in range(processes):
        assert f"driver-{number + 1} dynamesis.harness.run.driver_process: performed" in logged


def test_without_drivers_it_is_all_done_here(tmp_path: Path) -> None:
    async def act(performers: list[Performer]) -> None:
        assert (await performers[0].invoke(op(1))).value[0] == os.getpid()

    drive(tmp_path, 0, 1, act)


def test_what_was_recorded_is_known_before_the_next_operation(tmp_path: Path) -> None:
    async def act(performers: list[Performer]) -> None:
        for index in (10, 20, 30):
            done = await performers[0].invoke(op(index))
            assert done.value[2][1:] == [i + 1 for i in (10, 20, 30) if i < index]
            performers[0].recorded(index + 1)

    drive(tmp_path, 1, 1, act)


def test_a_client_that_breaks_breaks_nothing_else(tmp_path: Path) -> None:
    async def act(performers: list[Performer]) -> None:
        with pytest.raises(RuntimeError, match="ValueError: broken on purpose"):
            await performers[0].invoke(op(1, "break"))
        assert (await performers[0].invoke(op(2))).type == "ok"

    assert "the client of process 3 broke" in drive(tmp_path, 1, 1, act)


def test_an_operation_that_is_given_up_is_not_taken_for_the_next_one(tmp_path: Path) -> None:
    async def act(performers: list[Performer]) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(performers[0].invoke(op(1, "wait")), 0.05)
        assert (await performers[0].invoke(op(2))).index == 2

    drive(tmp_path, 1, 1, act)


def test_a_driver_that_is_gone_is_reported(tmp_path: Path) -> None:
    async def act(performers: list[Performer]) -> None:
        pid = (await performers[0].invoke(op(1))).value[0]
        waiting = asyncio.create_task(performers[0].invoke(op(2, "wait")))
        await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="driver-1 is gone"):
            await waiting
        with pytest.raises(RuntimeError, match="driver-1 is gone"):
            await performers[0].invoke(op(3))

    with start_drivers(1, 1, lambda: Echo) as started:
        asyncio.run(_opened(started.performers, act))


async def _opened(performers, act) -> None:
    await performers[0].open({})
    await act(performers)


def test_signals_are_not_for_drivers(tmp_path: Path) -> None:
    async def act(performers: list[Performer]) -> None:
        pid = (await performers[0].invoke(op(1))).value[0]
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
        assert (await performers[0].invoke(op(2))).value[0] == pid

    drive(tmp_path, 1, 1, act)
