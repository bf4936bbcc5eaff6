"""One driver's share of the load: scheduled, carried out and recorded in its process.

A share is a load of its own, for some of the client threads, at their part of the rate. Its history
is a part (`harness.results.parts`): numbered for itself, stamped by the clock of the machine and
counted from when the test began, so that the parts of all drivers and the history of the harness,
which has the faults, make one history in the order of their times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators.base import Generator, Thread
from dynamesis.harness.generators.schedule import Schedule, Workers
from dynamesis.harness.generators.validate import diagnosed
from dynamesis.harness.results.parts import claim, part
from dynamesis.harness.run.driver_messages import Loaded, Progress
from dynamesis.harness.run.interpreter import Interpreter, Worker
from dynamesis.harness.run.recorder import Recorder

#: s between two reports of what the load does
_REPORT = 0.1


class Keys(Protocol):
    """Collects the keys that a history uses."""

    def observe(self, event: Op) -> None: ...

    @property
    def keys(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class LoadPlan:
    """How a load is shared out.

    folder: where the parts of its history go
    threads: how many client threads there are
    generator: makes the load of one driver from its number, from 0, and how many there are
    aimed: the keys that faults may aim at: of these the harness learns the coordinators
    keys: makes what collects the keys that are used
    """

    folder: Path
    threads: int
    generator: Callable[[int, int], Generator]
    aimed: frozenset[str]
    keys: Callable[[], Keys]

    def of(self, number: int, drivers: int) -> range:
        """The threads of a driver."""
        return range(number, self.threads, drivers)


class LoadShare:
    """Driver `number` (from 0) of so many, at its load. `report` sends what can be seen of it."""

    def __init__(
        self, shares: LoadPlan, number: int, drivers: int, report: Callable[[Progress], None]
    ) -> None:
        self._shares = shares
        self._number, self._drivers = number, drivers
        self._report = report
        self._aimed = shares.aimed
        self._counts: dict[str, int] = {}
        self._newest: dict[str, Op] = {}
        #: operations that have ended
        self.completed = 0

    async def run(
        self, began: int, workers: Mapping[Thread, Worker], stop: asyncio.Event
    ) -> Loaded:
        """The whole load. The history stays claimed until this process ends."""
        path, used = part(self._shares.folder, self._number + 1), self._shares.keys()
        claim(path)
        with Recorder(path, self._observe, used.observe, began=began) as recorder:
            reporting = asyncio.create_task(self._report_often(recorder))
            try:
                ended = await Interpreter(recorder, workers, stop).run(self._schedule())
            finally:
                reporting.cancel()
                with suppress(asyncio.CancelledError):
                    await reporting
            self._report_now(recorder.now())
        processes = {t: p for t, p in ended.workers.processes.items() if isinstance(t, int)}
        return Loaded({t: int(p) for t, p in processes.items()}, list(used.keys))

    def _schedule(self) -> Schedule:
        """Of its own threads only; a process that is retired is followed by one of the same thread,
        and so by a number that no other driver has."""
        threads = tuple(self._shares.of(self._number, self._drivers))
        load = self._shares.generator(self._number, self._drivers)
        own = Workers(self._shares.threads, threads, {thread: thread for thread in threads})
        return Schedule(diagnosed(load), own)

    def _observe(self, event: Op) -> None:
        if event.type == "invoke":
            return
        self.completed += 1
        self._counts[event.type] = self._counts.get(event.type, 0) + 1
        if event.key in self._aimed and event.type == "ok" and event.f != "get":
            self._newest[str(event.key)] = event

    async def _report_often(self, recorder: Recorder) -> None:
        while True:
            await asyncio.sleep(_REPORT)
            self._report_now(recorder.now())

    def _report_now(self, now: int) -> None:
        counts, self._counts = self._counts, {}
        newest, self._newest = self._newest, {}
        self._report(Progress(now, counts, list(newest.values())))
