"""Random load under random faults in the simulator, judged by brute force.

The truth is kept beside the cluster: past(p) of every put, as sets. It shares nothing
with the node's own clocks, so it can contradict them.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.messages import Get, GetReply, Put, PutReply
from dynamesis.cluster.zoo import BUGS
from simulator import Simulator

from tests.examples import rest_at_night

KEYS = [b"a", b"b", b"c"]


class Run:
    """One seeded run. `wrong` collects what the truth forbids."""

    def __init__(self, seed: int, node_class: type[Node] = Node, **params: Any) -> None:
        self.random = random.Random(seed)
        self.sim = Simulator(seed=seed, node_class=node_class, **params)
        self.past: dict[bytes, frozenset[bytes]] = {}
        self.acked: dict[bytes, set[bytes]] = {key: set() for key in KEYS}
        self.dots: dict[bytes, dict[str, bytes]] = {key: {} for key in KEYS}
        self.contexts: dict[bytes, list[tuple[bytes, frozenset[bytes]]]] = {k: [] for k in KEYS}
        self.open: dict[int, tuple[bytes, bytes]] = {}
        self.wrong: list[str] = []
        self.down: str | None = None

    def go(self, steps: int) -> Run:
        for step in range(steps):
            self.fault(step)
            self.begin(step)
            self.sim.run(self.random.uniform(0, 0.01))
            self.finish()
        self.sim.heal()
        if self.down is not None:
            self.sim.boot(self.down)
        self.sim.run(3)
        self.finish()
        if not self.sim.wait(self.sim.quiet, 30):
            self.wrong.append("the cluster did not become quiet")
        for key in KEYS:
            self.judge(key)
        for name, node in self.sim.nodes.items():
            account = node.hints.account()
            if account.pop("hints_kept") != sum(account.values()):
                self.wrong.append(f"{name} lost a hint: {account}")
        return self

    def fault(self, step: int) -> None:
        if step % 40 == 0:
            self.sim.heal()
            names = list(self.sim.names)
            self.random.shuffle(names)
            self.sim.isolate(*names[: self.random.randint(0, 2)])
        if step % 40 == 20:
            if self.down is not None:
                if self.random.random() < 0.3:
                    self.sim.wipe(self.down)
                self.sim.boot(self.down)
                self.down = None
            elif self.random.random() < 0.5:
                self.down = self.random.choice(self.sim.names)
                self.sim.crash(self.down)

    def begin(self, step: int) -> None:
        name = self.random.choice(sorted(self.sim.nodes))
        key = self.random.choice(KEYS)
        if self.random.random() < 0.4:
            self.open[self.sim.ask(name, Get(1, key))] = (key, b"")
            return
        context, seen = b"", frozenset[bytes]()
        if self.contexts[key] and self.random.random() < 0.7:
            context, seen = self.random.choice(self.contexts[key][-6:])
        value = b"%s%d" % (key, step)
        self.past[value] = seen | {value}
        put = Put(1, f"r{step}", key, value, context)
        self.open[self.sim.ask(name, put)] = (key, value)

    def finish(self) -> None:
        for channel in [c for c in self.open if c in self.sim.replies]:
            key, value = self.open.pop(channel)
            reply = self.sim.replies[channel]
            if isinstance(reply, PutReply):
                self.acked[key].add(value)
                self.named(key, reply.worth.dot, value)
                self.contexts[key].append((reply.context, self.past[value]))
            elif isinstance(reply, GetReply):
                shown = [v.value for v in reply.siblings]
                self.check_shown(shown)
                covered = frozenset().union(*(self.past[v] for v in shown))
                self.contexts[key].append((reply.context, covered))
                self.acked[key].update(shown)

    def named(self, key: bytes, dot: str | None, value: bytes) -> None:
        if dot is None or self.dots[key].setdefault(dot, value) != value:
            self.wrong.append(f"{value!r} was stamped {dot}")

    def check_shown(self, shown: list[bytes]) -> None:
        if len(set(shown)) != len(shown):
            self.wrong.append(f"duplicate in {shown}")
        self.wrong += [
            f"false sibling {p} < {q}" for p in shown for q in shown if p != q and p in self.past[q]
        ]

    def judge(self, key: bytes) -> None:
        held = self.sim.holders(key)
        if not self.acked[key]:
            return
        if (
            len({frozenset(values) for values in held.values()}) != 1
            or len(held) != self.sim.params.n
        ):
            self.wrong.append(f"diverged on {key!r}: {held}")
        final = next(iter(held.values()))
        covered = frozenset().union(*(self.past[v] for v in final))
        self.wrong += [f"lost {v!r}" for v in sorted(self.acked[key] - covered)]
        self.check_shown(sorted(final))


@pytest.mark.parametrize("seed", rest_at_night(range(25), 12))
def test_a_correct_node_never_loses_duplicates_or_diverges(seed: int) -> None:
    assert Run(seed).go(400).wrong == []


#: what this load, with its cuts, crashes and wipes, must find; the rest of the zoo needs
#: changes of membership, disks that fail, or real processes
CONVICTED = (
    "ctx-only-increment",
    "merged-clock-siblings",
    "equal-actors",
    "self-merge",
    "ctx-underclaims",
    "repair-overwrites",
    "repair-first-only",
    "handoff-overwrites",
    "aae-last-segment",
    "aae-no-rehash",
    "aae-order-hash",
)


@pytest.mark.parametrize("name", CONVICTED)
def test_the_same_load_convicts_planted_bugs(name: str) -> None:
    assert any(Run(seed, BUGS[name].node).go(300).wrong for seed in range(10))


@pytest.mark.parametrize("name", sorted(BUGS))
def test_every_bug_can_be_planted_and_the_node_still_serves(name: str) -> None:
    sim = Simulator(node_class=BUGS[name].node)
    sim.crash("n1")
    sim.boot("n1")
    sim.run(0.5)
    assert isinstance(sim.put("n2", b"k", b"v"), PutReply)
