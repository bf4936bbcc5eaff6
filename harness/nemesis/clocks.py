"""Wall clocks that are wrong: set off at once, on and off again and again, too fast or too
slow, standing still, or going on in coarse steps.

The node is told to be wrong, and asked over its admin port what time it is. Where it also says
between which two moments of the machine's monotonic clock it has looked, the proof is that its
clock differs from the harness's of these moments, however long the question took; else it must
differ by more than that. Of coarse steps it is also part of the proof that several readings are
all whole steps. A node that is started again has a sound clock. Whether the node itself is told,
or libfaketime around it, is the system's business.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from dynamesis.harness.nemesis.fault_handler import Look, Proof
from dynamesis.harness.processes.patience import Patience
from dynamesis.harness.targets.system import System

#: What can be wrong with a clock, and the settings of each, with what they can be.
CLOCK_FAULTS: dict[str, dict[str, tuple[int, int]]] = {
    "jump": {"offset_ms": (-(1 << 40), 1 << 40)},
    "strobe": {"offset_ms": (-(1 << 40), 1 << 40), "strobe_ms": (1, 60_000)},
    "drift": {"drift_ppm": (-1_000_000, 1_000_000)},
    "freeze": {"drift_ppm": (-1_000_000, -1_000_000)},
    "coarse": {"grain_ms": (2, 60_000)},
}
#: readings that must all be whole steps of a coarse clock; of 15 ms by chance: 1 in 50,000
_READINGS = 4
#: s that a clock may take to be right again, and between two looks whether it is
_PATIENCE = 5.0
_LOOK = 0.05


@dataclass
class BadClock:
    """One fault at a time and node. It bit when each node's clock has been seen wrong."""

    system: System
    _wrong: set[str] = field(default_factory=set)
    _told: set[str] = field(default_factory=set)

    async def inject(self, fault: int, value: dict[str, Any]) -> Look:
        told = [node for node in value["nodes"] if self.system.state(node) == "running"]
        for node in told:
            self._wrong.add(node)
            self._told.add(node)
            await self.system.clock(node, **value["with"])
        worst = dict.fromkeys(told, 0)
        grain = value["with"].get("grain_ms", 0)
        steps: dict[str, set[int]] = {node: set() for node in told}

        async def look() -> Proof:
            for node in told:
                skew, wall = await self._reading(node)
                worst[node] = max(worst[node], skew, key=abs)
                steps[node].update([] if wall is None else [wall])
            seen = [abs(worst[n]) > 0 or _is_coarse(steps[n], grain) for n in told]
            shown = {"readings": {n: sorted(steps[n])[:_READINGS] for n in told}} if grain else {}
            nobody = {} if told else {"nobody": True}
            detail = {"skew_ms": dict(worst), **shown, **nobody}
            return Proof(any(seen), bool(seen) and all(seen), detail)

        return look

    async def lift(self, fault: int, value: dict[str, Any]) -> None:
        await self._set_right(value["nodes"])

    async def heal_all(self) -> None:
        """Set every clock right that was ever told to be wrong, and see that it is. Raises
        RuntimeError if one will not go right."""
        await self._set_right(sorted(self._wrong))
        for node in sorted(self._told):
            patience = Patience(_PATIENCE)
            while self.system.state(node) == "running" and (skew := await self._skew(node)):
                if patience.over:
                    raise RuntimeError(f"the clock of {node} is still {skew} ms off")
                await asyncio.sleep(_LOOK)

    async def _set_right(self, nodes: list[str]) -> None:
        """A node that is paused is set right when all is healed."""
        for node in self._wrong.intersection(nodes):
            if self.system.state(node) == "running":
                await self.system.clock(node)
            if self.system.state(node) != "paused":
                self._wrong.discard(node)

    async def _skew(self, node: str) -> int:
        """ms by which a node's clock is certainly ahead (below zero: behind); 0 if it may be
        right, or does not answer."""
        return (await self._reading(node))[0]

    async def _reading(self, node: str) -> tuple[int, int | None]:
        """That, and what the clock showed, ms; None if the node does not answer."""
        asked = time.time_ns() // 1_000_000
        status = await self.system.status(node)
        answered = time.time_ns() // 1_000_000
        if status is None:
            return 0, None
        wall = int(status["clock"]["wall"])
        if "between_ns" in status["clock"]:
            least, most = _offset_ns()
            first, last = status["clock"]["between_ns"]
            asked, answered = (first + least) // 1_000_000, (last + most) // 1_000_000
        return max(0, wall - answered) + min(0, wall - asked), wall


def _is_coarse(readings: set[int], grain: int) -> bool:
    """Whether enough different readings show that a clock goes on in steps of so many ms."""
    return grain > 0 and len(readings) >= _READINGS and not any(wall % grain for wall in readings)


def _offset_ns() -> tuple[int, int]:
    """By how many ns, at least and at most, this machine's sound wall clock is ahead of its
    monotonic one: the two are never read at once, and a busy machine may run others between."""

    def bounds() -> tuple[int, int]:
        first, wall, last = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        return wall - last, wall - first

    return min((bounds() for _ in range(5)), key=lambda found: found[1] - found[0])
