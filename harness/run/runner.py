"""One test, from boot to the end of its history.

The phases follow each other as in docs/architecture.md: boot, load, heal, quiesce, final,
stop. Each begins with an event in the history, and leaves behind what it learned before
the next begins; judging comes after all of them and works on the files alone, so that
nothing that breaks later costs a history.

The runner knows no store and no workload: harness.worlds hands it both.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import msgspec
from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.generators.base import Generator, Thread
from dynamesis.harness.generators.schedule import NEMESIS, Schedule, Workers, start
from dynamesis.harness.generators.validate import diagnosed
from dynamesis.harness.links.base import LinkRoute, Links
from dynamesis.harness.nemesis.targets import placed
from dynamesis.harness.processes.limits import require_space, shortage
from dynamesis.harness.results.results import LOG, NODES, TEST, Folder
from dynamesis.harness.run.at_rest import until_alike, until_at_rest, wait_for
from dynamesis.harness.run.dump import Held, dump_all, keep
from dynamesis.harness.run.interpreter import Interpreter, Worker
from dynamesis.harness.run.nemesis_worker import NemesisClient, NemesisWorker
from dynamesis.harness.run.node_answers import node_answers
from dynamesis.harness.run.quiesce import (
    INTERVAL,
    QuiesceOutcome,
    look,
    until_idle,
    until_linked,
    until_quiet,
)
from dynamesis.harness.run.recorder import Recorder
from dynamesis.harness.run.shared_load import SharedLoad
from dynamesis.harness.targets.capabilities import Capabilities
from dynamesis.harness.targets.reports import RingView
from dynamesis.harness.targets.system import EnvironmentFailed, TargetMistake

log = logging.getLogger(__name__)

T = TypeVar("T")

#: s between two looks whether all processes live
_LOOK = 0.5
#: s in which nodes find each other again once all is healed
_LINKED = 5.0
#: s after the load in which its last requests end, one way or another
_STRAGGLERS = 3.0
#: s for a cluster to get quiet that could not be healed
HOPELESS = 5.0


@dataclass(frozen=True)
class RunnerParts:
    """What a test is made of. `load` and `final` are pure; the rest acts on processes.

    quiesce: how long the cluster may take to get quiet, s
    interval: between two looks whether it is, s
    anti_entropy: whether nodes compare what they hold; where not, a key must be read to be
        repaired
    lacks: what the store cannot do, by capability
    look: called again and again while nodes run, from the load to the end
    shared_load: the load of the clients, where drivers schedule it: `load` is then that of the
        nemesis alone
    """

    store: Capabilities
    links: Links
    routes: tuple[LinkRoute, ...]
    nemesis: NemesisClient
    clients: Mapping[Thread, Worker]
    load: Generator
    final: Callable[[Iterable[str]], Generator]
    keys: tuple[str, ...]
    quiesce: float = 20.0
    interval: float = INTERVAL
    anti_entropy: bool = True
    lacks: Mapping[str, str] = field(default_factory=dict)
    look: Callable[[], Awaitable[None]] | None = None
    shared_load: SharedLoad | None = None


class Interrupted(Exception):
    """The test is to end early."""


@dataclass
class Runner:
    """Runs the phases of one test; `interrupt` ends it early but in order."""

    parts: RunnerParts
    #: where it keeps what it learns; None: in `test` and the recorder alone
    folder: Folder | None
    recorder: Recorder
    test: JsonObject
    interrupt: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._patience = self.parts.quiesce + self.parts.store.slower
        self._failure: EnvironmentFailed | None = None

    async def run(self) -> None:
        """Raises EnvironmentFailed when the boot fails; whatever happens, nothing that was
        started is left running."""
        watch: asyncio.Task[None] | None = None
        try:
            ring = await self._unless_interrupted(self._boot())
            watch = asyncio.create_task(self._watch())
            self._workers = await self._load()
            await self._heal()
            self._go_on()
            ring = await self._unless_interrupted(self._quiesce(ring))
            await self._final(ring)
        except Interrupted:
            log.warning("interrupted")
        finally:
            if watch is not None:
                watch.cancel()
            await asyncio.shield(self._stop())
        if self._failure is not None:
            raise self._failure

    async def _boot(self) -> RingView | None:
        self._phase("boot")
        if self.parts.store.prepare is not None:
            self.parts.store.prepare()
        await self.parts.links.start(self.parts.routes)
        try:
            await self.parts.store.processes.start_all()
            placements = self.parts.store.placements
            ring = None if placements is None else await placements.ring()
        except TargetMistake as mistake:
            log.error("boot: %s", mistake, exc_info=mistake.__cause__)
            raise
        except (OSError, RuntimeError) as failure:
            log.error("boot: %s", failure)
            raise EnvironmentFailed(_gist(failure, self.folder)) from failure
        self.test["booted"] = True
        if ring is not None:
            self.test["ring"] = ring.as_value()
        self._save()
        return ring

    def _save(self) -> None:
        if self.folder is not None:
            self.folder.save_json(TEST, self.test)

    async def _watch(self) -> None:
        """See to it that no process dies unnoticed: the history names a node, which stays
        down until the heal phase; links are replaced immediately, since no fault ends them."""
        while True:
            try:
                if self.folder is not None:
                    require_space(self.folder.path)
                self.parts.nemesis.look(self.recorder.record)
            except EnvironmentFailed as failure:
                log.error("%s", failure)
                self._failure = failure
                self.interrupt.set()
                return
            try:
                await self.parts.links.revive()
                if self.parts.look is not None:
                    await self.parts.look()
            except (OSError, RuntimeError, EnvironmentFailed):
                log.exception("links")
            await asyncio.sleep(_LOOK)

    async def _load(self) -> Workers:
        self._phase("load")
        nemesis = NemesisWorker(self.parts.nemesis, self.recorder)
        workers: dict[Thread, Worker] = {**self.parts.clients, NEMESIS: nemesis}
        interpreter = Interpreter(self.recorder, workers, self.interrupt)
        running = interpreter.run(start(self.parts.load, len(self.parts.clients)))
        if self.parts.shared_load is None:
            return (await running).workers
        ended, played = await asyncio.gather(running, self._shared_load(self.parts.shared_load))
        processes = {**ended.workers.processes, **played}
        return msgspec.structs.replace(ended.workers, processes=processes)

    async def _shared_load(self, load: SharedLoad) -> Mapping[Thread, int]:
        """The load that drivers schedule; the test ends where one of them fails. The process
        that each thread plays then."""
        try:
            return await load.run(self.recorder.began, self.interrupt)
        except EnvironmentFailed as failure:
            log.error("%s", failure)
            self._failure = failure
            self.interrupt.set()
            return {}

    async def _heal(self) -> None:
        """A node that will not come back is the store's failing, not the harness's: the
        test continues, and the cluster will not get quiet."""
        self._phase("heal")
        try:
            await self.parts.nemesis.heal_all()
        except (OSError, RuntimeError) as failure:
            log.exception("heal")
            self.recorder.note("heal-failed", str(failure))
            self._patience = min(self._patience, HOPELESS)

    async def _quiesce(self, ring: RingView | None) -> RingView | None:
        """The ring as it is now: nodes may have come and gone."""
        self._phase("quiesce")
        ring = await self._current(ring)
        await self._sizes()
        exchanges, observed = self.parts.anti_entropy, self.parts.store.observed
        interval, patience = self.parts.interval, self._patience
        reports = self.parts.store.status is not None
        if reports:
            asked = self.parts.store.exchanges if exchanges else None
            await until_linked(observed, min(_LINKED, patience), interval, asked)
            # what is still under way may yet leave hints behind
            await until_idle(observed, min(_STRAGGLERS if exchanges else 1e9, patience), interval)
        outcome = await self._until_quiet(ring)
        if reports and not exchanges:
            await self._dump(ring)  # before the reads that repair: what was never repaired shows
            # a read repairs the nodes that it asks; that healing reset a link is noticed later
            await until_linked(observed, min(_LINKED, patience), interval)
            await self._read_all()
        least = await until_idle(observed, patience, interval) if reports else None
        self.recorder.note("quiesce", outcome.as_value())
        await asyncio.gather(self._views(), self._sizes(least))
        return await self._current(ring)

    async def _until_quiet(self, ring: RingView | None) -> QuiesceOutcome:
        """By what nodes report of themselves, else by what the store reports, else by waiting:
        until its nodes hold the same, if that can be known."""
        store = self.parts.store
        if store.status is not None:
            compared = ring if self.parts.anti_entropy else None
            asked = store.exchanges if self.parts.anti_entropy else None
            return await until_quiet(
                store.observed, store.dumps, compared, self._patience, self.parts.interval, asked,
                partial(self._current, ring),
            )  # fmt: skip
        if store.quiet is not None:
            return await until_at_rest(store.quiet, self._patience)
        if store.dumps is not None:
            await wait_for(store.quiet_after)
            return await until_alike(store.nodes, store.dumps, self._patience)
        return await wait_for(store.quiet_after)

    async def _views(self) -> None:
        """Record the members and owners as each node sees them; checkers compare them."""
        nodes, placements = self.parts.store.nodes, self.parts.store.placements
        if placements is None:
            return
        answers = await node_answers(nodes, placements.ring, self.parts.store.prompt())
        for node, ring in zip(nodes, answers, strict=True):
            if isinstance(ring, BaseException):
                log.warning("%s: no membership", node, exc_info=ring)
                continue
            members = None if ring.members is None else list(ring.members)
            view = {"node": node, "members": members, "owners": list(ring.owners)}
            self.recorder.note("membership", view)

    async def _sizes(self, least: Mapping[str, Mapping[str, int]] | None = None) -> None:
        """Record how much each node has in progress, in hints, and in background work, for the
        checker that knows the bounds. `least`: figures that have come to less in the meantime
        (until_idle)."""
        if self.parts.store.status is None:
            return
        for node, status in (await look(self.parts.store.observed)).items():
            known = {} if status is None else dict(status.sizes)
            known |= (least or {}).get(node, {})
            if known:
                self.recorder.note("sizes", {"node": node, **known})

    async def _current(self, known: RingView | None) -> RingView | None:
        """The ring, read again; recorded in history and test.json if it has changed."""
        if self.parts.store.placements is None:
            return known
        try:
            ring = await self.parts.store.placements.ring()
        except (OSError, RuntimeError):
            return known
        if ring != known:
            self.test["ring"] = ring.as_value()
            self.recorder.note("ring", self.test["ring"])
            came = [node for node in self.parts.store.nodes if node not in self.test["nodes"]]
            self.test["nodes"] = [*self.test["nodes"], *came]
            self._save()
        return ring

    async def _final(self, ring: RingView | None) -> None:
        self._phase("final")
        held = await self._dump(ring)
        before = await self._read_repairs()
        await self._read_all()
        after = await self._read_repairs()
        repaired = {node: count - before[node] for node, count in after.items() if node in before}
        store = self.parts.store
        if store.status is not None:
            self.recorder.note("read-repairs", repaired)
        if self.folder is not None:
            await keep(store.processes, store.status, held, self.folder / NODES)

    async def _dump(self, ring: RingView | None) -> Held:
        store = self.parts.store
        if store.dumps is None or store.decode is None:
            return {}
        where = placed(ring) if ring is not None else CheckedRing.of(self.test)
        if where is None:
            return {}
        keys, recorder = self.parts.keys, self.recorder
        return await dump_all(
            store.nodes, store.dumps, where, keys, store.decode, recorder, store.prompt(),
            self.parts.anti_entropy,
        )  # fmt: skip

    async def _read_all(self) -> None:
        """Read every key once. The processes continue as they are: a number that was retired never
        comes back."""
        reads = diagnosed(self.parts.final(self.parts.keys))
        interpreter = Interpreter(self.recorder, self.parts.clients, self.interrupt)
        ended = await interpreter.run(Schedule(reads, _clients_only(self._workers)))
        self._workers = ended.workers

    async def _read_repairs(self) -> dict[str, int]:
        """How many replicas each node's reads have repaired so far."""
        if self.parts.store.status is None:
            return {}
        statuses = await look(self.parts.store.observed)
        return {
            node: status.read_repairs
            for node, status in statuses.items()
            if status is not None and status.read_repairs is not None
        }

    async def _stop(self) -> None:
        with suppress(EnvironmentFailed):
            self._phase("stop")
        await asyncio.gather(*(client.close() for client in self.parts.clients.values()))
        await asyncio.gather(self.parts.store.processes.stop_all(), self.parts.links.stop())
        if self.folder is None:
            return
        try:
            self.parts.store.processes.collect(self.folder / NODES)
        except OSError:
            log.exception("the nodes' logs are not kept")

    def _phase(self, name: str) -> None:
        log.info("phase %s", name)
        self.recorder.note("phase", name)

    def _go_on(self) -> None:
        if self.interrupt.is_set():
            raise Interrupted

    async def _unless_interrupted(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, or Interrupted as soon as the test is interrupted."""
        working = asyncio.ensure_future(work)
        interrupted = asyncio.ensure_future(self.interrupt.wait())
        try:
            await asyncio.wait({working, interrupted}, return_when=asyncio.FIRST_COMPLETED)
            self._go_on()
            return working.result()
        finally:
            interrupted.cancel()
            working.cancel()
            await asyncio.wait({working})


def _gist(failure: Exception, folder: Folder | None) -> str:
    """The first and the last line of what went wrong; the log has all of them."""
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    gist = shortage(failure) or " ".join(dict.fromkeys([*lines[:1], *lines[-1:]]))
    more = "" if folder is None else f"; more in {folder / LOG}"
    return f"{gist or type(failure).__name__}{more}"


def _clients_only(workers: Workers) -> Workers:
    """Without the nemesis."""
    free = tuple(thread for thread in workers.free if thread != NEMESIS)
    processes = {t: process for t, process in workers.processes.items() if t != NEMESIS}
    return msgspec.structs.replace(workers, free=free, processes=processes)
