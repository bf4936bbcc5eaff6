"""Every situation is the line of a node, and real nodes reach most of them."""

from __future__ import annotations

import ast
import random
from collections import Counter
from pathlib import Path
from typing import Any

import dynamesis.cluster
import pytest
from dynamesis.checkers.logs.logs import Logs
from dynamesis.checkers.logs.situations import SITUATIONS, count_situations
from dynamesis.cluster.core.protocol.events import AdminRequest, Received
from dynamesis.cluster.core.protocol.messages import Put, PutReply, ReplicaPut, RequestOptions
from dynamesis.cluster.process.eventlog import printable
from simulator import Simulator

KEYS = [b"k%d" % number for number in range(6)]
#: what takes a defect, a machine or rare timing
RARE = frozenset(
    (
        *("put-rerouted", "hint-outrun", "hint-unreadable", "trees-drifted", "rebuild-failed"),
        *("storage-unreadable", "change-passed-over", "not-primary-refused"),
        *("incarnation-peer-knows", "context-before-loss"),
    )
)


def reached(sim: Simulator) -> Counter[str]:
    events = [{"node": node, "event": e.event, **printable(e.fields)} for _, node, e in sim.log]
    return Counter(count_situations(Logs.of(events)))


def primaries(sim: Simulator, key: bytes) -> tuple[str, ...]:
    view = sim.nodes["n1"].view
    return tuple(view.primaries(view.partition(key)))


def test_the_name_of_every_line_is_in_the_code_of_the_node() -> None:
    root = Path(next(iter(dynamesis.cluster.__path__))) / "core"
    words = {
        node.value
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert {each.event for each in SITUATIONS.values()} - words == set()
    assert len(SITUATIONS) >= 40


class Storm:
    """Clients that get and put through whatever happens to the nodes."""

    def __init__(self, seed: int, **params: Any) -> None:
        self.random = random.Random(seed)
        self.sim = Simulator(seed=seed, **params)
        self.contexts: dict[bytes, bytes] = {}
        self.sent: list[Put] = []

    def work(self, times: int, **options: Any) -> None:
        for _ in range(times):
            key, name = self.random.choice(KEYS), self.random.choice(sorted(self.sim.nodes))
            self.sim._sequence += 1
            context = self.contexts.get(key, b"") if self.random.random() < 0.7 else b""
            deleted = self.random.random() < 0.2
            kinds = RequestOptions(**options)
            put = Put(1, f"r{self.sim._sequence}", key, b"v", context, deleted, kinds)
            if self.sent and self.random.random() < 0.2:
                put = self.random.choice(self.sent[-3:])
            self.sent.append(put)
            self.sim.ask(name, put)
            shown = self.sim.get(self.random.choice(sorted(self.sim.nodes)), key, **options)
            if hasattr(shown, "context"):
                self.contexts[key] = shown.context
            self.sim.run(self.random.uniform(0, 0.2))


def faults() -> Simulator:
    """Crashes, cuts, wipes, bad disks, clocks that are set, one after another."""
    storm = Storm(1, reap_after=0.5, lww_buckets=("l",))
    sim = storm.sim
    for round_ in range(3):
        storm.work(6)
        sim.isolate("n1", "n2")
        storm.work(6)
        sim.run(1)
        sim.heal()
        sim.crash("n3")
        storm.work(6)
        sim.wipe("n3")
        sim.boot("n3", intact=bool(round_))
        storm.work(4)
        sim.disk_errors = 0.5
        storm.work(4)
        sim.disk_errors = 0.0
        owners = primaries(sim, b"l/1")
        sim.skew[owners[0]] = 60_000 * (1 - round_)
        for name in owners:
            sim.put(name, b"l/1", b"v")
        sim.run(4)
    sim.stop("n5")
    sim.boot("n5")
    sim.run(3)
    return sim


def slow_network() -> Simulator:
    """Answers that come after their questions were given up, in memory before on disk."""
    storm = Storm(2, durability="buffered", max_requests=2, max_hint_bytes=1)
    sim = storm.sim
    for latency in (0.4, 0.0003, 1.2, 0.0003):
        sim.latency = (latency / 2, latency)
        storm.work(6, timeout=0.6)
        sim.isolate("n1", "n2", "n3", "n4")
        storm.work(4, timeout=0.6)
        sim.heal()
        for _ in range(4):
            sim.ask("n1", Put(1, "", b"k", b"v", b"", False, RequestOptions()))
        sim.run(2)
    return sim


def members() -> Simulator:
    """Nodes that join, leave and are removed, one while it fetches."""
    storm = Storm(3, partitions=16, reap_after=2.0)
    sim = storm.sim
    storm.work(8)
    sim.add("n6")
    sim.run(1)
    sim.admin("n1", "join", node="n6")
    sim.run(0.2)
    sim.isolate("n6")
    storm.work(6)
    sim.heal()
    storm.work(6)
    sim.run(20)
    sim.admin("n1", "leave", node="n2")
    storm.work(6)
    sim.run(20)
    sim.crash("n3")
    sim.admin("n1", "remove", node="n3")
    sim.run(10)
    sim.boot("n3")
    sim.run(10)
    return sim


def alone() -> Simulator:
    """No primary of a key can be reached; a strict quorum is missed; fewer places."""
    storm = Storm(4)
    sim = storm.sim
    others = [name for name in sim.names if name not in primaries(sim, b"k0")]
    sim.put(others[0], b"k0", b"v", n=1)
    context = sim.get(others[0], b"k0").context
    sim.isolate(*others)
    sim.run(1)
    assert isinstance(sim.put(others[0], b"k0", b"v", context), PutReply)
    sim.put(others[0], b"k0", b"v", sloppy=False, timeout=0.5)
    sim.put(others[0], b"k0", b"v", pw=1, timeout=0.5)
    sim.get(others[0], b"k0", pr=1, timeout=0.5)
    sim.heal()
    sim.run(2)
    sim.put("n1", b"k1", b"v", b"forged")
    return sim


def retries() -> Simulator:
    """A put that is sent again while it is in progress, and to nodes that know nothing of it."""
    sim = Simulator(seed=5)
    owners = primaries(sim, b"k")
    other = next(name for name in sim.names if name not in owners)
    put = Put(1, "same", b"k", b"v", b"", False, RequestOptions())
    sim.ask(other, put)
    sim.ask(other, put)
    again = Put(1, "lost", b"k", b"v", b"", False, RequestOptions(), again=True)
    sim.call(other, again)
    sim.latency = (0.3, 0.3)
    sim.ask(other, Put(1, "third", b"k", b"v", b"", False, RequestOptions()))
    for name in owners:
        sim.crash(name)
    sim.run(3)
    return sim


def disks() -> Simulator:
    """Rows that rot, disks set back and copied, one that takes nothing at the start."""
    sim = Simulator(seed=6)
    for key in KEYS:
        sim.put("n1", key, b"v")
    sim.isolate("n3")
    for key in KEYS:
        sim.put("n1", key, b"w")
    sim.run(1)
    before = sim.copy("n2")
    for name in ("n1", "n2", "n4", "n5"):
        for row in sim.stores[name].tables["hints"]:
            sim.stores[name].tables["hints"][row] = b"rot"
    for row in sim.stores["n4"].tables["objects"]:
        sim.stores["n4"].tables["objects"][row] = b"rot"
    sim.heal()
    sim.admin("n4", "repair")
    sim.run(3)
    sim.crash("n2")
    sim.boot("n2")
    sim.run(1)
    sim.crash("n2")
    sim.stores["n2"] = before
    sim.boot("n2")
    sim.run(2)
    sim.crash("n5")
    sim.disk_errors = 1.0
    sim.boot("n5", intact=False)
    sim.get("n5", KEYS[0])
    sim.run(2)
    sim.disk_errors = 0.0
    sim.run(2)
    return sim


def tombstones() -> Simulator:
    """Deleted keys that are reaped once all can be asked."""
    sim = Simulator(seed=7, reap_after=0.5)
    for key in KEYS:
        context = sim.put("n1", key, b"v").context
        sim.call("n1", Put(1, f"d{key!r}", key, b"", context, True, RequestOptions()))
    sim.isolate("n3")
    sim.run(3)
    sim.heal()
    sim.until(lambda: reached(sim)["tombstone-reaped"] > 0)
    return sim


def moving() -> Simulator:
    """A newcomer that is killed while it fetches; a target of hints that leaves."""
    sim = Simulator(seed=8, partitions=16)
    sim.ask("n1", Put(1, "", b"k", b"v", b"", False, RequestOptions()))
    sim.add("n6")
    sim.run(1)
    # as a node sends that does not know yet that it takes no part
    sim.feed("n1", Received(10**6, "n6", ReplicaPut(1, b"k", {}, None)))
    sim.crash("n2")
    for number in range(40):
        sim.put("n1", b"key%d" % number, b"v")
    sim.admin("n1", "join", node="n6")
    sim.until(lambda: any(node == "n6" and "target" in e.fields for _, node, e in sim.log))
    for number in range(40):
        sim.put("n1", b"key%d" % number, b"w")
    sim.crash("n6")
    sim.boot("n6")
    sim.feed("n1", AdminRequest(99, "join", {"node": "n1"}))
    sim.run(20)
    sim.admin("n1", "remove", node="n2")
    sim.run(20)
    return sim


SCENARIOS = (faults, slow_network, members, alone, retries, disks, tombstones, moving)


@pytest.fixture(scope="module")
def found() -> Counter[str]:
    total: Counter[str] = Counter()
    for scenario in SCENARIOS:
        total += reached(scenario())
    return total


@pytest.mark.parametrize("name", [name for name in SITUATIONS if name not in RARE])
def test_real_nodes_reach_it(found: Counter[str], name: str) -> None:
    assert found[name]


def test_few_are_rare() -> None:
    assert set(RARE) < set(SITUATIONS)
    assert len(RARE) <= len(SITUATIONS) // 8


def test_a_quiet_cluster_reaches_none_but_those_of_its_start() -> None:
    sim = Simulator()
    sim.run(3)
    # the node that bootstrapped first has its first exchanges refused by those that have not yet
    early = {"exchange-failed", "exchange-refused", "exchange-resumed"}
    begun = +reached(sim)
    assert set(begun) - early == {"ring-founded", "trees-rebuilt"}
    assert begun["trees-rebuilt"] == 5
    sim.run(10)
    assert +reached(sim) == begun


def test_what_may_happen_at_every_request_is_logged_once_a_second() -> None:
    sim = Simulator()
    others = [n for n in sim.names if n not in primaries(sim, b"k0")]
    for _ in range(50):
        sim.put(others[0], b"k0", b"v")
    sim.run(1)
    sim.put(others[0], b"k0", b"v")
    lines = [e for _, _, e in sim.log if e.event == "forwarded"]
    assert len(lines) == 2
    assert reached(sim)["put-forwarded"] == 51
