"""Load beside that of the test: bursts, large values, slow readers.

It goes to keys of its own (EXTRA), which are in no dump and no final read: no checker has
anything to do with them. The load generator is a parameter, since it needs a client of the
store. A node that refuses a request as overloaded, or in whose status more is in progress than
before, is the proof; and so is a whole burst that was answered, or as many large values: the
status may be read too late to show them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from dynamesis.harness.nemesis.fault_handler import Look, Proof
from dynamesis.harness.nemesis.faults import LoadFault
from dynamesis.harness.nemesis.symptoms import asked
from dynamesis.harness.targets.capabilities import MakeLoad, Observed

#: What the keys of this load begin with.
EXTRA = "load/"
#: The loads there are, and the settings of each, with what they can be.
LOADS: dict[str, dict[str, tuple[int, int]]] = {
    "burst": {"puts": (1, 10_000)},
    "large-values": {"bytes": (1, 1_000_000)},
    "slow-readers": {"gets": (1, 10_000)},
}
#: kind -> what of a status grows under it, and from how much more on that counts
_GROWS = {
    "burst": ("requests", 50),
    "large-values": ("request_bytes", 10_000),
    "slow-readers": ("unsent", 100_000),
}
#: acknowledged large values, or answers to readers, that are a load in any case
_ENOUGH = 8


@dataclass
class ExtraLoad:
    """Loads nodes from the start of a fault to its end."""

    observed: Observed
    make_load: MakeLoad
    _loading: dict[int, list[asyncio.Task[None]]] = field(default_factory=dict)

    async def inject(self, number: int, fault: LoadFault) -> Look:
        kind, nodes = fault.kind, fault.nodes
        figure, enough = _GROWS[kind]
        before = {node: await self._figure(node, figure) for node in nodes}
        ended: Counter[str] = Counter()
        self._loading[number] = [
            asyncio.create_task(self.make_load(node, kind, fault.settings, ended)) for node in nodes
        ]
        most = dict(before)

        async def look() -> Proof:
            for node in nodes:
                most[node] = max(most[node], await self._figure(node, figure))
            grown = [most[node] - before[node] >= enough for node in nodes]
            detail = {"ended": dict(ended), figure: {"before": before, "most": dict(most)}}
            loaded = ended["overloaded"] > 0 or ended["ok"] >= fault.settings.get("puts", _ENOUGH)
            return Proof(any(grown) or loaded, all(grown), detail)

        return look

    async def lift(self, number: int, fault: LoadFault) -> None:
        await self._end(self._loading.pop(number, []))

    async def heal_all(self) -> None:
        """End all of it."""
        while self._loading:
            await self._end(self._loading.popitem()[1])

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        """Raises what went wrong with the load itself."""
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome

    async def _figure(self, node: str, figure: str) -> int:
        status = await asked(self.observed, node)
        return 0 if status is None else status.sizes.get(figure, 0)
