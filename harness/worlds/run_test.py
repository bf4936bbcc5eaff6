"""Runs one test with everything around it: folder, logs, signals, verdict."""

from __future__ import annotations

import asyncio
import logging
import platform
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvloop
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.runtime.admission import MOST
from dynamesis.harness.check.evaluate import judge, save
from dynamesis.harness.links.provision import VERSION as TOXIPROXY
from dynamesis.harness.nemesis.schedule_file import dump
from dynamesis.harness.processes.limits import shortage
from dynamesis.harness.processes.signals import end_by_interrupt, ending
from dynamesis.harness.report.summary import tell
from dynamesis.harness.results.logs import logging_to
from dynamesis.harness.results.results import HISTORY, LOG, SCHEDULE, TEST, Folder
from dynamesis.harness.run.progress import view
from dynamesis.harness.run.recorder import Recorder
from dynamesis.harness.run.runner import SIZES, Runner
from dynamesis.harness.targets.system import EnvironmentFailed
from dynamesis.harness.usage.exits import UNKNOWN, UsageError, exit_code
from dynamesis.harness.usage.values import results_folder, writable_file
from dynamesis.harness.worlds.compose import WORK, compose, node_params
from dynamesis.harness.worlds.options import TestOptions
from dynamesis.workloads import WORKLOADS
from rich.console import Console

log = logging.getLogger("harness")


def run_test(
    options: TestOptions, arguments: Sequence[str], store: Path, junit: Path | None
) -> int:
    """The exit code of the verdict. `arguments` are those of the command line, to be told
    with the verdict. Raises EnvironmentFailed when the test cannot run."""
    console = Console(highlight=False, soft_wrap=True, markup=False)
    if junit is not None:
        writable_file("--junit", junit)
    folder = results_folder(store, options.name)
    test = describe(options, arguments)
    folder.save_json(TEST, test)
    folder.save(SCHEDULE, _replay(test) + dump(options.faults))
    console.print(f"seed {options.seed}, results in {folder.path}")
    with logging_to(folder / LOG, workers=options.drivers > 0):
        log.info("%s", test["command"])
        failure: BaseException | None = None
        try:
            finished = _phases(options, folder, test, console)
        except (EnvironmentFailed, OSError) as failed:
            if "ring" not in test:  # it never came up: there is nothing to judge
                raise
            failure, finished = failed, True
        if not finished:
            again = shlex.join(["dynamesis", "check", str(folder.path)])
            console.print(f"stopped at once; judge what there is with: {again}")
            return UNKNOWN
        end_by_interrupt()
        code = _judged(folder, test, junit, console, failure)
    console.print(f"folder  {folder.path}")
    console.print(f"again   {test['command']}")
    return code


def _judged(
    folder: Folder,
    test: dict[str, Any],
    junit: Path | None,
    console: Console,
    failure: BaseException | None,
) -> int:
    """Tells the verdict of the history that stands there, whatever else failed; its exit code.
    Raises `failure`, which kept the test from its end, or what kept the results from being
    saved: a verdict without its files is one that nobody can look at."""
    try:
        results = judge(folder / HISTORY, test)
    except UsageError:
        if failure is None:
            raise
        raise failure from None
    try:
        save(folder, results, junit)
    except OSError as unsaved:
        failure = failure or EnvironmentFailed(f"no results: {shortage(unsaved) or unsaved}")
    tell(console, results)
    if failure is not None:
        console.print(f"folder  {folder.path}")
        raise failure
    return exit_code(results["valid"])


def _replay(test: dict[str, Any]) -> str:
    return f"# the faults of: {test['command']}\n# replayed, from any folder, with --schedule\n"


def _phases(options: TestOptions, folder: Folder, test: dict[str, Any], console: Console) -> bool:
    """Run all phases; False when the test was stopped so hard that it is not to be judged."""
    shown = view(console)
    try:
        with (
            Recorder(folder / HISTORY, shown.hear) as recorder,
            compose(options, folder, recorder, console.print) as parts,
            shown,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop,
        ):
            test["links_used"] = parts.links.name
            if parts.links.name == "toxiproxy":
                test["versions"]["toxiproxy"] = TOXIPROXY
            loop.run(_run(Runner(parts, folder, recorder, test)))
            test["began"] = recorder.began
    except asyncio.CancelledError:
        return False
    finally:
        shutil.rmtree(folder / WORK, ignore_errors=True)
        folder.save_json(TEST, test)
    return True


async def _run(runner: Runner) -> None:
    """The first SIGINT or SIGTERM ends the test in order, the second at once."""
    task = asyncio.current_task()
    assert task is not None

    def stop() -> None:
        if runner.interrupt.is_set():
            task.cancel()
        runner.test["interrupted"] = True
        runner.interrupt.set()

    for number in ending():
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await runner.run()


def _bounds(told: Mapping[str, Any]) -> dict[str, Any]:
    """How much a node may have in progress and in hints, by what it was told, and how much
    background work at once."""
    limits = {field.name: field.default for field in fields(Params)} | dict(told)
    most = {size: limits[f"max_{size}"] for size in SIZES if f"max_{size}" in limits}
    return most | {"background_slices": MOST}


def describe(options: TestOptions, arguments: Sequence[str]) -> dict[str, Any]:
    """The content of test.json: all that it takes to run the test again."""
    if not any(argument.split("=")[0] == "--seed" for argument in arguments):
        arguments = [*arguments, "--seed", str(options.seed)]
    return {
        "name": options.name,
        "command": shlex.join(["dynamesis", *arguments]),
        "start": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "workload": options.workload,
        "workload_options": dict(options.tuning),
        "nemesis": list(options.nemesis),
        "nodes": list(options.topology.nodes),
        "n": options.topology.n,
        "r": options.topology.r,
        "w": options.topology.w,
        "sloppy": options.topology.sloppy,
        "partitions": options.topology.told["partitions"],
        "reap": node_params(options).get("reap_after", Params.reap_after),
        "time_limit": options.time_limit,
        "rate": options.rate,
        "concurrency": options.concurrency,
        "drivers": options.drivers,
        "keys": options.keys,
        "seed": options.seed,
        "checkers": list(WORKLOADS[options.workload].checkers),
        "bounds": _bounds(options.topology.told),
        **WORKLOADS[options.workload].promises,
        "links": options.topology.links,
        "clocks": options.clocks,
        "storage": options.topology.storage,
        "bugs": list(options.topology.bugs),
        "params": dict(options.topology.params),
        "tls": options.topology.tls is not None,
        "versions": {
            "dynamesis": version("dynamesis"),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
    }
