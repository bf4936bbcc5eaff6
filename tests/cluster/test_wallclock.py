"""A real node's wall clock, set wrong."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from dynamesis.cluster.client.admin import AdminError
from dynamesis.cluster.client.client import Client
from dynamesis.cluster.process.wallclock import WallClock
from dynamesis.harness.processes.ports import reserve
from node_world import NodeAlone, ended, in_loop, until, wait_until


def off(clock: WallClock) -> float:
    """s that the clock is certainly ahead, or behind."""
    before, shown, after = time.time_ns(), clock.ns(), time.time_ns()
    return (max(0, shown - after) + min(0, shown - before)) / 1e9


def test_a_clock_is_off_as_it_was_set_and_right_again() -> None:
    clock = WallClock()
    assert off(clock) == 0
    clock.set(offset_ms=-3_600_000)
    assert off(clock) == pytest.approx(-3600, abs=1)
    clock.set(drift_ppm=-1_000_000)
    wait_until(lambda: off(clock) < -0.01, "it has fallen behind")
    clock.set(offset_ms=10**9, strobe_ms=20)
    for wanted in (True, False, True):
        wait_until(lambda wanted=wanted: (off(clock) > 0) == wanted, "it goes to and fro")
    clock.set(drift_ppm=-1_000_000)
    shown = clock.ns()
    wait_until(lambda: off(clock) < -0.01, "it has fallen behind")
    assert clock.ns() == shown, "it is frozen"
    clock.set(offset_ms=10_000, grain_ms=1000)
    assert clock.ns() % 1_000_000_000 == 0
    assert off(clock) == pytest.approx(9.5, abs=0.6)
    clock.set()
    assert off(clock) == 0


@pytest.mark.parametrize("wrong", [{"offset_ms": 1.5}, {"strobe_ms": -1}, {"drift_ppm": 2 * 10**6}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}.*allowed"):
        WallClock().set(**wrong)


@pytest.mark.cluster
@in_loop
async def test_a_version_and_the_log_bear_the_time_of_a_wrong_clock(tmp_path: Path) -> None:
    with (
        reserve(2) as ports,
        ended(NodeAlone(tmp_path, ports.take(), ports.take(), clock_faults=True)) as node,
    ):
        node.start()
        await node.ready()
        with pytest.raises(AdminError, match="offset_ms: 'x'; allowed"):
            await node.ask("clock", offset_ms="x")
        answer = await node.ask("clock", offset_ms=-86_400_000)
        assert answer["wall"] < time.time_ns() // 1_000_000 - 80_000_000
        async with Client([node.address]) as store:
            await store.put(b"k", b"v")
            assert (await store.get(b"k")).values == (b"v",)
        await until(lambda: node.events("clock-fault"), "it is logged")
        assert node.events("clock-fault")[0]["time"] < time.time() - 80_000
