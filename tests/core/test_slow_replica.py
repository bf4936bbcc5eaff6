"""A slow replica is not made slower: no fallback takes its place again and again, and hints come to
it as fast as it keeps up."""

from __future__ import annotations

from typing import Any

from dynamesis.cluster.core.protocol.messages import (
    Key,
    Put,
    PutReply,
    Refusal,
    ReplicaGetReply,
    ReplicaPut,
)
from simulator import Simulator


def slow(sim: Simulator, node: str, seconds: float) -> list[Any]:
    """Every answer of `node` to its peers comes so late; what is asked of any node."""
    reply, send = sim._reply, sim._send
    asked: list[Any] = []

    def late(name: str, channel: int, message: Any) -> None:
        if name == node:
            sim.at(seconds, lambda: reply(name, channel, message))
        else:
            reply(name, channel, message)

    def noted(source: str, dest: str, message: Any) -> None:
        asked.append((dest, message))
        send(source, dest, message)

    sim._reply, sim._send = late, noted  # type: ignore[method-assign]
    return asked


def test_a_replica_that_answers_late_is_waited_for_instead_of_replaced() -> None:
    sim = Simulator()
    asked = slow(sim, "n4", 0.7)
    for second in range(20):
        for i in range(10):
            sim.put("n1", b"k%d-%d" % (second, i), b"v")
        sim.run(0.5)
    sim.run(5)
    puts = [m for _, m in asked if isinstance(m, ReplicaPut)]
    copies = [m for dest, m in asked if isinstance(m, ReplicaPut) and dest == "n4"]
    hints = [m for m in puts if m.hint_for == "n4"]
    assert len(copies) > 50
    assert len(hints) < 20, f"{len(hints)} hints for a node that is alive"
    assert len([m for m in copies if m.why == "handoff"]) < 40


def test_a_get_whose_client_has_time_waits_for_replicas_that_are_slow() -> None:
    """As they are for a key with very many bytes of siblings."""
    sim = Simulator()
    key = b"k"
    assert isinstance(sim.put("n1", key, b"v"), PutReply)
    sim.until(lambda: len(sim.holders(key)) == 3)
    outside = next(name for name in sim.nodes if name not in sim.holders(key))
    for node in sim.holders(key):
        _slow_to_read(sim, node, 1.6)
    in_a_hurry = sim.get(outside, key)
    assert (in_a_hurry.code, in_a_hurry.message) == (
        "read-quorum", "get: 0 of 2 nodes answered",
    )  # fmt: skip
    sim.run(1.5)  # what comes late shows that they are slow, and not dead
    assert isinstance(sim.get(outside, key), Refusal)
    sim.run(1.5)
    assert sim.get(outside, key, timeout=10.0).siblings[0].value == b"v"
    # one that is silent is not waited for
    sim.isolate(*(name for name in sim.holders(key)))
    before = sim.now
    assert isinstance(sim.get(outside, key, timeout=10.0), Refusal)
    assert sim.now - before < 6


def _slow_to_read(sim: Simulator, node: str, seconds: float) -> None:
    """What a replica has comes so late; its other answers come as usual."""
    reply = sim._reply

    def late(name: str, channel: int, message: Any) -> None:
        if name == node and isinstance(message, ReplicaGetReply):
            sim.at(seconds, lambda: reply(name, channel, message))
        else:
            reply(name, channel, message)

    sim._reply = late  # type: ignore[method-assign]


def test_hints_come_one_by_one_to_a_target_that_does_not_keep_up() -> None:
    sim = Simulator(request_timeout=1.0)
    sim.isolate("n4")
    keys = [b"k%d" % i for i in range(400)]
    for key in keys:
        assert isinstance(sim.put("n1", key, b"v"), PutReply)
    waiting = sum(node.hints.count().get("n4", 0) for node in sim.nodes.values())
    assert waiting > 100
    sim.heal()
    asked = slow(sim, "n4", 1.5)
    sim.run(60)
    given = [m for dest, m in asked if dest == "n4" and isinstance(m, ReplicaPut)]
    # each of the nodes that hold hints tries one after another, not 64 at a time
    assert len(given) < 4 * 64 + 4 * 60


def test_hints_go_as_fast_as_ever_to_a_target_that_keeps_up() -> None:
    sim = Simulator()
    sim.isolate("n4")
    for i in range(400):
        assert isinstance(sim.put("n1", b"k%d" % i, b"v"), PutReply)
    sim.heal()
    sim.until(lambda: not any(node.hints.count() for node in sim.nodes.values()), 5.0)


def test_while_clients_ask_hints_leave_them_half_of_the_time() -> None:
    """Each node hands on four at a time, and rests as long as these took."""
    sim = Simulator(anti_entropy_interval=0.5)
    sim.isolate("n4")
    for i in range(400):
        assert isinstance(sim.put("n1", b"k%d" % i, b"v"), PutReply)
    sim.heal()
    asked = slow(sim, "n4", 0.05)
    for i in range(10):
        for name in ("n1", "n2", "n3", "n5"):
            sim.ask(name, Put(1, f"{name}-{i}", Key(b"other"), b"v"))
        sim.run(0.1)
    handed = [m for _, m in asked if isinstance(m, ReplicaPut) and m.why == "handoff"]
    # of three nodes that have any: 0.05 s for four of them, and 0.05 s of rest
    assert 50 < len(handed) <= 3 * 4 * 11
