"""Runs one test with everything around it: folder, logs, signals, verdict."""

from __future__ import annotations

import logging
import platform
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dynamesis.checkers.history.gc_pause import gc_seldom
from dynamesis.checkers.verdict import Unknown
from dynamesis.cluster.plugins.objects import is_file_name
from dynamesis.harness.generators.validate import GeneratorError
from dynamesis.harness.nemesis.schedule_file import dump
from dynamesis.harness.processes.limits import shortage
from dynamesis.harness.processes.signals import end_by_interrupt, ending, in_main_thread
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.logs import logging_to
from dynamesis.harness.results.results import HISTORY, LOG, SCHEDULE, TEST, Folder
from dynamesis.harness.targets.system import EnvironmentFailed, TargetMistake, blamed
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.values import results_folder, writable_file
from dynamesis.harness.worlds.facts import facts
from dynamesis.harness.worlds.kinds import WORLDS
from dynamesis.harness.worlds.observer import Observer
from dynamesis.harness.worlds.options import SIMULATED, TestOptions, plan_test, resolved
from dynamesis.harness.worlds.test_result import TestResult
from dynamesis.harness.worlds.test_spec import TestSpec, command

log = logging.getLogger("harness")

#: The results of a test that was stopped before it could be judged.
_NOT_JUDGED: JsonObject = {"valid": Unknown.UNKNOWN, "anomalies": {}, "checkers": {}}


def run_test(
    spec: TestSpec | None = None,
    *,
    store: Path | str = "store",
    junit: Path | None = None,
    observer: Observer | None = None,
    **options: Any,
) -> TestResult:
    """Run a test from boot to verdict. The test is a TestSpec, or its fields as keywords:
    `run_test(workload="cart", nemesis=["cut"], time_limit=10)`. Results go to a new folder
    in `store`, and as JUnit XML to the file `junit`; `observer` follows the test. Prints
    nothing. Raises UsageError for options that make no sense, EnvironmentFailed when the test
    cannot run or its results cannot be saved."""
    if spec is not None and options:
        raise UsageError("options: give a TestSpec or its fields as keywords, not both")
    asked_for = TestSpec.of(options) if spec is None else spec
    chosen = plan_test(asked_for)
    full, _ = resolved(asked_for)
    store, shown = Path(store), observer or Observer()
    if junit is not None:
        writable_file("--junit", junit)
    # on processes nothing is gained, as most of the time is theirs
    collected = gc_seldom() if chosen.world == SIMULATED else nullcontext()
    with _handlers_kept(), collected:
        return _run_test(
            replace(full, nodes=asked_for.nodes, seed=chosen.seed), chosen, store, junit, shown
        )


def _run_test(
    spec: TestSpec, options: TestOptions, store: Path, junit: Path | None, observer: Observer
) -> TestResult:
    folder = results_folder(store, options.name)
    test = describe(spec, options, command(spec, store, junit))
    folder.save_json(TEST, test)
    folder.save(SCHEDULE, _replay(test) + dump(options.faults))
    observer.started(folder.path, options.seed)
    with logging_to(folder / LOG, workers=options.drivers > 0):
        log.info("%s", test["command"])
        failure: BaseException | None = None
        try:
            finished = WORLDS[options.world].load()(options, folder, test, observer)
        except TargetMistake as mistake:
            raise UsageError(f"--target: {mistake}; more in {folder.path / LOG}") from mistake
        except GeneratorError as wrong:
            raise _own_mistake(spec, wrong, folder) from wrong
        except (EnvironmentFailed, OSError) as failed:
            if not test.get("booted"):  # it never came up: there is nothing to judge
                raise
            failure, finished = failed, True
        if not finished:
            again = shlex.join(["dynamesis", "check", str(folder.path)])
            observer.aborted(folder.path, again)
            return TestResult(folder.path, _NOT_JUDGED)
        if in_main_thread():
            end_by_interrupt()
        results = _judged(folder, test, junit, observer, failure)
    observer.ended(folder.path, test["command"])
    return TestResult(folder.path, results)


def _own_mistake(spec: TestSpec, wrong: GeneratorError, folder: Folder) -> Exception:
    """A UsageError where a workload of a user's own is what broke; else the error itself."""
    what = blamed(wrong)
    if what is None and not is_file_name(str(spec.workload)):
        return wrong
    log.error("%s", wrong, exc_info=wrong.__cause__)
    gist = what or str(wrong).partition("\nstep: ")[0].partition("\ngenerator: ")[0]
    return UsageError(f"--workload: {spec.workload}: {gist}; more in {folder.path / LOG}")


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Signals are handled as before once the test has ended."""
    before = {number: signal.getsignal(number) for number in ending()}
    try:
        yield
    finally:
        if in_main_thread():
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _judged(
    folder: Folder,
    test: JsonObject,
    junit: Path | None,
    observer: Observer,
    failure: BaseException | None,
) -> JsonObject:
    """Judges the history, whatever else failed, and saves the results. Raises `failure`, which
    kept the test from its end, or the reason why the results could not be saved: a verdict
    without its files cannot be checked."""
    from dynamesis.harness.check.evaluate import judge, save  # read while it got quiet

    with observer.judging():
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
    observer.judged(results)
    if failure is not None:
        observer.ended(folder.path, None)
        raise failure
    return results


def _replay(test: JsonObject) -> str:
    return f"# the faults of: {test['command']}\n# replayed, from any folder, with --schedule\n"


def describe(spec: TestSpec, options: TestOptions, command: str) -> JsonObject:
    """The content of test.json: all that it takes to run the test again, which `command` does."""
    return {
        "name": options.name,
        "command": command,
        "spec": spec.to_dict(),
        "start": datetime.now(UTC).isoformat(timespec="milliseconds"),
        **facts(options),
        "versions": {
            "dynamesis": version("dynamesis"),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
    }
