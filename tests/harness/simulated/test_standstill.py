"""What never ends in virtual time is ended, and what ended it is named."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from types import FrameType, SimpleNamespace
from typing import Any, cast

import pytest
from dynamesis.harness.processes import standstill
from dynamesis.harness.processes.standstill import NeverEnds, StandstillGuard, Stopped
from dynamesis.harness.worlds.simulated.run import VirtualTime


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standstill, "LIMIT", 0.3)


async def spin() -> None:
    await asyncio.sleep(2.0)
    while True:
        pass


async def at_no_time() -> None:
    await asyncio.sleep(2.0)
    while True:
        await asyncio.sleep(0)


async def in_tiny_steps() -> None:
    await asyncio.sleep(2.0)
    while True:
        await asyncio.sleep(1e-9)


async def spinning_callback() -> None:
    """As code of a node: below no task."""
    asyncio.get_running_loop().call_later(2.0, lambda: spin_now())
    await asyncio.sleep(100.0)


def spin_now() -> None:
    while True:
        pass


ENDLESS = (spin, at_no_time, in_tiny_steps, spinning_callback)


@pytest.mark.parametrize("work", ENDLESS)
def test_what_stays_at_one_time_is_ended_and_named(work, caplog) -> None:  # type: ignore[no-untyped-def]
    with (
        pytest.raises(NeverEnds, match=r"at 2\.000 s of virtual time, in \w+ \("),
        VirtualTime() as t,
    ):
        t.run(work())
    assert not caplog.records, "a task that is left is no news"


@pytest.mark.parametrize("work", ENDLESS)
def test_in_a_coroutine_too(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def within() -> None:
        with VirtualTime() as virtual:
            virtual.run(work())

    with pytest.raises(NeverEnds, match=r"at 2\.000 s of virtual time"):
        asyncio.run(within())


def test_what_passes_all_deadlines_is_ended() -> None:
    async def work() -> None:
        while True:
            await asyncio.sleep(1.0)

    with pytest.raises(NeverEnds, match="of virtual time"), VirtualTime(most=3600.0) as virtual:
        virtual.run(work())


def test_what_computes_long_is_not_ended() -> None:
    """Each step takes a third of what is too long, and all together several times as much."""

    async def work() -> None:
        for _ in range(12):
            until = time.process_time() + standstill.LIMIT / 3
            while time.process_time() < until:
                pass
            await asyncio.sleep(0.01)

    with VirtualTime() as virtual:
        virtual.run(work())


def _interrupt(running: threading.Event) -> None:
    running.wait()
    os.kill(os.getpid(), signal.SIGINT)


def test_one_interrupt_ends_it_although_its_cleanup_never_would(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By an interrupt it has no more than a moment to clean up, whatever its patience otherwise."""
    monkeypatch.setattr(standstill, "LIMIT", 1e6)
    monkeypatch.setattr(standstill, "HURRIED", 0.2)
    running = threading.Event()

    async def work() -> None:
        try:
            running.set()
            while True:
                pass
        finally:
            await asyncio.sleep(1.0)
            spin_now()

    threading.Thread(target=_interrupt, args=(running,)).start()
    with pytest.raises(Stopped, match="in work"), VirtualTime() as virtual:
        virtual.run(work())
    assert not caplog.records


def test_an_interrupt_that_the_work_swallows_is_kept() -> None:
    running = threading.Event()

    async def work() -> None:
        try:
            running.set()
            while True:
                pass
        except KeyboardInterrupt:
            return

    threading.Thread(target=_interrupt, args=(running,)).start()
    with pytest.raises(Stopped), VirtualTime() as virtual:
        virtual.run(work())


def test_a_first_interrupt_ends_a_test_in_a_coroutine() -> None:
    """asyncio makes a cancellation of it, which a blocked task would see after its end only."""
    running = threading.Event()

    async def work() -> None:
        running.set()
        while True:
            await asyncio.sleep(1.0)  # it makes headway: there is no standstill

    async def within() -> None:
        with VirtualTime(most=1e12) as virtual:
            virtual.run(work())

    threading.Thread(target=_interrupt, args=(running,)).start()
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(within())


def test_handlers_are_those_of_before() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGURG)
    before = [signal.getsignal(number) for number in numbers]
    with VirtualTime() as virtual:
        virtual.run(asyncio.sleep(1.0))
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_place_between_two_lines_is_that_of_its_function() -> None:
    """An interrupt may come at an instruction that belongs to no line."""
    guard = StandstillGuard(lambda: 5.0, 9.0)
    frame = SimpleNamespace(f_code=spin_now.__code__, f_lineno=None, f_globals={}, f_back=None)
    guard._seen(cast(FrameType, frame))
    line = spin_now.__code__.co_firstlineno
    assert guard.place.endswith(f"in spin_now (test_standstill.py, line {line})")
