"""What stands behind the names of nemeses, and what can be done where.

A member draws the values of its start operations from the seed; everything that a replay
needs stands in them. The table of all members is harness.nemesis.catalogue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dynamesis.harness.generators.rng import Rng
from dynamesis.harness.nemesis.cuts import Nodes
from dynamesis.harness.nemesis.faults import Fault

#: How many nodes may join in one test: each needs ports of its own.
NEWCOMERS = 5


class Impossible(ValueError):
    """The faults asked for do not exist, do not go together, or cannot be done here."""


@dataclass(frozen=True)
class FaultContext:
    """What faults have to do with: the nodes, the kinds of fault that the links can do, W
    and N, whether a node forgets all when its process dies (`volatile`), whether replicas are
    compared (`anti_entropy`), keys whose replicas may be aimed at, which node may lose its
    memory: always the same one, or an acknowledged write could rightly lose its last copy; and
    whether writes are acknowledged from memory, so that a copy may be the only durable one, and
    a kill loses some (`buffered`)."""

    nodes: Nodes
    kinds: frozenset[str]
    forgetful: str
    w: int = 2
    volatile: bool = False
    keys: tuple[str, ...] = ("k0", "k1", "k2")
    n: int = 3
    anti_entropy: bool = True
    buffered: bool = False

    @classmethod
    def draw(
        cls,
        nodes: Nodes,
        kinds: frozenset[str],
        seed: int,
        w: int = 2,
        volatile: bool = False,
        keys: tuple[str, ...] = ("k0", "k1", "k2"),
        n: int = 3,
        anti_entropy: bool = True,
        buffered: bool = False,
    ) -> FaultContext:
        """The arena in which the forgetful node is drawn from the seed."""
        forgetful, _ = Rng(seed).split("forgetful").choice(nodes)
        return cls(nodes, kinds, forgetful, w, volatile, keys, n, anti_entropy, buffered)

    @property
    def frail(self) -> bool:
        """Whether a node whose process dies forgets anything."""
        return self.volatile or self.buffered


#: Draws the acts of one period, one after the other; most have one.
Draw = Callable[[Rng, FaultContext], tuple[list[Fault], Rng]]


@dataclass(frozen=True)
class Member:
    """One way to break things. `kinds`: the link faults of which it needs at least one;
    `least`: nodes it makes sense with; `gap`: the pause between two acts, in lengths of an
    act; `weight`: how often it is drawn, beside others; `forgets`: whether a node loses
    what it stored; `several`: it ends other nodes than the one that may forget; `spare`: of
    how many members more than N it needs; `lasts`: it is never
    taken back, and ends by itself."""

    name: str
    description: str
    draw: Draw
    kinds: frozenset[str] = frozenset()
    least: int = 1
    gap: float = 1.0
    weight: int = 2
    forgets: bool = False
    several: bool = False
    spare: int = 0
    lasts: bool = False

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]

    @property
    def removes(self) -> bool:
        """Whether a node is removed as dead, and its data with it."""
        return self.forgets and self.lasts

    def why_not(self, arena: FaultContext) -> str | None:
        """Why it cannot be done there; None if it can."""
        if len(arena.nodes) < self.least:
            return f"needs {self.least} nodes and there are {len(arena.nodes)}"
        if self.spare and len(arena.nodes) < arena.n + self.spare:
            return f"needs {arena.n + self.spare} nodes with {arena.n} copies of each key"
        if self.family == "membership" and not arena.anti_entropy:
            return "needs anti-entropy, which brings new owners their data"
        if self.kinds and not self.kinds & arena.kinds:
            return f"needs links that can do {' or '.join(sorted(self.kinds))}"
        if arena.volatile and self.name in ("wipe.old-disk", "wipe.old-coordinator"):
            return "needs storage that outlives the process"
        if arena.volatile and self.name == "disk.lost-writes":
            return "needs storage that outlives the process"
        deadly = arena.frail and (self.family == "kill" or self.name == "disk.lost-writes")
        if deadly and self.several:
            return "would destroy every copy of a write that is only in memory"
        if self.forgets and arena.buffered:
            return "could destroy the only durable copy of an acknowledged write"
        if (deadly or self.forgets) and arena.w < 2:
            return "could destroy the only copy of an acknowledged write (it takes w of 2 or more)"
        return None


@dataclass(frozen=True)
class Package:
    """What stands behind a name on the command line."""

    name: str
    description: str
    members: tuple[Member, ...]
