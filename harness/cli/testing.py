"""Runs one test with everything around it: folder, logs, signals, verdict."""

from __future__ import annotations

import asyncio
import logging
import platform
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console

from harness.cli.compose import Composition
from harness.cli.exits import UNKNOWN, exit_code
from harness.cli.judging import judge, save, tell
from harness.cli.options import PARTITIONS, Options
from harness.progress import view
from harness.recorder import Recorder
from harness.runner import Runner
from harness.store import HISTORY, LOG, TEST, Folder, create

log = logging.getLogger("harness")


def run_test(options: Options, store: Path, junit: Path | None) -> int:
    """The exit code of the verdict. Raises EnvironmentFailed when the test cannot run."""
    console = Console(highlight=False)
    composition = Composition.prepare(options, lambda line: console.print(line, markup=False))
    folder = create(store, options.name)
    test = describe(options)
    folder.save_json(TEST, test)
    with logging_to(folder / LOG):
        log.info("%s", test["command"])
        console.print(f"seed {options.seed}, results in {folder.path}")
        finished = _run(composition, folder, test, console)
    if not finished:
        again = shlex.join(["dynamesis", "check", str(folder.path)])
        console.print(f"stopped at once; judge what there is with: {again}")
        return UNKNOWN
    results = judge(folder / HISTORY, test)
    save(folder, results, junit)
    tell(console, results)
    console.print(f"folder  {folder.path}", soft_wrap=True)
    console.print(f"again   {test['command']}", soft_wrap=True, markup=False)
    return exit_code(results["valid"])


def _run(composition: Composition, folder: Folder, test: dict[str, Any], console: Console) -> bool:
    """False when the test was stopped so hard that it is not to be judged."""
    with view(console) as shown, Recorder(folder / HISTORY, shown.hear) as recorder:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
                loop.run(_phases(composition, folder, test, recorder))
        except asyncio.CancelledError:
            return False
    return True


async def _phases(
    composition: Composition, folder: Folder, test: dict[str, Any], recorder: Recorder
) -> None:
    with composition.build(folder, recorder) as parts:
        runner = Runner(parts, folder, recorder, test)
        _obey_signals(runner, asyncio.current_task())
        await runner.run()


def _obey_signals(runner: Runner, task: asyncio.Task[Any] | None) -> None:
    """The first SIGINT or SIGTERM ends the test in order, the second at once."""
    assert task is not None

    def stop() -> None:
        if runner.interrupt.is_set():
            task.cancel()
        runner.test["interrupted"] = True
        runner.interrupt.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)


def describe(options: Options) -> dict[str, Any]:
    """The content of test.json: all that it takes to run the test again."""
    arguments = sys.argv[1:]
    if not any(argument.split("=")[0] == "--seed" for argument in arguments):
        arguments = [*arguments, "--seed", str(options.seed)]
    return {
        "name": options.name,
        "command": shlex.join(["dynamesis", *arguments]),
        "start": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "workload": options.workload,
        "nemesis": list(options.nemesis),
        "nodes": list(options.nodes),
        "n": options.n,
        "r": options.r,
        "w": options.w,
        "sloppy": options.sloppy,
        "partitions": PARTITIONS,
        "time_limit": options.time_limit,
        "rate": options.rate,
        "concurrency": options.concurrency,
        "keys": options.keys,
        "seed": options.seed,
        "links": options.links,
        "storage": options.storage,
        "bugs": list(options.bugs),
        "versions": {
            "dynamesis": version("dynamesis"),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
    }


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Everything the harness logs goes to a file, and nothing to the terminal."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
