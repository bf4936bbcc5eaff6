"""The links that a node dials, against a scripted peer on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from dynamesis.cluster.core.protocol.events import Event, LinkDown, LinkUp, Received, SendFailed
from dynamesis.cluster.core.protocol.messages import (
    PROTOCOL,
    Entry,
    Get,
    Hello,
    Key,
    Message,
    Ping,
    Pong,
    Refusal,
    ReplicaPut,
    Version,
)
from dynamesis.cluster.net import peers
from dynamesis.cluster.net.peers import LINK_BOUND, Peers
from dynamesis.cluster.net.wire import NODE_LIMIT, Decoder, encode
from dynamesis.harness.processes.ports import reserve
from node_world import in_loop, until

ME = Hello("n1", "dynamesis")
PEER = Hello("n2", "dynamesis")
KEY = Key(b"k")


class Peer:
    """Accepts; greets with `hello` if there is one; keeps what it receives."""

    def __init__(self, port: int, hello: Hello | None = PEER) -> None:
        self.address = f"127.0.0.1:{port}"
        self.hello = hello
        self.received: list[Message] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.reads = True
        self._port = port
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        if self.hello is not None:
            writer.write(encode(self.hello))
        decoder = Decoder(NODE_LIMIT)
        with contextlib.suppress(OSError):
            while self.reads and (data := await reader.read(65536)):
                decoder.receive(data)
                while (message := decoder.next()) is not None:
                    self.received.append(message)

    def say(self, *data: Message | bytes) -> None:
        for each in data:
            self.writers[-1].write(each if isinstance(each, bytes) else encode(each))

    def hang_up(self) -> None:
        for writer in self.writers:
            writer.transport.abort()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.hang_up()


class World:
    def __init__(self, peer: Peer, hello_timeout: float) -> None:
        self.peer = peer
        self.events: list[Event] = []
        self.on_down: Callable[[], None] | None = None
        self.log: list[tuple[str, dict[str, object]]] = []
        self.peers = Peers(
            ME,
            hello_timeout,
            self.take,
            lambda events: [*map(self.take, events)],
            lambda event, **fields: self.log.append((event, fields)),
        )

    def take(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, LinkDown) and self.on_down is not None:
            asyncio.get_running_loop().call_soon(self.on_down)
            self.on_down = None

    def link(self) -> dict[str, object]:
        return dict(self.peers.status()["n2"])

    async def until_event(self, *events: Event) -> None:
        await until(lambda: all(event in self.events for event in events), f"{events}")

    def downs(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, LinkDown)]


@asynccontextmanager
async def world(hello: Hello | None = PEER, listening: bool = True) -> AsyncIterator[World]:
    with reserve(1) as ports:
        peer = Peer(ports.take(), hello)
        if listening:
            await peer.open()
        # a peer that greets may be late on a busy machine, and is not to be given up for that
        w = World(peer, 0.3 if hello is None else 60.0)
        try:
            w.peers.add("n2", peer.address)
            yield w
        finally:
            await w.peers.close()
            peer.close()


def refused(rid: int) -> SendFailed:
    return SendFailed("n2", rid)


@in_loop
async def test_it_dials_answers_hello_and_carries_both_ways() -> None:
    async with world() as w:
        w.peers.send("n2", Ping(1))  # waits for the dial
        await w.until_event(LinkUp("n2"))
        w.peers.send("n2", Ping(2))
        await until(lambda: len(w.peer.received) == 3, "both are there")
        assert w.peer.received == [Hello("n1", "dynamesis", PROTOCOL, "node"), Ping(1), Ping(2)]
        w.peer.say(Pong(1), Pong(2))
        await w.until_event(Received(None, "n2", Pong(1)), Received(None, "n2", Pong(2)))
        status = w.link()
        assert (status["up"], status["connects"], status["failures"]) == (True, 1, 0)
        assert status["bytes_in"] == sum(len(encode(m)) for m in (PEER, Pong(1), Pong(2)))


@in_loop
async def test_a_link_that_breaks_is_dialled_again() -> None:
    async with world() as w:
        await w.until_event(LinkUp("n2"))
        w.peer.hang_up()
        await until(lambda: w.events.count(LinkUp("n2")) == 2, "it is up again")
        assert [type(event) for event in w.events] == [LinkUp, LinkDown, LinkUp]
        w.peers.send("n2", Ping(1))
        await until(lambda: Ping(1) in w.peer.received, "it carries again")
        assert w.link()["connects"] == 2


@in_loop
async def test_a_peer_that_is_not_there_yet_is_found() -> None:
    async with world(listening=False) as w:
        await until(lambda: len(w.downs()) >= 3, "it tries again and again")
        assert "refused" in w.downs()[0].lower()
        assert [event for event, _ in w.log] == ["dial-failed"], "one line, not one a dial"
        await w.peer.open()
        await w.until_event(LinkUp("n2"))


@in_loop
async def test_a_peer_that_has_shown_itself_is_dialled_before_the_pause_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peers, "BACKOFF", (0.05, 3600.0))
    async with world(listening=False) as w:
        await until(lambda: w.downs(), "the first dial failed")
        link = w.peers._links["n2"]
        for wake in (lambda: w.peers.wake("n2"), w.peers.wake_all):
            monkeypatch.setattr(link._jitter, "uniform", lambda low, high: 36_000.0)
            downs = len(w.downs())
            wake()
            await until(lambda n=downs: len(w.downs()) > n, "it was dialled")  # type: ignore[misc]
        await w.peer.open()
        w.peers.wake("n2")
        await w.until_event(LinkUp("n2"))
        w.peers.wake("n9")  # there is none of this name


@in_loop
async def test_however_often_it_is_woken_attempts_keep_their_distance() -> None:
    async with world(listening=False) as w:
        dialled = set()
        for _ in range(300):
            w.peers.wake("n2")
            dialled.add(w.peers._links["n2"]._last_dial)
            await asyncio.sleep(0.002)
        times = sorted(dialled)
        assert len(times) > 2
        assert min(b - a for a, b in pairwise(times)) >= peers.BACKOFF[0] - 0.002


@in_loop
async def test_what_waited_for_a_dial_that_failed_was_certainly_not_sent() -> None:
    async with world(hello=None) as w:
        w.peers.send("n2", Ping(1))  # both wait for the first dial: nothing was awaited since
        w.peers.send("n2", Ping(2))
        await w.until_event(refused(1), refused(2))
        first_down = next(e for e in w.events if isinstance(e, LinkDown))
        assert w.events.index(refused(2)) < w.events.index(first_down)
        assert first_down.reason == "no HELLO within 0.3 s"
        assert w.link()["hello_timeouts"] >= 1
        assert w.peer.received == []
        w.peer.hello = PEER
        await w.until_event(LinkUp("n2"))


@in_loop
async def test_a_peer_that_was_just_tried_fails_immediately() -> None:
    async with world(listening=False) as w:
        seen: list[Event] = []

        def send() -> None:
            w.peers.send("n2", Ping(1))
            seen.extend(w.events[-1:])

        w.on_down = send
        await until(lambda: seen, "the first dial failed")
        assert seen == [refused(1)]


async def _never_up(hello: Hello | None, then: Callable[[World], None], reason: str) -> None:
    async with world(hello) as w:
        await until(lambda: w.peer.writers, "it is connected")
        then(w)
        await until(lambda: w.downs(), "it is down")
        assert reason in w.downs()[0]
        assert LinkUp("n2") not in w.events
        assert Ping(1) not in w.peer.received


@in_loop
async def test_whatever_answers_must_be_the_peer() -> None:
    def nothing(w: World) -> None:
        w.peers.send("n2", Ping(1))

    await _never_up(Hello("n3", "dynamesis"), nothing, "is node 'n3', not 'n2'")
    await _never_up(Hello("n2", "other"), nothing, "this is cluster 'other', not 'dynamesis'")
    await _never_up(Hello("n2", "dynamesis", PROTOCOL + 1), nothing, f"protocol {PROTOCOL + 1}")
    await _never_up(None, lambda w: w.peer.hang_up(), "closed by the other side")
    await _never_up(None, lambda w: w.peer.say(Pong(1)), "Pong came before HELLO")
    await _never_up(None, lambda w: w.peer.say(b"\xff" * 8), "is announced, the limit is")


@in_loop
async def test_rubbish_on_a_link_that_is_up_breaks_it() -> None:
    for rubbish, reason in (
        (encode(Get(1, b"k")), "Get is not an answer"),
        (encode(PEER), "Hello is not an answer"),
        (struct.pack(">I", NODE_LIMIT + 1), "is announced"),
    ):
        async with world() as w:
            await w.until_event(LinkUp("n2"))
            w.peer.say(rubbish)
            await until(lambda w=w: w.downs(), "it is down")  # type: ignore[misc]
            assert reason in w.downs()[0]
            assert [event for event, _ in w.log][:2] == ["link-up", "bad-frame"]


@in_loop
async def test_a_peer_that_breaks_the_protocol_and_reads_nothing_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it has not taken is not waited for, for as long as it is stopped, say."""
    monkeypatch.setattr(peers, "LAST_WORDS", 0.2)
    async with world() as w:
        w.peer.reads = False
        await w.until_event(LinkUp("n2"))
        for rid in range(5):
            w.peers.send("n2", ReplicaPut(rid, bytes(4 << 20), {}))
        w.peer.say(b"\xff" * 8)
        await until(lambda: w.downs(), "it is down")
        assert "is announced" in w.downs()[0]
        await until(lambda: w.events.count(LinkUp("n2")) == 2, "it is up again")


@in_loop
async def test_a_refusal_by_the_peer_is_an_answer() -> None:
    async with world() as w:
        await w.until_event(LinkUp("n2"))
        w.peer.say(Refusal(7, "overloaded", "later"))
        await w.until_event(Received(None, "n2", Refusal(7, "overloaded", "later")))


@in_loop
async def test_a_clogged_link_takes_no_more() -> None:
    async with world() as w:
        w.peer.reads = False
        await w.until_event(LinkUp("n2"))
        state = bytes(4 << 20)
        for rid in range(30):
            w.peers.send("n2", ReplicaPut(rid, state, {}))
            await asyncio.sleep(0)
        failed = [event.rid for event in w.events if isinstance(event, SendFailed)]
        assert failed, "120 MiB were taken"
        # what the kernel takes meanwhile makes room for a few more
        assert 30 - len(failed) <= LINK_BOUND // len(state) + 4
        assert failed[0] >= LINK_BOUND // len(state)


@in_loop
async def test_a_message_over_the_frame_limit_is_not_sent() -> None:
    async with world() as w:
        await w.until_event(LinkUp("n2"))
        w.peers.send("n2", ReplicaPut(1, bytes(NODE_LIMIT), {}))
        assert w.events[-1] == refused(1)
        assert w.log[-1][0] == "frame-too-large"
        w.peers.send("n2", Ping(2))
        await until(lambda: Ping(2) in w.peer.received, "the link lives")


@in_loop
async def test_a_question_to_several_peers_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[Message] = []

    def counted(message: Message, limit: int) -> bytes:
        encoded.append(message)
        return encode(message, limit)

    monkeypatch.setattr(peers, "encode", counted)
    async with world() as w:
        await w.until_event(LinkUp("n2"))
        shared, alike = ReplicaPut(1, KEY, {}), ReplicaPut(1, KEY, {})
        large = ReplicaPut(2, KEY, {"a": Entry(1, ((1, Version(bytes(1 << 20))),))})
        questions = [shared, shared, alike, large, large]
        for question in questions:
            w.peers.send("n2", question)
        await until(lambda: w.peer.received[-5:] == questions, "all came, in order")
        assert [id(message) for message in encoded] == [id(shared), id(alike), id(large)]
        assert w.peers._frame == b"", "a large frame is not kept"


@pytest.mark.parametrize("ticks", range(6))
@in_loop
async def test_links_end_also_when_a_wake_comes_at_the_same_time(ticks: int) -> None:
    """As when a cluster is stopped: each node sees others go, which have just dialled it."""
    with reserve(1) as ports:
        nothing = f"127.0.0.1:{ports.take()}"
        failed = asyncio.Event()
        made = Peers(ME, 1.0, lambda _: failed.set(), lambda _: failed.set(), lambda *_, **__: None)
        made.add("n2", nothing)
        await failed.wait()
        await asyncio.sleep(0.01)  # it pauses
        made.wake_all()
        for _ in range(ticks):
            await asyncio.sleep(0)
        await asyncio.wait_for(made.close(), 10)


@in_loop
async def test_what_was_sent_to_an_address_that_is_replaced_is_accounted_for() -> None:
    """Neither is the link given up where the address is the one that it had."""
    async with world() as w:
        await w.until_event(LinkUp("n2"))
        w.peers.add("n2", w.peer.address)
        w.peers.send("n2", Ping(1))
        await until(lambda: w.peer.received[-1:] == [Ping(1)], "the link is still the same")
        assert len(w.peer.writers) == 1
        with reserve(1) as ports:
            other = Peer(ports.take())
            await other.open()
            w.peers.add("n2", other.address)
            assert w.downs() == ["given up for another address"]
            w.peers.send("n2", Ping(2))
            await until(lambda: other.received[-1:] == [Ping(2)], "it goes to the other one")
            other.close()


@in_loop
async def test_what_waits_for_an_address_that_is_replaced_was_certainly_not_sent() -> None:
    async with world(hello=None) as w:
        w.peers.send("n2", Ping(1))
        with reserve(1) as ports:
            w.peers.add("n2", f"127.0.0.1:{ports.take()}")
            assert w.events[0] == refused(1)
