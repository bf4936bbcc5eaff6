"""A test in virtual time that leaves a folder, as one on processes does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType

from dynamesis.harness.nemesis.ledger import Ledger
from dynamesis.harness.processes.signals import ending, in_main_thread
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.results import HISTORY, LEDGER, MESSAGES, TEST, Folder
from dynamesis.harness.run.recorder import Recorder
from dynamesis.harness.run.runner import Runner
from dynamesis.harness.worlds.observer import Observer
from dynamesis.harness.worlds.options import TestOptions
from dynamesis.harness.worlds.simulated.environment import World
from dynamesis.harness.worlds.simulated.messages import message_lines
from dynamesis.harness.worlds.simulated.run import AFTER_LOAD, VirtualTime, parts_of
from dynamesis.harness.worlds.simulated.tweaks import Tweaks


def phases(options: TestOptions, folder: Folder, test: JsonObject, observer: Observer) -> bool:
    """harness.worlds.kinds.Phases. Raises EnvironmentFailed."""
    try:
        with (
            VirtualTime(options.time_limit + AFTER_LOAD) as time,
            Recorder(folder / HISTORY, observer.event, clock=time.clock.monotonic_ns) as recorder,
            observer.running(),
        ):
            world = World(options, time.loop, Tweaks(), story=True)
            parts = parts_of(options, world, recorder, Ledger(folder / LEDGER), None)
            test["links_used"] = parts.links.name
            time.run(_run(Runner(parts, folder, recorder, test), time.hurry))
            test["began"] = recorder.began
            story = world.network.story or []
            (folder / MESSAGES).write_bytes(message_lines(story, recorder.began))
            story.clear()  # or the garbage collector would have to look through it
    except asyncio.CancelledError:
        return False
    finally:
        folder.save_json(TEST, test)
    return True


async def _run(runner: Runner, hurry: Callable[[], None]) -> None:
    """The first SIGINT or SIGTERM ends the test in order, the second immediately; what never ends
    is ended by the first."""
    task = asyncio.current_task()
    assert task is not None

    def stop(number: int, frame: FrameType | None) -> None:
        if runner.interrupt.is_set():
            task.cancel()
        runner.test["interrupted"] = True
        runner.interrupt.set()
        hurry()

    for number in ending() if in_main_thread() else ():
        signal.signal(number, stop)
    await runner.run()
