"""Hash trees: true to the records, written down by a clean stop, made anew in slices."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol import events as ev
from dynamesis.cluster.core.protocol.messages import (
    Key,
    Put,
    ReplicaPut,
    SyncKey,
    SyncKeyReply,
    TreeKeys,
    TreeKeysReply,
    TreeLeaves,
    TreeLeavesReply,
    TreeRoots,
    TreeRootsReply,
)
from dynamesis.cluster.core.storage.row_keys import Row, object_row
from dynamesis.cluster.core.storage.trees import Forest
from dynamesis.cluster.net.wire import encode
from hypothesis import given
from hypothesis import strategies as st
from simulator import Simulator


def fill(sim: Simulator, keys: int) -> None:
    channels = [sim.ask(sim.names[i % 5], _put(b"k%d" % i, b"v%d" % i, i)) for i in range(keys)]
    sim.until(lambda: all(c in sim.replies for c in channels))
    sim.until(sim.quiet)


def _put(key: bytes, value: bytes, number: int) -> Put:
    return Put(1, f"r{number}", key, value)


def truth(node: Node) -> dict[int, int]:
    """The roots that the stored records give."""
    forest = Forest()
    for row, record in node.objects.scan():
        forest.change(row, None, record.hash)
    return forest.roots()


def roots(node: Node) -> dict[int, int]:
    return node.trees._forest.roots()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2)), max_size=60))
def test_trees_that_wait_until_they_are_looked_at_are_those_that_do_not(
    steps: list[tuple[int, int, int]],
) -> None:
    """Records that come, take the place of others and go, and a look now and then."""
    waiting, eager = Forest(), Forest()
    rows = [object_row(0, Key(b"a")), object_row(0, Key(b"b")), object_row(1, Key(b"c"))]
    held: dict[Row, int] = {}
    for which, new, what in steps:
        row, old = rows[which], held.get(rows[which])
        if what and old is not None and new:
            waiting.replace(row, old, new)
        else:
            waiting.change(row, old, new or None)
        eager.change(row, old, new or None)
        held = {name: hash for name, hash in {**held, row: new}.items() if hash}
        if not what:
            assert waiting.roots() == eager.roots()
    assert waiting.of(0).branches() == eager.of(0).branches()
    assert waiting.roots() == eager.roots()
    assert waiting.counts == eager.counts


class TestOneLifeAndTheNext:
    def test_a_clean_stop_spares_the_next_life_the_scan(self) -> None:
        sim = Simulator()
        fill(sim, 60)
        before, objects = roots(sim.nodes["n3"]), sim.nodes["n3"].trees.objects
        sim.stop("n3")
        sim.boot("n3")
        node = sim.nodes["n3"]
        assert node.trees.rebuilds == 0
        assert roots(node) == before == truth(node) != {}
        assert node.trees.objects == objects

    def test_after_a_crash_the_trees_are_made_anew(self) -> None:
        sim = Simulator()
        fill(sim, 60)
        sim.crash("n3")
        sim.boot("n3")
        assert sim.nodes["n3"].trees.rebuilds == 1
        assert roots(sim.nodes["n3"]) == truth(sim.nodes["n3"])

    def test_trees_of_an_earlier_stop_are_not_taken_up_after_a_crash(self) -> None:
        sim = Simulator()
        fill(sim, 60)
        sim.stop("n3")
        sim.boot("n3")
        sim.run(0.1)
        fill_again = [sim.ask("n3", _put(b"k%d" % i, b"w", 100 + i)) for i in range(60)]
        sim.until(lambda: all(c in sim.replies for c in fill_again))
        sim.crash("n3")
        sim.boot("n3")
        node = sim.nodes["n3"]
        assert node.trees.rebuilds == 1
        assert roots(node) == truth(node)

    def test_the_mark_is_gone_before_anything_else_is_written(self) -> None:
        sim = Simulator()
        fill(sim, 20)
        sim.stop("n3")
        writes: list[ev.Write] = []
        carry = sim._persist

        def watch(name: str, token: int, batch: tuple[ev.Write, ...]) -> None:
            if name == "n3":
                writes.extend(batch)
            carry(name, token, batch)

        sim._persist = watch  # type: ignore[method-assign]
        sim.boot("n3")
        fill(sim, 20)
        assert writes[0] == ev.Write("meta", b"trees", None)

    def test_no_mark_is_left_while_a_write_is_in_doubt(self) -> None:
        sim = Simulator()
        fill(sim, 20)
        sim.fsync = (5.0, 5.0)
        sim.ask("n3", _put(b"k1", b"late", 99))
        sim.ask("n3", _put(b"k2", b"late", 98))
        for name in sim.names:
            sim.feed(name, ev.Stopping())
        sim.run(20)
        marked = [n for n in sim.names if sim.stores[n].get("meta", b"trees") is not None]
        unsaved = [n for n in sim.names if not sim.nodes[n].objects.settled]
        assert len(marked) < 5
        assert not set(marked) & set(unsaved)


class TestDrift:
    @pytest.mark.parametrize("seed", range(6))
    def test_failed_writes_merges_and_removals_leave_trees_true(self, seed: int) -> None:
        sim = Simulator(seed=seed, anti_entropy_interval=0.05)
        for i in range(300):
            sim.disk_errors = 0.15 if i % 100 < 60 else 0.0
            name = sim.random.choice(sim.names)
            sim.ask(name, _put(b"k%d" % sim.random.randrange(12), b"v%d" % i, i))
            if i % 60 == 30:
                sim.isolate(sim.random.choice(sim.names))
            if i % 60 == 50:
                sim.heal()
            sim.run(0.003)
        sim.disk_errors = 0.0
        sim.heal()
        sim.until(sim.quiet)
        node = sim.nodes["n2"]
        row = next(row for row, _ in node.objects.scan())
        node.objects.remove(row, lambda code: None)
        assert any(e.event == "storage-error" for _, _, e in sim.log), (
            "no write failed: the test shows nothing"
        )
        sim.fsync = (0.0, 0.0)
        for name in sim.names:
            node = sim.nodes[name]
            sim.until(lambda node=node: node.objects.settled)  # type: ignore[misc]
            assert roots(node) == truth(node)

    def test_a_row_that_vanished_from_the_disk_is_noticed_on_schedule_and_healed(self) -> None:
        sim = Simulator(tree_expiry=5.0)
        fill(sim, 60)
        table = sim.stores["n3"].tables["objects"]
        row = sorted(table)[7]
        del table[row]
        sim.run(3)
        assert row not in table, "nothing has looked at the disk yet"
        sim.until(lambda: row in table)
        assert [e.event for _, n, e in sim.log if n == "n3" and e.event == "tree-drift"]

    def test_a_quiet_rebuild_reports_no_drift(self) -> None:
        sim = Simulator(tree_expiry=1.0)
        fill(sim, 60)
        sim.run(5)
        assert min(node.trees.rebuilds for node in sim.nodes.values()) > 3
        assert not [e for _, _, e in sim.log if e.event == "tree-drift"]


class TestSlices:
    KEYS = 900

    def big(self, **params: Any) -> Simulator:
        sim = Simulator(**params)
        for start in range(0, self.KEYS, 300):
            channels = [
                sim.ask(sim.names[i % 5], _put(b"k%d" % i, b"v", i))
                for i in range(start, start + 300)
            ]
            sim.until(lambda channels=channels: all(c in sim.replies for c in channels))  # type: ignore[misc]
        sim.until(sim.quiet)
        assert len(sim.stores["n3"].tables["objects"]) > 300
        return sim

    def test_a_big_store_is_scanned_in_slices_while_writes_continue(self) -> None:
        sim = self.big()
        pages = Counter[str]()
        sim.crash("n3")
        sim.boot("n3")
        node = sim.nodes["n3"]
        assert not node.trees.complete
        work = node.trees.scan_slice
        met: list[int] = []
        node.trees.on_row = lambda row, record: met.append(1)

        def watch() -> None:
            met.clear()
            work()
            pages["slices"] += 1
            assert len(met) <= 128

        node.trees.scan_slice = watch  # type: ignore[method-assign]
        for i in range(200):
            sim.ask("n1", _put(b"k%d" % (i * 4), b"new", 5000 + i))
            sim.ask("n2", _put(b"new%d" % i, b"new", 6000 + i))
            sim.run(0.0002)
        sim.until(lambda: node.trees.complete)
        assert pages["slices"] > 0
        sim.until(sim.quiet)
        assert roots(node) == truth(node)

    def test_the_old_trees_serve_while_new_ones_are_made(self) -> None:
        sim = self.big()
        node = sim.nodes["n3"]
        before = roots(node)
        node.trees.rebuild()
        assert node.trees._coming is not None
        assert roots(node) == before
        rounds = {peer: s.rounds for peer, s in node.anti_entropy.standing.items()}
        node.trees.scan_on = lambda delay: None  # type: ignore[method-assign]
        sim.run(2)
        after = {peer: s.rounds for peer, s in node.anti_entropy.standing.items()}
        assert all(after[peer] > rounds[peer] for peer in rounds)

    def test_nothing_is_compared_before_there_are_trees(self) -> None:
        sim = self.big()
        sim.crash("n3")
        sim.boot("n3")
        assert not sim.nodes["n3"].trees.complete
        seen = len(sim.log)
        sim.until(sim.quiet)
        assert not [
            e for _, _, e in sim.log[seen:] if e.event == "exchange" and e.fields["repaired"]
        ]


EXCHANGE = (
    TreeRoots,
    TreeRootsReply,
    TreeLeaves,
    TreeLeavesReply,
    TreeKeys,
    TreeKeysReply,
    SyncKey,
    SyncKeyReply,
    ReplicaPut,
)


def metered(sim: Simulator) -> list[int]:
    """The bytes of anti-entropy on the wire from now on, frame by frame."""
    frames: list[int] = []
    send, reply = sim._send, sim._reply

    def count(message: Any) -> None:
        if isinstance(message, EXCHANGE):
            frames.append(len(encode(message)))

    def sent(source: str, dest: str, message: Any) -> None:
        count(message)
        send(source, dest, message)

    def replied(name: str, channel: int, message: Any) -> None:
        count(message)
        reply(name, channel, message)

    sim._send, sim._reply = sent, replied  # type: ignore[method-assign]
    return frames


def test_the_cost_of_an_exchange_follows_the_differences_not_the_data() -> None:
    costs = {}
    for keys in (100, 1500):
        sim = Simulator(anti_entropy_interval=1000.0, members=3)
        channels = [sim.ask("n1", _put(b"k%d" % i, b"v", i)) for i in range(keys)]
        sim.until(lambda channels=channels, sim=sim: all(c in sim.replies for c in channels))  # type: ignore[misc]
        sim.run(1)
        node = sim.nodes["n1"]
        row = sorted(sim.stores["n1"].tables["objects"])[keys // 2]
        node.objects.remove(row, lambda code: None)
        sim.run(1)
        frames = metered(sim)
        node.anti_entropy.begin_all()
        sim.run(1)
        assert row in sim.stores["n1"].tables["objects"]
        costs[keys] = sum(frames)
    assert costs[1500] < 2 * costs[100] < 50_000
