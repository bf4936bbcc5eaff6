"""Runs the cases: both systems are up together and take turns, so that a machine that is busy
with other things disturbs both alike; each figure is the median of the turns.

The CPU time of all node processes an operation hardly depends on what else the machine does;
rates and latencies do. So `cpu_ratio` is the figure to trust.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from dynamesis.cluster.process.interpreter import loop_factory
from dynamesis.harness.bench.cases import NodeCase, Setup
from dynamesis.harness.bench.load import Driver, LoadFailed
from dynamesis.harness.bench.systems import (
    Addresses,
    MeshSystem,
    NodeSystem,
    System,
    cpu_seconds,
)
from dynamesis.harness.links import LINKS, LinkContext
from dynamesis.harness.links.base import CLIENT, plan_routes
from dynamesis.harness.processes.ports import Ports, reserve
from dynamesis.harness.processes.process_guard import ProcessGuard
from dynamesis.harness.processes.signals import ending_the_loop
from dynamesis.harness.targets.system import EnvironmentFailed

#: turns that each system has at a case, and seconds of a turn
TURNS, TURN = 5, 0.5


@dataclass(frozen=True)
class Turn:
    """One stretch of load: operations a second, latencies (s) at ranks, CPU (s) an operation."""

    rate: float
    p50: float
    p99: float
    p999: float
    cpu: float


@dataclass(frozen=True)
class Row:
    """A case, and the median of the turns of each system."""

    case: NodeCase
    mesh: Turn
    node: Turn

    @property
    def cpu_ratio(self) -> float:
        return self.node.cpu / self.mesh.cpu

    @property
    def p50_ratio(self) -> float:
        return self.node.p50 / self.mesh.p50

    def to_dict(self) -> dict[str, Any]:
        """As `--json` writes it: times in ms, CPU in us an operation."""
        case, setup = self.case, self.case.setup
        return {
            "op": case.op,
            "storage": setup.storage,
            "in_flight": case.in_flight,
            "size": case.size,
            "nodes": setup.nodes,
            "links": setup.links,
            "cpu_ratio": round(self.cpu_ratio, 3),
            "p50_ratio": round(self.p50_ratio, 3),
            "rate": round(self.node.rate, 1),
            "node": _figures(self.node),
            "mesh": _figures(self.mesh),
        }


def _figures(turn: Turn) -> dict[str, float]:
    return {
        "rate": round(turn.rate, 1),
        "p50_ms": round(1e3 * turn.p50, 3),
        "p99_ms": round(1e3 * turn.p99, 3),
        "p999_ms": round(1e3 * turn.p999, 3),
        "cpu_us": round(1e6 * turn.cpu, 1),
    }


def run(
    cases: Sequence[NodeCase], on_row: Callable[[Row], None], say: Callable[[str], None]
) -> list[Row]:
    """Measure every case, those of one setup one after the other on the same processes;
    on_row() as each is done. Raises EnvironmentFailed."""
    rows: list[Row] = []
    ordered = sorted(cases, key=lambda case: case.setup)
    for setup, group in groupby(ordered, key=lambda case: case.setup):
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            for row in runner.run(_measure(setup, list(group), on_row, say)):
                rows.append(row)
    return rows


async def _measure(
    setup: Setup, cases: list[NodeCase], on_row: Callable[[Row], None], say: Callable[[str], None]
) -> list[Row]:
    rows = []
    with ending_the_loop():
        async with _both(setup, say) as systems:
            for case in cases:
                try:
                    rows.append(await _case(case, systems))
                except LoadFailed as error:
                    what = f"{case.name}: {error}; a machine that is less busy may do it"
                    raise EnvironmentFailed(what) from error
                on_row(rows[-1])
    return rows


@asynccontextmanager
async def _both(
    setup: Setup, say: Callable[[str], None]
) -> AsyncIterator[list[tuple[System, Addresses]]]:
    """Both systems, ready."""
    names = tuple(f"n{i + 1}" for i in range(setup.nodes))
    guard = ProcessGuard.start()
    stops: list[Callable[[], Any]] = []
    kinds = ((MeshSystem, "mesh"), (NodeSystem, "node"))
    wanted = 2 * (2 * setup.nodes + setup.nodes**2 + LINKS[setup.links].api_ports(setup.nodes))
    with tempfile.TemporaryDirectory(prefix="dynamesis-bench-") as root, reserve(wanted) as ports:
        try:
            systems: list[tuple[System, Addresses]] = []
            for kind, name in kinds:
                folder = Path(root) / name
                folder.mkdir()
                context = LinkContext(folder, ports, guard, say, lambda incident: None)
                addresses, stop = await _addresses(setup, names, ports, context)
                stops.append(stop)
                system: System = kind(setup, folder, addresses)
                stops.append(system.stop)
                await system.start()
                systems.append((system, addresses))
            yield systems
        finally:
            for stop in reversed(stops):
                await stop()
            guard.close()


async def _addresses(
    setup: Setup, names: tuple[str, ...], ports: Ports, context: LinkContext
) -> tuple[Addresses, Callable[[], Any]]:
    """Addresses for one system, behind its links, which are up; and what stops them."""
    listen = {name: f"127.0.0.1:{ports.take()}" for name in names}
    admin = {name: f"127.0.0.1:{ports.take()}" for name in names}
    links = LINKS[setup.links].make(context)
    await links.start(plan_routes(listen, (ports.take() for _ in range(len(names) ** 2))))
    peers = {a: {b: links.address(a, b) for b in names if b != a} for a in names}
    clients = {name: links.address(CLIENT, name) for name in names}
    return Addresses(listen, admin, clients, peers), links.stop


async def _case(case: NodeCase, systems: Sequence[tuple[System, Addresses]]) -> Row:
    drivers = [(s, Driver(list(a.clients.values()), s.cluster)) for s, a in systems]
    turns: dict[str, list[Turn]] = {system.name: [] for system, _ in drivers}
    for _, driver in drivers:
        await driver.connect(case.in_flight, case.size)
        await driver.fill()
    for turn in range(TURNS + 1):
        for system, driver in drivers:
            measured = await _turn(case, system, driver)
            if turn:  # the first one warms up
                turns[system.name].append(measured)
    for _, driver in drivers:
        driver.close()
    return Row(case, _median(turns["mesh"]), _median(turns["node"]))


async def _turn(case: NodeCase, system: System, driver: Driver) -> Turn:
    pids = system.pids()
    loop = asyncio.get_running_loop()
    before, began = cpu_seconds(pids), loop.time()
    took = sorted(await driver.run(case.op, TURN))
    cpu, seconds = cpu_seconds(pids) - before, loop.time() - began
    p50, p99, p999 = (took[math.floor(q * len(took))] for q in (0.5, 0.99, 0.999))
    return Turn(len(took) / seconds, p50, p99, p999, cpu / len(took))


def _median(turns: Sequence[Turn]) -> Turn:
    names = ("rate", "p50", "p99", "p999", "cpu")
    return Turn(*(median(getattr(turn, name) for turn in turns) for name in names))
