"""The catalogue of faults: every member of every family, in one explicit table.

What a draw returns is all that a fault is: which nodes or links, and how. Faults aimed at
what is only known when they strike (who holds a hint?) name their target instead, and
harness.nemesis.targets finds it then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable

from dynamesis.harness.generators.rng import Rng
from dynamesis.harness.links.base import CLIENT, route_name
from dynamesis.harness.nemesis import cuts
from dynamesis.harness.nemesis.clocks import CLOCK_FAULTS
from dynamesis.harness.nemesis.cuts import Grudge, Nodes
from dynamesis.harness.nemesis.packages import (
    Draw,
    FaultContext,
    Impossible,
    Member,
    Package,
    Value,
)

_ONE_WAY = frozenset({"black-hole"})


def _cut(
    name: str,
    description: str,
    shape: Callable[[Nodes, Rng], tuple[Grudge, Rng]],
    least: int = 2,
    kinds: frozenset[str] = frozenset(cuts.KINDS),
    times: int = 1,
) -> Member:
    def draw(rng: Rng, arena: FaultContext) -> tuple[list[Value], Rng]:
        grudge, rng = shape(arena.nodes, rng)
        kind, rng = rng.choice(sorted(kinds & arena.kinds))
        return [{"kind": kind, "grudge": grudge}] * times, rng

    return Member(f"cut.{name}", description, draw, kinds, least)


def _some(count: Callable[[int], int], times: int = 1, **more: str) -> Draw:
    """So many random nodes, so many times."""

    def draw(rng: Rng, arena: FaultContext) -> tuple[list[Value], Rng]:
        nodes, rng = rng.sample(arena.nodes, count(len(arena.nodes)))
        return [{"nodes": sorted(nodes), **more}] * times, rng

    return draw


def _victim(times: int = 1, **more: str) -> Draw:
    """One node, so many times: any, or, where it forgets what is in memory, the one that may."""

    def draw(rng: Rng, arena: FaultContext) -> tuple[list[Value], Rng]:
        (value,), rng = (_forgetful if arena.frail else _ONE)(rng, arena)
        return [{**value, **more}] * times, rng

    return draw


_ONE = _some(lambda n: 1)
_MINORITY = _some(lambda n: max(1, (n - 1) // 2))
_MAJORITY = _some(lambda n: n // 2 + 1)
_ALL = _some(lambda n: n)


def _forgetful(rng: Rng, arena: FaultContext) -> tuple[list[Value], Rng]:
    return [{"nodes": [arena.forgetful]}], rng


def _old_disk(rng: Rng, arena: FaultContext) -> tuple[list[Value], Rng]:
    """Two acts: what the node has stored by the first is all that it has after the second."""
    return [{"nodes": [arena.forgetful], "disk": disk} for disk in ("copied", "restored")], rng


def _apart(draw: Draw) -> Draw:
    """The last act leaves the node to its clients alone, for a while, once it runs again."""

    def drawn(rng: Rng, arena: FaultContext) -> tuple[list[Value], Rng]:
        acts, rng = draw(rng, arena)
        return [*acts[:-1], {**acts[-1], "apart": True}], rng

    return drawn


def _delayed(setting: str, low: int, high: int, **more: str) -> Draw:
    """One node; how long (ms) lies between what is done to it first and the SIGKILL."""

    def draw(rng: Rng, arena: FaultContext) -> tuple[list[Value], Rng]:
        (value,), rng = _victim(1, **more)(rng, arena)
        value[setting], rng = rng.between(low, high)
        return [value], rng

    return draw


def _stopped_before(rng: Rng, arena: FaultContext) -> tuple[list[Value], Rng]:
    """Two acts on one node: what it wrote down when it stopped is out of date when it dies."""
    (value,), rng = _victim()(rng, arena)
    return [{**value, "signal": "SIGTERM"}, value], rng


def _aimed(target: str, cut: bool = False) -> Draw:
    """A target that is found when the fault strikes; `otherwise` is hit if there is none."""

    def draw(rng: Rng, arena: FaultContext) -> tuple[list[Value], Rng]:
        key, rng = rng.choice(arena.keys)
        otherwise, rng = rng.choice(arena.nodes)
        value: Value = {"target": target, "key": key, "otherwise": otherwise}
        if cut:
            value["kind"], rng = rng.choice(sorted(set(cuts.KINDS) & arena.kinds))
        return [value], rng

    return draw


def _handoff(family: str) -> Draw:
    """Two acts: a node is away, so that others hold hints for it; it is hardly back when
    the holder of the most is hit, in mid-handoff."""

    def draw(rng: Rng, arena: FaultContext) -> tuple[list[Value], Rng]:
        (aimed,), rng = _aimed("hint-holder", cut=family == "cut")(rng, arena)
        away, rng = rng.choice([node for node in arena.nodes if node != aimed["otherwise"]])
        rest = [node for node in arena.nodes if node != away]
        first: Value = {"nodes": [away]}
        if family == "cut":
            first = {"kind": aimed["kind"], "grudge": [[away], rest]}
        return [first, aimed], rng

    return draw


def _link(
    name: str,
    description: str,
    kind: str,
    fields: dict[str, tuple[int, int]],
    either: bool = False,
    clients: bool = True,
) -> Member:
    """A fault of this kind, its fields drawn from these ranges, on all links of one node or
    on all links between nodes. `either`: in one direction, drawn, not in both."""

    def draw(rng: Rng, arena: FaultContext) -> tuple[list[Value], Rng]:
        links, rng = _links(rng, arena, clients)
        drawn: Value = {}
        for field, (low, high) in fields.items():
            drawn[field], rng = rng.between(low, high)
        if either:
            drawn["direction"], rng = rng.choice(("upstream", "downstream"))
        return [{"kind": kind, "with": drawn, "links": links}], rng

    return Member(f"link.{name}", description, draw, frozenset({kind}), least=2)


def _links(rng: Rng, arena: FaultContext, clients: bool) -> tuple[list[str], Rng]:
    node, rng = rng.choice(arena.nodes)
    all_of_them, rng = rng.chance(0.5)
    links = [
        route_name(a, b)
        for a in arena.nodes
        for b in arena.nodes
        if a != b and (all_of_them or node in (a, b))
    ]
    return links + ([route_name(CLIENT, node)] if clients and not all_of_them else []), rng


def _disk(name: str, description: str, weight: int = 2, **ranges: tuple[int, int]) -> Member:
    """Disks of a minority fail: a single node may have nothing to store just then. `ranges`:
    of the settings, times in ms. Bits are only ever flipped at the node that may lose its
    memory."""

    def draw(rng: Rng, arena: FaultContext) -> tuple[list[Value], Rng]:
        lost = name == "lost-writes" and arena.frail
        (value,), rng = (_forgetful if forgets or lost else _MINORITY)(rng, arena)
        settings: dict[str, float] = {}
        for setting, (low, high) in ranges.items():
            drawn, rng = rng.between(low, high)
            settings[setting] = drawn / 1000 if setting == "seconds" else drawn
        return [{"kind": name, "with": settings, **value}], rng

    forgets = name == "bit-flip"
    return Member(f"disk.{name}", description, draw, weight=weight, forgets=forgets)


def _clock(name: str, description: str) -> Member:
    """Clocks of some nodes are wrong, up to all of them: by 0.13 s to 70 min, running at 5 to
    50 per cent too fast or too slow, standing still, or in steps of 15 ms to 1 s."""

    def draw(rng: Rng, arena: FaultContext) -> tuple[list[Value], Rng]:
        count, rng = rng.between(1, len(arena.nodes))
        nodes, rng = rng.sample(arena.nodes, count)
        exponent, rng = rng.between(7, 22)
        ahead, rng = rng.choice((-1, 1))
        period, rng = rng.between(10, 200)
        drift, rng = rng.between(50_000, 500_000)
        drawn = {"offset_ms": ahead << exponent, "strobe_ms": period, "drift_ppm": ahead * drift}
        if name == "freeze":
            drawn["drift_ppm"] = -1_000_000
        if name == "coarse":
            drawn["grain_ms"], rng = rng.choice((15, 100, 1000))
        settings = {setting: drawn[setting] for setting in CLOCK_FAULTS[name]}
        return [{"kind": name, "with": settings, "nodes": sorted(nodes)}], rng

    return Member(f"clock.{name}", description, draw)


def _load(name: str, description: str, **ranges: tuple[int, int]) -> Member:
    """Extra load on a minority; `ranges`: of the settings."""

    def draw(rng: Rng, arena: FaultContext) -> tuple[list[Value], Rng]:
        (value,), rng = _MINORITY(rng, arena)
        settings: dict[str, int] = {}
        for setting, (low, high) in ranges.items():
            settings[setting], rng = rng.between(low, high)
        return [{"kind": name, "with": settings, **value}], rng

    return Member(f"load.{name}", description, draw)


def _change(
    name: str,
    description: str,
    joins: int = 0,
    leaves: int = 0,
    removes: int = 0,
    back: int | None = None,
) -> Member:
    """A change of the membership. Who leaves is the first of `among` that can; only the
    node that may lose its memory is ever removed, and it never leaves. `back`: the contrary
    follows, up to so many ms later."""

    def draw(rng: Rng, arena: FaultContext) -> tuple[list[Value], Rng]:
        others, rng = rng.shuffle([node for node in arena.nodes if node != arena.forgetful])
        among = [arena.forgetful] if removes else list(others)
        value: Value = {"joins": joins, "leaves": leaves, "removes": removes}
        if back is not None:
            pause, rng = rng.between(0, back)
            value |= {"back": True, "after_ms": pause}
        return [{**value, "among": among, "keep": arena.n}], rng

    return Member(f"membership.{name}", description, draw, least=2, forgets=removes > 0,
                  spare=max(0, leaves + removes - joins), lasts=True)  # fmt: skip


MEMBERS: tuple[Member, ...] = (
    _cut("halves", "the first half from the rest", cuts.halves),
    _cut("random-halves", "a random minority from the rest", cuts.random_halves),
    _cut("one", "one node from the rest", cuts.one),
    _cut("minority-third", "a random third from the rest", cuts.minority_third, least=3),
    _cut("bridge", "halves that meet in one node only", cuts.bridge, least=3),
    _cut("majorities-ring", "each node hears another majority", cuts.majorities_ring, least=4),
    _cut("one-way", "one half does not hear the other", cuts.one_way, kinds=_ONE_WAY),
    _cut("flapping", "one node, on and off", cuts.one, times=4),
    Member("cut.primaries", "the primaries of a key from the rest",
           _aimed("primaries", cut=True), frozenset(cuts.KINDS), least=2),
    Member("cut.coordinator", "the coordinator of a key's last put from the rest",
           _aimed("coordinator", cut=True), frozenset(cuts.KINDS), least=2),
    Member("cut.hint-holder", "one node, and after it the holder of its hints",
           _handoff("cut"), frozenset(cuts.KINDS), least=3, gap=0.1),
    Member("cut.exchange", "a node that gives up partitions from their new owners",
           _aimed("giver", cut=True), frozenset(cuts.KINDS), least=2),
    _link("slow", "everything is late", "slow", {"latency_ms": (30, 400)}),
    _link("jitter", "everything is late, now more, now less", "slow",
          {"latency_ms": (100, 200), "jitter_ms": (50, 100)}),
    _link("narrow", "little gets through at a time", "narrow", {"rate_kbps": (2, 20)}),
    _link("torn", "frames arrive in pieces", "torn",
          {"piece_bytes": (9, 16), "vary_bytes": (0, 8)}),
    _link("reset", "connections are reset by the first request", "reset", {}),
    _link("cut-off", "connections end in the middle of a frame", "cut-off",
          {"after_bytes": (200, 4000)}, either=True),
    _link("stall", "silence, and then everything arrives after all", "stall", {}),
    _link("lossy", "frames are lost", "frames",
          {"drop": (5, 30), "seed": (0, 1 << 30)}, clients=False),
    _link("duplicate", "frames come twice", "frames",
          {"drop": (0, 0), "duplicate": (10, 50), "seed": (0, 1 << 30)}, clients=False),
    _link("reorder", "frames overtake each other", "frames",
          {"drop": (0, 0), "reorder": (10, 50), "seed": (0, 1 << 30)}, clients=False),
    Member("kill.one", "SIGKILL a node, start it again", _victim()),
    Member("kill.minority", "SIGKILL less than half", _MINORITY, least=3, several=True),
    Member("kill.majority", "SIGKILL more than half", _MAJORITY, least=3, weight=1, several=True),
    Member("kill.all", "SIGKILL all nodes at once", _ALL, weight=1, several=True),
    Member("kill.primaries", "SIGKILL the primaries of a key", _aimed("primaries"), weight=1,
           several=True),
    Member("kill.hint-holder", "SIGKILL a node, and after it the holder of its hints",
           _handoff("kill"), least=3, gap=0.1, several=True),
    Member("kill.loop", "SIGKILL a node again and again", _victim(times=3), weight=1),
    Member("kill.graceful", "SIGTERM a node, start it again", _victim(signal="SIGTERM"), weight=1),
    Member("kill.after-pause", "SIGSTOP a node, and SIGKILL it while it is stopped",
           _delayed("pause_ms", 100, 1000), weight=1),
    Member("kill.after-stop", "SIGTERM a node, start it again, and soon SIGKILL it",
           _stopped_before, weight=1, gap=0.3),
    Member("kill.mid-stop", "SIGTERM a node, and SIGKILL it before it is down",
           _delayed("grace_ms", 0, 60, signal="SIGTERM"), weight=1),
    Member("pause.one", "SIGSTOP a node, let it go on", _ONE),
    Member("pause.minority", "SIGSTOP less than half", _MINORITY, least=3),
    Member("pause.majority", "SIGSTOP more than half", _MAJORITY, least=3, weight=1),
    Member("pause.coordinator", "SIGSTOP the coordinator of a key's last put",
           _aimed("coordinator")),
    Member("wipe.one", "SIGKILL a node, delete its data, start it again", _forgetful,
           least=2, forgets=True),
    Member("wipe.old-disk", "SIGKILL a node and copy its data, later put them back",
           _old_disk, least=2, forgets=True),
    Member("wipe.coordinator", "a wiped node coordinates writes before its peers reach it",
           _apart(_forgetful), least=2, forgets=True),
    Member("wipe.old-coordinator", "the same, with a copy of its data put back",
           _apart(_old_disk), least=2, forgets=True, weight=1),
    _disk("full", "a disk takes nothing more"),
    _disk("torn-tail", "only the first half of every write reaches the disk, which says so"),
    _disk("read-error", "a disk cannot be read"),
    _disk("bit-flip", "bits of stored objects flip", rows=(1, 20)),
    _disk("lost-writes", "the power fails: what is not synced yet is lost", seconds=(20, 200)),
    _disk("slow-fsync", "a disk takes long to sync", seconds=(20, 400)),
    _clock("jump", "wall clocks are set off, ahead or back"),
    _clock("strobe", "wall clocks jump to and fro all the time"),
    _clock("drift", "wall clocks run too fast or too slow"),
    _clock("freeze", "wall clocks stand still"),
    _clock("coarse", "wall clocks go on in steps"),
    _load("burst", "more puts at once than a node takes", puts=(200, 400)),
    _load("large-values", "large values, several at once", bytes=(1 << 16, 1 << 19)),
    _load("slow-readers", "connections that ask and do not read", gets=(60, 120)),
    _change("join", "a new node joins", joins=1),
    _change("leave", "a node leaves", leaves=1),
    _change("remove", "SIGKILL a node and remove it as dead", removes=1),
    _change("replace", "a new node joins and another leaves, at once", joins=1, leaves=1),
    _change("two", "two nodes join at once", joins=2),
    _change("away-and-back", "a new node joins and leaves again", joins=1, back=500),
    _change("leave-and-back", "a node leaves, and is asked in again when it is hardly out",
            leaves=1, back=1000),
    _change("rejoin", "SIGKILL a node, remove it, and let it join again with an empty disk",
            removes=1, back=2000),
)  # fmt: skip

FAMILIES = {
    "cut": "split the network between nodes",
    "link": "make links slow, narrow, torn or lossy",
    "kill": "SIGKILL nodes and start them again",
    "pause": "SIGSTOP nodes and let them go on",
    "wipe": "kill one node, delete its data, start it again",
    "disk": "make disks fail: full, torn, unreadable, flipped bits, slow",
    "clock": "make wall clocks wrong: jumps, to and fro, too fast, too slow, stopped, coarse",
    "load": "more load than nodes take: bursts, large values, readers who do not read",
    "membership": "let nodes join and leave, remove dead ones",
}

PACKAGES: dict[str, Package] = {
    "none": Package("none", "break nothing", ()),
    **{
        family: Package(family, description, tuple(m for m in MEMBERS if m.family == family))
        for family, description in FAMILIES.items()
    },
    "storm": Package("storm", "all families together", MEMBERS),
    **{member.name: Package(member.name, member.description, (member,)) for member in MEMBERS},
}


def possible(names: Collection[str], arena: FaultContext) -> dict[str, tuple[Member, ...]]:
    """Of the members that the packages bring, by family, those that can be done here.

    Raises Impossible, with the reason, for a name that does not exist, for `none` beside
    others, and for a package of which nothing is left.
    """
    kept: dict[Member, None] = {}
    for name in _known(names):
        members = PACKAGES[name].members
        able = [member for member in members if member.why_not(arena) is None]
        if members and not able:
            raise Impossible(f"{name} cannot be done here: {_why_not(members, arena)}")
        kept |= dict.fromkeys(able)
    families = dict.fromkeys(member.family for member in kept)
    if "wipe" in families:
        # both want the one node that may lose its memory, and after a removal it is gone
        kept = {m: None for m in kept if not m.removes or m.name in names}
    return {family: tuple(m for m in kept if m.family == family) for family in families}


def _why_not(members: Iterable[Member], arena: FaultContext) -> str:
    """The reason that holds for the most members, and how many have others."""
    reasons = Counter(str(member.why_not(arena)) for member in members)
    (reason, _), *others = reasons.most_common()
    rest = sum(count for _, count in others)
    return f"it {reason}" + (f" ({rest} of its members: for other reasons)" if rest else "")


def _known(names: Iterable[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(names))
    for name in names:
        if name not in PACKAGES:
            raise Impossible(f"no nemesis is called {name!r}; there are: {', '.join(PACKAGES)}")
    if "none" in names and len(names) > 1:
        raise Impossible(f"none goes with nothing else, and here it stands in {','.join(names)}")
    return names
