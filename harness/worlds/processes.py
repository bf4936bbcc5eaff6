"""A test on processes: from boot to stop, into its folder."""

from __future__ import annotations

import asyncio
import importlib
import shutil
import threading

import uvloop
from dynamesis.checkers.history.op import Op
from dynamesis.harness.links.provision import VERSION as TOXIPROXY
from dynamesis.harness.processes.loop_guard import blocking_interrupted
from dynamesis.harness.processes.signals import ending, in_main_thread
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.parts import merge
from dynamesis.harness.results.results import HISTORY, TEST, Folder
from dynamesis.harness.run.recorder import Recorder
from dynamesis.harness.run.runner import Runner
from dynamesis.harness.worlds.compose import WORK, compose
from dynamesis.harness.worlds.observer import Observer
from dynamesis.harness.worlds.options import TestOptions


def phases(options: TestOptions, folder: Folder, test: JsonObject, observer: Observer) -> bool:
    """Run all phases; False when the test was stopped so hard that it is not to be judged."""
    try:
        with (
            Recorder(folder / HISTORY, observer.event, _read_checkers) as recorder,
            compose(options, folder, recorder, observer.message, observer.performed) as parts,
            observer.running(),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop,
        ):
            test["links_used"] = parts.links.name
            if parts.links.name == "toxiproxy":
                test["versions"]["toxiproxy"] = TOXIPROXY
            loop.run(run_until_stopped(Runner(parts, folder, recorder, test)))
            test["began"] = recorder.began
    except asyncio.CancelledError:
        return False
    finally:
        merge(folder / HISTORY)
        shutil.rmtree(folder / WORK, ignore_errors=True)
        folder.save_json(TEST, test)
    return True


def _read_checkers(event: Op) -> None:
    """While the cluster gets quiet nothing is measured, and the harness waits: so that is when the
    code of the checkers is read."""
    if event.process == "harness" and event.f == "phase" and event.value == "quiesce":
        threading.Thread(target=load_judging, daemon=True).start()


def load_judging() -> None:
    """Load what judges a test, and writes its report and its nodes' metrics."""
    for name in ("dynamesis.harness.check.evaluate", "scipy.sparse.csgraph", "prometheus_client"):
        importlib.import_module(name)
    importlib.import_module("dynamesis.harness.report.page").template()


async def run_until_stopped(runner: Runner) -> None:
    """The first SIGINT or SIGTERM ends the test in order, the second immediately."""
    task = asyncio.current_task()
    assert task is not None

    def stop() -> None:
        if runner.interrupt.is_set():
            task.cancel()
        runner.test["interrupted"] = True
        runner.interrupt.set()

    for number in ending() if in_main_thread() else ():
        asyncio.get_running_loop().add_signal_handler(number, stop)
    with blocking_interrupted():
        await runner.run()
