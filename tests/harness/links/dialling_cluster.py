"""A cluster of small programs that are not ours, started under a way of dialling."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dynamesis.harness.links import LINKS, LinkContext
from dynamesis.harness.links.dialling import DIALLINGS
from dynamesis.harness.links.dialling.base import Dialling, DiallingContext
from dynamesis.harness.processes.ports import reserve
from dynamesis.harness.processes.process_guard import ProcessGuard

from tests.between_workers import made_once

HERE = Path(__file__).parent
NODES = ("n1", "n2", "n3")
PAIRS = [(a, b) for a in NODES for b in NODES if a != b]
PYTHON = (sys.executable, "-IS", str(HERE / "dial_node.py"))


@dataclass
class Cluster:
    way: Dialling
    processes: dict[str, subprocess.Popen[bytes]]

    async def states(self) -> dict[str, dict[str, Any]]:
        answers = await asyncio.gather(*(self._state(node) for node in NODES))
        return dict(zip(NODES, answers, strict=True))

    async def up(self) -> set[tuple[str, str]]:
        """The pairs (a, b) such that a gets answers from b."""
        states = await self.states()
        return {(a, b) for a, b in PAIRS if states[a]["up"][b]}

    async def received(self) -> dict[tuple[str, str], int]:
        """(a, b) -> requests of a that have reached b."""
        states = await self.states()
        return {(a, b): states[b]["received"][a] for a, b in PAIRS}

    async def receive_nothing(self, silent: tuple[str, str], others: set[tuple[str, str]]) -> bool:
        """Whether b receives no request of a, (a, b) being `silent`, while each of the others
        receives five: more than would have come from a in that time."""
        before = await self.received()

        async def five_more() -> bool:
            now = await self.received()
            return all(now[pair] >= before[pair] + 5 for pair in others)

        await until(five_more)
        return (await self.received())[silent] == before[silent]

    async def _state(self, node: str) -> dict[str, Any]:
        host, port = self.way.reach(node, "client").rsplit(":", 1)
        async with asyncio.timeout(30):
            reader, writer = await asyncio.open_connection(host, int(port))
            answer = await reader.read()
            writer.close()
        return dict(json.loads(answer))


@asynccontextmanager
async def dialling(name: str, proxies: str, folder: Path) -> AsyncIterator[Dialling]:
    """A way of dialling that has started, with proxies of that kind."""
    with reserve(60) as ports, ProcessGuard.start() as guard:
        links = LINKS[proxies].make(LinkContext(folder / "links", ports, guard, print, print))
        numbers = {node: {"peer": ports.take(), "client": ports.take()} for node in NODES}
        context = DiallingContext(numbers, links, ports.take, folder / "dialling", guard)
        way = DIALLINGS[name].make(context)
        await way.start()
        try:
            way.numbers = numbers  # type: ignore[attr-defined]
            yield way
        finally:
            await way.stop()


@asynccontextmanager
async def cluster(
    name: str, proxies: str, folder: Path, program: tuple[str, ...] = PYTHON
) -> AsyncIterator[Cluster]:
    """Three such programs that all reach each other."""
    async with dialling(name, proxies, folder) as way:
        processes = {node: start(way, node, program) for node in NODES}
        try:
            running = Cluster(way, processes)
            await until(lambda: _all_up(running))
            yield running
        finally:
            for process in processes.values():
                process.kill()
                process.wait()


def start(way: Dialling, node: str, program: tuple[str, ...]) -> subprocess.Popen[bytes]:
    ports = way.numbers[node]  # type: ignore[attr-defined]
    word = way.advertised if way.name == "destinations" else None
    peers = [f"{p}={word(p) if word else way.dials(node, p)}" for p in NODES if p != node]
    launch = way.launch(node)
    where = [way.host(node), str(ports["peer"]), str(ports["client"])]
    process = subprocess.Popen(
        [*launch.argv, *program, node, *where, *peers], env=os.environ | launch.environment
    )
    way.launched(node, process.pid)
    return process


async def _all_up(running: Cluster) -> bool:
    try:
        return await running.up() == set(PAIRS)
    except (OSError, TimeoutError, ValueError):
        return False


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    """Wait until what `condition` returns, when awaited, is true."""
    deadline = time.monotonic() + 180
    while not await condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.15)


def need(name: str, links: str | None = "pairs") -> None:
    """Skip, with the reason, where this machine cannot do it."""
    why = DIALLINGS[name].missing(links, [])
    if why is not None:
        pytest.skip(f"{name}: {why}")


def go_program(factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """dial_node.go, built once in a run; skips where there is no Go."""
    if shutil.which("go") is None:
        pytest.skip("no Go on this machine")

    def build(binary: Path) -> None:
        command = ["go", "build", "-o", str(binary), str(HERE / "dial_node.go")]
        settings = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
        subprocess.run(command, check=True, timeout=300, env=os.environ | settings)

    return (str(made_once(factory, "dial_node", build)),)


def alive(pids: list[int]) -> Iterator[int]:
    """Those that have not ended."""
    for pid in pids:
        if Path(f"/proc/{pid}").exists():
            yield pid
