"""The members and packages behind the names of nemeses, and what can be done where.

A member draws its faults from the seed; everything that a replay needs is in them. The table of
all members is harness.nemesis.catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from dynamesis.harness.generators.rng import Rng
from dynamesis.harness.links.faults import name_of
from dynamesis.harness.nemesis.cuts import Nodes
from dynamesis.harness.nemesis.faults import FaultValue
from dynamesis.harness.targets.target import CAPABILITIES

#: What the target must be able to do for a family of faults.
FAMILY_NEEDS: dict[str, tuple[str, ...]] = {
    "cut": ("cuts",),
    "kill": ("kill",),
    "pause": ("pause",),
    "wipe": ("wipe",),
    "disk": ("disks",),
    "clock": ("clocks",),
    "load": ("load",),
    "upgrade": ("versions",),
    "membership": ("membership",),
}
#: The members that end a process with what its disk has not synced.
_OLD_DISKS = ("wipe.old-disk", "wipe.old-coordinator")
_POWER = ("disk.lost-writes", "disk.power")
#: How many nodes may join in one test: each needs its own ports.
NEWCOMERS = 5


class Impossible(ValueError):
    """The faults asked for do not exist, do not go together, or cannot be done here."""


@dataclass(frozen=True)
class FaultContext:
    """What faults are drawn for.

    nodes: all founders
    kinds: the link faults that the links can do
    forgetful: the node that may lose what it stores: always the same one, or an acknowledged
        write could rightly lose its last copy
    w, n: as in the paper
    volatile: whether a node forgets all when its process dies
    keys: those whose replicas may be aimed at
    anti_entropy: whether replicas are compared
    buffered: whether writes are acknowledged from memory, so that a copy may be the only durable
        one, and a kill loses some
    reaps: whether what was deleted is forgotten within the test, though an older disk, which does
        not know of that, may be put back
    able: what the target can do (harness.targets.target.CAPABILITIES); None: everything
    target: its name
    left_out: by capability, why it is left out although the target's class has what it takes
    """

    nodes: Nodes
    kinds: frozenset[str]
    forgetful: str
    w: int = 2
    volatile: bool = False
    keys: tuple[str, ...] = ("k0", "k1", "k2")
    n: int = 3
    anti_entropy: bool = True
    buffered: bool = False
    able: frozenset[str] | None = None
    target: str = "dynamo"
    left_out: Mapping[str, str] = field(default_factory=dict)
    reaps: bool = False

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
        able: frozenset[str] | None = None,
        target: str = "dynamo",
        left_out: Mapping[str, str] | None = None,
        reaps: bool = False,
    ) -> FaultContext:
        """The context in which the forgetful node is drawn from the seed."""
        forgetful, _ = Rng(seed).split("forgetful").choice(nodes)
        return cls(
            nodes, kinds, forgetful, w, volatile, keys, n, anti_entropy, buffered, able, target,
            left_out or {}, reaps,
        )  # fmt: skip

    def lacks(self, needs: Iterable[str]) -> list[str]:
        """Which of these capabilities the target does not have."""
        return (
            [] if self.able is None else [each for each in sorted(needs) if each not in self.able]
        )

    @property
    def cuts(self) -> bool:
        """Whether links between nodes can be broken."""
        return not self.lacks(["cuts"])

    @property
    def frail(self) -> bool:
        """Whether a node whose process dies forgets anything."""
        return self.volatile or self.buffered


#: Draws the acts of one period, one after the other; most have one.
Draw = Callable[[Rng, FaultContext], tuple[list[FaultValue], Rng]]


@dataclass(frozen=True)
class Member:
    """One way to break things.

    name: in histories and schedule.yaml
    kinds: the link faults of which it needs at least one
    least: the smallest number of nodes that it makes sense with
    gap: the pause between two acts, in lengths of an act
    weight: how often it is drawn, beside others
    forgets: whether a node loses what it stored
    several: whether it ends other nodes than the one that may forget
    spare: how many members more than N it needs
    lasts: whether it is never taken back, and ends by itself
    alias: how users name it, where that is not `name`
    needs: what the target must be able to do, beside what the family needs
    isolates: whether it cuts off one whole node, for which one proxy in front of it is enough
    """

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
    alias: str = ""
    needs: frozenset[str] = frozenset()
    isolates: bool = False

    @property
    def title(self) -> str:
        """How users name it."""
        return self.alias or self.name

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]

    @property
    def removes(self) -> bool:
        """Whether a node is removed as dead, and its data with it."""
        return self.forgets and self.lasts

    def why_not(self, context: FaultContext) -> str | None:
        """Why it cannot be done there, and the way out; None if it can."""
        return (
            self._cannot(context)
            or self._too_few(context)
            or self._lacks(context)
            or self._destroys(context)
        )

    def _cannot(self, context: FaultContext) -> str | None:
        family = FAMILY_NEEDS.get(self.family, ())
        if self.isolates and not context.lacks(["isolations"]):
            family = ()
        lacking = context.lacks((*family, *sorted(self.needs)))
        if not lacking:
            return None
        has = ", ".join(sorted(context.able or ())) or "nothing"
        what, why = CAPABILITIES[lacking[0]], context.left_out.get(lacking[0])
        return (
            f"needs {what} ({lacking[0]}), which target {context.target} does not have"
            f"{'' if why is None else f' here ({why})'}; it has: {has}"
        )

    def _too_few(self, context: FaultContext) -> str | None:
        nodes, needed = len(context.nodes), context.n + self.spare
        if nodes < self.least:
            return f"needs {self.least} nodes and there are {nodes}: raise --nodes"
        if self.spare and nodes < needed:
            copies = f"{context.n} copies of each key"
            return f"needs {needed} nodes with {copies}: raise --nodes or lower --n"
        return None

    def _lacks(self, context: FaultContext) -> str | None:
        if self.family == "membership" and not context.anti_entropy:
            return (
                "needs anti-entropy, which brings new owners their data: "
                "leave out --param anti_entropy_interval=0"
            )
        if self.kinds and not self.kinds & context.kinds:
            kinds = " or ".join(sorted(map(name_of, self.kinds)))
            return f"needs links that can do {kinds}: use --links embedded"
        if context.volatile and self.name in (*_OLD_DISKS, *_POWER):
            return "needs storage that outlives the process: use another --storage than memory"
        if context.reaps and self.name in _OLD_DISKS:
            return "brings back what was deleted and forgotten since: leave out --param reap_after"
        return None

    def _destroys(self, context: FaultContext) -> str | None:
        ends = self.family in ("kill", "upgrade") or self.name in _POWER
        deadly = context.frail and ends
        if deadly and self.several:
            return (
                "would destroy every copy of a write that is only in memory: use a durable "
                "--storage, without --param durability=buffered"
            )
        if self.forgets and context.buffered:
            return (
                "could destroy the only durable copy of an acknowledged write: "
                "use --param durable_replicas=2"
            )
        if (deadly or self.forgets) and context.w < 2:
            return "could destroy the only copy of an acknowledged write: use --w 2 or more"
        return None


@dataclass(frozen=True)
class Package:
    """The members of one name on the command line."""

    name: str
    description: str
    members: tuple[Member, ...]
