"""Runs one whole test in virtual time, and judges it.

The same runner, interpreter, nemesis, quiescence, final reads and recorder as on processes; the
world is another (harness.worlds.simulated.environment), and nothing goes to any file.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any

from dynamesis.checkers.history.gc_pause import gc_paused
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.op import JsonObject, Op
from dynamesis.checkers.logs.logs import Logs
from dynamesis.harness.check.evaluate import judge_history
from dynamesis.harness.generators import Generator
from dynamesis.harness.nemesis import Nemesis
from dynamesis.harness.nemesis.ledger import Ledger
from dynamesis.harness.processes.clock import CLOCK
from dynamesis.harness.processes.standstill import NeverEnds, StandstillGuard
from dynamesis.harness.run.recorder import Recorder
from dynamesis.harness.run.runner import Runner, RunnerParts
from dynamesis.harness.worlds.compose import final_reads, load_of
from dynamesis.harness.worlds.facts import facts
from dynamesis.harness.worlds.options import TestOptions
from dynamesis.harness.worlds.simulated.environment import World
from dynamesis.harness.worlds.simulated.loop import BEGAN, VirtualClock, VirtualLoop
from dynamesis.harness.worlds.simulated.network import Sighting
from dynamesis.harness.worlds.simulated.tweaks import Tweaks
from dynamesis.workloads.script.used_keys import UsedKeys

# what goes wrong in a test is in its history; set logging up to read more
logging.getLogger("dynamesis").addHandler(logging.NullHandler())

#: when the garbage collector looks while a test runs: seldom, since little of it is cycles
_COLLECT = (200_000, 20, 20)
#: s between two looks whether a coroutine that runs a test has been cancelled
_LOOK = 0.5
#: s of virtual time that a test may take beside its load: far more than all deadlines together
AFTER_LOAD = 3600.0
#: s between two looks whether the cluster is quiet: they are a good part of what a small test costs
_INTERVAL = 0.15


@dataclass(frozen=True)
class SimulatedTest:
    """What a test in virtual time leaves behind.

    history: the whole history
    test, ledger: what test.json and ledger.jsonl would hold
    node_logs: by node, the events of its log, as its file would have them
    messages: the story of every message, where it was asked for
    seconds: how much virtual time it took
    options: the test that was run; the own check of its workload judges it too
    """

    history: tuple[Op, ...]
    test: JsonObject
    ledger: tuple[JsonObject, ...]
    node_logs: Mapping[str, tuple[JsonObject, ...]]
    messages: tuple[Sighting, ...]
    seconds: float
    options: TestOptions


def simulate(
    options: TestOptions,
    *,
    load: Generator | None = None,
    story: bool = False,
    tweaks: Tweaks | None = None,
) -> SimulatedTest:
    """Run a test from boot to stop. `load`: what clients and nemesis do, where that is not drawn
    from the options; `story`: keep every message. The same arguments give the same test, event
    by event. Raises EnvironmentFailed when the nodes do not boot, NeverEnds where it would not
    end, UsageError for a target that cannot be simulated."""
    test, tweaks = facts(options), tweaks or Tweaks()
    if tweaks.unsteady:
        test["unsteady"] = list(tweaks.unsteady)
    if tweaks.latency != Tweaks.latency:
        test["latency"] = tweaks.latency[1]
    with VirtualTime(options.time_limit + AFTER_LOAD) as time:
        world = World(options, time.loop, tweaks, story)
        recorder = Recorder(None, clock=time.clock.monotonic_ns)
        ledger = Ledger(None)
        parts = parts_of(options, world, recorder, ledger, load)
        test["links_used"] = parts.links.name
        runner = Runner(parts, None, recorder, test)
        time.run(runner.run())
        test["began"] = recorder.began
        seconds = time.loop.now - BEGAN
    logs = {node: world.cluster.log_of(node) for node in world.cluster.logs}
    messages = tuple(world.network.story or ())
    return SimulatedTest(
        tuple(recorder.kept),
        test,
        tuple(ledger.kept),
        logs,
        messages,
        seconds,
        options,
    )


def judge(simulated: SimulatedTest) -> JsonObject:
    """The results, as results.json has them: all checkers, on what is in memory."""
    test = simulated.test
    with gc_paused():  # little of it is cycles, and there is much beside that is not new
        lines = [line for log in simulated.node_logs.values() for line in log]
        lines.sort(key=itemgetter("mono"))
        logs = Logs.of(lines, test.get("began"))
        history = History.of(simulated.history)
        return judge_history(history, test, logs=logs, workload=simulated.options.workload)


class VirtualTime:
    """A loop in virtual time, and a context in which it is the clock.

    most: s of virtual time after which what runs in it never ends
    """

    def __init__(self, most: float = 24 * 3600.0) -> None:
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop)
        self._guard = StandstillGuard(self.loop.time, BEGAN + most)
        self._collected = gc.get_threshold()
        self._context = copy_context()
        self._context.run(CLOCK.set, self.clock)

    def run(self, work: Awaitable[Any]) -> None:
        """Until it has ended; in a thread of its own where a loop runs in this one already, as in
        a test that is a coroutine: asyncio runs one loop a thread. Raises NeverEnds, and Stopped
        where a user ended it."""
        if asyncio._get_running_loop() is None:
            self._context.run(self._guarded, work)
            return
        cancelled = _cancellation()
        with ThreadPoolExecutor(1) as other:
            running = other.submit(self._context.run, self._guarded, work)
            try:
                _await(running, cancelled)
            except (KeyboardInterrupt, asyncio.CancelledError):
                self._guard.end()  # this thread was interrupted: nothing else ends the other
                raise

    def hurry(self) -> None:
        """A user wants what runs to end in order, and is not to wait for what never does."""
        self._guard.hurry()

    def _guarded(self, work: Awaitable[Any]) -> None:
        self._guard.start()
        failure: BaseException | None = None
        try:
            self.loop.run_until_complete(work)
        except BaseException as raised:
            failure = raised
            raise
        finally:
            self._guard.stop()
            self._guard.ended_by(failure)

    def __enter__(self) -> VirtualTime:
        if self._collected[0] < _COLLECT[0]:
            gc.set_threshold(*_COLLECT)
        return self

    def __exit__(self, kind: object, failure: BaseException | None, trace: object) -> None:
        gc.set_threshold(*self._collected)
        tasks = self.loop.unfinished()
        try:
            if tasks and not isinstance(failure, (KeyboardInterrupt, NeverEnds)):
                for task in tasks:
                    task.cancel()
                self.run(asyncio.gather(*tasks, return_exceptions=True))
        finally:
            self.loop.abandon()
            self.loop.close()


def _cancellation() -> Callable[[], bool]:
    """Whether the task of this thread's loop, if there is one, has been cancelled from now on: that
    is what asyncio makes of a first ctrl-C."""
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    return lambda: task is not None and task.cancelling() > before


def _await(running: Future[None], cancelled: Callable[[], bool]) -> None:
    """Block the loop of this thread until it has ended. Raises CancelledError once `cancelled`."""
    while not wait([running], _LOOK).done:
        if cancelled():
            raise asyncio.CancelledError
    running.result()


def _calm(world: World, op: Op) -> None:
    """From the heal on, what happens is the nodes' own recovery."""
    if op.f == "phase" and op.value == "heal":
        world.network.calm()


def parts_of(
    options: TestOptions,
    world: World,
    recorder: Recorder,
    ledger: Ledger,
    load: Generator | None,
) -> RunnerParts:
    """Everything that a runner needs."""
    environment, keys = world.environment, options.given_keys
    probes = world.probes
    names = [route.name for route in environment.routes]
    nemesis = Nemesis(
        environment.store, environment.links, ledger, environment.welcome, {}, names, probes
    )
    recorder.listen(nemesis.observe)
    used = UsedKeys()
    recorder.listen(used.observe)
    recorder.listen(partial(_calm, world))
    return RunnerParts(
        store=environment.store,
        links=environment.links,
        routes=environment.routes,
        nemesis=nemesis,
        clients={number: world.client(number) for number in range(options.concurrency)},
        load=load_of(options, keys) if load is None else load,
        final=lambda _: final_reads(options, used.keys, environment.nodes),
        keys=options.workload.keys(keys),
        interval=_INTERVAL,
        anti_entropy=options.target.limits.anti_entropy,
        lacks=options.lacks,
    )
