"""The limit on siblings holds however often the nodes of a key are apart."""

from __future__ import annotations

from dynamesis.cluster.core.protocol.messages import Entry, PutReply, State, Version
from dynamesis.cluster.core.versions.siblings import SiblingLimit
from simulator import Simulator

LIMIT = SiblingLimit(4, 400, "n1")


def stamped(node: str, count: int, size: int = 1) -> State:
    versions = tuple((n, Version(b"v" * size)) for n in range(count, 0, -1))
    return {f"{node}:1:1": Entry(count, versions)}


def test_of_what_others_stamped_more_is_taken_in_and_less_is_left() -> None:
    there = stamped("n2", 8)
    assert LIMIT.exceeded(there, there | stamped("n1", 1))
    assert not LIMIT.exceeded(there, stamped("n2", 7) | stamped("n1", 1))
    assert not LIMIT.exceeded(there, stamped("n1", 1))


def test_a_node_leaves_no_more_of_its_own_than_the_limit() -> None:
    four, five = stamped("n1", 4), stamped("n1", 5)
    assert not LIMIT.exceeded(stamped("n2", 5) | stamped("n1", 3), stamped("n2", 4) | four)
    assert LIMIT.exceeded(stamped("n2", 4) | four, stamped("n2", 3) | five)
    assert LIMIT.exceeded(stamped("n2", 8, 99) | stamped("n1", 4, 99), stamped("n1", 5, 99))
    # what is its own already may stay, under a limit that was lowered since, say
    assert not LIMIT.exceeded(stamped("n2", 2) | five, stamped("n2", 1) | five)
    # one alone may be of any size, and another node is another one whatever it is called
    assert not LIMIT.exceeded(stamped("n2", 2, 999), stamped("n2", 1, 999) | stamped("n1", 1, 999))
    assert not LIMIT.exceeded(stamped("n1:1", 8), stamped("n1:1", 7) | stamped("n1", 1))


def test_replacing_one_by_one_while_apart_does_not_double_what_is_there() -> None:
    sim = Simulator(max_siblings=4, r=1, w=1)
    key = b"k"
    contexts = [sim.put("n2", key, b"%d" % n).context for n in range(4)]
    for apart in range(6):
        sim.until(sim.quiet)
        sim.isolate("n4")
        answers = [
            sim.put(node, key, b"%s %d %d" % (node.encode(), apart, n), context)
            for n, context in enumerate(contexts)
            for node in ("n2", "n4")
        ]
        contexts = [answer.context for answer in answers if isinstance(answer, PutReply)]
        sim.heal()
    sim.until(sim.quiet)
    most = max(len(values) for values in sim.holders(key).values())
    assert most <= 4 * len(sim.holders(key)), "64, if each side may replace all that it has"
