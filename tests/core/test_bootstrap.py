"""A ring is founded once: a founder that has forgotten it never founds it again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from dynamesis.cluster.core.membership.bootstrap import Bootstrap
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.node.parts import Parts
from dynamesis.cluster.core.protocol.messages import Answer, GossipReply, PutReply, Refusal
from dynamesis.cluster.core.protocol.storage_reader import ReadFailed
from dynamesis.cluster.core.runtime.runtime import Failure
from simulator import DictStore, Simulator, idle_runtime
from test_membership import settle

REST = ("n1", "n2", "n3", "n4")


@pytest.mark.parametrize("founders", [1, 2, 5])
def test_a_fresh_cluster_has_a_ring_after_one_round(founders: int) -> None:
    sim = Simulator(founders, n=1, r=1, w=1)
    assert sim.now < 0.1
    assert all(node.ready for node in sim.nodes.values())
    assert isinstance(sim.put("n1", b"k", b"v"), PutReply)


def test_no_ring_is_founded_before_every_founder_was_there() -> None:
    sim = Simulator(3)
    for name in sim.names:
        sim.crash(name)
        sim.wipe(name)
    for name in ("n1", "n2"):
        sim.boot(name)
    sim.run(10)
    assert not any(node.ready for node in sim.nodes.values())
    sim.boot("n3")
    sim.until(lambda: all(node.ready for node in sim.nodes.values()))


def wiped(*lost: str, apart: tuple[str, ...] = (), node_class: type[Node] = Node) -> Simulator:
    """A ring of five that n5 has left, and that has therefore moved on; then these disks are
    wiped, and `apart` are cut off from the rest."""
    sim = Simulator(partitions=16)
    sim.admin("n1", "leave", node="n5")
    settle(sim, *REST)
    sim.node_class = node_class
    for name in lost:
        sim.crash(name)
        sim.wipe(name)
    sim.isolate(*apart)
    for name in lost:
        sim.boot(name)
    sim.run(10)
    return sim


def serves(sim: Simulator, name: str) -> bool:
    return isinstance(sim.put(name, b"k", b"v"), PutReply)


@pytest.mark.parametrize("lost", [("n1", "n2"), ("n1", "n2", "n3"), ("n2", "n3", "n4", "n5")])
def test_wiped_founders_that_are_cut_off_together_wait_for_the_others(
    lost: tuple[str, ...],
) -> None:
    sim = wiped(*lost, apart=lost)
    for name in lost:
        assert sim.nodes[name].membership.layout is None
        answer = sim.put(name, b"k", b"v")
        assert isinstance(answer, Refusal)
        assert answer.code == "not-ready"
        missing = [n for n in sim.names if n not in lost]
        assert f"it waits for {', '.join(missing)}" in answer.message
        assert sim.admin(name, "status")["waiting_for"] == missing
    sim.heal()
    settle(sim, *REST)
    assert serves(sim, lost[0])


def test_one_peer_with_the_ring_is_enough() -> None:
    sim = wiped("n1", "n2", apart=("n1", "n2", "n4"))
    assert sim.nodes["n1"].view.layout.members == REST
    assert serves(sim, "n1")


def test_where_every_disk_was_wiped_there_is_no_ring_and_one_is_founded() -> None:
    sim = wiped("n1", "n2", "n3", "n4", "n5")
    assert sim.nodes["n1"].view.layout.members == sim.names
    assert serves(sim, "n1")


def test_a_founder_that_asks_no_node_serves_under_a_ring_of_long_ago() -> None:
    class Alone(Bootstrap):
        def start(self) -> None:
            self.found()

    class Hasty(Node):
        parts = Parts(bootstrap=Alone)

    sim = wiped("n1", "n2", apart=("n1", "n2"), node_class=Hasty)
    assert sim.nodes["n1"].view.layout.members == sim.names
    assert serves(sim, "n1")


class Unreadable(DictStore):
    """What another disk holds, once it can be read."""

    def __init__(self, disk: DictStore) -> None:
        self.tables = disk.tables
        self.readable = False

    def get(self, table: str, key: bytes) -> bytes | None:
        if not self.readable:
            raise ReadFailed("the disk is not there yet")
        return super().get(table, key)


def test_a_founder_that_cannot_read_its_disk_does_not_say_that_it_knows_of_no_ring() -> None:
    sim = Simulator(4, partitions=16)
    sim.admin("n1", "leave", node="n4")
    settle(sim, "n1", "n2", "n3")
    disk = Unreadable(sim.stores["n3"])
    for name in sim.names:
        sim.crash(name)
        sim.stores[name] = disk if name == "n3" else DictStore()
        sim.boot(name)
    sim.run(5)
    assert not any(node.membership.layout for node in sim.nodes.values())
    disk.readable = True
    settle(sim, "n1", "n2", "n3")


Asked = list[tuple[str, Callable[[Answer | Failure], None]]]


def founder(
    founders: tuple[str, ...], up: set[str], asked: Asked, founded: list[bool]
) -> Bootstrap:
    """n1 among these founders; `asked` has each question, with what takes its answer."""
    return Bootstrap(
        "n1",
        idle_runtime(),
        founders,
        1.0,
        has_layout=lambda: False,
        found=lambda: founded.append(True),
        is_up=up.__contains__,
        ask=lambda peer, done: asked.append((peer, done)),
    )


def test_only_answers_on_links_that_were_up_when_the_round_began_count() -> None:
    # n2 could have been wiped and started anew after n3 answered
    asked: Asked = []
    up = {"n3"}
    founded: list[bool] = []
    founding = founder(("n1", "n2", "n3"), up, asked, founded)
    founding.start()
    assert [peer for peer, _ in asked] == ["n3"]
    asked[0][1](GossipReply(1, None, {}))
    up.add("n2")
    founding.look()
    assert [peer for peer, _ in asked[1:]] == ["n2", "n3"]
    asked[1][1](GossipReply(2, None, {}))
    assert not founded
    assert founding.waiting_for() == []
    asked[2][1](GossipReply(3, None, {}))
    assert founded


def test_links_that_come_up_one_by_one_cost_two_questions_each() -> None:
    founders = tuple(f"n{i}" for i in range(1, 31))
    asked: Asked = []
    up: set[str] = set()
    founded: list[bool] = []
    founding = founder(founders, up, asked, founded)
    founding.start()
    for peer in founders[1:]:
        up.add(peer)
        founding.linked(peer)
    others = list(founders[1:])
    assert [peer for peer, _ in asked] == [*others[:-1], *others]
    for _, done in asked[: len(others) - 1]:
        done(GossipReply(1, None, {}))
    assert not founded, "what was answered before the last link was up proves nothing"
    for _, done in asked[len(others) - 1 :]:
        done(GossipReply(1, None, {}))
    assert founded
