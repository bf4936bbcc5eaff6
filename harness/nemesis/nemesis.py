"""The nemesis at work: it carries out a schedule, proves each fault, and heals.

What the interpreter records of an operation comes after the operation has returned; a
proof must stand behind the start that it belongs to. So proofs wait until the nemesis is
called again, or until the heal phase.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dynamesis.checkers.history.op import Op, OpError
from dynamesis.checkers.history.timeline import crashed
from dynamesis.harness.links.base import Links
from dynamesis.harness.nemesis.clocks import BadClock
from dynamesis.harness.nemesis.disks import FORGETFUL, BadDisk
from dynamesis.harness.nemesis.fault_handler import FaultHandler, Look, Proof
from dynamesis.harness.nemesis.ledger import Ledger
from dynamesis.harness.nemesis.loads import ExtraLoad, Press, no_press
from dynamesis.harness.nemesis.membership import MembershipFaults, Welcome
from dynamesis.harness.nemesis.network import BadLink, Cut, Wires
from dynamesis.harness.nemesis.processes import Holds, Kill, Pause, Wipe
from dynamesis.harness.nemesis.schedule import NEMESIS
from dynamesis.harness.nemesis.targets import Targets, present
from dynamesis.harness.processes.patience import Patience
from dynamesis.harness.targets.system import EnvironmentFailed, System

log = logging.getLogger(__name__)

#: s that a fault has to show all of its effect; without any, it is watched to its end
_PATIENCE = 1.5
#: s between two looks
_EVERY = 0.1
#: s that a fault should have lasted to show an effect, as checkers.evidence has it, and s by which
#: one that has shown none lasts longer, both of a machine that is not busy
_SHOULD_BITE = 2.0
_LONGER = 4.0
#: s by the wall clock that it lasts longer at most: others wait for the nemesis meanwhile
_AT_MOST = 8.0
#: the families whose faults end nodes, and where their values name them
_DEADLY = {"kill": "nodes", "wipe": "nodes", "membership": "removes", "disk": "nodes"}


@dataclass
class _Watch:
    """Looks at one fault until its proof is complete, or time is up and there is one, or
    the fault is lifted."""

    look: Look
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[Proof] | None = None
    seen: Proof = field(default_factory=lambda: Proof(False, False))
    began: float = 0.0

    def begin(self) -> None:
        self.began = asyncio.get_running_loop().time()
        self.task = asyncio.create_task(self._watch())

    @property
    def lasted(self) -> float:
        """s since it began."""
        return asyncio.get_running_loop().time() - self.began

    async def bite(self, seconds: float) -> None:
        """Wait until there is a proof, or so many seconds of an idle machine have passed, or
        nobody is there who could be bitten."""
        assert self.task is not None
        patience, end = Patience(seconds), asyncio.get_running_loop().time() + _AT_MOST
        while not (self.seen.bit or self.seen.detail.get("nobody") or self.task.done()):
            if patience.over or asyncio.get_running_loop().time() > end:
                return
            await asyncio.wait({self.task}, timeout=_EVERY)

    async def end(self) -> Proof:
        """The proof as it stands now."""
        assert self.task is not None
        self.hurry.set()
        return await self.task

    @property
    def over(self) -> bool:
        return self.task is not None and self.task.done()

    async def _watch(self) -> Proof:
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            last = self.hurry.is_set()
            proof = self.seen = await self.look()
            late = asyncio.get_running_loop().time() > deadline
            if last or proof.complete or (late and proof.bit):
                return proof
            with suppress(TimeoutError):
                await asyncio.wait_for(self.hurry.wait(), 5 * _EVERY if late else _EVERY)


async def _nobody(node: str) -> None:
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
    """Injects faults into a system and its links, and takes all of them back. `welcome`
    starts a node that is to join, `press` loads one; `skips`: families that cannot be had
    here, and why."""

    def __init__(
        self,
        system: System,
        links: Links,
        ledger: Path,
        welcome: Welcome = _nobody,
        press: Press = no_press,
        skips: Mapping[str, str] | None = None,
    ) -> None:
        self._system = system
        self._skips = skips or {}
        self._targets = Targets(system)
        self._ledger = Ledger(ledger)
        self._wires = Wires(links)
        self._holds = Holds(system)
        self._disks = BadDisk(system)
        self._clocks = BadClock(system)
        self._loads = ExtraLoad(system, press)
        self._membership = MembershipFaults(system, welcome)
        self._effects: dict[str, FaultHandler] = {
            "cut": Cut(system, self._wires),
            "link": BadLink(system, self._wires),
            "kill": Kill(system, self._holds),
            "pause": Pause(system, self._holds),
            "wipe": Wipe(system, self._holds, self._wires),
            "disk": self._disks,
            "clock": self._clocks,
            "load": self._loads,
            "membership": self._membership,
        }
        self._watches: dict[int, _Watch] = {}
        self._bitten: set[str] = set()
        self._dead: set[str] = set()
        self._record: Callable[[Op], Op] | None = None

    def hear(self, op: Op) -> None:
        """Be told of an event of the history: some targets are what it last did."""
        self._targets.hear(op)

    async def invoke(self, op: Op, record: Callable[[Op], Op]) -> Op:
        """Carry out a start or a stop; the completion. What fails is said in it and in the
        log, and is left to the heal phase."""
        self._record = record
        await self._tell([fault for fault, watch in self._watches.items() if watch.over])
        verb, _, family = op.f.partition("-")
        try:
            if verb == "start":
                value = await self._start(family, op.value)
            else:
                value = await self._stop(op.value["fault"])
        except (OSError, RuntimeError, ValueError, EnvironmentFailed) as failure:
            log.exception("%s failed", op.f)
            error = OpError("nemesis-failed", False, str(failure))
            return Op(type="info", process=NEMESIS, f=op.f, value=op.value, error=error)
        return Op(type="info", process=NEMESIS, f=op.f, value=value)

    def look(self, record: Callable[[Op], Op]) -> None:
        """Record each node that has died and that no fault holds down, or that no fault can
        have ended so: once a death."""
        self._record = record
        down = {node for node in self._system.nodes if self._system.state(node) == "down"}
        self._dead &= down
        exits = {node: self._system.exit_code(node) for node in down}
        held = {node for node in self._held() if not crashed(exits.get(node))}
        if found := sorted(down - self._dead - held):
            last = {node: self._system.last_words(node) for node in found}
            for node in found:
                log.error("%s died by itself: %s", node, last[node])
            self._dead.update(found)
            told = {node: exits[node] for node in found}
            self._say("found-dead", {"nodes": found, "exits": told, "last": last})

    async def heal_all(self) -> None:
        """Take back every fault in the ledger: let what is paused go on, heal all links,
        start what is down, see changes of the membership through. In this order, since
        proxies in front of a paused node can get stuck. May be repeated. Raises RuntimeError
        if a node would not start, or a change not come about."""
        families = {fault: family for fault, (family, _) in self._ledger.open().items()}
        await asyncio.gather(
            *(self._bite(f, families.get(f, "")) for f in self._watches if f in families)
        )
        await self._tell([f for f in self._watches if families.get(f) != "membership"])
        failures = [
            failure
            for heal in (
                self._loads.heal_all,
                self._resume_all,
                self._wires.heal_all,
                self._disks.heal_all,
                self._clocks.heal_all,
                self._start_dead,
                self._membership.settle,
            )
            if (failure := await _failure(heal)) is not None
        ]
        await self._tell(list(self._watches))
        if failures:
            raise RuntimeError("; ".join(map(str, failures))) from failures[0]
        for fault, (family, value) in self._ledger.open().items():
            self._ledger.healed(fault)
            self._say(f"stop-{family}", {"fault": fault, "member": value.get("member")})

    async def _resume_all(self) -> None:
        for node in self._system.nodes:
            if self._system.state(node) == "paused":
                await self._system.resume(node)
        self._holds.clear()

    async def _start_dead(self) -> None:
        if self._record is not None:
            self.look(self._record)
        down = [node for node in self._system.nodes if self._system.state(node) == "down"]
        started = await asyncio.gather(*map(self._system.start, down), return_exceptions=True)
        for failure in started:
            if isinstance(failure, BaseException):
                raise failure

    def _held(self) -> set[str]:
        """The nodes that a fault may have ended."""
        faults = self._ledger.open().values()
        return {
            node
            for family, value in faults
            if family != "disk" or value["kind"] == FORGETFUL
            for node in value.get(_DEADLY.get(family, ""), ())
        }

    async def _start(self, family: str, value: dict[str, Any]) -> dict[str, Any]:
        fault = value["fault"]
        found = None if family in self._skips else await self._found(family, value)
        if found is None:
            reason = self._skips.get(family, "nobody to do it to")
            return {"fault": fault, "member": value.get("member"), "skipped": reason}
        value = found
        self._ledger.broken(fault, family, value)
        watch = _Watch(await self._effects[family].inject(fault, value))
        watch.begin()
        self._watches[fault] = watch
        return value

    async def _found(self, family: str, value: dict[str, Any]) -> dict[str, Any] | None:
        """`value` with its targets as they are now; None if there are none (left)."""
        if family == "membership":
            return self._membership.resolve(value)
        return present(await self._targets.resolve(family, value), self._system.nodes)

    async def _stop(self, fault: int) -> dict[str, Any]:
        if fault not in self._ledger.open():
            return {"fault": fault, "skipped": "it never began"}
        family, value = self._ledger.open()[fault]
        await self._bite(fault, family)
        await self._effects[family].lift(fault, value)
        await self._tell([fault] if fault in self._watches else [])
        self._ledger.healed(fault)
        return value

    async def _bite(self, fault: int, family: str) -> None:
        """Let a fault last until it is known to have bitten, within bounds, where the verdict
        rests on that: it has lasted for as long as it should take, or none of its kind has."""
        watch = self._watches.get(fault)
        if watch is None or family == "membership":
            return
        if family not in self._bitten or watch.lasted >= _SHOULD_BITE:
            await watch.bite(_LONGER)

    async def _tell(self, faults: list[int]) -> None:
        """Record the proof of each of these faults."""
        for fault in faults:
            proof = await self._watches.pop(fault).end()
            if proof.bit:
                self._bitten.add(self._ledger.open().get(fault, ("", {}))[0])
            self._say("evidence", {"fault": fault, "bit": proof.bit, "detail": proof.detail})
            if proof.over:
                family, value = self._ledger.open()[fault]
                self._ledger.healed(fault)
                self._say(f"stop-{family}", {"fault": fault, "member": value.get("member")})

    def _say(self, f: str, value: dict[str, Any]) -> None:
        if self._record is not None:
            self._record(Op(type="info", process=NEMESIS, f=f, value=value))
