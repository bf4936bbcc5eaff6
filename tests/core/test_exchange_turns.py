"""How often nodes compare: with every peer while clients are quiet, by turns while they are not."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import Any

from dynamesis.cluster.core.protocol.messages import Key, Put, TreeRoots
from simulator import Simulator

_numbers = count()


def begun(sim: Simulator) -> Counter[tuple[str, str]]:
    """(the node that begins, its peer) -> exchanges begun from here."""
    asked: Counter[tuple[str, str]] = Counter()
    send = sim._send

    def sent(source: str, dest: str, message: Any) -> None:
        asked[source, dest] += isinstance(message, TreeRoots)
        send(source, dest, message)

    sim._send = sent  # type: ignore[method-assign]
    return asked


def keep_asking(sim: Simulator, seconds: float) -> None:
    """Let time pass in which every node has clients."""
    for _ in range(round(seconds / 0.1)):
        for name in sim.nodes:
            sim.ask(name, Put(1, f"turn-{next(_numbers)}", Key(b"k"), b"v"))
        sim.run(0.1)


def test_exchanges_go_by_turns_while_clients_send_requests() -> None:
    sim = Simulator(anti_entropy_interval=0.5)
    sim.run(3)
    quiet = begun(sim)
    sim.run(4)
    idle = +quiet
    keep_asking(sim, 1)
    quiet.clear()
    keep_asking(sim, 8)
    busy = +quiet
    pairs = {(a, b) for a in sim.names for b in sim.names if a != b}
    assert set(idle) == set(busy) == pairs, "each with each, sooner or later"
    assert min(idle.values()) >= 7
    assert max(busy.values()) <= 5, "four peers take turns of half a second for eight seconds"
    assert min(busy.values()) >= 3


def test_a_changed_layout_is_compared_without_waiting_for_a_turn() -> None:
    sim = Simulator(anti_entropy_interval=0.5)
    sim.run(3)
    keep_asking(sim, 2)
    for node in sim.nodes.values():
        node.anti_entropy._logged.clear()  # nothing was compared under this layout
    asked = begun(sim)
    keep_asking(sim, 0.6)
    assert len(+asked) == 20, "each with each in one interval"


def test_an_exchange_that_is_asked_for_is_begun_with_all() -> None:
    sim = Simulator(anti_entropy_interval=0.5)
    sim.run(3)
    keep_asking(sim, 2)
    asked = begun(sim)
    sim.admin("n1", "exchange")
    assert sum(n for (source, _), n in asked.items() if source == "n1") >= 3
