"""What the nodes of a user's store show of their wall clocks and of their membership: the proof of
clock and membership faults, by the async methods `clock` and `members` of its target.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dynamesis.cluster.process.fakeclock import FakeClock
from dynamesis.harness.targets.reports import ClockView, MembershipView, NodeStatus
from dynamesis.harness.targets.site import Site
from dynamesis.harness.targets.target import Target

#: ns of a millisecond
_MS = 1_000_000


class ProcessClocks:
    """The wall clocks of processes, through libfaketime: harness.targets.capabilities.Clocks."""

    def __init__(self, library: Path, site: Site) -> None:
        self._library = library
        self._site = site
        self._clocks: dict[str, FakeClock] = {}

    def environment(self, node: str, inherited: Mapping[str, str]) -> dict[str, str]:
        """What a node is started with so that its clock can be wrong later; it is right now."""
        file = self._site.node[node].log.with_name("clock")
        clock = self._clocks.setdefault(node, FakeClock(self._library, file))
        clock.set()
        return clock.environment(inherited)

    async def clock(self, node: str, **settings: int) -> None:
        self._clocks[node].set(**settings)

    def stop(self) -> None:
        """Leave all clocks as they are."""
        for clock in self._clocks.values():
            clock.stop()

    def ended(self, exited: Callable[[int], None]) -> Callable[[int], None]:
        """`exited`, and takes away what the library left of a process."""

        def both(pid: int) -> None:
            FakeClock.forget(pid)
            exited(pid)

        return both


class NodeViews:
    """What each node shows: harness.targets.capabilities.Status.

    version_of: the version of a membership, by its members
    """

    def __init__(
        self, target: Target, site: Site, version_of: Callable[[frozenset[str]], int]
    ) -> None:
        self._target = target
        self._site = site
        self._version_of = version_of

    async def status(self, node: str) -> NodeStatus | None:
        clock, membership = await asyncio.gather(self._clock(node), self._membership(node))
        return NodeStatus(node=node, clock=clock, membership=membership)

    async def metrics(self, node: str) -> str | None:
        return None

    async def _asked(self, hook: str, node: str) -> Any:
        """What a method of the target returns of this node; None where it raises, or has none."""
        ask = getattr(self._target, hook, None)
        if ask is None:
            return None
        try:
            async with asyncio.timeout(self._target.op_limit):
                return await ask(self._site.node[node], self._site)
        except Exception:
            return None

    async def _clock(self, node: str) -> ClockView | None:
        before = time.monotonic_ns()
        shown = await self._asked("clock", node)
        after = time.monotonic_ns()
        if isinstance(shown, bool) or not isinstance(shown, int | float):
            return None
        wall = round(shown * 1000)
        if isinstance(shown, int):  # of whole seconds: any moment of that one
            wall = min(max(wall, time.time_ns() // _MS), wall + 999)
        return ClockView(wall=wall, between_ns=(before, after))

    async def _membership(self, node: str) -> MembershipView | None:
        shown = await self._asked("members", node)
        if shown is None:
            return None
        members = frozenset(map(str, shown))
        return MembershipView(
            version=self._version_of(members),
            members=tuple(sorted(members)),
            owned=dict.fromkeys(sorted(members), 1),
        )
