"""When a cluster counts as quiet, look by look."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any

import msgspec
import pytest
from dynamesis.harness.run.quiesce import (
    CLEAN,
    HOPELESS,
    Watch,
    _pauses,
    replica_pairs,
    until_idle,
    until_linked,
    until_quiet,
)
from dynamesis.harness.targets.reports import DumpRow, NodeStatus

from tests.harness.fakes import RING, FakeSystem

PAIR = {("a", "b")}


def status(rounds: int, clean: int, *, peer: str, hints: int = 0, transfers: int = 0) -> Any:
    exchanges = {peer: {"rounds": rounds, "clean": clean}}
    return NodeStatus.of({"hints": hints, "transfers": transfers, "exchanges": exchanges})


def looks(*pairs: Any) -> list[dict[str, Any]]:
    watch = Watch(PAIR)
    return [watch.waiting({"a": a, "b": b}) for a, b in pairs]


def test_two_clean_rounds_since_the_first_look() -> None:
    far = status(9, 0, peer="a")
    found = looks(*((status(n, n, peer="b"), far) for n in (7, 8, 9)))
    assert found == [{"exchanges": ["a-b"]}, {"exchanges": ["a-b"]}, {}]


def test_what_is_not_stored_yet_is_under_way() -> None:
    """A hint whose deletion fails is back; so the count of clean exchanges begins anew."""
    far = status(9, 0, peer="a")
    unsaved = NodeStatus.of({"unsaved": 2, "exchanges": {"b": {"rounds": 8, "clean": 8}}})
    near = [status(7, 7, peer="b"), unsaved, *(status(n, n, peer="b") for n in (8, 9, 10))]
    found = looks(*((each, far) for each in near))
    pairs = {"exchanges": ["a-b"]}
    assert found == [pairs, {"unsaved": {"a": 2}}, pairs, pairs, {}]


def test_pairs_that_finish_nothing_are_distinguished() -> None:
    watch = Watch({("a", "b"), ("b", "c")})

    def look(rounds: int) -> list[str]:
        a, b = status(rounds, 0, peer="b"), status(0, 0, peer="c")
        assert watch.waiting({"a": a, "b": b, "c": status(0, 0, peer="b")})
        return watch.idle

    assert [look(5), look(6), look(7)] == [["a-b", "b-c"], ["b-c"], ["b-c"]]


def test_what_may_be_why_is_reported_at_the_end() -> None:
    system = FakeSystem()
    system.statuses = lambda node: {
        "hints": 2, "hints_for": {"n9": 2}, "transfers": 0, "exchanges": {}, "damaged": 1,
        "peers": {"n8": {"suspected": True}, "n9": {"suspected": False}},
        "membership": {"version": 7, "settled": node != "n1"},
    }  # fmt: skip
    outcome = asyncio.run(until_quiet(system, system, RING, deadline=0.05, interval=0.01))
    nodes = len(system.nodes)
    assert outcome.waiting["hints_for"] == {"n9": 2 * nodes}
    assert outcome.waiting["damaged"] == dict.fromkeys(system.nodes, 1)
    assert outcome.waiting["suspects"] == dict.fromkeys(system.nodes, "n8")
    assert outcome.waiting["versions"] == dict.fromkeys(system.nodes, 7)
    system.statuses = lambda node: {"hints": 0, "transfers": 0, "exchanges": {}}
    outcome = asyncio.run(until_quiet(system, system, RING, deadline=0.05, interval=0.01))
    assert outcome.waiting["idle"] == outcome.waiting["exchanges"]


def test_nodes_that_have_not_found_each_other_again_are_asked_to() -> None:
    """Left alone, they dial at the end of a pause of up to a second."""
    system, asked = FakeSystem(), []

    class Dial:
        async def exchange(self, node: str) -> None:
            asked.append(node)

    def statuses(node: str) -> dict[str, Any]:
        links = {"n1": {"up": len(asked) >= 3}} if node != "n1" else {}
        return {"hints": 0, "transfers": 0, "exchanges": {}, "links": links}

    system.statuses = statuses
    asyncio.run(until_linked(system, 60.0, 0.01, Dial()))
    assert asked == list(system.nodes)


def test_the_first_looks_follow_each_other_soon() -> None:
    pauses = list(islice(_pauses(0.05), 5))
    assert pauses == [0.01, 0.02, 0.04, 0.05, 0.05]


def test_either_side_may_have_begun_the_exchanges() -> None:
    idle = status(0, 0, peer="b")
    assert looks((idle, status(3, 3, peer="a")), (idle, status(5, 5, peer="a")))[-1] == {}


def test_a_round_that_repaired_does_not_count() -> None:
    idle = status(0, 0, peer="a")
    found = looks(*((status(n, clean, peer="b"), idle) for n, clean in ((1, 1), (2, 0), (3, 1))))
    assert found[-1] == {"exchanges": ["a-b"]}


def test_a_hint_starts_the_count_anew() -> None:
    def look(rounds: int, hints: int) -> Any:
        return status(rounds, rounds, peer="b", hints=hints), status(0, 0, peer="a")

    found = looks(look(1, 0), look(2, 3), look(3, 0), look(4, 0), look(5, 0))
    assert found[1] == {"hints": {"a": 3}}
    assert found[2:] == [{"exchanges": ["a-b"]}, {"exchanges": ["a-b"]}, {}]


def test_a_node_that_cannot_report_what_it_holds_is_not_quiet() -> None:
    class Torn(FakeSystem):
        asked = 0

        async def dump(self, node: str) -> list[DumpRow]:
            self.asked += node == "n2"
            if node == "n2" and self.asked <= self.refusals:
                raise ValueError("n2 refuses: dump: a row is damaged")
            if node == "n3":
                raise RuntimeError("n3 does not answer")
            return []

        refusals = 3

    mended = asyncio.run(until_quiet(*[Torn()] * 2, RING, deadline=10, interval=0))
    assert mended.quiet
    Torn.refusals = 1 << 30
    outcome = asyncio.run(until_quiet(*[Torn()] * 2, RING, deadline=0.05, interval=0.01))
    assert (outcome.quiet, outcome.waiting) == (False, {"unreadable": ["n2"]})


@pytest.mark.parametrize("before", [0, 2], ids=["damaged", "sound again"])
def test_what_shows_only_when_all_is_read_starts_the_count_anew(before: int) -> None:
    class Rotten(FakeSystem):
        read = 0

        async def status(self, node: str) -> NodeStatus | None:
            found = await super().status(node)
            assert found is not None
            damaged = before if not self.read else 1
            return msgspec.structs.replace(found, damaged=damaged if node == "n2" else 0)

        async def dump(self, node: str) -> list[DumpRow]:
            self.read += node == "n2"
            return await super().dump(node)

    system = Rotten()
    assert asyncio.run(until_quiet(system, system, RING, deadline=60, interval=0)).quiet
    assert system.read == 2


def test_where_there_are_no_exchanges_none_are_waited_for() -> None:
    system = FakeSystem()
    system.statuses = lambda node: {"hints": 0, "transfers": 0, "exchanges": {}}
    assert not asyncio.run(until_quiet(system, system, RING, deadline=0.05, interval=0.01)).quiet
    assert asyncio.run(until_quiet(system, system, None, deadline=9, interval=0)).quiet


def test_a_node_is_idle_that_has_no_request_in_progress_and_repairs_nothing_more() -> None:
    def idle_after(*looks: tuple[int, int]) -> int:
        asked: list[str] = []

        def status(node: str) -> dict[str, Any]:
            asked.append(node)
            requests, repairs = looks[min((len(asked) - 1) // len(system.nodes), len(looks) - 1)]
            return {"requests": requests, "read_repairs": repairs}

        system = FakeSystem()
        system.statuses = status
        asyncio.run(until_idle(system, 9, interval=0))
        return len(asked) // len(system.nodes)

    assert idle_after((0, 0)) == 2
    assert idle_after((1, 0), (1, 0), (0, 0)) == 3
    assert idle_after((0, 0), (0, 1), (0, 2), (0, 2)) == 4


def test_transfers_and_silence_are_waited_for() -> None:
    a, b = status(1, 1, peer="b", transfers=2), status(1, 1, peer="a")
    assert looks((a, b), (a, None)) == [
        {"transfers": {"a": 2}},
        {"silent": ["b"], "transfers": {"a": 2}},
    ]


def test_a_quiet_cluster_is_found_quiet() -> None:
    outcome = asyncio.run(until_quiet(*[FakeSystem()] * 2, RING, deadline=10, interval=0))
    assert outcome.quiet
    assert outcome.waiting == {}


def test_the_deadline_reports_what_it_waited_for() -> None:
    system = FakeSystem()
    system.statuses = lambda node: {"hints": 1, "transfers": 0, "exchanges": {}}
    outcome = asyncio.run(until_quiet(system, system, RING, deadline=0.05, interval=0.01))
    assert not outcome.quiet
    assert outcome.waiting == {"hints": {"n1": 1, "n2": 1, "n3": 1}}


def test_a_node_without_hash_trees_is_named() -> None:
    system = FakeSystem()
    bare = {"hints": 0, "transfers": 0, "exchanges": {}}
    system.statuses = lambda node: {**bare, "trees": {"complete": node != "n2"}}
    outcome = asyncio.run(until_quiet(system, system, RING, deadline=0.05, interval=0.01))
    assert outcome.waiting == {"treeless": ["n2"]}


def test_rows_that_cannot_be_read_are_reported_beside_what_they_may_keep_waiting() -> None:
    system = FakeSystem()
    bare = {"hints": 1, "transfers": 0, "exchanges": {}}
    system.statuses = lambda node: {**bare, "damaged": 3 if node == "n1" else 0}
    outcome = asyncio.run(until_quiet(system, system, RING, deadline=0.05, interval=0.01))
    assert outcome.waiting["damaged"] == {"n1": 3}
    system = FakeSystem()
    quiet = system.statuses
    system.statuses = lambda node: {**(quiet(node) or {}), "damaged": 3}
    assert asyncio.run(until_quiet(system, system, RING, deadline=9, interval=0)).waiting == {}


def in_vain(rounds: int, clean: int = 0, *, hints: int = 0) -> list[dict[str, Any]]:
    return [status(rounds, clean, peer="b", hints=hints), status(0, 0, peer="a")]


def hopeless(*seen: list[dict[str, Any]]) -> dict[str, Any]:
    watch = Watch(PAIR)
    for a, b in seen:
        watch.waiting({"a": a, "b": b})
    return watch.hopeless


def test_a_pair_that_repairs_for_ever_is_given_up() -> None:
    assert hopeless(in_vain(5), in_vain(5 + HOPELESS))
    assert not hopeless(in_vain(5), in_vain(4 + HOPELESS))


def test_a_pair_that_comes_clean_at_last_is_not_given_up() -> None:
    assert not hopeless(in_vain(5), in_vain(5 + HOPELESS, clean=1))


def test_a_pair_that_hints_still_feed_is_not_given_up() -> None:
    assert not hopeless(in_vain(5), in_vain(5 + HOPELESS, hints=1))
    assert not hopeless(in_vain(5), in_vain(5 + HOPELESS, hints=1), in_vain(6 + HOPELESS))


def test_it_ends_before_the_deadline_when_there_is_no_hope() -> None:
    class Vain(FakeSystem):
        rounds = 0

        async def status(self, node: str) -> NodeStatus | None:
            self.rounds += 1
            seen = {"rounds": self.rounds, "clean": 0, "repaired": 3 * self.rounds}
            peers = dict.fromkeys(self.nodes, seen)
            return NodeStatus.of({"hints": 0, "transfers": 0, "exchanges": peers})

    outcome = asyncio.run(until_quiet(*[Vain()] * 2, RING, deadline=600, interval=0))
    assert not outcome.quiet
    assert [f"{a}-{b}" for a, b in sorted(replica_pairs(RING))] == list(outcome.in_vain)
    for counts in outcome.as_value()["in_vain"].values():
        assert counts["repaired"] == 3 * counts["rounds"] >= 3 * HOPELESS
    assert outcome.waiting["exchanges"]


def test_nodes_that_can_be_asked_for_exchanges_are_after_each_look() -> None:
    class Asked(FakeSystem):
        """Nothing is exchanged but when asked for."""

        def __init__(self) -> None:
            super().__init__()
            self.rounds = 0
            self.statuses = lambda node: {
                "hints": 0, "transfers": 0,
                "exchanges": {
                    peer: {"rounds": self.rounds, "clean": self.rounds}
                    for peer in self.nodes if peer != node
                },
            }  # fmt: skip

        async def exchange(self, node: str) -> None:
            self.rounds += node == "n1"

    asked = Asked()
    assert asyncio.run(
        until_quiet(asked, asked, RING, deadline=60, interval=0, exchanges=asked)
    ).quiet
    assert asked.rounds == CLEAN
    outcome = asyncio.run(until_quiet(asked, asked, RING, deadline=0.05, interval=0.01))
    assert not outcome.quiet


def test_trees_that_are_made_anew_again_and_again_are_waited_for_once() -> None:
    """Found by simulate (seed 813): an expiry of trees that was a multiple of the pause between two
    looks, so that a node made them anew at every second one."""

    def look(rounds: int, rebuilds: int, rebuilding: bool) -> Any:
        trees = {"complete": True, "rebuilding": rebuilding, "rebuilds": rebuilds}
        exchanges = {"b": {"rounds": rounds, "clean": rounds}}
        a = NodeStatus.of({"exchanges": exchanges, "trees": trees})
        return a, status(0, 0, peer="a")

    found = looks(look(1, 4, True), look(2, 4, True), look(3, 5, True))
    assert found == [{"rebuilding": ["a"]}, {"rebuilding": ["a"]}, {"exchanges": ["a-b"]}]
    found = looks(look(1, 4, False), look(2, 4, True), look(3, 5, False))
    assert found == [{"exchanges": ["a-b"]}, {"exchanges": ["a-b"]}, {}]
