"""What clients wait for is bounded by delay and shared; nothing waits for a client that has gone,
nor for long for a node that does not answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from dynamesis.cluster.core.protocol import events as ev
from dynamesis.cluster.core.protocol.messages import (
    Get,
    GetReply,
    Key,
    Put,
    PutReply,
    Refusal,
    RequestOptions,
)
from dynamesis.cluster.core.runtime.queue import FLOOR, ClientQueue
from simulator import Simulator

MIB = 1 << 20


def client(sim: Simulator, channel: int) -> list[Any]:
    """The answers on a connection of a client to n1."""
    answers: list[Any] = []
    reply = sim._reply

    def kept(name: str, to: int, message: Any) -> None:
        if name == "n1" and to == channel:
            answers.append(message)
        else:
            reply(name, to, message)

    sim._reply = kept  # type: ignore[method-assign]
    return answers


def pause(sim: Simulator, node: str) -> None:
    """What is sent to `node` is neither lost nor answered."""
    carry = sim._send

    def swallow(source: str, dest: str, message: Any) -> None:
        if dest != node:
            carry(source, dest, message)

    sim._send = swallow  # type: ignore[method-assign]


class TestWaiting:
    def test_a_time_out_has_a_limit_that_is_named(self) -> None:
        sim = Simulator()
        answer = sim.put("n1", b"k", b"v", timeout=3600.0)
        assert isinstance(answer, Refusal)
        assert answer.code == "bad-request"
        assert "at most 60 s" in answer.message
        assert isinstance(sim.put("n1", b"k", b"v", timeout=60.0), PutReply)

    def test_patient_puts_do_not_wait_for_a_paused_coordinator(self) -> None:
        sim = Simulator()
        pause(sim, "n4")
        answers = client(sim, 10_000_000)
        options = RequestOptions(timeout=60.0)
        for i in range(1000):
            put = Put(i, f"r{i}", b"k%d" % i, b"v", options=options)
            sim.feed("n1", ev.Received(10_000_000, None, put))
        sim.run(6.0)
        assert len(answers) == 1000
        assert not sim.nodes["n1"].admission.requests
        lost = [a for a in answers if isinstance(a, Refusal)]
        assert {a.code for a in lost} == {"forward-lost"}
        assert sum(isinstance(a, PutReply) for a in answers) > 500

    def test_what_waits_for_a_client_that_has_gone_ends_with_it(self) -> None:
        sim = Simulator()
        pause(sim, "n4")
        sim.run(0.01)
        options = RequestOptions(timeout=60.0)
        for i in range(300):
            put = Put(i, f"r{i}", b"k%d" % i, b"v", options=options)
            sim.feed("n1", ev.Received(10_000_000, None, put))
        for i in range(300, 400):
            sim.feed("n1", ev.Received(10_000_000, None, Get(i, b"k%d" % i)))
        sim.feed("n1", ev.ClientGone(10_000_000))
        # what was stamped here is replicated still: as long as one replica may take, twice
        sim.run(1.2)
        assert not sim.nodes["n1"].admission.requests
        assert not sim.nodes["n1"].admission.queue.units

    def test_so_does_what_has_one_number_with_others(self) -> None:
        """A client gives all its questions one rid, and hangs up."""
        sim = Simulator()
        pause(sim, "n4")
        sim.run(0.01)
        options = RequestOptions(timeout=60.0)
        for i in range(300):
            put = Put(7, f"r{i}", Key(b"k%d" % i), b"v", options=options)
            sim.feed("n1", ev.Received(10_000_000, None, put))
        sim.feed("n1", ev.ClientGone(10_000_000))
        sim.run(1.2)
        assert not sim.nodes["n1"].admission.requests
        assert not sim.nodes["n1"].admission.queue.units

    def test_a_put_for_which_a_retry_waits_continues_without_its_first_client(self) -> None:
        sim = Simulator()
        key = next(
            k for k in (b"k%d" % i for i in range(99)) if not sim.nodes["n1"].replica.holds(k)
        )
        sim.feed("n1", ev.Received(10_000_000, None, Put(1, "same", key, b"v")))
        channel = sim.ask("n1", Put(2, "same", key, b"v", again=True))
        sim.feed("n1", ev.ClientGone(10_000_000))
        sim.until(lambda: channel in sim.replies)
        assert isinstance(sim.replies[channel], PutReply)

    def test_a_connection_has_a_share_and_so_has_a_key(self) -> None:
        sim = Simulator()
        answers = client(sim, 10_000_000)
        share = int(sim.nodes["n1"].admission.queue._share)
        for i in range(share + 500):
            sim.feed("n1", ev.Received(10_000_000, None, Get(i, b"k%d" % i)))
        refused = [a for a in answers if isinstance(a, Refusal)]
        assert len(refused) == 500
        assert {a.code for a in refused} == {"overloaded"}
        assert "its share" in refused[0].message
        other = sim.ask("n1", Get(1, b"k1"))
        sim.run(0.1)
        assert isinstance(sim.replies[other], GetReply)
        sim.run(1.0)
        for i in range(10):  # then it is known to be small
            sim.ask("n1", Get(i, b"hot"))
        sim.run(0.1)
        hot = [sim.ask("n1", Get(i, b"hot")) for i in range(share + 500)]
        cold = sim.ask("n1", Get(1, b"cold"))
        sim.run(0.1)
        codes = [getattr(sim.replies[c], "code", "ok") for c in hot]
        assert codes.count("overloaded") == 500
        assert isinstance(sim.replies[cold], GetReply)


def crowd(sim: Simulator, question: Callable[[int], Get | Put], many: int) -> Counter[str]:
    """How so many requests end that come together."""
    channels = [sim.ask("n1", question(i)) for i in range(many)]
    sim.run(3.0)
    ends = [sim.replies[channel] for channel in channels]
    assert all(e.retry_after for e in ends if isinstance(e, Refusal) and e.code == "overloaded")
    return Counter(getattr(e, "code", type(e).__name__) for e in ends)


class TestACrowdAtOneKey:
    """What requests of one key move between nodes is bounded, by what its siblings weigh."""

    #: all that requests of one key may move is 16 MiB
    LARGE = 900_000

    def stored(self, key: Key) -> Simulator:
        """A cluster in which `key` has four siblings, and some time ago."""
        sim = Simulator()
        for _ in range(4):
            assert isinstance(sim.put("n1", key, bytes(self.LARGE)), PutReply)
        sim.run(6.0)
        return sim

    def test_gets_of_a_large_key(self) -> None:
        sim = self.stored(Key(b"large"))
        came = crowd(sim, lambda i: Get(i, Key(b"large")), 300)
        assert came["overloaded"] == 300 - came["GetReply"] > 280
        assert came["GetReply"] >= 4

    def test_puts_of_a_byte_to_a_large_key(self) -> None:
        sim = self.stored(Key(b"large"))
        came = crowd(sim, lambda i: Put(i, f"c{i}", Key(b"large"), b"v"), 300)
        assert came["overloaded"] == 300 - came["PutReply"] > 280
        assert came["PutReply"] >= 4
        # where other nodes hand them on they are not more
        for node in ("n2", "n3", "n4", "n5"):
            channels = [
                sim.ask(node, Put(i, f"{node}{i}", Key(b"large"), b"v")) for i in range(100)
            ]
            sim.run(3.0)
            codes = [getattr(sim.replies[channel], "code", "ok") for channel in channels]
            assert codes.count("overloaded") > 80
            assert codes.count("ok") >= 4

    def test_other_keys_are_served_meanwhile(self) -> None:
        sim = self.stored(Key(b"large"))
        large = [sim.ask("n1", Get(i, Key(b"large"))) for i in range(100)]
        small = [sim.ask("n1", Put(i, f"s{i}", Key(b"k%d" % i), b"v")) for i in range(100)]
        sim.run(3.0)
        assert {type(sim.replies[channel]) for channel in small} == {PutReply}
        assert sum(isinstance(sim.replies[channel], Refusal) for channel in large) > 80

    def test_a_small_key_may_be_asked_for_by_a_crowd_once_it_is_known(self) -> None:
        sim = Simulator()
        sim.put("n1", b"hot", b"v")
        first = crowd(sim, lambda i: Get(i, Key(b"hot")), 300)
        assert first == {"GetReply": 65, "overloaded": 235}
        assert crowd(sim, lambda i: Get(i, Key(b"hot")), 300) == {"GetReply": 300}

    def test_a_key_that_has_become_small_again_is_known_to_be(self) -> None:
        sim = self.stored(Key(b"large"))
        read = sim.get("n1", b"large")
        assert isinstance(read, GetReply)
        assert isinstance(sim.put("n1", b"large", b"v", read.context), PutReply)
        assert isinstance(sim.get("n1", b"large"), GetReply)
        assert crowd(sim, lambda i: Get(i, Key(b"large")), 300) == {"GetReply": 300}


def test_gets_of_many_large_keys_hold_no_more_than_requests_may() -> None:
    """The other replicas do not answer: what n1 has of each key waits for them."""
    sim = Simulator()
    size, most = 900_000, 64 * MIB
    for i in range(150):
        assert isinstance(sim.put("n1", b"k%d" % i, bytes(size)), PutReply)
    sim.run(6.0)
    for node in sim.names[1:]:
        pause(sim, node)
    channels = [sim.ask("n1", Get(i, Key(b"k%d" % (i % 150)))) for i in range(1000)]
    admission = sim.nodes["n1"].admission
    assert most - size < admission.bytes <= most + size
    refused = [sim.replies[channel] for channel in channels if channel in sim.replies]
    assert {r.code for r in refused if isinstance(r, Refusal)} == {"overloaded"}
    assert len(refused) > 800
    sim.run(5.0)
    assert all(channel in sim.replies for channel in channels)
    assert (admission.bytes, admission.requests) == (0, 0)


class Server:
    """A server that does so many units a second, behind a queue, in virtual time."""

    def __init__(self, rate: float, target: float = 0.025, floor: float = 0.0) -> None:
        self.queue = ClientQueue(target, 4096, 64 * MIB)
        self.rate = rate
        self.floor = floor
        self.free = 0.0
        self.open: list[tuple[float, float, int, bytes, int]] = []
        self.latencies: list[float] = []
        self.refused: dict[int, int] = {}
        self.done: dict[int, int] = {}

    def offer(self, now: float, channel: int, key: bytes, size: int = 100) -> None:
        self.settle(now)
        if self.queue.objection(now, channel, key, size) is not None:
            self.refused[channel] = self.refused.get(channel, 0) + 1
            return
        self.queue.enter(channel, key, size)
        self.free = max(now, self.free) + (1 + size // (64 << 10)) / self.rate
        self.open.append((self.free + self.floor, now, channel, key, size))

    def settle(self, now: float) -> None:
        while self.open and self.open[0][0] <= now:
            end, began, channel, key, size = self.open.pop(0)
            self.queue.leave(channel, key, size, end - began)
            self.latencies.append(end - began)
            self.done[channel] = self.done.get(channel, 0) + 1


def test_four_times_what_is_possible_is_shed_early_and_the_rest_is_done() -> None:
    server = Server(2000)
    for i in range(80_000):
        server.offer(i / 8000, i % 50, b"k%d" % i)
    goodput = sum(server.done.values()) / 10
    assert goodput > 0.9 * 2000
    late = sorted(server.latencies[len(server.latencies) // 2 :])
    assert late[int(0.99 * len(late))] < 0.1
    assert server.queue.units < 200


def test_large_values_count_for_what_they_weigh() -> None:
    server = Server(1000)
    for i in range(4000):
        server.offer(i / 240, i % 50, b"k%d" % i, MIB)
    late = server.latencies[len(server.latencies) // 2 :]
    assert max(late) < 0.2
    assert sum(server.done.values()) > 0.8 * 4000 / 240 * 1000 / 17


def test_a_client_that_asks_little_is_served_while_another_floods() -> None:
    server = Server(2000)
    for i in range(40_000):
        server.offer(i / 8000, 1, b"k%d" % i)
        if i % 160 == 0:
            server.offer(i / 8000, 2, b"mine")
    assert server.refused[1] > 20_000
    assert server.refused.get(2, 0) <= 9 < 200 < server.done[2]


def test_what_is_slow_by_itself_is_not_overloaded() -> None:
    """A disk of 60 ms: far above the target, whatever is offered."""
    server = Server(100_000, floor=0.06)
    for i in range(100):
        server.offer(i / 10, 1, b"k%d" % i)
    for i in range(4000):
        server.offer(10 + i / 4000, i % 9, b"k%d" % i)
    assert not server.refused


def test_what_a_question_waited_before_it_was_read_is_of_the_queue_too() -> None:
    """Answers come immediately, but the loop is late, for as long as many ask."""
    sim = Simulator()
    queue = sim.nodes["n1"].admission.queue

    def ask(many: int, waited: float) -> None:
        for i in range(many):
            get = Get(i, Key(b"k%d" % i))
            sim.feed("n1", ev.Received(10_000_000, None, get, waited))
        sim.run(0.03)

    for _ in range(20):
        ask(20, 0.0)
    assert queue.limit > 1000
    for _ in range(20):
        ask(20, 0.5)
    low = queue.limit
    assert low < 100
    # a loop that is late for hardly any requests is busy with something else
    for _ in range(40):
        ask(2, 0.5)
    assert queue.limit > low


def test_the_longer_it_took_the_more_is_shed() -> None:
    queues = []
    for took in (0.013, 2.0):
        queue = ClientQueue(0.01, 4096, 64 * MIB)
        for i in range(100):
            queue.enter(1, Key(b"k%d" % i), 0)
        for i in range(50):
            queue.leave(1, Key(b"k%d" % i), 0, took)
        queue.objection(10.0, 2, Key(b"k"), 0)
        queues.append(queue.limit)
    assert 70 < queues[0] <= 80
    assert queues[1] == 50


def test_the_limit_comes_back_and_never_falls_below_its_floor() -> None:
    server = Server(500)
    for i in range(20_000):
        server.offer(i / 8000, i % 9, b"k%d" % i)
    assert FLOOR <= server.queue.limit < 200
    for i in range(2000):
        server.offer(10 + i / 100, i % 9, b"k%d" % i)
    assert server.queue.limit > 1000


def test_a_hot_key_leaves_room_for_others() -> None:
    server = Server(2000)
    for i in range(40_000):
        server.offer(i / 8000, i % 50, b"hot")
        if i % 160 == 0:
            server.offer(i / 8000, 99, b"k%d" % i)
    # until what came before the first look is worked off, all are refused
    assert server.refused.get(99, 0) <= 40 < 200 < server.done[99]


def test_background_work_is_gentle_while_clients_ask_and_only_then() -> None:
    sim = Simulator()
    admission = sim.nodes["n1"].admission
    sim.run(6)
    idle = admission.window
    assert idle == 64
    assert admission.pause == 0
    sim.put("n1", b"k", b"v")
    assert (admission.window, admission.pause) == (4, 0.01)
    sim.run(1.5)
    assert (admission.window, admission.pause) == (idle, 0)
