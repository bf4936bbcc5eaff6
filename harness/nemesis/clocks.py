"""Wall clocks that are wrong: set off in one jump, on and off again and again, too fast or too
slow, frozen, or advancing in coarse steps.

The clock of a node is made wrong, and read over its admin port. Where the reading comes with two
moments of the machine's monotonic clock, before and after it, the proof is that the node's clock
differs from the harness's of these moments, however long the request took; else it must
differ by more than that. Of coarse steps it is also part of the proof that several readings are
all whole steps. A node that is started again has a sound clock. Whether the node itself makes
its clock wrong, or libfaketime around it, is up to the target.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from dynamesis.harness.nemesis.fault_handler import Look, Proof
from dynamesis.harness.nemesis.faults import ClockFault
from dynamesis.harness.processes.clock import clock
from dynamesis.harness.processes.patience import Patience
from dynamesis.harness.targets.capabilities import Clocks, Observed

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
    """One fault at a time and node. It took effect when each node's clock has been seen wrong."""

    observed: Observed
    clocks: Clocks
    _wrong: set[str] = field(default_factory=set)
    _ever_wrong: set[str] = field(default_factory=set)

    async def inject(self, number: int, fault: ClockFault) -> Look:
        nodes = [node for node in fault.nodes if self.observed.state(node) == "running"]
        for node in nodes:
            self._wrong.add(node)
            self._ever_wrong.add(node)
            await self.clocks.clock(node, **fault.settings)
        worst = dict.fromkeys(nodes, 0)
        grain = fault.settings.get("grain_ms", 0)
        steps: dict[str, set[int]] = {node: set() for node in nodes}

        async def look() -> Proof:
            for node in nodes:
                skew, wall = await self._reading(node)
                worst[node] = max(worst[node], skew, key=abs)
                steps[node].update([] if wall is None else [wall])
            seen = [abs(worst[n]) > 0 or _is_coarse(steps[n], grain) for n in nodes]
            shown = {"readings": {n: sorted(steps[n])[:_READINGS] for n in nodes}} if grain else {}
            no_target = {} if nodes else {"nobody": True}
            detail = {"skew_ms": dict(worst), **shown, **no_target}
            return Proof(any(seen), bool(seen) and all(seen), detail)

        return look

    async def lift(self, number: int, fault: ClockFault) -> None:
        await self._set_right(fault.nodes)

    async def heal_all(self) -> None:
        """Set every clock right that was ever made wrong, and see that it is. Raises
        RuntimeError if one will not go right."""
        await self._set_right(sorted(self._wrong))
        for node in sorted(self._ever_wrong):
            patience = Patience(_PATIENCE)
            while self.observed.state(node) == "running" and (skew := await self._skew(node)):
                if patience.over:
                    raise RuntimeError(f"the clock of {node} is still {skew} ms off")
                await asyncio.sleep(_LOOK)

    async def _set_right(self, nodes: list[str]) -> None:
        """A node that is paused is set right when all is healed."""
        for node in sorted(self._wrong.intersection(nodes)):
            if self.observed.state(node) == "running":
                await self.clocks.clock(node)
            if self.observed.state(node) != "paused":
                self._wrong.discard(node)

    async def _skew(self, node: str) -> int:
        """ms by which a node's clock is certainly ahead (below zero: behind); 0 if it may be
        right, or does not answer."""
        return (await self._reading(node))[0]

    async def _reading(self, node: str) -> tuple[int, int | None]:
        """That, and what the clock showed, ms; None if the node does not answer."""
        before = clock().wall_ns() // 1_000_000
        status = await self.observed.status(node)
        after = clock().wall_ns() // 1_000_000
        if status is None or status.clock is None:
            return 0, None
        wall = status.clock.wall
        if status.clock.between_ns is not None:
            least, most = _offset_ns()
            first, last = status.clock.between_ns
            before, after = (first + least) // 1_000_000, (last + most) // 1_000_000
        return max(0, wall - after) + min(0, wall - before), wall


def _is_coarse(readings: set[int], grain: int) -> bool:
    """Whether enough different readings show that a clock advances in steps of so many ms."""
    return grain > 0 and len(readings) >= _READINGS and not any(wall % grain for wall in readings)


def _offset_ns() -> tuple[int, int]:
    """By how many ns, at least and at most, this machine's sound wall clock is ahead of its
    monotonic one: no call reads both, and a busy machine may run others between."""

    now = clock()

    def bounds() -> tuple[int, int]:
        first, wall, last = now.monotonic_ns(), now.wall_ns(), now.monotonic_ns()
        return wall - last, wall - first

    return min((bounds() for _ in range(5)), key=lambda found: found[1] - found[0])
