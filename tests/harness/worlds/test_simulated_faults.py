"""Each fault of the simulated world takes effect, is taken back, and is proved."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.op import JsonObject
from dynamesis.checkers.history.timeline import timeline
from dynamesis.checkers.logs.endings import Endings
from dynamesis.cluster.core.protocol.events import Write
from dynamesis.cluster.core.protocol.messages import Get, Hello, Key, Message, ReplicaPut
from dynamesis.cluster.storage.base import Corrupt, ReadError, StorageFailed
from dynamesis.harness.links.base import LinkRoute
from dynamesis.harness.links.faults import (
    Bandwidth,
    BlackHole,
    Frames,
    Latency,
    LimitData,
    LinkFault,
    RefusedLink,
    Reset,
    Slicer,
    Stall,
)
from dynamesis.harness.worlds.simulated.disk import SimulatedDisk
from dynamesis.harness.worlds.simulated.log import SimulatedLog
from dynamesis.harness.worlds.simulated.loop import NothingDue, VirtualLoop
from dynamesis.harness.worlds.simulated.network import Network, Wire
from dynamesis.harness.worlds.simulated.run import judge, simulate
from dynamesis.harness.worlds.simulated.tweaks import Tweaks
from simulations import notes, options, with_faults


class Always:
    running = True

    def hold(self, action: Any, *arguments: Any) -> None:
        action(*arguments)


class Talker:
    """One end: what came, and when."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.process = Always()
        self.loop = loop
        self.came: list[tuple[float, Message]] = []
        self.reasons: list[str] = []

    def receive(self, line: Wire, message: Message) -> None:
        self.came.append((self.loop.now, message))

    def lost(self, line: Wire, reason: str) -> None:
        self.reasons.append(reason)

    @property
    def rids(self) -> list[int]:
        return [message.rid for _, message in self.came if isinstance(message, Get)]


class Server(Talker):
    """It takes a connection and greets."""

    running = True

    def hold(self, action: Any, *arguments: Any) -> None:
        action(*arguments)

    def accept(self, line: Wire) -> None:
        line.up.to = self
        line.down.send(Hello("b", "c"))


class Pair:
    """A network of one route, from a to b."""

    def __init__(self, fault: LinkFault | None = None, tweaks: Tweaks | None = None) -> None:
        self.loop = VirtualLoop()
        self.network = Network(self.loop, Random(1), tweaks or Tweaks(), story=False)
        self.network.add(LinkRoute("a", "b", "127.0.0.1:1", "127.0.0.1:2"))
        self.route = self.network.routes["a-b"]
        self.a, self.b = Talker(self.loop), Server(self.loop)
        self.network.servers["b"] = self.b
        self.route.set(fault)
        self.line = self.network.dial("127.0.0.1:1", self.a)
        self.run()

    def run(self, seconds: float = 1.0) -> None:
        async def wait() -> None:
            import asyncio

            await asyncio.sleep(seconds)

        self.loop.run_until_complete(wait())

    def ask(self, *rids: int) -> None:
        for rid in rids:
            self.line.up.send(Get(rid, Key(b"k")))
        self.run()


@pytest.fixture
def wires() -> Iterator[Any]:
    made: list[Pair] = []

    def make(fault: LinkFault | None = None, tweaks: Tweaks | None = None) -> Pair:
        made.append(Pair(fault, tweaks))
        return made[-1]

    yield make
    for wire in made:
        wire.loop.close()


def test_messages_of_a_connection_keep_their_order(wires: Any) -> None:
    wire = wires()
    wire.ask(*range(1, 100))
    assert wire.b.rids == list(range(1, 100))
    assert wire.a.came


def test_what_is_held_back_comes_at_the_heal_in_its_order(wires: Any) -> None:
    # seen: a copy that was held during the load came when the cluster had become quiet (seed 12412)
    wire = wires(tweaks=Tweaks(points={"copy-held": 1.0}))
    for rid in range(1, 6):
        wire.line.up.send(ReplicaPut(rid, Key(b"k"), {}))
    wire.line.up.send(Get(6, Key(b"k")))
    wire.run(0.04)
    assert len(wire.b.came) < 6
    wire.network.calm()
    wire.run(0.01)
    assert [message.rid for _, message in wire.b.came] == [1, 2, 3, 4, 5, 6]
    wire.ask(7)
    assert wire.b.came[-1][1].rid == 7


def test_a_refused_link_takes_no_connection_and_ends_those_there_are(wires: Any) -> None:
    assert wires(RefusedLink()).a.reasons == ["127.0.0.1:1: Connection refused"]
    wire = wires()
    wire.route.set(RefusedLink())
    wire.ask(1)
    assert wire.a.reasons
    assert wire.b.reasons
    assert not wire.b.rids
    wire.route.set(None)
    wire.line = wire.network.dial("127.0.0.1:1", wire.a)
    wire.run()
    wire.ask(2)
    assert wire.b.rids == [2]


def test_a_black_hole_in_one_direction(wires: Any) -> None:
    wire = wires(BlackHole("upstream"))
    wire.ask(1)
    assert wire.a.came  # it was greeted
    assert not wire.b.came
    assert not wire.b.reasons
    assert wire.route.counts.bitten == 1
    other = wires(BlackHole("downstream"))
    assert not other.a.came  # half-open: it was accepted, and receives nothing
    assert other.line.opened


def test_a_reset_takes_the_first_message(wires: Any) -> None:
    wire = wires(Reset())
    wire.ask(1)
    assert not wire.b.rids
    assert wire.a.reasons == wire.b.reasons == ["Connection reset by peer"]


def test_what_was_stalled_arrives_when_the_stall_is_over(wires: Any) -> None:
    wire = wires()
    wire.route.set(Stall())
    wire.ask(1, 2)
    assert not wire.b.rids
    assert not wire.a.reasons
    wire.route.set(None)
    wire.ask(3)
    assert wire.b.rids == [1, 2, 3]


def test_a_connection_ends_after_so_many_bytes(wires: Any) -> None:
    wire = wires(LimitData(after_bytes=60))
    wire.ask(1, 2, 3, 4, 5, 6)
    assert 0 < len(wire.b.rids) < 6
    assert wire.b.reasons


def test_a_link_of_low_bandwidth_takes_its_time(wires: Any) -> None:
    wire = wires(Bandwidth(rate_kbps=1))
    began = wire.loop.now
    wire.ask(1, 2, 3)
    assert wire.b.rids == [1, 2, 3]
    assert wire.b.came[-1][0] - began > 0.03


def test_a_torn_message_comes_with_its_last_piece(wires: Any) -> None:
    wire = wires(Slicer(piece_bytes=2, vary_bytes=0, pause_us=10_000))
    began = wire.loop.now
    wire.ask(1)
    assert wire.b.rids == [1]
    assert wire.b.came[-1][0] - began > 0.05
    assert wire.route.counts.bitten > 0


def test_a_slow_link_is_late_by_latency_and_jitter(wires: Any) -> None:
    wire = wires(Latency(latency_ms=100, jitter_ms=50))
    began = wire.loop.now
    wire.ask(*range(20))
    assert wire.b.rids == list(range(20))
    assert 0.05 < wire.b.came[0][0] - began < 0.16


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Frames(drop=100), {1}),
        (Frames(drop=0, duplicate=100), {1, 2, 3}),
        (Frames(drop=0, reorder=50, seed=3), {1, 2, 3, 4, 5, 6, 7, 8}),
    ],
)
def test_frames_are_lost_doubled_and_overtaken(
    wires: Any, fault: Frames, expected: set[int]
) -> None:
    wire = wires(fault)
    sent = range(1, max(4, len(expected) + 1))
    wire.ask(*sent)
    assert set(wire.b.rids) == expected
    counts = wire.route.counts
    assert counts.bitten == counts.dropped + counts.duplicated + counts.reordered > 0
    if fault.duplicate:
        assert wire.b.rids == [1, 2, 2, 3, 3]
    if fault.reorder:
        assert wire.b.rids != sorted(wire.b.rids)


def test_time_jumps_and_a_deadlock_is_seen() -> None:
    import asyncio

    loop = VirtualLoop()
    try:
        began = loop.time()
        loop.run_until_complete(asyncio.sleep(1e6))
        assert loop.time() - began == pytest.approx(1e6)
        with pytest.raises(NothingDue):
            loop.run_until_complete(asyncio.wait_for(asyncio.Event().wait(), None))
    finally:
        loop.close()


def test_a_timer_that_was_cancelled_takes_no_time() -> None:
    import asyncio

    loop, ran = VirtualLoop(), list[str]()
    try:
        began = loop.time()
        loop.call_later(5, ran.append, "cancelled").cancel()
        loop.call_later(1, ran.append, "second")
        loop.at(began + 1, ran.append, "third")
        loop.call_soon(ran.append, "first")
        loop.run_until_complete(asyncio.sleep(2))
        assert ran == ["first", "second", "third"]
        with pytest.raises(NothingDue):
            loop.run_until_complete(asyncio.Event().wait())
        assert loop.time() - began == pytest.approx(2)
    finally:
        loop.close()


# ---- disks


def stored(*keys: bytes) -> SimulatedDisk:
    disk = SimulatedDisk(durable=True)
    disk.begin()
    disk.commit([Write("objects", key, b"value of " + key) for key in keys])
    return disk


def test_a_full_disk_takes_nothing_and_a_torn_tail_half() -> None:
    disk = stored()
    disk.inject("full")
    with pytest.raises(StorageFailed):
        disk.commit([Write("objects", b"a", b"1")])
    assert disk.get("objects", b"a") is None
    disk.inject("torn-tail")
    with pytest.raises(StorageFailed):
        disk.commit([Write("objects", b"a", b"1"), Write("objects", b"b", b"2")])
    assert disk.get("objects", b"a") == b"1"
    assert disk.get("objects", b"b") is None
    assert disk.counts == {"full": 1, "torn-tail": 1}


def test_flipped_bits_show_until_the_row_is_written_anew() -> None:
    disk = stored(b"a", b"b")
    disk.inject("bit-flip", rows=1)
    with pytest.raises(Corrupt):
        disk.get("objects", b"a")
    with pytest.raises(Corrupt):
        list(disk.scan("objects"))
    disk.commit([Write("objects", b"a", b"again")])
    assert list(disk.scan("objects")) == [(b"a", b"again"), (b"b", b"value of b")]


def test_a_disk_that_cannot_be_read() -> None:
    disk = stored(b"a")
    disk.inject("read-error")
    with pytest.raises(ReadError):
        disk.get("objects", b"a")
    disk.inject("none")
    assert disk.get("objects", b"a") == b"value of a"


def test_a_copy_is_not_what_the_last_life_left() -> None:
    disk = stored(b"a")
    copied = disk.copy()
    disk.commit([Write("objects", b"a", None)])
    assert copied.get("objects", b"a") == b"value of a"
    assert disk.begin()
    assert not copied.begin()
    assert copied.begin()


def test_a_log_loses_its_last_moments() -> None:
    loop = VirtualLoop()
    log = SimulatedLog("n1", loop)
    try:
        log.add(0, "first", {"key": b"k"})
        loop.now += 0.2
        log.add(0, "second", {})
        log.cut(None)
        assert [line["event"] for line in log.lines()] == ["first"]
        assert log.lines()[0]["key"] == "k"
    finally:
        loop.close()


# ---- whole tests

#: member -> by what its evidence shows that it took effect
MEMBERS = (
    *("cut.halves", "cut.one-way", "cut.bridge", "cut.majorities-ring", "cut.flapping"),
    *("link.slow", "link.jitter", "link.narrow", "link.torn", "link.reset", "link.cut-off"),
    *("link.stall", "link.lossy", "link.duplicate", "link.reorder"),
    *("kill.one", "kill.again", "kill.graceful", "kill.after-pause", "kill.mid-stop", "kill.all"),
    *("pause.one", "pause.majority", "wipe.one", "wipe.old-disk", "wipe.coordinator"),
    *("disk.full", "disk.torn-tail", "disk.read-error", "disk.bit-flip", "disk.lost-writes"),
    *("disk.slow-fsync", "clock.jump", "clock.strobe", "clock.drift", "clock.freeze"),
    *("clock.coarse", "load.burst", "load.large-values", "load.slow-readers"),
    *("membership.join", "membership.leave", "membership.remove", "membership.rejoin"),
)


def test_a_node_is_killed_again_soon_after_each_start() -> None:
    fault = {"member": "kill.again", "nodes": ["n2"], "again_ms": [150, 300]}
    ended = simulate(with_faults([{"start": 0.3, "stop": 0.6, **fault}]))
    ready = [line["event"] for line in ended.node_logs["n2"]].count("ready")
    assert ready == 4
    results = judge(ended)
    assert results["valid"] is True, results["checkers"]
    assert not notes(ended, "found-dead")
    (stopped,) = notes(ended, "stop-kill")
    history = History.of(ended.history)
    hidden = Endings.of(history, timeline(history))
    assert hidden.nodes((stopped.time - 1, stopped.time)) == {"n2"}


def test_some_clients_meet_a_node_in_the_first_moments_of_a_life() -> None:
    kill = {"start": 0.3, "stop": 0.5, "member": "kill.one", "nodes": ["n2"]}
    ended = simulate(with_faults([kill], concurrency=8, rate=100))
    (stopped,) = notes(ended, "stop-kill")
    served = [op.time for op in ended.history
              if op.type == "ok" and op.node == "n2" and isinstance(op.process, int)
              and stopped.time < op.time < stopped.time + 300_000_000]  # fmt: skip
    assert served


@pytest.mark.parametrize("member", MEMBERS)
def test_every_fault_takes_effect_and_is_taken_back(member: str) -> None:
    ended = simulate(options(nemesis=member, seed=2, time_limit=4.0))
    family = member.partition(".")[0]
    begun = [op for op in notes(ended, f"start-{family}") if op.error is None]
    assert begun
    proofs: list[JsonObject] = [op.value for op in notes(ended, "evidence")]
    assert any(proof["bit"] for proof in proofs), proofs
    broken = {entry["fault"] for entry in ended.ledger if not entry.get("healed")}
    assert broken == {entry["fault"] for entry in ended.ledger if entry.get("healed")}
    results = judge(ended)
    assert results["valid"] is True, results["checkers"]
    assert not notes(ended, "heal-failed")
    assert not notes(ended, "found-dead")
