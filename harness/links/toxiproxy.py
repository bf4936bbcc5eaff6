"""Links through Toxiproxy: one server for the clients and one for each node, so that
a server that gets stuck takes only one source's routes with it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dynamesis.harness.links.api import ApiError, ApiTimeout
from dynamesis.harness.links.base import Incident, LinkRoute, route_name
from dynamesis.harness.links.faults import FaultError, LinkFault
from dynamesis.harness.links.server import ToxiproxyServer
from dynamesis.harness.links.toxics import KINDS, toxics
from dynamesis.harness.processes.ports import Ports
from dynamesis.harness.processes.process_guard import ProcessGuard
from dynamesis.harness.targets.system import EnvironmentFailed


class ToxiproxyLinks:
    """Implements harness.links.base.Links. Takes one port of `ports` for each source,
    and writes each server's log to `folder`. `on_incident` gets every server that
    had to be replaced: {"server": source, "pid": of the new one, "reason": why}."""

    name = "toxiproxy"
    kinds = KINDS

    def __init__(
        self,
        binary: Path,
        folder: Path,
        ports: Ports,
        reaper: ProcessGuard,
        on_incident: Callable[[Incident], None],
    ) -> None:
        self._binary = binary
        self._folder = folder
        self._ports = ports
        self._reaper = reaper
        self._on_incident = on_incident
        self._routes: dict[str, LinkRoute] = {}
        self._servers: dict[str, ToxiproxyServer] = {}
        self._threads: dict[str, ThreadPoolExecutor] = {}

    @property
    def pids(self) -> dict[str, int]:
        """The process that carries each source's routes."""
        return {source: server.pid for source, server in self._servers.items()}

    async def start(self, routes: Iterable[LinkRoute]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            await self.add(routes)
        except BaseException:
            await self.stop()
            raise

    async def add(self, routes: Iterable[LinkRoute]) -> None:
        by_source: dict[str, list[LinkRoute]] = defaultdict(list)
        for route in routes:
            self._routes[route.name] = route
            by_source[route.source].append(route)
        done = await asyncio.gather(
            *(self._carry(source, own) for source, own in by_source.items()),
            return_exceptions=True,
        )
        for failure in done:
            if isinstance(failure, ApiError | ApiTimeout):
                raise EnvironmentFailed(str(failure)) from failure
            if isinstance(failure, BaseException):
                raise failure

    async def _carry(self, source: str, routes: list[LinkRoute]) -> None:
        """Have the server of this source carry these routes; start it if there is none."""
        if (server := self._servers.get(source)) is not None:
            self._note(source, await self._run(source, server.add, routes))
            return
        log = self._folder / f"toxiproxy-{source}.log"
        server = ToxiproxyServer(self._binary, self._ports.take(), log, routes, self._reaper)
        self._servers[source] = server
        self._threads[source] = ThreadPoolExecutor(1, f"toxiproxy-{source}")
        await self._run(source, server.start)

    def address(self, source: str, dest: str) -> str:
        return self._routes[route_name(source, dest)].listen

    async def apply(self, faults: Mapping[str, LinkFault]) -> None:
        for name, fault in faults.items():
            if name not in self._routes:
                raise FaultError(f"there is no route {name!r}")
            toxics(fault)
        await self._set(dict(faults))

    async def heal(self, names: Iterable[str] | None = None) -> None:
        await self._set(dict.fromkeys(self._routes if names is None else names))

    async def revive(self) -> None:
        for source, server in list(self._servers.items()):
            try:
                self._note(source, await self._run(source, server.revive))
            except (ApiError, ApiTimeout) as error:
                raise EnvironmentFailed(f"Toxiproxy for {source}: {error}") from error

    async def count(self) -> dict[str, dict[str, int]]:
        """Nothing: Toxiproxy counts a connection's bytes only when it is over."""
        return {}

    async def stop(self) -> None:
        await asyncio.gather(
            *(self._run(source, server.stop) for source, server in self._servers.items()),
            return_exceptions=True,
        )
        for thread in self._threads.values():
            thread.shutdown(wait=False)
        self._servers.clear()
        self._threads.clear()

    async def _set(self, changes: Mapping[str, LinkFault | None]) -> None:
        by_source: dict[str, dict[str, LinkFault | None]] = defaultdict(dict)
        for name, fault in changes.items():
            by_source[self._routes[name].source][name] = fault
        done = await asyncio.gather(
            *(self._set_one(*change) for change in by_source.items()), return_exceptions=True
        )
        for failure in done:
            if isinstance(failure, BaseException):
                raise failure

    async def _set_one(self, source: str, changes: dict[str, LinkFault | None]) -> None:
        server = self._servers[source]
        try:
            reason = await self._run(source, server.set, changes)
        except (ApiError, ApiTimeout) as error:
            raise EnvironmentFailed(f"Toxiproxy for {source}: {error}") from error
        self._note(source, reason)

    def _note(self, source: str, reason: str | None) -> None:
        if reason is not None:
            pid = self._servers[source].pid
            self._on_incident({"server": source, "pid": pid, "reason": reason})

    async def _run(self, source: str, call: Callable[..., Any], *args: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads[source], call, *args)
