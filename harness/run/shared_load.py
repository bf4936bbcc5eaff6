"""The load of a test whose drivers schedule it themselves, as the harness sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dynamesis.harness.generators.base import Thread
from dynamesis.harness.run.driver_messages import DriverOrder, Loaded, Progress
from dynamesis.harness.run.drivers import LoadDriver

#: s between two looks whether nodes have come or gone
_LOOK = 0.05


@dataclass(frozen=True)
class SharedLoad:
    """What the harness does about a load that its drivers carry out.

    drivers: which they are
    addresses: where the nodes are now, id -> host:port
    progress: called with what can be seen of the load while it runs
    used: called with the keys that each driver has used
    """

    drivers: list[LoadDriver]
    addresses: Callable[[], Mapping[str, str]]
    progress: Callable[[Progress], None]
    used: Callable[[list[str]], None]

    async def run(self, began: int, stop: asyncio.Event) -> dict[Thread, int]:
        """Until all drivers have ended their shares, early once `stop` is set. The process that
        each thread plays then. Raises EnvironmentFailed or RuntimeError for the first driver that
        fails; the others have ended by then, too."""
        known = dict(self.addresses())
        for driver in self.drivers:
            await driver.open()
            driver.send(DriverOrder(addresses=known))
        loads = [asyncio.create_task(driver.load(began, self.progress)) for driver in self.drivers]
        watching = [
            asyncio.create_task(self._stop_with(stop)),
            asyncio.create_task(self._keep_up(known)),
        ]
        try:
            await asyncio.wait(loads, return_when=asyncio.FIRST_EXCEPTION)
            self._send(DriverOrder(stop=True))
            ended = await asyncio.gather(*loads, return_exceptions=True)
        finally:
            for task in (*watching, *loads):
                task.cancel()
        return self._processes(ended)

    def _processes(self, ended: list[Loaded | BaseException]) -> dict[Thread, int]:
        processes: dict[Thread, int] = {}
        for loaded in ended:
            if isinstance(loaded, BaseException):
                raise loaded
            processes.update(loaded.processes.items())
            self.used(loaded.keys)
        return processes

    async def _stop_with(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._send(DriverOrder(stop=True))

    async def _keep_up(self, known: Mapping[str, str]) -> None:
        """Drivers are to know the nodes as they are: clients dial whatever has joined."""
        while True:
            await asyncio.sleep(_LOOK)
            now = dict(self.addresses())
            if now != known:
                known = now
                self._send(DriverOrder(addresses=now))

    def _send(self, order: DriverOrder) -> None:
        for driver in self.drivers:
            driver.send(order)
