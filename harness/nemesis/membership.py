"""Changes of the membership: nodes join, leave, or are removed as dead.

A change is not taken back. It ends by itself, once all members agree on a settled layout
with those in it who joined and without those who left; its proof is that layout. A leaver
that then holds nothing any more is stopped for good; a dead node is not started again.
Where a change cannot be asked for at once, since nobody runs, it is asked for later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from harness.nemesis.effects import Look, Proof
from harness.nemesis.packages import NEWCOMERS
from harness.patience import Patience
from harness.system import System

#: Starts a node that is no member yet, with links to and from all others.
Welcome = Callable[[str], Awaitable[None]]
#: s that all changes together may take once everything else has been healed
_SETTLE = 15.0
_LOOK = 0.1
#: s until a change is asked for again that has not come about
_ASK_AGAIN = 3.0


class Membership:
    """Asks for changes, and follows each until it has come about."""

    def __init__(self, system: System, welcome: Welcome) -> None:
        self._system = system
        self._welcome = welcome
        self._founders = len(system.nodes)
        self._came = 0
        self._going: set[str] = set()
        self._changes: list[asyncio.Task[None]] = []

    def resolve(self, value: dict[str, Any]) -> dict[str, Any] | None:
        """`value` with the names of those who now join, leave and are removed: no more
        than there is room for, and no fewer members than `keep` left. None if nobody is."""
        among = [node for node in value["among"] if self._stays(node)]
        removes = among[: value["removes"]]
        joins = [
            f"n{self._founders + self._came + number}"
            for number in range(1, min(value["joins"], NEWCOMERS - self._came) + 1)
        ]
        members = len([node for node in self._system.nodes if self._stays(node)])
        room = max(0, members + len(joins) - value["keep"])
        leaves = [] if removes else among[: min(value["leaves"], room)]
        if not joins and not leaves and (not removes or not room):
            return None
        return {**value, "joins": joins, "leaves": leaves, "removes": removes}

    async def inject(self, fault: int, value: dict[str, Any]) -> Look:
        before = await self._views()
        for node in value["joins"]:
            self._came += 1
            await self._welcome(node)
        for node in value["removes"]:
            self._going.add(node)
            await self._system.kill(node)
            await self._system.retire(node)
        self._going.update(value["leaves"])
        change = asyncio.create_task(self._carry_out(value))
        self._changes.append(change)
        version = max((view["version"] for view in before.values() if view), default=0)
        return self._proof(change, version, value)

    async def lift(self, fault: int, value: dict[str, Any]) -> None:
        """There is no way back."""

    async def settle(self) -> None:
        """Wait until all changes have come about. Raises RuntimeError if they do not."""
        if not self._changes:
            return
        patience, pending = Patience(_SETTLE), set(self._changes)
        while pending and not patience.over:
            _, pending = await asyncio.wait(pending, timeout=_LOOK)
        for change in pending:
            change.cancel()
        if pending:
            views = await self._views()
            raise RuntimeError(f"membership not settled after {_SETTLE:g} s: {views}")

    def _stays(self, node: str) -> bool:
        return node in self._system.nodes and node not in self._going

    async def _carry_out(self, value: dict[str, Any]) -> None:
        """Ask for the change, for all of one kind at once, wait for it, and see the leavers
        off."""
        asked = [(kind, node) for kind in ("join", "leave", "remove") for node in value[f"{kind}s"]]
        for kind in ("join", "leave", "remove"):
            await asyncio.gather(*(self._until_taken(kind, node) for node in value[f"{kind}s"]))
        while not await self._agreed_within(_ASK_AGAIN, value):
            for kind, node in asked:
                # who heard of it may have died before anybody else did
                with suppress(ValueError):
                    await self._asked(kind, node)
        for node in value["leaves"]:
            while not await self._is_done_with(node):
                await asyncio.sleep(_LOOK)
            await self._system.retire(node)

    async def _until_taken(self, kind: str, node: str) -> None:
        while not await self._asked(kind, node):
            await asyncio.sleep(_LOOK)

    async def _agreed_within(self, seconds: float, value: dict[str, Any]) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not await self._agreed(value["joins"], value["leaves"] + value["removes"]):
                    await asyncio.sleep(_LOOK)
                return True
        return False

    async def _asked(self, kind: str, node: str) -> bool:
        """Whether somebody took the request. Raises ValueError if it was refused."""
        try:
            await self._system.change(kind, node)
        except RuntimeError:
            return False
        return True

    async def _agreed(self, came: list[str], went: list[str]) -> bool:
        """Whether all who stay say that they have settled on one layout of this kind."""
        views = await self._views()
        staying = [views[node] for node in views if self._stays(node)]
        return bool(staying) and all(
            view is not None
            and view["settled"]
            and view["version"] == (staying[0] or {})["version"]
            and all(view["owned"].get(node) for node in came if self._stays(node))
            and not set(went) & set(view["members"])
            for view in staying
        )

    async def _is_done_with(self, node: str) -> bool:
        """Whether a leaver holds nothing any more, and some other node knows that."""
        status = await self._system.status(node)
        if status is None or status["objects"] or status["hints"]:
            return False
        views = await self._views()
        others = (view for other, view in views.items() if other != node)
        return any(view is not None and node not in view["former"] for view in others)

    async def _views(self) -> dict[str, dict[str, Any] | None]:
        """What each node says of the membership; None where it does not answer."""
        nodes = self._system.nodes
        answers = await asyncio.gather(*map(self._system.status, nodes))
        return {
            node: answer.get("membership") if answer else None
            for node, answer in zip(nodes, answers, strict=True)
        }

    def _proof(self, change: asyncio.Task[None], before: int, value: dict[str, Any]) -> Look:
        async def look() -> Proof:
            views = await self._views()
            view = max(filter(None, views.values()), key=lambda view: view["version"], default={})
            detail = {"version_before": before, "membership": view}
            if not change.done() or change.cancelled():
                return Proof(False, False, detail)
            if (failure := change.exception()) is not None:
                return Proof(False, True, {**detail, "failure": str(failure)})
            grown = view.get("version", 0) > before
            return Proof(grown, grown, {**detail, "retired": value["leaves"]}, over=True)

        return look
