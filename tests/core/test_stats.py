"""What is measured, and how it steers what can wait."""

from __future__ import annotations

import random

import pytest
from dynamesis.cluster.core.protocol.events import Received
from dynamesis.cluster.core.protocol.messages import GetReply, Put, PutReply, Refusal, ReplicaPut
from dynamesis.cluster.core.runtime.admission import LEAST, MOST, Admission
from dynamesis.cluster.core.runtime.runtime import Runtime
from dynamesis.cluster.core.runtime.stats import BOUNDS, SLOT, SLOTS, Latencies, bucket
from simulator import Simulator, idle_runtime


class TestLatencies:
    @pytest.mark.parametrize("q", [0.5, 0.99])
    def test_a_quantile_is_right_within_a_fifth(self, q: float) -> None:
        draw = random.Random(1)
        values = sorted(draw.lognormvariate(-5, 1.5) for _ in range(5000))
        latencies = Latencies()
        for value in values:
            latencies.record(0.0, value)
        found = latencies.quantile(1.0, q)
        assert found is not None
        assert values[int(q * 5000)] * 0.99 <= found <= values[int(q * 5000)] * 1.2
        assert sum(latencies.total) == 5000
        assert latencies.sum == pytest.approx(sum(values))

    def test_every_value_has_a_bucket(self) -> None:
        for value in (0.0, 1e-9, *BOUNDS, 1e9):
            assert 0 <= bucket(value) < len(BOUNDS)
        for i, bound in enumerate(BOUNDS):
            assert bucket(bound * 0.999) == i

    def test_what_is_older_than_the_window_drops_out(self) -> None:
        latencies = Latencies()
        latencies.record(5.0, 10.0)
        window = SLOT * SLOTS
        assert latencies.quantile(window - 1.0, 0.99) is not None
        assert latencies.quantile(window + 1.0, 0.99) is None
        latencies.record(1e6, 0.001)
        assert latencies.quantile(1e6, 0.99) == pytest.approx(0.001, rel=0.2)
        assert sum(latencies.total) == 2


class TestAdmission:
    def admission(self, target: float = 0.1) -> tuple[Runtime, Latencies, Admission]:
        runtime, reads = idle_runtime(), Latencies()
        return runtime, reads, Admission(runtime, reads, target, 3, 1000, 0.025)

    def test_slow_readers_throttle_what_can_wait_but_never_to_nothing(self) -> None:
        runtime, reads, admission = self.admission()
        seen = []
        for second in range(300):
            runtime.now = float(second)
            reads.record(runtime.now, 2.0)
            admission.adjust()
            seen.append(admission.window)
        assert admission.slices == LEAST
        assert all(window > 0 for window in seen)
        assert seen == sorted(seen, reverse=True)

    def test_it_comes_back_once_the_readers_are_well_and_never_without_bound(self) -> None:
        runtime, reads, admission = self.admission()
        reads.record(0.0, 2.0)
        for second in range(30):
            runtime.now = float(second)
            admission.adjust()
        assert admission.slices == LEAST
        for second in range(30, 300):
            runtime.now = float(second)
            reads.record(runtime.now, 0.001)
            admission.adjust()
        assert admission.slices == MOST

    def test_requests_are_bounded_in_number_and_in_bytes(self) -> None:
        _, _, admission = self.admission()
        admission.enter(900)
        assert admission.objection(50) is None
        assert "bytes" in str(admission.objection(200))
        admission.leave(900)
        assert admission.objection(5000) is None, "one request is always taken"
        for _ in range(3):
            admission.enter(0)
        assert "3 requests" in str(admission.objection(0))
        admission.leave(0)
        assert admission.objection(0) is None


def _flood(sim: Simulator, node: str, puts: int, size: int = 10) -> list[int]:
    return [sim.ask(node, Put(1, f"{node}-{n}", b"k%d" % n, bytes(size))) for n in range(puts)]


def test_overload_is_refused_with_a_time_and_does_not_stick_after_the_drain() -> None:
    sim = Simulator(3, max_requests=20)
    channels = _flood(sim, "n1", 100)
    sim.run(5.0)
    answers = [sim.replies[channel] for channel in channels]
    refused = [a for a in answers if isinstance(a, Refusal) and a.code == "overloaded"]
    assert len(refused) >= 80
    assert all(a.retry_after and a.retry_after > 0 for a in refused)
    assert any(isinstance(a, PutReply) for a in answers)
    assert sim.nodes["n1"].admission.requests == sim.nodes["n1"].admission.bytes == 0
    assert isinstance(sim.put("n1", b"k", b"v"), PutReply)
    assert sim.admin("n1", "figures")["refusals"]["overloaded"] >= 80


def test_bytes_in_progress_are_bounded_also_after_the_client_has_its_answer() -> None:
    """A replica that does not answer keeps every put of which it is a place in memory."""
    sim = Simulator(3, max_request_bytes=10_000, replica_timeout=30.0, request_timeout=60.0)
    deaf = sim.nodes["n3"].handle
    sim.nodes["n3"].handle = lambda now, event, wall: (  # type: ignore[method-assign]
        [] if isinstance(event, Received) and event.channel is not None else deaf(now, event, wall)
    )
    for n in range(30):
        sim.put("n1", b"k%d" % n, bytes(1000))
    assert sim.nodes["n1"].admission.bytes <= 10_000
    assert sim.admin("n1", "figures")["refusals"]["overloaded"] > 0


def test_traffic_of_replicas_is_exempt_from_refusal() -> None:
    sim = Simulator(3, max_requests=1)
    node = sim.nodes["n1"]
    node.admission.enter(0)
    replies: list[object] = []
    reply = node.runtime.reply
    node.runtime.reply = lambda channel, message: replies.append(message)  # type: ignore[method-assign]
    sim.feed("n1", Received(5, "n2", ReplicaPut(7, b"k", {}, None, "handoff")))
    sim.run(1.0)
    node.runtime.reply = reply  # type: ignore[method-assign]
    assert [getattr(r, "error", "?") for r in replies if getattr(r, "rid", 0) == 7] == [None]
    assert isinstance(sim.get("n1", b"k"), Refusal)


def test_throttled_hints_and_exchanges_still_get_there() -> None:
    sim = Simulator(5, read_target=1e-9, anti_entropy_interval=0.2)
    target = "n3"
    sim.crash(target)
    sim.run(0.2)
    for n in range(300):
        sim.put("n1", b"k%d" % n, b"v")
        if n % 50 == 0:
            sim.get("n2", b"k%d" % n)
    for name in ("n1", "n2"):
        sim.get(name, b"k1")
    sim.run(6.0)
    assert sim.nodes["n1"].admission.slices == LEAST
    sim.boot(target)
    sim.until(sim.quiet, within=60.0)


def test_the_oldest_exchange_is_shown_not_the_newest() -> None:
    sim = Simulator(4)
    sim.until(sim.quiet)
    sim.crash("n4")
    sim.run(30.0)
    status = sim.admin("n1", "status")
    ages = {peer: s["age"] for peer, s in status["exchanges"].items()}
    assert ages["n2"] < 5.0
    assert status["oldest_exchange"] == pytest.approx(max(ages.values()), abs=0.01)
    assert status["oldest_exchange"] > 25.0


def test_a_peer_that_was_never_exchanged_with_counts_from_when_it_became_one() -> None:
    sim = Simulator(3)
    sim.crash("n2")
    sim.crash("n3")
    sim.crash("n1")
    sim.boot("n1")
    sim.until(lambda: sim.nodes["n1"].ready)
    sim.run(20.0)
    assert sim.admin("n1", "status")["oldest_exchange"] > 15.0


def test_the_oldest_hint_has_an_age() -> None:
    sim = Simulator(5)
    view = sim.nodes["n1"].view
    order = view.preference(view.partition(b"k"))
    sim.crash(order[0])
    sim.run(0.1)
    sim.put(order[1], b"k", b"1", w=3)
    sim.run(10.0)
    sim.put(order[1], b"k", b"2", w=3)
    status = sim.admin(order[3], "status")
    assert status["hints"] == 1
    assert 9.0 < status["oldest_hint"] < 12.0
    sim.boot(order[0])
    sim.until(sim.quiet)
    assert sim.admin(order[3], "status")["oldest_hint"] == 0


def test_reads_count_what_they_showed() -> None:
    sim = Simulator(3)
    sim.put("n1", b"k", b"1")
    sim.put("n2", b"k", b"2")
    sim.run(1.0)
    assert isinstance(sim.get("n1", b"k"), GetReply)
    assert isinstance(sim.get("n1", b"other"), GetReply)
    figures = sim.admin("n1", "figures")
    assert figures["siblings"] == {2: 1, 0: 1}
    assert sum(figures["clock"].values()) == 2
    assert sum(figures["latency"]["get"]["buckets"]) == 2


def test_puts_without_a_request_id_are_never_taken_for_one_another() -> None:
    sim = Simulator(3)
    for n in range(3):
        assert isinstance(sim.call("n1", Put(1, "", b"k%d" % n, b"v%d" % n)), PutReply)
    sim.run(1.0)
    for n in range(3):
        assert [v.value for v in sim.get("n1", b"k%d" % n).siblings] == [b"v%d" % n]


def test_what_is_remembered_for_retries_is_bounded_in_bytes() -> None:
    """Every put that ends in doubt keeps its stamp, and so its value, for a retry."""
    sim = Simulator(3, replica_timeout=0.1, sloppy=False)
    sim.isolate("n1")
    for n in range(60):
        put = Put(1, f"r{n}", b"k%d" % n, bytes(1 << 20))
        assert isinstance(sim.call("n1", put), Refusal)
    assert sum(s.size for s in sim.nodes["n1"].services.dedup._stamped.values()) <= 8 << 20
