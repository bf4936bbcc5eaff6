"""What embedded links can do beyond Toxiproxy: frames, stalls, half-close, counting."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from dynamesis.harness.links import LINKS, LinkContext, embedded
from dynamesis.harness.links.base import plan_routes
from dynamesis.harness.links.direct import DirectLinks
from dynamesis.harness.links.embedded import EmbeddedLinks
from dynamesis.harness.links.faults import BlackHole, FaultError, Frames, RefusedLink, Stall
from dynamesis.harness.processes.ports import reserve
from dynamesis.harness.processes.process_guard import ProcessGuard
from dynamesis.harness.targets.system import EnvironmentFailed
from echo_world import HELLO, World, build_world, make_embedded

pytestmark = pytest.mark.cluster


def run(folder: Path, scenario: Callable[[World], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with build_world(make_embedded, folder) as world:
            await scenario(world)

    asyncio.run(whole())


def frame(number: int) -> bytes:
    return (4).to_bytes(4, "big") + number.to_bytes(4, "big")


def numbers(data: bytes) -> list[int]:
    return [int.from_bytes(data[i + 4 : i + 8], "big") for i in range(0, len(data), 8)]


async def sent(w: World, fault: Frames, count: int) -> list[int]:
    """The frames that reach n2 of so many sent by n1, after the first one is through."""
    await w.links.apply({"n1-n2": fault})
    node = w.nodes["n2"]
    node.received.clear()
    ends = node.ends
    peer = await w.dial("n1", "n2")
    for number in range(count):
        peer.write(frame(number))
        await asyncio.sleep(0)
    peer.half_close()
    async with asyncio.timeout(100):
        while node.ends == ends:
            await asyncio.sleep(0.01)
    return numbers(bytes(node.received))


def test_dropped_frames_are_missing_whole_and_the_first_is_spared(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        assert await sent(w, Frames(drop=100, direction="upstream"), 20) == [0]
        arrived = await sent(w, Frames(drop=50, direction="upstream"), 100)
        assert arrived[0] == 0
        assert arrived == sorted(set(arrived))
        assert 20 < len(arrived) < 80

    run(tmp_path, scenario)


def test_what_is_dropped_is_drawn_from_the_seed(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        fault = Frames(drop=50, direction="upstream", seed=seeds.pop())
        arrived.append(await sent(w, fault, 60))

    seeds = [4, 3, 3]
    arrived: list[list[int]] = []
    for _ in range(3):
        run(tmp_path, scenario)
    assert arrived[0] == arrived[1] != arrived[2]


def test_duplicated_frames_come_twice(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        arrived = await sent(w, Frames(drop=0, duplicate=100, direction="upstream"), 3)
        assert arrived == [0, 1, 1, 2, 2]

    run(tmp_path, scenario)


def test_reordered_frames_all_arrive_in_another_order(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        arrived = await sent(w, Frames(drop=0, reorder=40, direction="upstream"), 60)
        assert sorted(arrived) == list(range(60))
        assert arrived != sorted(arrived)

    run(tmp_path, scenario)


def test_a_frame_that_no_one_overtakes_arrives_too(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        await w.links.apply({"n1-n2": Frames(drop=0, reorder=100, direction="upstream")})
        peer = await w.dial("n1", "n2")
        await peer.hello()
        peer.write(frame(0) + frame(1))
        assert await peer.read(16) == frame(0) + frame(1)

    run(tmp_path, scenario)


def test_bytes_that_are_not_frames_pass(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        await w.links.apply({"n1-n2": Frames(drop=0, direction="upstream")})
        peer = await w.dial("n1", "n2")
        await peer.hello()
        noise = b"\xff" * 1000
        peer.write(noise)
        assert await peer.read(1000) == noise

    run(tmp_path, scenario)


def test_a_stall_delivers_late_on_the_same_connection(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        await w.links.apply({"n1-n2": Stall()})
        peer = await w.dial("n1", "n2")
        peer.write(b"old news")
        assert await peer.is_silent()
        assert w.nodes["n2"].received == b""
        await w.links.heal()
        await peer.hello()
        assert await peer.read(8) == b"old news"
        peer.write(b"news")
        assert await peer.read(4) == b"news"

    run(tmp_path, scenario)


def test_a_stall_shows_neither_side_that_it_has_come(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        peer = await w.dial("n1", "n2")
        await peer.hello()
        await w.links.apply({"n1-n2": Stall()})
        peer.write(b"old news")
        assert await peer.is_silent()
        assert w.nodes["n2"].received == b""
        assert w.nodes["n2"].ends == 0
        await w.links.heal()
        assert await peer.read(8) == b"old news"

    run(tmp_path, scenario)


def test_half_close_is_carried_exactly(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        peer = await w.dial("n1", "n2")
        await peer.hello()
        peer.write(b"last words")
        peer.half_close()
        assert await peer.read(10) == b"last words"
        await peer.ended()
        assert w.nodes["n2"].ends == 1

    run(tmp_path, scenario)


def test_what_was_sent_last_arrives_although_both_sides_are_done(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        data = bytes(range(256)) * 32768
        w.nodes["n2"].farewell = data
        peer = await w.dial("n1", "n2")
        await peer.hello()
        peer.write(b"bye")
        peer.half_close()
        await asyncio.sleep(0.3)
        assert await peer.read(len(data)) == data

    run(tmp_path, scenario)


def test_it_counts_what_it_carried_and_what_it_swallowed(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        assert isinstance(w.links, EmbeddedLinks)
        await w.works("n1", "n2")
        counted = (await w.links.count())["n1-n2"]
        assert counted["connections"] == 1
        assert counted["bytes_in"] == counted["bytes_out"] == len(HELLO) + 8
        await w.links.apply({"n1-n2": BlackHole("upstream")})
        peer = await w.dial("n1", "n2")
        await peer.hello()
        peer.write(b"gone")
        async with asyncio.timeout(100):
            while (await w.links.count())["n1-n2"]["bytes_in"] < 2 * len(HELLO) + 12:
                await asyncio.sleep(0.01)
        assert (await w.links.count())["n1-n2"]["bytes_out"] == 2 * len(HELLO) + 8

    run(tmp_path, scenario)


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_stuck_or_dead_proxy_is_replaced_with_its_routes_and_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    async def scenario(w: World) -> None:
        assert isinstance(w.links, EmbeddedLinks)
        await w.links.apply({"n1-n2": RefusedLink()})
        before = w.links.pids["proxy"]
        os.kill(before, number)
        monkeypatch.setattr(embedded, "_TIMEOUT", 2.0)
        await w.links.apply({"n1-n3": BlackHole()})
        (incident,) = w.incidents
        assert incident["pid"] == w.links.pids["proxy"] != before
        assert await w.refused("n1", "n2")
        await w.works("n2", "n1")
        await w.links.heal()
        await w.works("n1", "n2")

    run(tmp_path, scenario)


def test_a_dead_proxy_is_found_and_replaced(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        before = w.links.pids["proxy"]
        await w.links.revive()
        assert w.incidents == []
        os.kill(before, signal.SIGKILL)
        async with asyncio.timeout(100):
            while not w.incidents:
                await w.links.revive()
                await asyncio.sleep(0.01)
        assert w.incidents[0]["reason"] == "it has ended"
        await w.works("n1", "n2")

    run(tmp_path, scenario)


def test_a_taken_route_port_fails_the_start_and_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        with reserve(5) as ports, ProcessGuard.start() as reaper:
            links = EmbeddedLinks(tmp_path, reaper, print)
            routes = plan_routes({"n1": "127.0.0.1:9", "n2": "127.0.0.1:9"}, ports.numbers[:4])
            with (
                socket.create_server(("127.0.0.1", ports.numbers[0])),
                pytest.raises(EnvironmentFailed, match=str(ports.numbers[0])),
            ):
                await links.start(routes)
            assert links.pids == {}

    asyncio.run(scenario())


def test_the_proxy_ends_with_its_input(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        assert isinstance(w.links, EmbeddedLinks)
        process = w.links._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 100) == 0

    run(tmp_path, scenario)


def test_without_toxiproxy_auto_is_embedded_and_reports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(say: Callable[[str], None]) -> Path:
        raise EnvironmentFailed("no toxiproxy-server 2.12.0")

    monkeypatch.setattr("dynamesis.harness.links.provision.toxiproxy_server", nothing)
    notes: list[str] = []
    with reserve(1) as ports, ProcessGuard.start() as reaper:
        links = LINKS["auto"].make(LinkContext(tmp_path, ports, reaper, notes.append, print))
    assert isinstance(links, EmbeddedLinks)
    assert notes == ["no toxiproxy-server 2.12.0\nSo this test uses embedded links."]


def test_direct_links_go_straight_and_refuse_faults() -> None:
    async def scenario() -> None:
        links = DirectLinks()
        await links.start(plan_routes({"n1": "127.0.0.1:9", "n2": "127.0.0.1:9"}, range(4)))
        assert links.address("n1", "n2") == "127.0.0.1:9"
        with pytest.raises(FaultError, match="use --links toxiproxy or embedded"):
            await links.apply({"n1-n2": RefusedLink()})
        await links.heal()

    asyncio.run(scenario())
