"""What the nemeses are: families, their members, and what each of them needs.

A member draws the value of its start operation from the seed; everything that a replay
needs stands in that value. An explicit table; how a fault is injected and healed is the
business of harness.nemesis.network and harness.nemesis.processes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from harness.generators.rng import Rng
from harness.nemesis import cuts
from harness.nemesis.cuts import Nodes


class Impossible(ValueError):
    """The faults asked for do not exist, do not go together, or cannot be done here."""


@dataclass(frozen=True)
class Arena:
    """What faults have to do with: the nodes, the kinds of fault that the links can do, W,
    whether a node forgets all when its process dies (`volatile`), and which node may lose
    its memory: always the same one, or an acknowledged write could rightly lose its last
    copy."""

    nodes: Nodes
    kinds: frozenset[str]
    forgetful: str
    w: int = 2
    volatile: bool = False

    @classmethod
    def draw(
        cls, nodes: Nodes, kinds: frozenset[str], seed: int, w: int = 2, volatile: bool = False
    ) -> Arena:
        """The arena in which the forgetful node is drawn from the seed."""
        forgetful, _ = Rng(seed).split("forgetful").choice(nodes)
        return cls(nodes, kinds, forgetful, w, volatile)


Value = dict[str, Any]
Draw = Callable[[Rng, Arena], tuple[Value, Rng]]


@dataclass(frozen=True)
class Member:
    """One way to break things. `kinds`: the link faults of which it needs at least one;
    `least`: nodes it makes sense with; `bouts`: how often it comes and goes in its period;
    `forgets`: whether a node loses what it stored."""

    name: str
    description: str
    draw: Draw
    kinds: frozenset[str] = frozenset()
    least: int = 1
    bouts: int = 1
    forgets: bool = False

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Package:
    """What stands behind a name on the command line."""

    name: str
    description: str
    members: tuple[Member, ...]


def _cut(
    name: str,
    description: str,
    shape: Callable[[Nodes, Rng], tuple[cuts.Grudge, Rng]],
    least: int = 2,
    one_way: bool = False,
    bouts: int = 1,
) -> Member:
    able = frozenset({"black-hole"}) if one_way else frozenset(cuts.KINDS)

    def draw(rng: Rng, arena: Arena) -> tuple[Value, Rng]:
        grudge, rng = shape(arena.nodes, rng)
        kind, rng = rng.choice(sorted(able & arena.kinds))
        return {"kind": kind, "grudge": grudge}, rng

    return Member(f"cut.{name}", description, draw, able, least, bouts)


def _some(count: Callable[[int], int]) -> Draw:
    """So many random nodes."""

    def draw(rng: Rng, arena: Arena) -> tuple[Value, Rng]:
        nodes, rng = rng.sample(arena.nodes, count(len(arena.nodes)))
        return {"nodes": sorted(nodes)}, rng

    return draw


def _forgetful(rng: Rng, arena: Arena) -> tuple[Value, Rng]:
    return {"nodes": [arena.forgetful]}, rng


def _killed(rng: Rng, arena: Arena) -> tuple[Value, Rng]:
    return (_forgetful if arena.volatile else _ONE)(rng, arena)


_ONE = _some(lambda n: 1)
_MINORITY = _some(lambda n: max(1, (n - 1) // 2))
_MAJORITY = _some(lambda n: n // 2 + 1)
_ALL = _some(lambda n: n)


MEMBERS: tuple[Member, ...] = (
    _cut("halves", "the first half from the rest", cuts.halves),
    _cut("random-halves", "a random minority from the rest", cuts.random_halves),
    _cut("one", "one node from the rest", cuts.one),
    _cut("minority-third", "a random third from the rest", cuts.minority_third, least=3),
    _cut("bridge", "halves that meet in one node only", cuts.bridge, least=3),
    _cut("majorities-ring", "each node hears another majority", cuts.majorities_ring, least=4),
    _cut("one-way", "one half does not hear the other", cuts.one_way, one_way=True),
    Member("kill.one", "SIGKILL a node, start it again", _killed),
    Member("kill.minority", "SIGKILL less than half", _MINORITY, least=3),
    Member("kill.majority", "SIGKILL more than half", _MAJORITY, least=3),
    Member("kill.all", "SIGKILL all nodes at once", _ALL),
    Member("pause.one", "SIGSTOP a node, let it go on", _ONE),
    Member("pause.minority", "SIGSTOP less than half", _MINORITY, least=3),
    Member("pause.majority", "SIGSTOP more than half", _MAJORITY, least=3),
    Member(
        "wipe.one",
        "SIGKILL a node, delete its data, start it again",
        _forgetful,
        least=2,
        forgets=True,
    ),
)

_FAMILIES = {
    "cut": "split the network between nodes",
    "kill": "SIGKILL nodes and start them again",
    "pause": "SIGSTOP nodes and let them go on",
    "wipe": "kill one node, delete its data, start it again",
}

PACKAGES: dict[str, Package] = {
    "none": Package("none", "break nothing", ()),
    **{
        family: Package(family, description, tuple(m for m in MEMBERS if m.family == family))
        for family, description in _FAMILIES.items()
    },
    **{member.name: Package(member.name, member.description, (member,)) for member in MEMBERS},
}


def members_of(names: Iterable[str]) -> dict[str, tuple[Member, ...]]:
    """The members that these packages bring together, by family.

    Raises Impossible for a name that does not exist, and for none beside others.
    """
    names = list(dict.fromkeys(names))
    for name in names:
        if name not in PACKAGES:
            raise Impossible(f"no nemesis is called {name!r}; there are: {', '.join(PACKAGES)}")
    if "none" in names and len(names) > 1:
        raise Impossible(f"none goes with nothing else, and here it stands in {','.join(names)}")
    members = dict.fromkeys(member for name in names for member in PACKAGES[name].members)
    families = dict.fromkeys(member.family for member in members)
    return {
        family: tuple(member for member in members if member.family == family)
        for family in families
    }


def possible(names: Collection[str], arena: Arena) -> dict[str, tuple[Member, ...]]:
    """Of the members that the packages bring, by family, those that can be done here.

    Raises Impossible, with the reason, if a family has none left.
    """
    members = members_of(names)
    kept = {
        family: tuple(member for member in own if _why_not(member, arena) is None)
        for family, own in members.items()
    }
    for family, own in members.items():
        if not kept[family]:
            why = "; ".join(f"{member.name} {_why_not(member, arena)}" for member in own)
            raise Impossible(f"{family} cannot be done here: {why}")
    return kept


def _why_not(member: Member, arena: Arena) -> str | None:
    if len(arena.nodes) < member.least:
        return f"needs {member.least} nodes and there are {len(arena.nodes)}"
    if member.kinds and not member.kinds & arena.kinds:
        return f"needs links that can do {' or '.join(sorted(member.kinds))}"
    deadly = arena.volatile and member.family == "kill"
    if deadly and member.name != "kill.one":
        return "would destroy every copy of a write that is only in memory"
    if (deadly or member.forgets) and arena.w < 2:
        return "could destroy the only copy of an acknowledged write (it takes w of 2 or more)"
    return None
