"""Readers that do not read and connections without end: what is too much is cut off by name, and
all others, the administrator first, are served."""

from __future__ import annotations

import asyncio
import resource
import time
from collections import deque
from pathlib import Path

import pytest
from dynamesis.cluster.client.admin import AdminError
from dynamesis.cluster.client.client import Client
from dynamesis.cluster.core.protocol.messages import (
    Get,
    GetReply,
    Hello,
    Key,
    Message,
    Ping,
    Put,
    PutReply,
    QuorumInfo,
    Refusal,
    RequestOptions,
    Version,
)
from dynamesis.cluster.net import listener as module
from dynamesis.cluster.net.exceptions import DynamoError
from dynamesis.cluster.net.inbound import Inbound
from dynamesis.cluster.net.listener import READERS_BOUND
from dynamesis.cluster.net.wire import encode
from dynamesis.harness.processes.ports import reserve
from node_world import CLIENT, PATIENCE, NodeAlone, Raw, ended, in_loop, listening, until
from test_overload import anonymous_bytes

MIB = 1 << 20


@in_loop
async def test_an_answer_has_the_time_at_which_it_was_read_from_the_socket(tmp_path: Path) -> None:
    with reserve(2) as ports, ended(NodeAlone(tmp_path, ports.take(), ports.take())) as node:
        node.start()
        await node.ready()
        async with Client([node.address]) as client:
            await client.get(b"k")
            before = time.monotonic_ns()
            put = await client.put(b"k", b"v")
            got = await client.get(b"k")
            with pytest.raises(DynamoError) as refused:
                await client.put(b"k", b"v", context=b"of nothing")
            last = time.monotonic_ns()
        assert before < put.arrived < got.arrived < refused.value.arrived < last


@in_loop
async def test_readers_that_do_not_read_are_bounded_all_together(tmp_path: Path) -> None:
    with reserve(2) as ports, ended(NodeAlone(tmp_path, ports.take(), ports.take())) as node:
        process = node.start()
        await node.ready()
        async with Client([node.address], timeout=60.0) as client:
            for _ in range(3):
                await client.put(b"large", bytes(MIB))
            before = anonymous_bytes(process.pid)
            # each is asked for no more once it has left some unread, but there are many
            deaf = [await Raw.greeted(node.address, CLIENT, taken=64 << 10) for _ in range(100)]
            for raw in deaf:
                raw.say(*(Get(rid, Key(b"large")) for rid in range(60)))
            # a machine that takes longer than READER_TIMEOUT for it sees that bound as well
            reason = f"clients have left more than {READERS_BOUND} bytes unread"
            await until(
                lambda: reason in {e["reason"] for e in node.events("slow-reader")},
                "those for which most is kept are cut off",
            )
            await client.put(b"k", b"v")
            # an answer of which the kernel has a part is in memory whole, and counted so
            assert anonymous_bytes(process.pid) - before < 1.5 * READERS_BOUND
            # what was answered in this tick is not counted yet
            assert (await node.ask("status"))["unsent"] <= READERS_BOUND + 16 * MIB
            assert (await client.get(b"k")).values == (b"v",)
        for raw in deaf:
            raw.close()


@in_loop
async def test_a_reader_has_a_time_in_which_to_read_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READER_TIMEOUT", 2.0)
    monkeypatch.setattr(module, "LOOK", 0.05)
    events: list[tuple[str, object]] = []
    answer = GetReply(1, (Version(bytes(8 * MIB)),), b"", QuorumInfo(1, 1, 1, 0, "n1"))

    def deliver(inbound: Inbound, messages: list[Message]) -> None:
        for _ in messages:
            inbound.reply(answer)

    async with listening(deliver, lambda e, **kw: events.append((e, kw))) as (port, address):
        deaf = await Raw.greeted(address, CLIENT)
        deaf.say(Get(1, Key(b"k")))
        slow = await Raw.greeted(address, CLIENT)
        slow.say(Get(1, Key(b"k")))
        received = 0

        async def read_slowly() -> None:
            nonlocal received
            while True:
                await asyncio.sleep(0.1)
                received += len(await slow._reader.read(400_000))

        reading = asyncio.create_task(read_slowly())
        await until(lambda: [e for e, _ in events if e == "slow-reader"], "it is cut off")
        await until(lambda: received > 4 * MIB, "the other one has read on")
        assert [e for e, _ in events].count("slow-reader") == 1
        await until(lambda: len(port.channels) == 1, "its channel has ended")
        reading.cancel()
        slow.close()
        deaf.close()


@in_loop
async def test_descriptors_that_run_out_are_refused_by_name_and_the_admin_port_answers(
    tmp_path: Path,
) -> None:
    with reserve(2) as ports, ended(NodeAlone(tmp_path, ports.take(), ports.take())) as node:
        process = node.start()
        await node.ready()
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (100, 100))
        busy = [await Raw.greeted(node.address, CLIENT) for _ in range(5)]
        idle = []
        for _ in range(300):
            try:
                idle.append(await Raw.dial(node.address))
            except OSError:
                continue
        assert (await node.ask("status"))["ready"]
        async with asyncio.timeout(PATIENCE):
            while not node.events("connection-refused"):  # of those that come together
                crowd = await asyncio.gather(*(Raw.dial(node.address) for _ in range(60)))
                for raw in crowd:
                    if isinstance(await raw.read(), Hello):
                        raw.say(CLIENT)
                idle += crowd
                assert (await node.ask("status"))["ready"]
        assert "descriptors are in use" in node.events("connection-refused")[0]["reason"]
        # those that are idle for longest make room
        await asyncio.sleep(1.1)
        async with Client([node.address]) as client:
            await client.put(b"k", b"v")
        await until(lambda: node.events("idle-closed"), "an idle one was closed")
        assert process.poll() is None
        for raw in (*busy, *idle):
            raw.close()


@in_loop
async def test_connections_have_a_limit_and_the_longest_idle_one_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 5)
    monkeypatch.setattr(module, "IDLE", 0.2)
    events: list[str] = []
    asked: list[Message] = []
    async with listening(
        lambda inbound, messages: asked.extend(messages),
        lambda event, **fields: events.append(event),
    ) as (port, address):
        waiting = await Raw.greeted(address, CLIENT)
        waiting.say(Get(1, Key(b"k")))
        await until(lambda: asked, "its question is there")
        others = [await Raw.greeted(address, CLIENT) for _ in range(4)]
        await until(lambda: not port.strangers, "all are known")
        refused = await Raw.dial(address)
        refusal = await refused.read()
        assert isinstance(refusal, Refusal)
        assert (refusal.code, refusal.message) == ("overloaded", "5 connections are in use")
        await asyncio.sleep(0.3)
        late = await Raw.greeted(address, CLIENT)
        assert await others[0].read() is None
        assert events.count("idle-closed") == 1
        for raw in (waiting, *others, refused, late):
            raw.close()


@in_loop
async def test_a_hello_finds_room_among_connections_that_send_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 5)
    monkeypatch.setattr(module, "IDLE", 1000.0)
    events: list[str] = []
    async with listening(
        lambda inbound, messages: None, lambda event, **fields: events.append(event)
    ) as (port, address):
        known = [await Raw.greeted(address, CLIENT) for _ in range(2)]
        await until(lambda: len(port.strangers) == 0, "both are known")
        strangers = [await Raw.dial(address) for _ in range(30)]
        for raw in strangers:
            await raw.read()
        known += [await Raw.greeted(address, CLIENT) for _ in range(3)]
        await until(lambda: not port.strangers, "no stranger is left")
        await until(lambda: len(port.channels) == 5, "only those that are known")
        assert "connection-refused" not in events
        assert events.count("idle-closed") == 30
        # what is known is idle for a while before it makes room
        refusal = await (await Raw.dial(address)).read()
        assert isinstance(refusal, Refusal)
        for raw in (*known, *strangers):
            raw.close()


@in_loop
async def test_connections_that_are_opened_without_end_do_not_cost_a_search_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 200)
    monkeypatch.setattr(module, "IDLE", 0.0)
    looks = 0

    def idle(self: Inbound, before: float) -> bool:
        nonlocal looks
        looks += 1
        return is_idle(self, before)

    is_idle = Inbound.idle
    monkeypatch.setattr(Inbound, "idle", idle)
    events: list[str] = []
    async with listening(
        lambda inbound, messages: None, lambda event, **fields: events.append(event)
    ) as (port, address):
        crowd = [await Raw.greeted(address, CLIENT) for _ in range(200)]
        await until(lambda: len(port.channels) == 200 and not port.strangers, "all are there")
        first = next(iter(port.channels.values()))
        crowd += [await Raw.greeted(address, CLIENT) for _ in range(150)]
        await until(lambda: events.count("idle-closed") == 150, "so many made room")
        assert first.closing
        assert looks < 2000, "200 for each of 150 newcomers would be 30,000"
        for raw in crowd:
            raw.close()


@in_loop
async def test_what_a_stranger_is_called_fills_no_log(tmp_path: Path) -> None:
    with reserve(2) as ports, ended(NodeAlone(tmp_path, ports.take(), ports.take())) as node:
        node.start()
        await node.ready()
        long = "x" * 60_000
        for hello in (
            Hello(long, "dynamesis"),
            Hello("", long, role="client"),
            Hello(long, "dynamesis", role="admin"),
        ):
            raw = await Raw.dial(node.admin if hello.role == "admin" else node.address)
            await raw.read()
            raw.say(hello)
            refusal = await raw.read()
            assert isinstance(refusal, Refusal)
            assert len(refusal.message) <= 500
            raw.close()
        await until(lambda: len(node.events("bad-frame")) == 3, "all are in the log")
        assert node.events("wrong-secret")
        assert node.log.stat().st_size < 10_000


@in_loop
async def test_what_is_dialled_has_a_name_that_fills_no_log_either(tmp_path: Path) -> None:
    long = "x" * 60_000
    hellos = deque([Hello(long, "dynamesis"), Hello("n2", long), Hello("n2", "dynamesis")])

    async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode(hellos[0]))
        hellos.rotate(-1)
        await reader.read(10_000)
        writer.write(encode(Refusal(0, "bad-request", long)))
        writer.close()

    with reserve(3) as ports:
        port = ports.take()
        members = {"members": ["n1", "n2"], "peers": {"n2": f"127.0.0.1:{port}"}}
        server = await asyncio.start_server(impostor, "127.0.0.1", port)
        with ended(NodeAlone(tmp_path, ports.take(), ports.take(), **members)) as node:
            node.start()
            await until(lambda: len(node.events("dial-failed")) > 3, "each was dialled")
            reasons = {event["reason"] for event in node.events("dial-failed")}
            assert len(reasons) > 1
            assert all(0 < len(reason) <= 1000 for reason in reasons)
            assert len((await node.ask("status"))["links"]["n2"]["reason"]) <= 1000
        server.close()


@in_loop
async def test_introduce_refuses_malformed_names(tmp_path: Path) -> None:
    with reserve(3) as ports, ended(NodeAlone(tmp_path, ports.take(), ports.take())) as node:
        node.start()
        await node.ready()
        address = f"127.0.0.1:{ports.take()}"
        for name, why in (
            ("", "it is empty"),
            ("n1", "is not another node's id"),
            ("n\n2", "cannot be printed"),
            ("n" * 60_000, "it is over 255 bytes"),
            ("é" * 128, "it is over 255 bytes"),
            (2, "it is not text"),
            (None, "it is not text"),
            (["n2"], "it is not text"),
        ):
            with pytest.raises(AdminError, match=f"^introduce: .*{why}$") as caught:
                await node.ask("introduce", id=name, address=address)
            assert len(str(caught.value)) < 250
        for wrong in ("", "n2", "127.0.0.1:0", 7, None, f"h:{'9' * 5000}", "a..b:1", "ä..b:1"):
            with pytest.raises(AdminError, match=r"^introduce: .* is not an address; allowed"):
                await node.ask("introduce", id="n2", address=wrong)
        assert (await node.ask("status"))["links"] == {}
        await node.ask("introduce", id="n" * 255, address=address)
        assert [*(await node.ask("status"))["links"]] == ["n" * 255]


@in_loop
async def test_a_client_that_hangs_up_leaves_nothing_behind(tmp_path: Path) -> None:
    """Of three nodes one is paused: what waits for it ends with its client."""
    names = ("n1", "n2", "n3")
    with reserve(6) as ports:
        places = {name: (ports.take(), ports.take()) for name in names}
        nodes = {}
        try:
            for name, (port, admin) in places.items():
                (tmp_path / name).mkdir()
                peers = {n: f"127.0.0.1:{p}" for n, (p, _) in places.items() if n != name}
                # nothing is suspected: what waits is not ended by that
                params = {"n": 1, "r": 1, "w": 1, "probe_interval": 1000.0, "request_timeout": 50.0}
                params["queue_target"] = 50.0  # nor shed
                rest = {"members": names, "peers": peers, "params": params}
                nodes[name] = NodeAlone(tmp_path / name, port, admin, node=name, **rest)
                nodes[name].start()
            for node in nodes.values():
                await node.ready()
            first = nodes["n1"]
            await until(lambda: len(first.events("link-up")) == 2, "the nodes are linked")
            paused = nodes["n2"].process
            assert paused is not None
            paused.send_signal(19)
            raw = await Raw.greeted(first.address, CLIENT)
            options = RequestOptions(timeout=50.0)
            raw.say(
                *(Put(i, f"r{i}", Key(b"k%d" % i), b"v", b"", False, options) for i in range(600))
            )
            answered = [await raw.read() for _ in range(200)]
            assert any(isinstance(a, PutReply) for a in answered)
            assert (await first.ask("status"))["requests"] > 50
            raw.close()

            async def none_left() -> bool:
                return not (await first.ask("status"))["requests"]

            async with asyncio.timeout(20):
                while not await none_left():
                    await asyncio.sleep(0.05)
        finally:
            for node in nodes.values():
                node.end()


@in_loop
async def test_a_flood_of_what_is_refused_fills_no_log(tmp_path: Path) -> None:
    with (
        reserve(2) as ports,
        ended(NodeAlone(tmp_path, ports.take(), ports.take(), log_size=1 << 20)) as node,
    ):
        node.start()
        await node.ready()
        raw = await Raw.greeted(node.address, CLIENT)
        for _ in range(30):
            raw.say(*(Ping(rid) for rid in range(1000)))
        for _ in range(30_000):
            assert isinstance(await raw.read(), Refusal)
        await until(lambda: node.events("dropped"), "what was dropped is counted")
        assert all(e["kind"] == "refused" for e in node.events("dropped"))
        assert node.log.stat().st_size < 1 << 20
        assert not node.log.with_name("node.log.1").exists()
        raw.close()
