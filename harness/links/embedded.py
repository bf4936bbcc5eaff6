"""Links through a proxy process of our own, for machines without Toxiproxy and for faults
that Toxiproxy cannot do: on whole frames, and stalls. It counts what it carries."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from dynamesis.harness.links.base import Incident, LinkRoute, route_name
from dynamesis.harness.links.faults import FAULTS, FaultError, LinkFault
from dynamesis.harness.processes.lifeline import PARENT
from dynamesis.harness.processes.process_guard import ProcessGuard
from dynamesis.harness.targets.system import EnvironmentFailed

#: s that the proxy may take for an answer
_TIMEOUT = 5.0


class EmbeddedLinks:
    """Implements harness.links.base.Links. `on_incident` is called when the proxy had to be
    replaced."""

    name = "embedded"
    kinds = frozenset(FAULTS)

    def __init__(
        self, folder: Path, reaper: ProcessGuard, on_incident: Callable[[Incident], None]
    ) -> None:
        self._log = folder / "proxy.log"
        self._reaper = reaper
        self._on_incident = on_incident
        self._routes: dict[str, LinkRoute] = {}
        self._faults: dict[str, LinkFault] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    @property
    def pids(self) -> dict[str, int]:
        """The process that carries the routes."""
        return {} if self._process is None else {"proxy": self._process.pid}

    async def start(self, routes: Iterable[LinkRoute]) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._routes = {route.name: route for route in routes}
        try:
            await self._launch()
        except (_Silent, _Refused) as failure:
            await self.stop()
            raise EnvironmentFailed(f"the proxy: {failure}; its log is {self._log}") from failure

    async def add(self, routes: Iterable[LinkRoute]) -> None:
        added = {route.name: route for route in routes}
        self._routes |= added
        order = {"routes": [dataclasses.asdict(route) for route in added.values()]}
        async with self._turn:
            await self._give(order)

    def address(self, source: str, dest: str) -> str:
        return self._routes[route_name(source, dest)].listen

    async def apply(self, faults: Mapping[str, LinkFault]) -> None:
        for name, fault in faults.items():
            if name not in self._routes:
                raise FaultError(f"there is no route {name!r}")
            fault.validate()
        self._faults |= faults
        await self._order_set(dict(faults))

    async def heal(self, names: Iterable[str] | None = None) -> None:
        wanted = self._faults if names is None else names
        healed = [name for name in wanted if name in self._faults]
        for name in healed:
            del self._faults[name]
        await self._order_set(dict.fromkeys(healed))

    async def revive(self) -> None:
        async with self._turn:
            if self._process is not None and self._process.returncode is not None:
                await self._replace("it has ended")

    async def count(self) -> dict[str, dict[str, int]]:
        async with self._turn:
            counts: dict[str, dict[str, int]] = await self._ask({"count": True})
        return counts

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.wait()
        self._reaper.drop(process.pid)

    async def _launch(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "dynamesis.harness.links.proxy"),
                env=os.environ | {PARENT: str(os.getpid())},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._reaper.add(self._process.pid)
        await self._ask({"routes": [dataclasses.asdict(r) for r in self._routes.values()]})
        await self._ask({"set": {name: _plain(fault) for name, fault in self._faults.items()}})

    async def _order_set(self, changes: Mapping[str, LinkFault | None]) -> None:
        if not changes:
            return
        async with self._turn:
            await self._give({"set": {name: _plain(fault) for name, fault in changes.items()}})

    async def _give(self, order: Mapping[str, object]) -> None:
        """Have an order carried out that is part of `_routes` and `_faults` already, so that
        a proxy which has to be replaced knows of it."""
        try:
            await self._ask(order)
        except _Silent as silence:
            await self._replace(str(silence))
        except _Refused as refusal:
            raise EnvironmentFailed(f"the proxy: {refusal}") from refusal

    async def _replace(self, reason: str) -> None:
        await self.stop()
        try:
            await self._launch()
        except (_Silent, _Refused) as failure:
            raise EnvironmentFailed(f"the proxy: {failure}; its log is {self._log}") from failure
        self._on_incident({"server": "proxy", "pid": self.pids["proxy"], "reason": reason})

    async def _ask(self, order: Mapping[str, object]) -> Any:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(_TIMEOUT):
                process.stdin.write(json.dumps(order).encode() + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
        except (TimeoutError, ConnectionError) as error:
            raise _Silent(f"no answer within {_TIMEOUT} s") from error
        if not line:
            raise _Silent("it has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise _Refused(answer["error"])
        return answer["ok"]


class _Silent(Exception):
    """The proxy is gone, or does not answer."""


class _Refused(Exception):
    """The proxy answered with an error."""


def _plain(fault: LinkFault | None) -> dict[str, object] | None:
    return None if fault is None else {"kind": fault.kind, **dataclasses.asdict(fault)}
