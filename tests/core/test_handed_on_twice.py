"""A put that comes twice from the node that handed it on, since the network doubled it."""

from __future__ import annotations

from typing import Any

from dynamesis.cluster.core.protocol.events import Received
from dynamesis.cluster.core.protocol.messages import ForwardPut, Put, Refusal
from simulator import Simulator

KEY = b"k"
PEER = 10_000_000


def answers(sim: Simulator, name: str) -> list[Any]:
    """What `name` answers on the connection of its peer."""
    found: list[Any] = []
    reply = sim._reply

    def kept(node: str, channel: int, message: Any) -> None:
        if node == name and channel == PEER:
            found.append(message)
        else:
            reply(node, channel, message)

    sim._reply = kept  # type: ignore[method-assign]
    return found


def primary(sim: Simulator) -> str:
    view = sim.nodes["n1"].view
    return str(view.preference(view.partition(KEY))[0])


def handed_on(number: int) -> ForwardPut:
    return ForwardPut(number, 1, Put(number, f"r{number}", KEY, b"v%d" % number))


def test_a_put_in_progress_is_not_refused_when_it_comes_again() -> None:
    sim = Simulator(max_requests=2)
    name = primary(sim)
    found = answers(sim, name)
    other = "n2" if name != "n2" else "n3"
    for message in (handed_on(1), handed_on(2), handed_on(1), handed_on(2)):
        sim.feed(name, Received(PEER, other, message))
    sim.until(lambda: len(found) >= 2)
    sim.run(1.0)
    assert sorted(answer.rid for answer in found) == [1, 2]
    assert not [answer for answer in found if isinstance(answer, Refusal)]


def test_a_put_that_was_refused_is_not_carried_out_when_it_comes_again() -> None:
    sim = Simulator(max_requests=1)
    name = primary(sim)
    found = answers(sim, name)
    other = "n2" if name != "n2" else "n3"
    for number in (1, 2):
        sim.feed(name, Received(PEER, other, handed_on(number)))
    sim.until(lambda: len(found) == 2)  # the second one was refused; there is room again
    sim.feed(name, Received(PEER, other, handed_on(2)))
    sim.run(1.0)
    assert [answer.rid for answer in found if isinstance(answer, Refusal)] == [2]
    assert b"v2" not in {version.value for version in sim.get(name, KEY).siblings}


def test_another_connection_counts_from_anew() -> None:
    sim = Simulator()
    name = primary(sim)
    sim.feed(name, Received(PEER, "n2", handed_on(1)))
    sim.run(0.5)
    again = ForwardPut(1, 1, Put(1, "other", KEY, b"w"))
    sim.feed(name, Received(PEER + 1, "n2", again))
    sim.until(lambda: PEER + 1 in sim.replies)
    assert not isinstance(sim.replies[PEER + 1], Refusal)
