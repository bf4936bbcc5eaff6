"""What every implementation of links must do, asked of real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from dynamesis.harness.links.faults import (
    FAULTS,
    Bandwidth,
    BlackHole,
    FaultError,
    Latency,
    LimitData,
    RefusedLink,
    Reset,
    Slicer,
    make_fault,
)
from echo_world import NODES, Peer, Stage, World

pytestmark = pytest.mark.cluster


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        await asyncio.sleep(0.01)


def test_every_route_carries_both_ways(stage: Stage) -> None:
    async def scenario(w: World) -> None:
        for source in ("client", *NODES):
            for dest in NODES:
                if source != dest:
                    await w.works(source, dest)

    stage.run(scenario)


def test_refused_ends_what_is_open_and_refuses_the_rest(stage: Stage) -> None:
    async def scenario(w: World) -> None:
        open_before = await w.dial("n1", "n2")
        await open_before.hello()
        await w.links.apply({"n1-n2": RefusedLink()})
        await open_before.ended()
        assert await w.refused("n1", "n2")
        await w.links.heal()
        await w.works("n1", "n2")

    stage.run(scenario)


def test_a_fault_stays_on_its_own_route(stage: Stage) -> None:
    async def scenario(w: World) -> None:
        await w.links.apply({"n1-n2": RefusedLink(), "n1-n3": BlackHole()})
        await w.works("n2", "n1")
        await w.works("client", "n2")
        await w.works("n2", "n3")

    stage.run(scenario)


def test_black_hole_accepts_and_keeps_silent(stage: Stage) -> None:
    async def scenario(w: World) -> None:
        await w.links.apply({"n1-n2": BlackHole()})
        peer = await w.dial("n1", "n2")
        peer.write(b"a request")
        assert await peer.is_silent()
        assert w.nodes["n2"].received == b""
        await w.links.heal()
        await peer.ended()
        assert w.nodes["n2"].received == b"", "what fell into the hole came out of it"
        await w.works("n1", "n2")

    stage.run(scenario)


def test_black_hole_hides_the_end_of_a_connection(stage: Stage) -> None:
    async def scenario(w: World) -> None:
        await w.links.apply({"n1-n2": BlackHole()})
        peer = await w.dial("n1", "n2")
        await until(lambda: w.nodes["n2"].connections == 1, "n2 has the connection")
        peer.close()
        await asyncio.sleep(0.2)
        assert w.nodes["n2"].ends == 0

    stage.run(scenario)


def test_one_way_upstream_answers_but_does_not_get_through(stage: Stage) -> None:
    async def scenario(w: World) -> None:
        await w.links.apply({"n1-n2": BlackHole("upstream")})
        peer = await w.dial("n1", "n2")
        await peer.hello()
        peer.write(b"lost")
        assert await peer.is_silent()
        assert w.nodes["n2"].received == b""

    stage.run(scenario)


def test_one_way_downstream_gets_through_but_gets_nothing_back(stage: Stage) -> None:
    async def scenario(w: World) -> None:
        await w.links.apply({"n1-n2": BlackHole("downstream")})
        peer = await w.dial("n1", "n2")
        peer.write(b"first")
        await until(lambda: w.nodes["n2"].received == b"first", "n2 received the request")
        assert await peer.is_silent()

    stage.run(scenario)


def test_reset_upstream_executes_nothing(stage: Stage) -> None:
    async def scenario(w: World) -> None:
        await w.links.apply({"n1-n2": Reset("upstream")})
        peer = await w.dial("n1", "n2")
        await peer.hello()
        peer.write(b"lost")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await peer.read(4)
        assert w.nodes["n2"].received == b""

    stage.run(scenario)


def test_slow_delays_each_way(stage: Stage) -> None:
    async def scenario(w: World) -> None:
        await w.links.apply({"n1-n2": Latency(latency_ms=150, jitter_ms=20)})
        peer = await w.dial("n1", "n2")
        await peer.hello()
        began = time.monotonic()
        peer.write(b"a")
        assert await peer.read(1) == b"a"
        assert time.monotonic() - began >= 0.24

    stage.run(scenario)


def test_slow_keeps_the_order(stage: Stage) -> None:
    async def scenario(w: World) -> None:
        await w.links.apply({"n1-n2": Latency(latency_ms=20, jitter_ms=20)})
        peer = await w.dial("n1", "n2")
        await peer.hello()
        sent = bytes(range(40))
        for byte in sent:
            peer.write(bytes([byte]))
            await asyncio.sleep(0.002)
        assert await peer.read(len(sent)) == sent

    stage.run(scenario)


def test_narrow_takes_its_time(stage: Stage) -> None:
    async def scenario(w: World) -> None:
        await w.links.apply({"n1-n2": Bandwidth(rate_kbps=20, direction="upstream")})
        peer = await w.dial("n1", "n2")
        await peer.hello()
        began = time.monotonic()
        peer.write(bytes(10_000))
        await peer.read(10_000)
        assert time.monotonic() - began >= 0.35

    stage.run(scenario)


def test_torn_frames_arrive_whole_in_the_end(stage: Stage) -> None:
    async def scenario(w: World) -> None:
        await w.links.apply({"n1-n2": Slicer(piece_bytes=16, vary_bytes=8)})
        peer = await w.dial("n1", "n2")
        await peer.hello()
        frame = bytes(range(256)) * 4
        peer.write(frame)
        assert await peer.read(len(frame)) == frame

    stage.run(scenario)


def test_cut_off_ends_in_the_middle_of_a_frame(stage: Stage) -> None:
    async def scenario(w: World) -> None:
        await w.links.apply({"n1-n2": LimitData(after_bytes=1000)})
        peer = await w.dial("n1", "n2")
        await peer.hello()
        peer.write(bytes(3000))
        await peer.ended()
        assert len(w.nodes["n2"].received) == 1000

    stage.run(scenario)


def test_a_new_fault_replaces_the_old_one(stage: Stage) -> None:
    async def scenario(w: World) -> None:
        await w.links.apply({"n1-n2": RefusedLink(), "n1-n3": RefusedLink()})
        await w.links.apply({"n1-n2": Latency(latency_ms=5)})
        await w.works("n1", "n2")
        assert await w.refused("n1", "n3")

    stage.run(scenario)


def test_heal_is_for_the_named_routes_only_and_may_be_repeated(stage: Stage) -> None:
    async def scenario(w: World) -> None:
        await w.links.apply({"n1-n2": RefusedLink(), "n1-n3": RefusedLink()})
        await w.links.heal(["n1-n2"])
        await w.works("n1", "n2")
        assert await w.refused("n1", "n3")
        await w.links.heal()
        await w.links.heal()
        await w.works("n1", "n3")

    stage.run(scenario)


@pytest.mark.parametrize(
    ("faults", "complaint"),
    [
        ({"n1-n9": RefusedLink()}, "n1-n9"),
        ({"n2-n1": RefusedLink(), "n1-n2": Bandwidth(rate_kbps=-1)}, "rate_kbps"),
        ({"n2-n1": RefusedLink(), "n1-n2": Slicer(piece_bytes=8, vary_bytes=9)}, "vary_bytes"),
        ({"n2-n1": RefusedLink(), "n1-n2": BlackHole("sideways")}, "direction"),  # type: ignore
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_touched(
    stage: Stage, faults: dict[str, RefusedLink], complaint: str
) -> None:
    async def scenario(w: World) -> None:
        with pytest.raises(FaultError, match=complaint):
            await w.links.apply(faults)
        await w.works("n2", "n1")

    stage.run(scenario)


@pytest.mark.parametrize("kind", FAULTS)
def test_it_can_do_what_it_claims_and_refuses_the_rest(stage: Stage, kind: str) -> None:
    async def scenario(w: World) -> None:
        if kind in w.links.kinds:
            await w.links.apply({"n1-n2": make_fault(kind)})
            await w.links.heal()
        else:
            with pytest.raises(FaultError, match=kind):
                await w.links.apply({"n2-n1": RefusedLink(), "n1-n2": make_fault(kind)})
        await w.works("n2", "n1")
        await w.works("n1", "n2")

    stage.run(scenario)


@pytest.mark.parametrize("fault", [RefusedLink(), BlackHole()])
def test_once_a_cut_is_made_nothing_gets_through_not_even_what_was_just_dialling(
    stage: Stage, fault: RefusedLink | BlackHole
) -> None:
    async def try_through(w: World) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            peer = await w.dial("n1", "n2")
            dialled.append(peer)

    dialled: list[Peer] = []

    async def scenario(w: World) -> None:
        for round in range(5):
            # a connection that only the kernel has accepted yet may get through once
            # all is healed, so each round speaks its own words
            words = b"through %d?" % round
            dials = [asyncio.create_task(try_through(w)) for _ in range(40)]
            await asyncio.sleep(0)
            await w.links.apply({"n1-n2": fault})
            await asyncio.gather(*dials)
            for peer in dialled:
                peer.write(words)
            await w.works("n3", "n2")
            assert words not in w.nodes["n2"].received
            dialled.clear()
            await w.links.heal()

    stage.run_alone(scenario)


def test_a_large_transfer_is_unharmed(stage: Stage) -> None:
    async def scenario(w: World) -> None:
        peer = await w.dial("client", "n1")
        await peer.hello()
        data = bytes(range(256)) * 8192
        peer.write(data)
        assert await peer.read(len(data)) == data

    stage.run(scenario)


def test_routes_of_a_newcomer_are_added_and_the_others_left_alone(stage: Stage) -> None:
    async def scenario(w: World) -> None:
        await w.links.apply({"n1-n2": RefusedLink()})
        open_before = await w.dial("n2", "n3")
        await open_before.hello()
        await w.welcome("n4")
        for other in NODES:
            await w.works("n4", other)
            await w.works(other, "n4")
        await w.works("client", "n4")
        open_before.write(b"ping")
        assert await open_before.read(4) == b"ping"
        assert await w.refused("n1", "n2")
        await w.links.apply({"n4-n1": RefusedLink(), "n1-n4": BlackHole()})
        assert await w.refused("n4", "n1")
        assert await (await w.dial("n1", "n4")).is_silent()
        await w.links.heal()
        await w.works("n1", "n4")
        await w.works("n4", "n1")

    stage.run_alone(scenario)


def test_faults_come_and_go_under_load(stage: Stage) -> None:
    """Pipelined frames while faults change: what deadlocked a server whose live toxics
    were edited."""

    async def hammer(w: World, done: asyncio.Event) -> None:
        while not done.is_set():
            try:
                peer = await w.dial("n1", "n2")
                for _ in range(200):
                    peer.write(bytes(2000))
                    await asyncio.sleep(0)
                await asyncio.wait_for(peer.read(1000), 0.05)
                peer.close()
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                await asyncio.sleep(0.005)

    async def scenario(w: World) -> None:
        done = asyncio.Event()
        load = [asyncio.create_task(hammer(w, done)) for _ in range(4)]
        for fault in (RefusedLink(), BlackHole(), Latency(latency_ms=5), Slicer(), Reset()) * 4:
            await w.links.apply({"n1-n2": fault})
            await asyncio.sleep(0.02)
            await w.links.heal(["n1-n2"])
        done.set()
        await asyncio.gather(*load)
        assert w.incidents == []
        await w.works("n1", "n2")

    stage.run_alone(scenario)
