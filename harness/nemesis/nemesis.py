"""The nemesis at work: it carries out a schedule, proves each fault, and heals.

What the interpreter records of an operation comes after the operation has returned; a
proof must come after the start that it belongs to. So proofs wait until the nemesis is
called again, or until the heal phase.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from dynamesis.checkers.history.op import JsonObject, Op, OpError
from dynamesis.checkers.history.timeline import crashed
from dynamesis.harness.links.base import Links
from dynamesis.harness.nemesis.clocks import BadClock
from dynamesis.harness.nemesis.disks import FORGETFUL, BadDisk
from dynamesis.harness.nemesis.fault_handler import FaultHandler, FaultWatch, Proof
from dynamesis.harness.nemesis.faults import (
    DiskFault,
    FaultAction,
    FaultSkipped,
    FaultStart,
    FaultStop,
    FaultValue,
    KillFault,
    MembershipChange,
    MembershipFault,
    UpgradeFault,
    WipeFault,
)
from dynamesis.harness.nemesis.ledger import Ledger
from dynamesis.harness.nemesis.loads import ExtraLoad
from dynamesis.harness.nemesis.membership import MembershipFaults, StartNode
from dynamesis.harness.nemesis.network import BadLink, Cut, RouteFaults
from dynamesis.harness.nemesis.processes import Holds, Kill, Pause, Wipe
from dynamesis.harness.nemesis.schedule import NEMESIS
from dynamesis.harness.nemesis.symptoms import SOCKETS, Probes
from dynamesis.harness.nemesis.targets import Targets, present
from dynamesis.harness.nemesis.upgrades import Upgrade
from dynamesis.harness.targets.capabilities import Capabilities
from dynamesis.harness.targets.system import EnvironmentFailed

log = logging.getLogger(__name__)

#: s that a fault should have lasted to show an effect, as checkers.evidence has it, and s by which
#: one that has shown none lasts longer, both of a machine that is not busy
_SHOULD_SHOW = 2.0
_LONGER = 4.0


async def no_newcomers(node: str) -> None:
    """A StartNode where nodes cannot join."""
    raise RuntimeError(f"there is no room for {node}")


async def _failure(heal: Callable[[], Awaitable[None]]) -> Exception | None:
    """What one part of healing failed with: it keeps no other part from being healed."""
    try:
        await heal()
    except (OSError, RuntimeError) as failure:
        log.exception("heal")
        return failure
    return None


class Nemesis:
    """Injects faults into a store and its links, and takes all of them back.

    start_node: starts a node that is to join
    skips: families that cannot be had here, and why
    routes: the names of all routes
    probes: how it shows from outside that links are broken
    """

    def __init__(
        self,
        store: Capabilities,
        links: Links,
        ledger: Path | Ledger,
        start_node: StartNode = no_newcomers,
        skips: Mapping[str, str] | None = None,
        routes: Iterable[str] = (),
        probes: Probes = SOCKETS,
    ) -> None:
        self._processes = store.processes
        self._started = store.started
        self._targets = Targets(store.observed, store.placements)
        self._ledger = ledger if isinstance(ledger, Ledger) else Ledger(ledger)
        self._routes = RouteFaults(links, routes, probes)
        self._holds = Holds(store.processes)
        self._heals: list[Callable[[], Awaitable[None]]] = []
        self._membership: MembershipFaults | None = None
        self._upgrade: Upgrade | None = None
        self._handlers = self._make_handlers(store, start_node)
        self._skips = {**_lacking(store), **(skips or {})}
        self._watches: dict[int, FaultWatch] = {}
        self._proven: set[str] = set()
        self._dead: set[str] = set()
        self._record: Callable[[Op], Op] | None = None

    def _make_handlers(
        self, store: Capabilities, start_node: StartNode
    ) -> dict[str, FaultHandler[Any]]:
        """The handlers by family, of all that the store can; and how they heal."""
        observed, processes = store.observed, store.processes
        reporting = store.status is not None
        handlers: dict[str, FaultHandler[Any]] = {
            "cut": Cut(observed, self._routes, reporting),
            "link": BadLink(observed, self._routes, reporting),
            "kill": Kill(processes, self._holds),
            "pause": Pause(processes, self._holds),
        }
        if store.make_load is not None:
            handlers["load"] = load = ExtraLoad(observed, store.make_load)
            self._heals.append(load.heal_all)
        self._heals += [self._resume_all, self._routes.heal_all]
        if store.data is not None:
            handlers["wipe"] = Wipe(processes, store.status, store.data, self._holds, self._routes)
        if store.disks is not None:
            handlers["disk"] = disk = BadDisk(observed, store.disks)
            self._heals.append(disk.heal_all)
        if store.clocks is not None:
            handlers["clock"] = clock = BadClock(store.viewed, store.clocks)
            self._heals.append(clock.heal_all)
        if store.versions is not None:
            self._upgrade = Upgrade(observed, store.versions, self._holds)
            handlers["upgrade"] = self._upgrade
            self._heals.append(self._upgrade.heal_all)
        self._heals.append(self._start_dead)
        if store.started is not None:
            self._heals.append(store.started)
        if store.membership is not None:
            self._membership = MembershipFaults(
                store.viewed, store.membership, start_node, store.exchanges, store.slower
            )
            handlers["membership"] = self._membership
            self._heals.append(self._membership.settle)
        return handlers

    def observe(self, op: Op) -> None:
        """Take note of an event of the history: some targets are what it did last."""
        self._targets.observe(op)

    async def invoke(self, op: Op, record: Callable[[Op], Op]) -> Op:
        """Carry out a start or a stop; the completion. What fails is recorded in it and in the
        log, and is left to the heal phase."""
        self._record = record
        await self._record_proofs([n for n, watch in self._watches.items() if watch.over])
        action: FaultStart | FaultStop = op.value
        try:
            if isinstance(action, FaultStart):
                done: FaultAction = await self._start(action)
            else:
                done = await self._stop(action)
        except (OSError, RuntimeError, ValueError, EnvironmentFailed) as failure:
            log.exception("%s failed", op.f)
            error = OpError("nemesis-failed", False, str(failure))
            return Op(type="info", process=NEMESIS, f=op.f, value=action, error=error)
        return Op(type="info", process=NEMESIS, f=op.f, value=done)

    def look(self, record: Callable[[Op], Op]) -> None:
        """Record each node that has died and that no fault holds down, or that no fault can
        have ended so: once a death. Record also which faults have ended by themselves."""
        self._record = record
        processes = self._processes
        down = {node for node in processes.nodes if processes.state(node) == "down"}
        self._dead &= down
        exits = {node: processes.exit_code(node) for node in sorted(down)}
        held = {node for node in self._held() if not crashed(exits.get(node))}
        if found := sorted(down - self._dead - held):
            last = {node: processes.last_words(node) for node in found}
            for node in found:
                log.error("%s died by itself: %s", node, last[node])
            self._dead.update(found)
            ends = {node: exits[node] for node in found}
            self._note("found-dead", {"nodes": found, "exits": ends, "last": last})
        for number in [n for n, watch in self._watches.items() if watch.ended]:
            self._record_proof(number, self._watches.pop(number).seen)

    async def heal_all(self) -> None:
        """Take back every fault in the ledger: let what is paused continue, heal all links,
        start what is down, see changes of the membership through. In this order, since
        proxies in front of a paused node can get stuck. May be repeated. Raises RuntimeError
        if a node would not start, or a change not come about."""
        families = {number: start.fault.family for number, start in self._ledger.open().items()}
        await asyncio.gather(
            *(self._until_effect(n, families[n]) for n in self._watches if n in families)
        )
        await self._record_proofs([n for n in self._watches if families.get(n) != "membership"])
        failures = [
            failure for heal in self._heals if (failure := await _failure(heal)) is not None
        ]
        await self._record_proofs(list(self._watches))
        if failures:
            raise RuntimeError("; ".join(map(str, failures))) from failures[0]
        for start in self._ledger.open().values():
            self._ended(start)

    async def _resume_all(self) -> None:
        for node in self._processes.nodes:
            if self._processes.state(node) == "paused":
                await self._processes.resume(node)
        self._holds.clear()

    async def _start_dead(self) -> None:
        if self._record is not None:
            self.look(self._record)
        processes = self._processes
        down = [node for node in processes.nodes if processes.state(node) == "down"]
        started = await asyncio.gather(*map(processes.start, down), return_exceptions=True)
        for failure in started:
            if isinstance(failure, BaseException):
                raise failure

    def _held(self) -> set[str]:
        """The nodes that a fault may have ended."""
        moving = set() if self._upgrade is None else self._upgrade.moving
        ended = {node for start in self._ledger.open().values() for node in _ends(start.fault)}
        return ended | moving

    async def _start(self, start: FaultStart) -> FaultStart | FaultSkipped:
        family = start.fault.family
        fault = None if family in self._skips else await self._resolve(start.fault)
        if fault is None:
            reason = self._skips.get(family, "no node or link is left to do it to")
            return FaultSkipped(start.number, start.member, reason)
        found = FaultStart(start.number, start.member, fault)
        self._ledger.broken(found)
        watch = FaultWatch(await self._handlers[family].inject(found.number, fault))
        watch.begin()
        self._watches[found.number] = watch
        return found

    async def _resolve(self, fault: FaultValue) -> FaultValue | None:
        """The fault with its targets as they are now; None if there are none (left)."""
        if isinstance(fault, MembershipFault) and self._membership is not None:
            return self._membership.resolve(fault)
        if isinstance(fault, UpgradeFault) and self._upgrade is not None:
            fault = self._upgrade.resolve(fault)
        return present(await self._targets.resolve(fault), self._processes.nodes)

    async def _stop(self, stop: FaultStop) -> FaultStart | FaultSkipped:
        start = self._ledger.open().get(stop.number)
        if start is None:
            return FaultSkipped(stop.number, None, "it never began")
        family = start.fault.family
        await self._until_effect(start.number, family)
        await self._handlers[family].lift(start.number, start.fault)
        await self._record_proofs([start.number] if start.number in self._watches else [])
        self._ledger.healed(start.number)
        if self._started is not None and not self._ledger.open():
            await self._started()  # the next fault is not to find a node half started
        return start

    async def _until_effect(self, number: int, family: str) -> None:
        """Let a fault last until it is known to have taken effect, within bounds, where the
        verdict rests on that: it has lasted for as long as it should take, or none of its kind
        has shown an effect yet."""
        watch = self._watches.get(number)
        if watch is None or family == "membership":
            return
        if family not in self._proven or watch.lasted >= _SHOULD_SHOW:
            await watch.until_effect(_LONGER)

    async def _record_proofs(self, numbers: list[int]) -> None:
        """Record the proof of each of these faults that is not recorded yet."""
        for number in numbers:
            if (watch := self._watches.pop(number, None)) is not None:
                self._record_proof(number, await watch.end())

    def _record_proof(self, number: int, proof: Proof) -> None:
        start = self._ledger.open().get(number)
        if proof.bit:
            self._proven.add("" if start is None else start.fault.family)
        self._note("evidence", {"fault": number, "bit": proof.bit, "detail": proof.detail})
        if proof.over and start is not None:
            self._ended(start)

    def _ended(self, start: FaultStart) -> None:
        self._ledger.healed(start.number)
        self._note(f"stop-{start.fault.family}", start.stop)

    def _note(self, f: str, value: JsonObject | FaultAction) -> None:
        if self._record is not None:
            self._record(Op(type="info", process=NEMESIS, f=f, value=value))


def _ends(fault: FaultValue) -> list[str]:
    """The nodes whose process a fault ends."""
    if isinstance(fault, KillFault | WipeFault):
        return fault.nodes
    if isinstance(fault, DiskFault):
        return fault.nodes if fault.kind == FORGETFUL else []
    return fault.removes if isinstance(fault, MembershipChange) else []


def _lacking(store: Capabilities) -> dict[str, str]:
    """Why a family cannot be injected into a target that lacks its capability."""
    needed = {
        "wipe": store.data,
        "disk": store.disks,
        "clock": store.clocks,
        "upgrade": store.versions,
        "membership": store.membership,
        "load": store.make_load,
    }
    return {
        family: f"the target has no support for {family} faults"
        for family, capability in needed.items()
        if capability is None
    }
