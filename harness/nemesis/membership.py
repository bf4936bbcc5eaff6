"""Changes of the membership: nodes join, leave, or are removed as dead.

A change is not taken back. It ends by itself, once all members agree on a settled layout
with those in it who joined and without those who left; its proof is that layout. A leaver
that then holds nothing any more is stopped for good; a dead node is not started again.
Where a change cannot be asked for at once, since nobody runs, it is asked for later.

With `back` a change is followed by its contrary, `after_ms` later: a newcomer leaves again,
so that its partitions move away and back; a leaver that is hardly out is asked in again,
with all that it still has; a node that was removed as dead comes again under its name, with
nothing on its disk. A store may refuse a name that was used before: then that is part of the
proof, and the node is stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from dynamesis.harness.nemesis.fault_handler import Look, Proof
from dynamesis.harness.nemesis.packages import NEWCOMERS
from dynamesis.harness.processes.patience import Patience
from dynamesis.harness.targets.system import System

#: Starts a node that is no member yet, with links to and from all others; under a name that
#: was used before, with nothing on its disk.
Welcome = Callable[[str], Awaitable[None]]
#: s that all changes together may take once everything else has been healed; one that comes
#: back is two
_SETTLE = 15.0
_BACK = 10.0
#: s in which a request that was taken, although no answer said so, comes about
_TAKEN_BEFORE = 1.0
_LOOK = 0.1
#: s until a change is asked for again that has not come about
_ASK_AGAIN = 3.0


class MembershipFaults:
    """Asks for changes, and follows each until it has come about."""

    def __init__(self, system: System, welcome: Welcome) -> None:
        self._system = system
        self._welcome = welcome
        self._founders = len(system.nodes)
        self._came = 0
        self._going: set[str] = set()
        self._changes: list[asyncio.Task[None]] = []
        self._patience = _SETTLE
        #: by fault: how a name that was used before was taken
        self._again: dict[int, dict[str, Any]] = {}

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
        if value.get("back"):
            joins, leaves = joins or leaves or removes, leaves or joins
        return {**value, "joins": joins, "leaves": leaves, "removes": removes}

    async def inject(self, fault: int, value: dict[str, Any]) -> Look:
        before = await self._views()
        founders = set(self._system.nodes)
        value = value if not value.get("back") else _first_half(value, founders)
        for node in value["joins"]:
            self._came += 1
            await self._welcome(node)
        for node in value["removes"]:
            self._going.add(node)
            await self._system.kill(node)
            await self._system.retire(node)
        self._going.update(value["leaves"])
        change = asyncio.create_task(self._whole(fault, value))
        self._changes.append(change)
        self._patience += _BACK if value.get("back") else 0
        version = max((view["version"] for view in before.values() if view), default=0)
        return self._proof(change, version, fault, value)

    async def lift(self, fault: int, value: dict[str, Any]) -> None:
        """There is no way back."""

    async def settle(self) -> None:
        """Wait until all changes have come about. Raises RuntimeError if they do not."""
        if not self._changes:
            return
        patience, pending = Patience(self._patience), set(self._changes)
        while pending and not patience.over:
            _, pending = await asyncio.wait(pending, timeout=_LOOK)
        for change in pending:
            change.cancel()
        if pending:
            views = await self._views()
            raise RuntimeError(f"membership not settled after {self._patience:g} s: {views}")

    def _stays(self, node: str) -> bool:
        return node in self._system.nodes and node not in self._going

    async def _whole(self, fault: int, value: dict[str, Any]) -> None:
        """A change, and its contrary where that is wanted."""
        if not value.get("back"):
            await self._carry_out(value)
            return
        seen = self._again.setdefault(fault, {})
        pause = value.get("after_ms", 0) / 1000
        for node in value["leaves"]:
            await self._until_taken("leave", node)
            # not until all agree: it is to come back while it still gives away what it has
            while not await self._is_out(node):
                await asyncio.sleep(_LOOK)
            await asyncio.sleep(pause)
            seen[node] = await self._come_back(node)
        if value["removes"]:
            await self._carry_out(value)
            await asyncio.sleep(pause)
            for node in value["removes"]:
                await self._welcome(node)
                seen[node] = await self._come_back(node)
        elif not value["leaves"]:
            await self._carry_out(value)
            await asyncio.sleep(pause)
            self._going.update(value["joins"])
            await self._carry_out({**value, "joins": [], "leaves": value["joins"]})

    async def _come_back(self, node: str) -> str:
        """Ask for a node that has gone to join; what came of it, in words."""
        self._going.discard(node)
        change = {"joins": [node], "leaves": [], "removes": []}
        try:
            await self._carry_out(change)
        except ValueError as refused:
            # who asked again because no answer came is refused since it is a member by now
            if await self._agreed_within(_TAKEN_BEFORE, change):
                return "joined"
            self._going.add(node)
            await self._see_off(node)
            return str(refused)
        return "joined"

    async def _is_out(self, node: str) -> bool:
        """Whether somebody knows of a layout without this node."""
        views = await self._views()
        return any(view is not None and node not in view["members"] for view in views.values())

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
            await self._see_off(node)

    async def _see_off(self, node: str) -> None:
        """Stop a leaver once it holds nothing any more."""
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

    def _proof(
        self, change: asyncio.Task[None], before: int, fault: int, value: dict[str, Any]
    ) -> Look:
        async def look() -> Proof:
            views = await self._views()
            view = max(filter(None, views.values()), key=lambda view: view["version"], default={})
            detail = {"version_before": before, "membership": view}
            if not change.done() or change.cancelled():
                return Proof(False, False, detail)
            if (failure := change.exception()) is not None:
                return Proof(False, True, {**detail, "failure": str(failure)})
            grown = view.get("version", 0) > before
            back = self._again.get(fault)
            if back is None:
                return Proof(grown, grown, {**detail, "retired": value["leaves"]}, over=True)
            return Proof(grown, grown, {**detail, "back": dict(back)}, over=True)

        return look


def _first_half(value: dict[str, Any], members: set[str]) -> dict[str, Any]:
    """Of a change that comes back, only what is asked for at first: that newcomers join, or
    that members go."""
    joins = [node for node in value["joins"] if node not in members]
    leaves = [] if value["removes"] else [n for n in value["leaves"] if n in members]
    return {**value, "joins": joins, "leaves": leaves}
