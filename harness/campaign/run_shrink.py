"""Shrinks the schedule of a stored test by running it again and again."""

from __future__ import annotations

import shlex
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from dynamesis.harness.campaign.shrink import shrink
from dynamesis.harness.campaign.worker_pool import Task, WorkerPool, worker_pool
from dynamesis.harness.check.evaluate import stored_test
from dynamesis.harness.report.words import counted
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.logs import logging_to
from dynamesis.harness.results.results import RESULTS, SCHEDULE, TEST, DamagedFolder, Folder
from dynamesis.harness.usage.exits import INVALID, UNKNOWN, VALID, UsageError
from dynamesis.harness.worlds.options import SIMULATED
from dynamesis.harness.worlds.test_spec import TestSpec, command

SHRUNK, RUNS = "shrunk.yaml", "shrink"
_HEAD = "# what is left of schedule.yaml: these faults were enough\n"


class _Spent(Exception):
    """No run is left."""


@dataclass
class _Attempts:
    """Runs of one test under other schedules. `anomalies`: those of the first run."""

    pool: WorkerPool
    folder: Path
    spec: TestSpec
    anomalies: frozenset[str]
    patience: float
    tries: int
    most: int
    runs: int = 0
    best: list[Any] | None = None
    _seen: dict[str, bool] = field(default_factory=dict)

    def fails(self, faults: list[Any]) -> bool:
        """Whether one of some tries shows one of the anomalies. Raises _Spent."""
        text = _dump(faults)
        if text not in self._seen:
            self._seen[text] = any(self._fails(text) for _ in range(self.tries))
            ends = "fails" if self._seen[text] else "holds"
            print(f"{counted(len(faults), 'fault')}: {ends}", flush=True)
        if self._seen[text] and (self.best is None or len(faults) < len(self.best)):
            self.best = faults
        return self._seen[text]

    def _fails(self, schedule: str) -> bool:
        if self.runs == self.most:
            raise _Spent
        self.runs += 1
        store = self.folder / f"{self.runs:04}"
        store.mkdir(parents=True)
        file = store / SCHEDULE
        file.write_text(schedule, encoding="utf-8")
        spec = replace(self.spec, nemesis=None, schedule=file)
        self.pool.give(Task(self.runs, spec, store, self.patience))
        while not (ended := self.pool.ended(1.0)):
            pass
        if ended[0].code != INVALID:
            return False
        found = Folder((store / "latest").resolve()).load_json(RESULTS)
        return bool(self.anomalies & set(found["anomalies"]))


def run_shrink(folder: Path, tries: int, most: int) -> int:
    """Writes shrunk.yaml into the folder. 0 when the test failed again, else 3."""
    test, faults, anomalies = _stored(Folder(folder))
    spec = _spec(Folder(folder), test)
    if spec.world == SIMULATED:
        tries = 1  # each is the same
    runs = _unused(folder / RUNS)
    with logging_to(runs / "shrink.log", workers=True), worker_pool(1) as pool:
        patience = 2 * float(test["time_limit"]) + 180
        attempts = _Attempts(pool, runs, spec, anomalies, patience, tries, most)
        with suppress(_Spent, KeyboardInterrupt):
            if attempts.fails(faults):
                shrink(faults, attempts.fails)
    if attempts.best is None:
        how = "--tries gives it more"
        if spec.world == SIMULATED:
            how = f"as it was: {shlex.join(['dynamesis', 'simulate', '--replay', str(folder)])}"
        print(f"it did not fail again in {counted(attempts.runs, 'run')}; {how}")
        return UNKNOWN
    file = folder / SHRUNK
    file.write_text(_HEAD + _dump(attempts.best), encoding="utf-8")
    runs_made = counted(attempts.runs, "run")
    given = counted(len(faults), "fault")
    print(f"{len(attempts.best)} of {given} will do ({runs_made}): {file}")
    print(f"again   {command(replace(spec, nemesis=None, schedule=file))}")
    return VALID


def _stored(folder: Folder) -> tuple[JsonObject, list[Any], frozenset[str]]:
    test, results = stored_test(folder), _results(folder)
    schedule = folder / SCHEDULE
    if not test or not schedule.is_file():
        raise UsageError(f"{folder.path}: no {TEST} or {SCHEDULE} here; give the folder of a test")
    for name, kind in (("command", str), ("time_limit", int | float)):
        if not isinstance(test.get(name), kind):
            raise UsageError(
                f"{folder / TEST}, field {name}: missing or of the wrong type; "
                f"run the test again, and shrink its folder"
            )
    if results.get("valid") is not False:
        raise UsageError(f"{folder.path}: was not invalid; give the folder of an invalid test")
    return test, _faults(schedule), frozenset(results.get("anomalies", ()))


def _results(folder: Folder) -> JsonObject:
    try:
        return folder.load_json(RESULTS)
    except DamagedFolder as error:
        raise UsageError(str(error)) from error


def _faults(schedule: Path) -> list[Any]:
    try:
        value = yaml.safe_load(schedule.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{schedule}: expected YAML: {' '.join(str(error).split())}") from error
    faults = value.get("faults") if isinstance(value, dict) else None
    if not isinstance(faults, list):
        raise UsageError(f"{schedule}, field faults: expected a list, as dynamesis test writes it")
    return faults


def _spec(folder: Folder, test: JsonObject) -> TestSpec:
    """What the test was run with. Raises UsageError."""
    try:
        return TestSpec.of(test["spec"] if "spec" in test else _spec_before_0_2(test))
    except (UsageError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{folder / TEST}, field spec: {error}; run the test again, and shrink its folder"
        ) from error


def _spec_before_0_2(test: JsonObject) -> JsonObject:
    """The same from a test.json that has no field `spec`."""
    same = ("workload", "n", "r", "w", "time_limit", "rate", "concurrency", "drivers", "keys",
            "seed", "links", "clocks", "storage")  # fmt: skip
    spec = {name: test[name] for name in same if name in test}
    params = {name: yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
              for name, value in test.get("params", {}).items()}  # fmt: skip
    return spec | {
        "nodes": len(test["nodes"]) if "nodes" in test else None,
        "strict": not test.get("sloppy", True),
        "option": test.get("workload_options", {}),
        "bug": test.get("bugs", ()),
        "param": [f"{name}={value}" for name, value in params.items()],
    }


def _dump(faults: list[Any]) -> str:
    text: str = yaml.safe_dump({"faults": faults}, sort_keys=False, default_flow_style=None)
    return text


def _unused(folder: Path) -> Path:
    """A folder of its own for each time that a test is shrunk."""
    number = 1
    while (path := folder / str(number)).exists():
        number += 1
    path.mkdir(parents=True)
    return path.resolve()
