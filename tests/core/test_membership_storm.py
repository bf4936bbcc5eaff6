"""Random load while nodes join, leave, are removed, killed, wiped, restarted with an old view
and cut off, all at random; then everything is healed, and judged by brute force: no
acknowledged write is lost, no deleted value walks back, all agree on one ring that is
balanced within one partition, and no other node holds anything.

At most one disk is lost at a time: another one only after all has been quiet.
"""

from __future__ import annotations

import pytest
from dynamesis.cluster.core.membership.membership import settled
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.zoo import BUGS
from test_stress import KEYS
from test_stress_deletes import Deletes

MOST = 8


class Storm(Deletes):
    """With `copies` 1 no disk is ever lost, and no other copy hides what a transfer loses."""

    def __init__(self, seed: int, copies: int = 3, node_class: type[Node] = Node) -> None:
        quorum = copies // 2 + 1
        super().__init__(seed, node_class, partitions=16, n=copies, r=quorum, w=quorum)
        self.dead: set[str] = set()
        self.gone: set[str] = set()
        self.fragile = False

    # ---- what happens

    def fault(self, step: int) -> None:
        if step % 12 == 0:
            acts = (self.cut, self.heal, self.join, self.leave, self.kill, self.start, self.lose)
            self.random.choice(acts)()

    def cut(self) -> None:
        self.sim.heal()
        names = list(self.sim.names)
        self.random.shuffle(names)
        self.sim.isolate(*names[: self.random.randint(1, len(names) // 2)])

    def heal(self) -> None:
        self.sim.heal()

    def ask(self, kind: str, node: str) -> bool:
        """Ask some node for a change; whether it was taken."""
        asked = self.random.choice(sorted(self.sim.nodes))
        try:
            self.sim.admin(asked, kind, node=node)
        except AssertionError:
            return False
        return True

    def join(self) -> None:
        if len(self.sim.names) < MOST:
            name = f"n{len(self.sim.names) + 1}"
            self.sim.add(name)
        able = [name for name in self.sim.names if name not in self.gone]
        self.ask("join", self.random.choice(able))

    def leave(self) -> None:
        self.ask("leave", self.random.choice(self.sim.names))

    def kill(self) -> None:
        name = self.random.choice(sorted(self.sim.nodes))
        if len(self.sim.nodes) > 3:
            self.sim.crash(name)
            self.dead.add(name)

    def start(self) -> None:
        for name in sorted(self.dead - self.gone):
            if self.random.random() < 0.7:
                self.boot(name)

    def boot(self, name: str) -> None:
        self.dead.discard(name)
        self.sim.boot(name)

    def lose(self) -> None:
        """The disk of a node that is down is wiped, or it is removed as dead."""
        able = sorted(self.dead - self.gone)
        if not able:
            return
        if self.fragile or self.sim.params.n == 1:
            self.calm()
            return
        name = self.random.choice(able)
        if self.random.random() < 0.5:
            self.sim.wipe(name)
            self.fragile = True
        elif self.ask("remove", name):
            self.gone.add(name)
            self.fragile = True

    def calm(self) -> None:
        """Everything else comes back, and there is time."""
        self.sim.heal()
        self.sim.run(2)
        self.gone -= {*self.members()}  # their removal was passed over
        for name in sorted(self.dead - self.gone):
            self.boot(name)
        self.sim.run(2)
        self.fragile = not self.sim.wait(self.quiet, 60)
        if self.fragile:
            self.wrong.append("did not become quiet")

    # ---- what must be

    def quiet(self) -> bool:
        sim = self.sim
        views = [sim.nodes[m].membership for m in self.members() if m in sim.nodes]
        return (
            all(v.layout is not None and settled(v.layout) for v in views)
            and len({v.fingerprint() for v in views}) == 1
            and sim.quiet()
        )

    def members(self) -> tuple[str, ...]:
        known = [n.membership.layout for n in self.sim.nodes.values() if n.membership.layout]
        return max(known, key=lambda layout: layout.version).members

    def go(self, steps: int) -> Storm:
        for step in range(steps):
            self.fault(step)
            self.begin(step)
            self.sim.run(self.random.uniform(0, 0.03))
            self.finish()
        self.sim.run(2.5)
        self.finish()
        self.calm()
        for name in sorted(self.gone):  # with its old disk, and an old view of the ring
            self.boot(name)
        self.gone.clear()
        self.sim.run(2)
        self.calm()
        for key in KEYS:
            self.judge(key)
        self.check_ring()
        return self

    def check_ring(self) -> None:
        sim, members = self.sim, self.members()
        layouts = {sim.nodes[m].membership.fingerprint() for m in members}
        if len(layouts) != 1:
            self.wrong.append(f"split membership: {members}")
        view = sim.nodes[members[0]].view
        counts = [view.layout.owners.count(m) for m in members]
        if max(counts) - min(counts) > 1:
            self.wrong.append(f"unbalanced: {counts}")
        for name, node in sim.nodes.items():
            if name not in members and (node.trees.objects or node.hints.count()):
                self.wrong.append(f"{name} is not a member and holds something")
        for key in KEYS:
            held, primaries = sorted(sim.holders(key)), sorted(view.primaries(view.partition(key)))
            if held and held != primaries:
                self.wrong.append(f"{key!r} is held by {held}, not {primaries}")


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_lost_and_all_agree_whichever_nodes_come_and_go(seed: int, copies: int) -> None:
    assert Storm(seed, copies).go(300).wrong == []


CONVICTED = ("early-cleanup", "source-deletes", "decommission-drops-hints", "ghost-member")


@pytest.mark.parametrize("name", CONVICTED)
def test_the_same_storm_convicts_planted_bugs(name: str) -> None:
    assert any(Storm(seed, 1, BUGS[name].node).go(300).wrong for seed in range(10))
