"""How the members of the catalogue draw their faults from the seed.

What a draw returns is all that a fault is: which nodes or links, and how. Faults aimed at
what is only known when they strike (which node holds a hint?) name their target instead, and
harness.nemesis.targets finds it then.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import msgspec
from dynamesis.harness.generators.rng import Rng
from dynamesis.harness.links.base import CLIENT, route_name
from dynamesis.harness.nemesis import cuts
from dynamesis.harness.nemesis.clocks import CLOCK_FAULTS
from dynamesis.harness.nemesis.cuts import Grudge, Nodes
from dynamesis.harness.nemesis.faults import (
    ClockFault,
    CutFault,
    DiskFault,
    FaultValue,
    KillFault,
    LinksFault,
    LoadFault,
    MembershipFault,
    PauseFault,
    UpgradeFault,
    WipeFault,
)
from dynamesis.harness.nemesis.packages import Draw, FaultContext

#: Draws the nodes that a fault hits.
Pick = Callable[[Rng, FaultContext], tuple[list[str], Rng]]
Signal = Literal["SIGTERM"] | None


def _some(count: Callable[[int], int]) -> Pick:
    """As many random nodes, of all."""

    def pick(rng: Rng, context: FaultContext) -> tuple[list[str], Rng]:
        nodes, rng = rng.sample(context.nodes, count(len(context.nodes)))
        return sorted(nodes), rng

    return pick


ONE = _some(lambda n: 1)
MINORITY = _some(lambda n: max(1, (n - 1) // 2))
MAJORITY = _some(lambda n: n // 2 + 1)
ALL = _some(lambda n: n)


def forgetful(rng: Rng, context: FaultContext) -> tuple[list[str], Rng]:
    """The one node that may lose what it stores."""
    return [context.forgetful], rng


def victim(rng: Rng, context: FaultContext) -> tuple[list[str], Rng]:
    """One node: any; where a node forgets what is in memory, the one that may."""
    return (forgetful if context.frail else ONE)(rng, context)


def cut(
    shape: Callable[[Nodes, Rng], tuple[Grudge, Rng]], kinds: frozenset[str], times: int = 1
) -> Draw:
    """A cut of this shape, the same so many times."""

    def draw(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
        grudge, rng = shape(context.nodes, rng)
        kind, rng = rng.choice(sorted(kinds & context.kinds))
        return [CutFault(kind=kind, grudge=grudge)] * times, rng

    return draw


def kill(pick: Pick, times: int = 1, signal: Signal = None) -> Draw:
    """Nodes end, the same ones so many times."""

    def draw(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
        nodes, rng = pick(rng, context)
        return [KillFault(nodes=nodes, signal=signal)] * times, rng

    return draw


def kill_after_pause(low: int, high: int) -> Draw:
    """A node is paused, and killed `low` to `high` ms later."""

    def draw(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
        nodes, rng = victim(rng, context)
        pause_ms, rng = rng.between(low, high)
        return [KillFault(nodes=nodes, pause_ms=pause_ms)], rng

    return draw


def kill_mid_stop(low: int, high: int) -> Draw:
    """A node is asked to stop, and killed `low` to `high` ms later."""

    def draw(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
        nodes, rng = victim(rng, context)
        grace_ms, rng = rng.between(low, high)
        return [KillFault(nodes=nodes, signal="SIGTERM", grace_ms=grace_ms)], rng

    return draw


def kill_after_stop(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
    """Two acts on one node: what it wrote down when it stopped is out of date when it dies."""
    nodes, rng = victim(rng, context)
    return [KillFault(nodes=nodes, signal="SIGTERM"), KillFault(nodes=nodes)], rng


def kill_again(most: int, least_ms: int, most_ms: int) -> Draw:
    """A node is killed, and up to `most` times more, `least_ms` to `most_ms` after it was started
    again: short gaps are as likely as long ones, power of two by power of two. The lives of one
    fault are about as long: what a life does that is cut short, the next one gets to do again."""

    def draw(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
        nodes, rng = victim(rng, context)
        count, rng = rng.between(1, most)
        exponent, rng = rng.uniform(math.log(least_ms), math.log(most_ms))
        longest = math.exp(exponent)
        gaps: list[int] = []
        for _ in range(count):
            gap, rng = rng.uniform(longest / 2, longest)
            gaps.append(max(least_ms, round(gap)))
        return [KillFault(nodes=nodes, again_ms=gaps)], rng

    return draw


def pause(pick: Pick) -> Draw:
    """Nodes are paused."""

    def draw(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
        nodes, rng = pick(rng, context)
        return [PauseFault(nodes=nodes)], rng

    return draw


def wipe(apart: bool = False) -> Draw:
    """The data of the forgetful node are deleted."""

    def draw(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
        return [WipeFault(nodes=[context.forgetful], apart=apart)], rng

    return draw


def old_disk(apart: bool = False) -> Draw:
    """Two acts: what the node has stored by the first is all that it has after the second."""

    def draw(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
        nodes = [context.forgetful]
        copied = WipeFault(nodes=nodes, disk="copied")
        return [copied, WipeFault(nodes=nodes, disk="restored", apart=apart)], rng

    return draw


def _aim(rng: Rng, context: FaultContext) -> tuple[str, str, Rng]:
    """A key, and the node that is hit where there is no target."""
    key, rng = rng.choice(context.keys)
    otherwise, rng = rng.choice(context.nodes)
    return key, otherwise, rng


def aimed_cut(target: str) -> Draw:
    """A cut around a target that is found when it strikes."""

    def draw(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
        fault, rng = _aimed_cut(target, rng, context)
        return [fault], rng

    return draw


def _aimed_cut(target: str, rng: Rng, context: FaultContext) -> tuple[CutFault, Rng]:
    key, otherwise, rng = _aim(rng, context)
    kind, rng = rng.choice(sorted(set(cuts.KINDS) & context.kinds))
    return CutFault(target=target, key=key, otherwise=otherwise, kind=kind), rng


def aimed(kind: type[KillFault] | type[PauseFault], target: str) -> Draw:
    """A target that is found when the fault strikes."""

    def draw(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
        key, otherwise, rng = _aim(rng, context)
        return [kind(target=target, key=key, otherwise=otherwise)], rng

    return draw


def cut_handoff(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
    """Two acts: a node is cut off, so that others hold hints for it; it is hardly back when
    the holder of the most is cut off, in mid-handoff."""
    second, rng = _aimed_cut("hint-holder", rng, context)
    away, rng = rng.choice([node for node in context.nodes if node != second.otherwise])
    rest = [node for node in context.nodes if node != away]
    return [CutFault(kind=second.kind, grudge=[[away], rest]), second], rng


def kill_handoff(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
    """The same with kills."""
    key, otherwise, rng = _aim(rng, context)
    away, rng = rng.choice([node for node in context.nodes if node != otherwise])
    second = KillFault(target="hint-holder", key=key, otherwise=otherwise)
    return [KillFault(nodes=[away]), second], rng


def links(
    kind: str, fields: dict[str, tuple[int, int]], either: bool = False, clients: bool = True
) -> Draw:
    """A fault of this kind, its fields drawn from these ranges, on all links of one node or
    on all links between nodes. `either`: in one direction, drawn, not in both."""

    def draw(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
        names, rng = _links(rng, context, clients)
        settings: dict[str, int | str] = {}
        for field, (low, high) in fields.items():
            settings[field], rng = rng.between(low, high)
        if either:
            settings["direction"], rng = rng.choice(("upstream", "downstream"))
        return [LinksFault(kind=kind, settings=settings, links=names)], rng

    return draw


def _links(rng: Rng, context: FaultContext, clients: bool) -> tuple[list[str], Rng]:
    node, rng = rng.choice(context.nodes)
    all_of_them, rng = rng.chance(0.5)
    if not context.cuts:  # only clients' links are known
        return [route_name(CLIENT, n) for n in context.nodes if all_of_them or n == node], rng
    names = [
        route_name(a, b)
        for a in context.nodes
        for b in context.nodes
        if a != b and (all_of_them or node in (a, b))
    ]
    return names + ([route_name(CLIENT, node)] if clients and not all_of_them else []), rng


def disk(kind: str, **ranges: tuple[int, int]) -> Draw:
    """Disks of a minority fail: a single node may have nothing to store just then. `ranges`:
    of the settings, times in ms. Bits are only ever flipped at the node that may lose its
    memory."""

    def draw(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
        lost = kind == "bit-flip" or (kind == "lost-writes" and context.frail)
        nodes, rng = (forgetful if lost else MINORITY)(rng, context)
        settings: dict[str, int | float] = {}
        for setting, (low, high) in ranges.items():
            drawn, rng = rng.between(low, high)
            settings[setting] = drawn / 1000 if setting == "seconds" else drawn
        return [DiskFault(kind=kind, settings=settings, nodes=nodes)], rng

    return draw


def aimed_disk(target: str, kinds: tuple[str, ...], ms: tuple[int, int] | None = None) -> Draw:
    """The disks of a target that is found when the fault strikes fail, in one of these ways; `ms`:
    how long each takes to sync, at least and at most."""

    def draw(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
        key, otherwise, rng = _aim(rng, context)
        kind, rng = rng.choice(kinds)
        fault = DiskFault(target=target, key=key, otherwise=otherwise, kind=kind)
        if ms is not None:
            drawn, rng = rng.between(*ms)
            fault = msgspec.structs.replace(fault, settings={"seconds": drawn / 1000})
        return [fault], rng

    return draw


def clock(kind: str) -> Draw:
    """Clocks of some nodes are wrong, up to all of them: by 0.13 s to 70 min, running at 5 to
    50 per cent too fast or too slow, not running, or in steps of 15 ms to 1 s."""

    def draw(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
        count, rng = rng.between(1, len(context.nodes))
        nodes, rng = rng.sample(context.nodes, count)
        exponent, rng = rng.between(7, 22)
        ahead, rng = rng.choice((-1, 1))
        period, rng = rng.between(10, 200)
        drift, rng = rng.between(50_000, 500_000)
        drawn = {"offset_ms": ahead << exponent, "strobe_ms": period, "drift_ppm": ahead * drift}
        if kind == "freeze":
            drawn["drift_ppm"] = -1_000_000
        if kind == "coarse":
            drawn["grain_ms"], rng = rng.choice((15, 100, 1000))
        settings = {setting: drawn[setting] for setting in CLOCK_FAULTS[kind]}
        return [ClockFault(kind=kind, settings=settings, nodes=sorted(nodes))], rng

    return draw


def load(kind: str, **ranges: tuple[int, int]) -> Draw:
    """Extra load on a minority; `ranges`: of the settings."""

    def draw(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
        nodes, rng = MINORITY(rng, context)
        settings: dict[str, int] = {}
        for setting, (low, high) in ranges.items():
            settings[setting], rng = rng.between(low, high)
        return [LoadFault(kind=kind, settings=settings, nodes=nodes)], rng

    return draw


def upgrade(pick: Pick, signal: Literal["SIGKILL"] | None = None) -> Draw:
    """Nodes are upgraded one after the other, in an order that is drawn."""

    def draw(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
        nodes, rng = pick(rng, context)
        order, rng = rng.shuffle(nodes)
        return [UpgradeFault(nodes=list(order), signal=signal)], rng

    return draw


def change(joins: int, leaves: int, removes: int, back: int | None) -> Draw:
    """A change of the membership. The first of `among` that can is the one that leaves; only
    the node that may lose its memory is ever removed, and it never leaves. `back`: the
    contrary follows, up to so many ms later."""

    def draw(rng: Rng, context: FaultContext) -> tuple[list[FaultValue], Rng]:
        others, rng = rng.shuffle([node for node in context.nodes if node != context.forgetful])
        among = [context.forgetful] if removes else list(others)
        fault = MembershipFault(
            joins=joins, leaves=leaves, removes=removes, among=among, keep=context.n
        )
        if back is not None:
            pause_ms, rng = rng.between(0, back)
            fault = msgspec.structs.replace(fault, back=True, after_ms=pause_ms)
        return [fault], rng

    return draw
