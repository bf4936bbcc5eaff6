"""Whether programs have come to rest: without load, all nodes show the same, or nothing changes.

Programs gossip as they like, and most never fall silent. So where a workload has nodes agree in
the end, each is asked for all that it knows, past all links and out of the history, until all
show the same twice running. Those that differ are at rest once none of them has shown anything
new for so long that it will not come any more; the final reads then show what is missing. With
the other workloads, it is waited for a while, in which leaders are elected.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from dynamesis.harness.targets.maelstrom.programs import Programs

#: s that programs without final agreement are left alone before the final reads
_PAUSE = 2.0


class Convergence:
    """harness.targets.capabilities.Quiet. `shows`: the type of the request by which nodes show
    all that they know, and the field of its answer; None where they need not agree. `settle`: s
    without a change."""

    def __init__(self, programs: Programs, shows: tuple[str, str] | None, settle: float) -> None:
        self._programs = programs
        self._shows = shows
        self._settle = settle
        self._began: float | None = None
        self._before: dict[str, Any] | None = None
        self._changed = 0.0

    async def at_rest(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = self._changed = now
        if self._shows is None:
            return now - self._began >= _PAUSE
        shown = await self._look(*self._shows)
        if shown != self._before:
            self._before, self._changed = shown, now
            return False
        answered = [value for value in shown.values() if value is not None]
        if len(answered) == len(shown) and len(set(answered)) == 1:
            return True
        return now - self._changed >= self._settle

    async def _look(self, kind: str, name: str) -> dict[str, str | None]:
        """By node what it shows, as text; None if it does not answer."""
        nodes = self._programs.nodes
        answers = await asyncio.gather(*(self._programs.ask(n, {"type": kind}) for n in nodes))
        return {
            node: None if answer is None else _text(answer.get(name))
            for node, answer in zip(nodes, answers, strict=True)
        }


def _text(value: Any) -> str:
    """A value, whatever the order of a list."""
    if isinstance(value, list):
        return " ".join(sorted(msgspec.json.encode(each).decode() for each in value))
    return msgspec.json.encode(value).decode()
