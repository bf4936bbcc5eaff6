"""Questions that wait for a turn: as bytes, but for a few of each connection, and not too many."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from dynamesis.cluster.client.client import Client
from dynamesis.cluster.core.protocol.messages import (
    Get,
    GetReply,
    Hello,
    Key,
    Message,
    Put,
    QuorumInfo,
    Refusal,
    ReplicaGet,
    Version,
)
from dynamesis.cluster.net import listener as module
from dynamesis.cluster.net.inbound import QUESTIONS, Inbound
from dynamesis.cluster.net.turns import TURN
from dynamesis.cluster.net.wire import Decoder, encode
from dynamesis.harness.processes.ports import reserve
from node_world import CLIENT, SECRET, NodeAlone, Raw, ended, in_loop, listening, until
from test_overload import anonymous_bytes

MIB = 1 << 20
#: bytes that one read of a socket brings at most
READ = 256 << 10
ANSWER = GetReply(1, (), b"", QuorumInfo(1, 1, 1, 0, "n1"))


def gets(count: int) -> bytes:
    return b"".join(encode(Get(rid, Key(b"k"))) for rid in range(count))


@in_loop
async def test_what_many_clients_send_together_waits_as_bytes(tmp_path: Path) -> None:
    """200 times 20,000 questions of 16 bytes were 640 MiB as questions, and all of them were made
    before an administrator was answered."""
    with reserve(2) as ports, ended(NodeAlone(tmp_path, ports.take(), ports.take())) as node:
        process = node.start()
        await node.ready()
        crowd = [await Raw.greeted(node.address, CLIENT) for _ in range(200)]
        before = anonymous_bytes(process.pid)
        process.send_signal(signal.SIGSTOP)
        for raw in crowd:
            raw.write(gets(20_000))
        process.send_signal(signal.SIGCONT)
        assert (await node.ask("status"))["ready"]
        async with Client([node.address], timeout=60.0) as client:
            await client.get(b"k")
        used = anonymous_bytes(process.pid) - before
        assert used < 160 * MIB, f"{used / MIB:.0f} MiB"


@pytest.mark.parametrize("together", [True, False])
@in_loop
async def test_all_is_handed_on_in_its_order_however_much_came_together(together: bool) -> None:
    asked: list[int] = []
    most = 0

    def deliver(inbound: Inbound, messages: Iterable[Message]) -> None:
        nonlocal most
        most = max(most, len(inbound.waiting))
        for message in messages:
            assert isinstance(message, Get | Put)
            asked.append(message.rid)
            inbound.reply(ANSWER)

    async with listening(deliver) as (port, address):
        raw = await Raw.dial(address)
        await raw.read()
        # a message that no client may send is refused where it comes
        wrong = [encode(CLIENT)] * 1000
        large = encode(Put(-1, "", Key(b"k"), bytes(MIB)))
        data = [encode(CLIENT), gets(3000), *wrong, gets(3000), large, gets(100)]
        if together:
            raw.write(b"".join(data))
        else:
            for part in data:
                raw.write(part)
        answers = [await raw.read() for _ in range(7101)]
        assert asked == [*range(3000), *range(3000), -1, *range(100)]
        assert sum(isinstance(answer, Refusal) for answer in answers) == 1000
        assert most <= QUESTIONS
        (channel,) = port.channels.values()
        assert (channel.owed, channel.held, channel.waits) == (0, 0, 0)
        # and it is read on
        raw.write(gets(1))
        await raw.read()
        assert len(asked) == 6102


@in_loop
async def test_above_their_bound_the_longest_are_refused_and_the_others_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WAITING_BOUND", 8 * MIB)
    monkeypatch.setattr(module, "WAITING_LEFT", 6 * MIB)
    events: list[str] = []

    def deliver(inbound: Inbound, messages: Iterable[Message]) -> None:
        for message in messages:
            time.sleep(0.001)
            assert isinstance(message, Get | Put)
            inbound.reply(ANSWER)

    async with listening(deliver, lambda event, **fields: events.append(event)) as (port, address):
        few = await Raw.greeted(address, CLIENT)
        large = [await Raw.greeted(address, CLIENT) for _ in range(12)]
        many = await Raw.greeted(address, CLIENT)
        await until(lambda: not port.strangers, "all are greeted")
        many.write(gets(20_000))
        for raw in large:
            raw.say(Put(7, "", Key(b"k"), bytes(MIB)))
        few.write(gets(3))
        assert [type(await few.read()) for _ in range(3)] == [GetReply] * 3
        answers = [await raw.read() for raw in large]
        refused = [answer for answer in answers if isinstance(answer, Refusal)]
        assert all((r.rid, r.code, r.retry_after) == (7, "overloaded", 1.0) for r in refused)
        assert all("bytes of questions wait on all connections" in r.message for r in refused)
        assert len(refused) >= events.count("refused")
        assert sum(inbound.waits for inbound in port.channels.values()) <= 8 * MIB


@in_loop
async def test_questions_count_with_what_they_take_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They came in a quarter of the bytes that may wait."""
    monkeypatch.setattr(module, "WAITING_BOUND", 1 * MIB)
    monkeypatch.setattr(module, "WAITING_LEFT", MIB // 2)
    put = encode(Put(1, "of a client", Key(b"k"), b"v"))
    assert 64 * QUESTIONS * len(put) < MIB // 4

    def deliver(inbound: Inbound, messages: Iterable[Message]) -> None:
        for _ in messages:
            time.sleep(2 * TURN)  # the others are read meanwhile
            inbound.reply(ANSWER)

    async with listening(deliver) as (port, address):
        crowd = [await Raw.greeted(address, CLIENT) for _ in range(64)]
        await until(lambda: not port.strangers, "all are greeted")
        for raw in crowd:
            raw.write(put * QUESTIONS)
        answers = [await raw.read() for raw in crowd]
        refused = [answer for answer in answers if isinstance(answer, Refusal)]
        assert refused
        assert {answer.code for answer in refused} == {"overloaded"}


@in_loop
async def test_of_one_that_sent_far_too_much_the_rest_is_dropped_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WAITING_BOUND", MIB)
    monkeypatch.setattr(module, "WAITING_LEFT", MIB // 2)
    events: list[str] = []

    def deliver(inbound: Inbound, messages: Iterable[Message]) -> None:
        for _ in messages:
            time.sleep(0.0001)
            inbound.reply(ANSWER)

    async with listening(deliver, lambda event, **fields: events.append(event)) as (port, address):
        crowd = [await Raw.greeted(address, CLIENT) for _ in range(20)]
        await until(lambda: not port.strangers, "all are greeted")
        for raw in crowd:
            raw.write(gets(10_000))
        await until(lambda: "connection-refused" in events, "one was cut off")
        cut = [raw for raw in crowd if await _ends(raw)]
        assert 0 < len(cut) <= events.count("connection-refused")
        assert len(cut) < len(crowd)
        for raw in crowd:
            raw.close()
        await until(lambda: not port.channels, "all have gone")
        assert port._waiting == 0


async def _ends(raw: Raw) -> bool:
    """Whether the connection ends before it has had many answers. What was not read of it when it
    was closed may be answered by a reset, which takes the reason away."""
    for _ in range(2000):
        answer = await raw.read()
        if answer is None or (isinstance(answer, Refusal) and not answer.rid):
            return True
        assert isinstance(answer, GetReply) or getattr(answer, "code", "") == "overloaded"
    return False


@in_loop
async def test_clients_do_not_pay_for_a_node_that_does_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "READERS_BOUND", 12 * MIB)
    events: list[str] = []
    answer = GetReply(1, (Version(bytes(8 * MIB)),), b"", QuorumInfo(1, 1, 1, 0, "n1"))

    def deliver(inbound: Inbound, messages: Iterable[Message]) -> None:
        for _ in messages:
            inbound.reply(answer)

    async with listening(deliver, lambda event, **fields: events.append(event), secret=SECRET) as (
        port,
        address,
    ):
        node = await Raw.greeted(address, Hello("n2", "dynamesis"), taken=64 << 10)
        node.say(ReplicaGet(1, Key(b"k")))
        await until(lambda: port.unsent, "the node has left some unread")
        client = await Raw.greeted(address, CLIENT, taken=64 << 10)
        client.say(Get(1, Key(b"k")))
        unread = [i for i in port.channels.values() if i.peer is None]
        await until(lambda: unread[0].unsent or events, "and the client as well")
        assert isinstance(await client.read(), GetReply)
        assert isinstance(await node.read(), GetReply)
        assert "slow-reader" not in events


@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_a_decoder_gives_so_many_at_a_time_and_loses_none(most: int) -> None:
    decoder, came = Decoder(1000), list[int]()
    stream = gets(50)
    cut = len(stream) - 5
    for data in (stream[:cut], stream[cut:], b"", stream):
        came += [m.rid for m in decoder.messages(data, most) if isinstance(m, Get)]
        while decoder.more:
            before = len(came)
            came += [m.rid for m in decoder.messages(b"", most) if isinstance(m, Get)]
            assert len(came) <= before + most
    assert came == [*range(50), *range(50)]
    assert decoder.pending == 0


@in_loop
async def test_one_that_was_shed_while_it_did_not_read_is_held_back_again() -> None:
    large = GetReply(1, (Version(bytes(8 * MIB)),), b"", QuorumInfo(1, 1, 1, 0, "n1"))
    most, puts = 0, 0

    def deliver(inbound: Inbound, messages: Iterable[Message]) -> None:
        nonlocal most, puts
        for message in messages:
            if isinstance(message, Get):
                inbound.reply(large)
                continue
            puts += 1
            time.sleep(2 * TURN)
            most = max(most, len(inbound.waiting))

    async with listening(deliver) as (port, address):
        raw = await Raw.greeted(address, CLIENT, taken=64 << 10)
        raw.write(gets(QUESTIONS))
        await until(lambda: port.channels and _only(port).clogged, "it does not read")
        await until(lambda: len(_only(port).waiting) == QUESTIONS - 1, "the others wait")
        _only(port).shed("too much waits")
        assert await raw.read() == large
        for _ in range(QUESTIONS - 1):
            assert isinstance(await raw.read(), Refusal)
        put = encode(Put(1, "", Key(b"k"), bytes(MIB // 128)))
        raw.write(put * 512)
        await until(lambda: puts == 512, "all are handed on")
        assert most <= 2 * READ // len(put) + 1


def _only(port: module.Listener) -> Inbound:
    (inbound,) = port.channels.values()
    return inbound
