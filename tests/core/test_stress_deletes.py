"""Random load with deletes and re-creations, under random faults and a reaper in a hurry,
judged by brute force: no value walks back, and no tombstone eats what it never saw."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.messages import Get, Put
from dynamesis.cluster.zoo.outside import changed_by
from test_stress import KEYS, Run

from tests.examples import rest_at_night

#: steps that a deleted key is left alone
REST = 60


class Deletes(Run):
    """As Run, with tombstones; `deletes` are those that may have taken effect."""

    def __init__(self, seed: int, node_class: type[Node] = Node, **params: Any) -> None:
        super().__init__(seed, node_class, reap_after=0.05, **params)
        self.deletes: set[bytes] = set()
        self.resting: dict[bytes, int] = {}

    def begin(self, step: int) -> None:
        """Now and then a key is read and deleted and left alone for a while, so that it can
        be reaped in the middle of it all; after that it is written again."""
        key = self.random.choice(KEYS)
        if self.resting.get(key, -1) > step:
            return
        if self.random.random() < 0.15:
            self.resting[key] = step + REST
            name = self.random.choice(sorted(self.sim.nodes))
            self.open[self.sim.ask(name, Get(1, key))] = (key, b"")
            self.sim.run(0.05)
            self.finish()
            if self.contexts[key]:
                self.delete(step, key, self.contexts[key][-1])
        elif self.contexts[key] and self.random.random() < 0.2:
            self.delete(step, key, self.random.choice(self.contexts[key][-3:]))
        else:
            super().begin(step)

    def delete(self, step: int, key: bytes, based: tuple[bytes, frozenset[bytes]]) -> None:
        context, seen = based
        value = b"%s%d-" % (key, step)
        self.past[value] = seen | {value}
        self.deletes.add(value)
        name = self.random.choice(sorted(self.sim.nodes))
        put = Put(1, f"r{step}", key, value, context, deleted=True)
        self.open[self.sim.ask(name, put)] = (key, value)

    def judge(self, key: bytes) -> None:
        held = self.sim.holders(key)
        if held and (
            len(held) != self.sim.params.n or len({frozenset(v) for v in held.values()}) != 1
        ):
            self.wrong.append(f"diverged on {key!r}: {held}")
        final = next(iter(held.values()), set())
        standing = [self.past[v] for v in (*final, *self.deletes) if v.startswith(key)]
        covered = frozenset().union(*standing)
        self.wrong += [f"lost {v!r}" for v in sorted(self.acked[key] - covered)]
        self.wrong += [
            f"{v!r} walked back below {q!r}"
            for v in sorted(final)
            for q in sorted(self.acked[key])
            if q != v and v in self.past[q]
        ]
        self.check_shown(sorted(final))


@pytest.mark.parametrize("seed", rest_at_night(range(12), 6))
def test_nothing_walks_back_and_nothing_is_eaten(seed: int) -> None:
    assert Deletes(seed).go(400).wrong == []


def test_the_load_reaps_in_the_middle_of_it_all() -> None:
    for seed in (1, 2, 3):
        sim = Deletes(seed).go(400).sim
        reaped = [when for when, _, e in sim.log if e.event == "reap"]
        wrote = [when for when, _, e in sim.log if e.event == "stored"]
        assert len(reaped) > 1
        assert min(reaped) < max(wrote)


def primaries_only(node: Node) -> None:
    """Reaping by agreement of the primaries alone, without a look at hints or what is on
    its way."""
    node.reaper.peers = lambda: [  # type: ignore[method-assign]
        p for p in node.view.primaries(0) if p != node.params.node
    ]
    record = node.objects.get

    def alone(key: bytes, hash: int, view: object) -> bool:
        held = record(node.replica.row(key))
        return held is None or held.hash == hash

    node.reaper.is_alone = alone  # type: ignore[method-assign, assignment]
    node.barriers.unbroken = lambda key, name: True  # type: ignore[method-assign]


def test_the_same_load_convicts_a_reaper_that_does_not_look_far_enough() -> None:
    assert any(Deletes(seed, changed_by(primaries_only)).go(400).wrong for seed in range(12))
