"""The catalogue of faults: every member of every family, in one explicit table.

How each draws its faults is in harness.nemesis.draws.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping

from dynamesis.harness.generators.rng import Rng
from dynamesis.harness.nemesis import cuts, draws
from dynamesis.harness.nemesis.cuts import Grudge, Nodes
from dynamesis.harness.nemesis.faults import KillFault, PauseFault
from dynamesis.harness.nemesis.packages import FaultContext, Impossible, Member, Package

_ONE_WAY = frozenset({"black-hole"})
_CUTS = frozenset(cuts.KINDS)
#: Of faults that are aimed by what nodes report of keys and of themselves; and of those that keep
#: a node apart which has forgotten something.
_AIMED = frozenset({"placements", "status"})
_APART = frozenset({"cuts", "status"})
_STOP = frozenset({"stop"})


def _cut(
    name: str,
    description: str,
    shape: Callable[[Nodes, Rng], tuple[Grudge, Rng]],
    least: int = 2,
    kinds: frozenset[str] = _CUTS,
    times: int = 1,
    isolates: bool = False,
) -> Member:
    draw = draws.cut(shape, kinds, times)
    return Member(f"cut.{name}", description, draw, kinds, least, isolates=isolates)


def _link(
    name: str,
    description: str,
    kind: str,
    fields: dict[str, tuple[int, int]],
    either: bool = False,
    clients: bool = True,
    alias: str = "",
) -> Member:
    draw = draws.links(kind, fields, either, clients)
    needs = {"frames"} if kind == "frames" else set()
    return Member(f"link.{name}", description, draw, frozenset({kind}), least=2, alias=alias,
                  needs=frozenset(needs))  # fmt: skip


def _disk(kind: str, description: str, **ranges: tuple[int, int]) -> Member:
    draw = draws.disk(kind, **ranges)
    return Member(f"disk.{kind}", description, draw, forgets=kind == "bit-flip")


def _clock(kind: str, description: str) -> Member:
    return Member(f"clock.{kind}", description, draws.clock(kind))


def _load(kind: str, description: str, **ranges: tuple[int, int]) -> Member:
    return Member(f"load.{kind}", description, draws.load(kind, **ranges))


def _change(
    name: str,
    description: str,
    joins: int = 0,
    leaves: int = 0,
    removes: int = 0,
    back: int | None = None,
) -> Member:
    draw = draws.change(joins, leaves, removes, back)
    return Member(f"membership.{name}", description, draw, least=2, forgets=removes > 0,
                  spare=max(0, leaves + removes - joins), lasts=True)  # fmt: skip


MEMBERS: tuple[Member, ...] = (
    _cut("halves", "the first half from the rest", cuts.halves),
    _cut("random-halves", "a random minority from the rest", cuts.random_halves),
    _cut("one", "one node from the rest", cuts.one, isolates=True),
    _cut("minority-third", "a random third from the rest", cuts.minority_third, least=3),
    _cut("bridge", "halves that meet in one node only", cuts.bridge, least=3),
    _cut("majorities-ring", "each node reaches another majority", cuts.majorities_ring, least=4),
    _cut("one-way", "one half does not receive what the other sends", cuts.one_way, kinds=_ONE_WAY),
    _cut("flapping", "one node, on and off", cuts.one, times=4, isolates=True),
    Member("cut.primaries", "the primaries of a key from the rest",
           draws.aimed_cut("primaries"), _CUTS, least=2, needs=_AIMED),
    Member("cut.coordinator", "the coordinator of a key's last put from the rest",
           draws.aimed_cut("coordinator"), _CUTS, least=2, needs=_AIMED),
    Member("cut.hint-holder", "one node, and after it the holder of its hints",
           draws.cut_handoff, _CUTS, least=3, gap=0.1, needs=_AIMED),
    Member("cut.exchange", "a node that gives up partitions from their new owners",
           draws.aimed_cut("giver"), _CUTS, least=2, needs=_AIMED),
    _link("slow", "latency: every byte is late", "slow", {"latency_ms": (30, 400)},
          alias="link.latency"),
    _link("jitter", "latency with jitter", "slow",
          {"latency_ms": (100, 200), "jitter_ms": (50, 100)}),
    _link("narrow", "a limited bandwidth", "narrow", {"rate_kbps": (2, 20)},
          alias="link.bandwidth"),
    _link("torn", "frames arrive in pieces", "torn",
          {"piece_bytes": (9, 16), "vary_bytes": (0, 8)}, alias="link.slicer"),
    _link("reset", "connections are reset by the first request", "reset", {}),
    _link("cut-off", "connections end in the middle of a frame", "cut-off",
          {"after_bytes": (200, 4000)}, either=True, alias="link.limit_data"),
    _link("stall", "silence; what was sent arrives when the fault is lifted", "stall", {}),
    _link("lossy", "frames are lost", "frames",
          {"drop": (5, 30), "seed": (0, 1 << 30)}, clients=False),
    _link("duplicate", "frames come twice", "frames",
          {"drop": (0, 0), "duplicate": (10, 50), "seed": (0, 1 << 30)}, clients=False),
    _link("reorder", "frames overtake each other", "frames",
          {"drop": (0, 0), "reorder": (10, 50), "seed": (0, 1 << 30)}, clients=False),
    Member("kill.one", "SIGKILL a node, start it again", draws.kill(draws.victim)),
    Member("kill.minority", "SIGKILL less than half", draws.kill(draws.MINORITY), least=3,
           several=True),
    Member("kill.majority", "SIGKILL more than half", draws.kill(draws.MAJORITY), least=3, weight=1,
           several=True),
    Member("kill.all", "SIGKILL all nodes together", draws.kill(draws.ALL), weight=1, several=True),
    Member("kill.primaries", "SIGKILL the primaries of a key",
           draws.aimed(KillFault, "primaries"), weight=1, several=True, needs=_AIMED),
    Member("kill.hint-holder", "SIGKILL a node, and after it the holder of its hints",
           draws.kill_handoff, least=3, gap=0.1, several=True, needs=_AIMED),
    Member("kill.loop", "SIGKILL a node again and again", draws.kill(draws.victim, times=3),
           weight=1),
    Member("kill.again", "SIGKILL a node, and again as soon as it is back, after short gaps",
           draws.kill_again(4, 30, 800), weight=1),
    Member("kill.graceful", "SIGTERM a node, start it again",
           draws.kill(draws.victim, signal="SIGTERM"), weight=1, needs=_STOP),
    Member("kill.after-pause", "SIGSTOP a node, and SIGKILL it while it is stopped",
           draws.kill_after_pause(100, 1000), weight=1,
           needs=frozenset({"pause"})),
    Member("kill.after-stop", "SIGTERM a node, start it again, and soon SIGKILL it",
           draws.kill_after_stop, weight=1, gap=0.3, needs=_STOP),
    Member("kill.mid-stop", "SIGTERM a node, and SIGKILL it before it is down",
           draws.kill_mid_stop(0, 60), weight=1, needs=_STOP),
    Member("pause.one", "SIGSTOP a node, SIGCONT it", draws.pause(draws.ONE)),
    Member("pause.minority", "SIGSTOP less than half", draws.pause(draws.MINORITY), least=3),
    Member("pause.majority", "SIGSTOP more than half", draws.pause(draws.MAJORITY), least=3,
           weight=1),
    Member("pause.coordinator", "SIGSTOP the coordinator of a key's last put",
           draws.aimed(PauseFault, "coordinator"), needs=_AIMED),
    Member("wipe.one", "SIGKILL a node, delete its data, start it again", draws.wipe(),
           least=2, forgets=True),
    Member("wipe.old-disk", "SIGKILL a node and copy its data, later put them back",
           draws.old_disk(), least=2, forgets=True),
    Member("wipe.coordinator", "a wiped node coordinates writes before its peers reach it",
           draws.wipe(apart=True), least=2, forgets=True, needs=_APART),
    Member("wipe.old-coordinator", "the same, with a copy of its data put back",
           draws.old_disk(apart=True), least=2, forgets=True, weight=1, needs=_APART),
    _disk("full", "a disk takes nothing more"),
    _disk("torn-tail", "only the first half of every write reaches the disk, and the write fails"),
    _disk("read-error", "a disk cannot be read"),
    _disk("bit-flip", "bits of stored objects flip", rows=(1, 20)),
    _disk("lost-writes", "the power fails: what is not synced yet is lost", seconds=(20, 200)),
    _disk("slow-fsync", "a disk takes long to sync", seconds=(20, 400)),
    Member("disk.primaries", "the disks of the primaries of a key cannot be read, or are full",
           draws.aimed_disk("primaries", ("read-error", "read-error", "full")), needs=_AIMED),
    Member("disk.power", "the power fails at the primaries of a key: what is not synced is lost",
           draws.aimed_disk("primaries", ("lost-writes",), (20, 400)), several=True, needs=_AIMED),
    _clock("jump", "wall clocks jump, ahead or back"),
    _clock("strobe", "wall clocks jump to and fro many times a second"),
    _clock("drift", "wall clocks run too fast or too slow"),
    _clock("freeze", "wall clocks are frozen"),
    _clock("coarse", "wall clocks advance in steps"),
    _load("burst", "more concurrent puts than a node takes", puts=(200, 400)),
    _load("large-values", "several large values at a time", bytes=(1 << 16, 1 << 19)),
    _load("slow-readers", "slow readers: connections that request and do not read", gets=(60, 120)),
    Member("upgrade.one", "start a node in another version, and roll it back",
           draws.upgrade(draws.victim)),
    Member("upgrade.minority", "the same with less than half, one by one",
           draws.upgrade(draws.MINORITY), least=3, several=True),
    Member("upgrade.rolling", "the same with all nodes, one by one",
           draws.upgrade(draws.ALL), several=True),
    Member("upgrade.killed", "the same with more than half, which are killed for it",
           draws.upgrade(draws.MAJORITY, "SIGKILL"), least=3, weight=1, several=True),
    _change("join", "a new node joins", joins=1),
    _change("leave", "a node leaves", leaves=1),
    _change("remove", "SIGKILL a node and remove it as dead", removes=1),
    _change("replace", "a new node joins while another leaves", joins=1, leaves=1),
    _change("two", "two nodes join concurrently", joins=2),
    _change("away-and-back", "a new node joins and leaves again", joins=1, back=500),
    _change("leave-and-back", "a node leaves, and joins again when it is hardly out",
            leaves=1, back=1000),
    _change("rejoin", "SIGKILL a node, remove it, and let it join again with an empty disk",
            removes=1, back=2000),
)  # fmt: skip

#: What is done only where it is named: no family and no storm has it.
NAMED: tuple[Member, ...] = (
    # what the first of them moves keeps the others waiting: they then move partitions together
    _change("three", "three nodes join concurrently, of which two fetch the same partitions",
            joins=3),
)  # fmt: skip

FAMILIES = {
    "cut": "split the network between nodes",
    "link": "latency, jitter, limited bandwidth, resets, lost frames",
    "kill": "SIGKILL nodes and start them again",
    "pause": "SIGSTOP nodes and SIGCONT them",
    "wipe": "kill one node, delete its data, start it again",
    "disk": "make disks fail: full, torn writes, unreadable, flipped bits, slow",
    "clock": "make wall clocks wrong: jumps, strobes, drift, frozen, coarse",
    "load": "more load than nodes take: bursts, large values, slow readers",
    "upgrade": "start nodes in another version (--target-version) one by one, and roll them back",
    "membership": "let nodes join and leave, remove dead ones",
}

PACKAGES: dict[str, Package] = {
    "none": Package("none", "break nothing", ()),
    **{
        family: Package(family, description, tuple(m for m in MEMBERS if m.family == family))
        for family, description in FAMILIES.items()
    },
    "storm": Package("storm", "all families together", MEMBERS),
    **{
        name: Package(member.title, member.description, (member,))
        for member in (*MEMBERS, *NAMED)
        for name in dict.fromkeys((member.title, member.name))
    },
}


def possible(
    names: Collection[str], context: FaultContext, own: Mapping[str, Package] | None = None
) -> dict[str, tuple[Member, ...]]:
    """Of the members that the packages bring, by family, those that can be done here. `own`:
    packages of a user's own, by name.

    Raises Impossible, with the reason, for a name that does not exist, for `none` beside
    others, and for a package of which nothing is left.
    """
    kept: dict[Member, None] = {}
    packages = {**PACKAGES, **(own or {})}
    for name in _known(names, packages):
        members = packages[name].members
        able = [member for member in members if member.why_not(context) is None]
        if members and not able:
            why = _why_not(members, context)
            raise Impossible(f"{name} cannot be done here: {why}; leave it out")
        kept |= dict.fromkeys(able)
    families = dict.fromkeys(member.family for member in kept)
    if "wipe" in families:
        # both want the one node that may lose its memory, and after a removal it is gone
        kept = {m: None for m in kept if not m.removes or m.name in names}
    return {family: tuple(m for m in kept if m.family == family) for family in families}


def _why_not(members: Iterable[Member], context: FaultContext) -> str:
    """The reason that holds for the most members, and how many have others."""
    reasons = Counter(str(member.why_not(context)) for member in members)
    (reason, _), *others = reasons.most_common()
    rest = sum(count for _, count in others)
    return f"it {reason}" + (f" ({rest} more: other reasons)" if rest else "")


def _known(names: Iterable[str], packages: Mapping[str, Package]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(names))
    for name in names:
        if name not in packages:
            raise Impossible(f"no nemesis is called {name!r}; there are: {', '.join(PACKAGES)}")
    if "none" in names and len(names) > 1:
        raise Impossible("none excludes every other nemesis; write none alone, or drop it")
    return names
