"""Changes of the membership of a user's store, by the async methods `join` and `leave` of its
target: harness.targets.capabilities.MemberAdmin and Newcomers.

A layout has no version of its own there. It is given one: how many changes were accepted when its
members became what they are, so that a layout that comes again is a later one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from dynamesis.harness.targets.site import NodeSite, Site
from dynamesis.harness.targets.target import Target


class NodeProcesses(Protocol):
    """What a change needs of the processes."""

    nodes: tuple[str, ...]

    def state(self, node: str) -> str: ...

    async def admit(self, node: str) -> None:
        """Start the process of a node that is to join, and wait until it listens."""

    async def dismiss(self, node: str) -> None:
        """Stop a node, which is not among `nodes` from then on."""

    async def wipe(self, node: str) -> None: ...


class ProcessMembers:
    """Members of a store whose nodes are processes."""

    def __init__(self, target: Target, site: Site, processes: NodeProcesses) -> None:
        self._target = target
        self._site = site
        self._processes = processes
        #: the members after each accepted change
        self._layouts = [frozenset(site.nodes)]
        #: by node that has gone: those that came after that
        self._strangers: dict[str, tuple[str, ...]] = {}

    def version_of(self, members: frozenset[str]) -> int:
        """The number of the last change that led to these members; -1: none did."""
        layouts = self._layouts
        return max((n for n, layout in enumerate(layouts) if layout == members), default=-1)

    # ---- MemberAdmin

    async def change(self, kind: str, node: str) -> None:
        hook = self._target.join if kind == "join" else self._target.leave  # type: ignore[attr-defined]
        failure: Exception | None = None
        for by in self._askable(node):
            try:
                async with asyncio.timeout(self._target.op_limit):
                    await hook(self._site.node[node], self._site.node[by], self._site)
            except ValueError:
                raise
            except Exception as failed:
                failure = failed
                continue
            self._accepted(kind, node)
            return
        raise RuntimeError(f"no member accepted that {node} is to {kind}: {failure!r}")

    async def retire(self, node: str) -> None:
        await self._processes.dismiss(node)
        self._strangers[node] = ()

    # ---- Newcomers

    def strangers(self, node: str) -> tuple[str, ...]:
        return self._strangers.get(node, ())

    async def add(
        self, node: NodeSite, dials: Mapping[str, str], dialled_by: Mapping[str, str]
    ) -> None:
        for gone in self._strangers:
            self._strangers[gone] += (node.name,)
        await self._processes.admit(node.name)

    async def add_again(
        self, node: str, dials: Mapping[str, str], dialled_by: Mapping[str, str]
    ) -> None:
        await self._processes.wipe(node)
        self._strangers.pop(node, None)
        await self._processes.admit(node)

    # ---- inside

    def _askable(self, node: str) -> list[str]:
        """The members that run, beside the node that the change is of."""
        running = [
            each for each in self._processes.nodes if self._processes.state(each) == "running"
        ]
        return [each for each in running if each != node and each in self._layouts[-1]]

    def _accepted(self, kind: str, node: str) -> None:
        last = self._layouts[-1]
        layout = last | {node} if kind == "join" else last - {node}
        if layout != last:
            self._layouts.append(layout)
