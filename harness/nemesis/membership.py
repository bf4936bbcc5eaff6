"""Changes of the membership: nodes join, leave, or are removed as dead.

A change is not taken back. It ends by itself, once all members agree on a settled layout
that has the nodes that joined and lacks those that left; its proof is that layout. A leaver
that then holds nothing any more is stopped and stays down; a dead node is not started again.
Where a change cannot be requested immediately, since no node runs, it is requested later.

With `back` a change is followed by its contrary, `after_ms` later: a newcomer leaves again,
so that its partitions move away and back; a leaver that is hardly out joins again,
with all that it still has; a node that was removed as dead comes again under its name, with
nothing on its disk. A store may refuse a name that was used before: then that is part of the
proof, and the node is stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress

from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.nemesis.fault_handler import Look, LookAfter, Proof
from dynamesis.harness.nemesis.faults import MembershipChange, MembershipFault
from dynamesis.harness.nemesis.packages import NEWCOMERS
from dynamesis.harness.processes.patience import Patience
from dynamesis.harness.targets.capabilities import Exchanges, MemberAdmin, NodeObserver
from dynamesis.harness.targets.reports import MembershipView
from msgspec import structs

#: Starts a node that is not a member yet, with links to and from all others; under a name that
#: was used before, with nothing on its disk.
StartNode = Callable[[str], Awaitable[None]]
#: s that all changes together may take once everything else has been healed; one that comes
#: back is two
_SETTLE = 15.0
_BACK = 10.0
#: s in which a request that was accepted, although its answer was lost, comes about
_TAKEN_BEFORE = 1.0
_LOOK = 0.25
#: s until a change is requested again that has not come about
_ASK_AGAIN = 3.0


class _NeverLeft(Exception):
    """The one node that had accepted a leave, and knew of it, died before it was durable."""


class MembershipFaults:
    """Requests changes, and follows each until it has come about."""

    def __init__(
        self,
        observed: NodeObserver,
        admin: MemberAdmin,
        start_node: StartNode,
        exchanges: Exchanges | None = None,
        slower: float = 0.0,
    ) -> None:
        """`exchanges`: how to have nodes compare what moves, where they do that seldom; `slower`: s
        more than usual that all changes together may take."""
        self._observed = observed
        self._admin = admin
        self._start_node = start_node
        self._exchanges = exchanges
        self._founders = len(observed.nodes)
        self._came = 0
        self._going: set[str] = set()
        #: asked to join under a name that was used before, and not members yet
        self._returning: set[str] = set()
        self._changes: list[asyncio.Task[None]] = []
        self._patience = _SETTLE + slower
        #: by number of the fault and node: what came of joining under a name that was used before
        self._again: dict[int, dict[str, str]] = {}

    def resolve(self, fault: MembershipFault) -> MembershipChange | None:
        """The nodes that now join, leave and are removed: no more than there is room for, and
        no fewer members than `keep` left. None if there are none."""
        among = [node for node in fault.among if self._is_member(node)]
        removes = among[: fault.removes]
        joins = [
            f"n{self._founders + self._came + number}"
            for number in range(1, min(fault.joins, NEWCOMERS - self._came) + 1)
        ]
        members = len([node for node in self._observed.nodes if self._is_member(node)])
        room = max(0, members + len(joins) - fault.keep)
        leaves = [] if removes else among[: min(fault.leaves, room)]
        if not joins and not leaves and (not removes or not room):
            return None
        if fault.back:
            joins, leaves = joins or leaves or removes, leaves or joins
        return MembershipChange(
            joins=joins, leaves=leaves, removes=removes, back=fault.back,
            after_ms=fault.after_ms, among=fault.among, keep=fault.keep,
        )  # fmt: skip

    async def inject(self, number: int, fault: MembershipChange) -> Look:
        version = await self._version()
        change = fault if not fault.back else _first_half(fault, set(self._observed.nodes))
        for node in change.joins:
            self._came += 1
            await self._start_node(node)
        for node in change.removes:
            self._going.add(node)
            await self._observed.processes.kill(node)
            await self._admin.retire(node)
        self._going.update(change.leaves)
        task = asyncio.create_task(self._whole(number, change))
        self._changes.append(task)
        self._patience += _BACK if change.back else 0
        return self._proof(task, version, number, change.leaves)

    async def lift(self, number: int, fault: MembershipChange) -> None:
        """There is no way back."""

    async def settle(self) -> None:
        """Wait until all changes have come about, the second half of the time with nodes that are
        asked for the exchanges by which data moves: with the intervals of production these are
        minutes apart. Raises RuntimeError if they do not."""
        if not self._changes:
            return
        patience, pending = Patience(self._patience), set(self._changes)
        alone = Patience(self._patience / 2)
        while pending and not patience.over:
            _, pending = await asyncio.wait(pending, timeout=_LOOK)
            if pending and alone.over and self._exchanges is not None:
                await asyncio.gather(*map(self._exchanges.exchange, self._observed.nodes))
        for change in (change for change in self._changes if change in pending):
            change.cancel()
        if pending:
            views = await self._views()
            shown = {node: view and view.as_value() for node, view in views.items()}
            why = f"membership not settled after {self._patience:g} s"
            raise RuntimeError(f"{why}{_without_partitions(views.values())}: {shown}")

    def _stays(self, node: str) -> bool:
        return node in self._observed.nodes and node not in self._going

    def _is_member(self, node: str) -> bool:
        """Whether it can leave or be removed. A store refuses that for a node on its way back."""
        return self._stays(node) and node not in self._returning

    async def _whole(self, number: int, change: MembershipChange) -> None:
        """A change, and its contrary where that is wanted."""
        if not change.back:
            await self._carry_out(change)
            return
        seen = self._again.setdefault(number, {})
        pause = (change.after_ms or 0) / 1000
        for node in change.leaves:
            while node not in seen:
                before = await self._version()
                await self._leave(node)
                await asyncio.sleep(pause)
                with suppress(_NeverLeft):
                    seen[node] = await self._come_back(node, before)
        if change.removes:
            await self._carry_out(change)
            await asyncio.sleep(pause)
            for node in change.removes:
                await self._start_node(node)
                seen[node] = await self._come_back(node, -1)
        elif not change.leaves:
            await self._carry_out(change)
            await asyncio.sleep(pause)
            self._going.update(change.joins)
            await self._carry_out(structs.replace(change, joins=[], leaves=change.joins))

    async def _leave(self, node: str) -> None:
        """Have a node leave. Not until all agree: it is to come back while it still gives away what
        it has."""
        self._going.add(node)
        await self._until_accepted("leave", node)
        while not await self._is_out_within(_ASK_AGAIN, node):
            # the node that accepted it may have died before it could pass it on
            with suppress(ValueError):
                await self._accepted("leave", node)

    async def _come_back(self, node: str, before: int) -> str:
        """Have a node that has gone join again; what came of it, in words. `before`: the version of
        the layout before it went. Raises _NeverLeft."""
        self._going.discard(node)
        self._returning.add(node)
        change = MembershipChange(joins=[node], leaves=[], removes=[], among=[], keep=0)
        try:
            await self._carry_out(change)
        except ValueError as refused:
            # refused, where the answer to the first request was lost: it is a member by now
            agreed = await self._agreed_within(_TAKEN_BEFORE, change)
            if await self._version() <= before:
                raise _NeverLeft from refused
            if agreed:
                return "joined"
            self._going.add(node)
            await self._see_off(node)
            return str(refused)
        finally:
            self._returning.discard(node)
        return "joined"

    async def _version(self) -> int:
        """The latest layout that is known to a node which answers; 0 where none does."""
        views = (await self._views()).values()
        return max((view.version for view in views if view is not None), default=0)

    async def _is_out(self, node: str) -> bool:
        """Whether any node knows of a layout without this node."""
        views = await self._views()
        return any(view is not None and node not in view.members for view in views.values())

    async def _is_out_within(self, seconds: float, node: str) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not await self._is_out(node):
                    await asyncio.sleep(_LOOK)
                return True
        return False

    async def _carry_out(self, change: MembershipChange) -> None:
        """Request the change, all of one kind together, wait for it, and stop the leavers."""
        kinds = {"join": change.joins, "leave": change.leaves, "remove": change.removes}
        for kind, nodes in kinds.items():
            after = [] if kind == "join" else change.joins
            await asyncio.gather(*(self._until_accepted(kind, node, after) for node in nodes))
        while not await self._agreed_within(_ASK_AGAIN, change):
            for kind, nodes in kinds.items():
                for node in nodes:
                    # the node that accepted it may have died before it could pass it on
                    try:
                        await self._accepted(kind, node)
                    except ValueError:
                        # as a member already; or finally: the cluster has closed its name
                        if node in self._returning and await self._agreed([], [node]):
                            raise
        for node in change.leaves:
            await self._see_off(node)

    async def _see_off(self, node: str) -> None:
        """Stop a leaver once it holds nothing any more."""
        while not await self._is_done_with(node):
            await asyncio.sleep(_LOOK)
        await self._admin.retire(node)

    async def _until_accepted(self, kind: str, node: str, after: Collection[str] = ()) -> None:
        """Request a change until a node accepts it. `after`: newcomers that were accepted before;
        a refusal counts once they are known, since without them too few members may be left."""
        while True:
            try:
                if await self._accepted(kind, node):
                    return
            except ValueError:
                if await self._know(after):
                    raise
                for newcomer in after:  # the node that accepted it may have died
                    with suppress(ValueError):
                        await self._accepted("join", newcomer)
            await asyncio.sleep(_LOOK)

    async def _know(self, newcomers: Collection[str]) -> bool:
        """Whether newcomers, and all nodes that stay and answer, have them as members."""
        views = await self._views()
        return all(views.get(node) is not None for node in newcomers) and all(
            {*newcomers} <= {*view.members}
            for node, view in views.items()
            if view is not None and self._stays(node)
        )

    async def _agreed_within(self, seconds: float, change: MembershipChange) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not await self._agreed(change.joins, change.leaves + change.removes):
                    await asyncio.sleep(_LOOK)
                return True
        return False

    async def _accepted(self, kind: str, node: str) -> bool:
        """Whether a node accepted the request. Raises ValueError if it was refused."""
        try:
            await self._admin.change(kind, node)
        except RuntimeError:
            return False
        return True

    async def _agreed(self, came: list[str], went: list[str]) -> bool:
        """Whether all nodes that stay have settled on one layout of this kind."""
        staying = [node for node in self._observed.nodes if self._stays(node)]
        came = [node for node in came if self._stays(node)]
        # while the first of them still changes, the others need not be asked
        for nodes in (staying[:1], staying):
            views = (await self._views(nodes)).values()
            if not all(view is not None and _has_settled(view, came, went) for view in views):
                return False
        return len({view.version for view in views if view is not None}) == 1

    async def _is_done_with(self, node: str) -> bool:
        """Whether a leaver holds nothing any more, and another node knows that. One that was cut
        off may not even know that it left; and until the ring has settled it still gives away."""
        status = await self._observed.status(node)
        if status is None or status.objects or status.hints:
            return False
        views = await self._views()
        others = (view for other, view in views.items() if other != node)
        return any(
            view is not None and view.settled and node not in {*view.members, *view.former}
            for view in others
        )

    async def _views(self, nodes: Sequence[str] | None = None) -> dict[str, MembershipView | None]:
        """The membership as each node sees it, or each of these; None where it does not answer."""
        nodes = self._observed.nodes if nodes is None else nodes
        answers = await self._observed.statuses(nodes)
        return {
            node: None if answer is None else answer.membership
            for node, answer in zip(nodes, answers, strict=True)
        }

    def _proof(
        self, change: asyncio.Task[None], before: int, number: int, leaves: list[str]
    ) -> Look:
        async def look() -> Proof:
            views = await self._views()
            known = [view for view in views.values() if view is not None]
            view = max(known, key=lambda view: view.version, default=None)
            shown = {} if view is None else view.as_value()
            detail: JsonObject = {"version_before": before, "membership": shown}
            if not change.done() or change.cancelled():
                return Proof(False, False, detail)
            if (failure := change.exception()) is not None:
                return Proof(False, True, {**detail, "failure": str(failure)})
            grown = view is not None and view.version > before
            back = self._again.get(number)
            if back is None:
                return Proof(grown, grown, {**detail, "retired": leaves}, over=True)
            return Proof(grown, grown, {**detail, "back": dict(back)}, over=True)

        return LookAfter(change, look)


def _has_settled(view: MembershipView, came: Collection[str], went: Collection[str]) -> bool:
    """Whether a node knows of a settled layout with and without these nodes. A newcomer owns a part
    of the ring, unless there are fewer partitions than members: some of these have none then."""
    members, few = {*view.members}, 0 < sum(view.owned.values()) < len(view.members)
    owning = all(view.owned.get(node) or (few and node in members) for node in came)
    return view.settled and owning and not {*went} & members


def _without_partitions(views: Iterable[MembershipView | None]) -> str:
    """Members that own nothing of a settled ring, as a test's `weights` may have it, in words."""
    settled = [view for view in views if view is not None and view.settled]
    found = {node for view in settled for node in view.members if view.owned.get(node) == 0}
    return f"; {', '.join(sorted(found))} owned no partition (weights)" if found else ""


def _first_half(change: MembershipChange, members: set[str]) -> MembershipChange:
    """Of a change that is followed by its contrary, only what is requested first: that newcomers
    join, or that members go."""
    joins = [node for node in change.joins if node not in members]
    leaves = [] if change.removes else [node for node in change.leaves if node in members]
    return structs.replace(change, joins=joins, leaves=leaves)
