"""What the tests of the simulated world run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml
from dynamesis.checkers.history.op import JsonObject, Op
from dynamesis.harness.worlds.options import TestOptions, plan_test
from dynamesis.harness.worlds.simulated.run import SimulatedTest, judge, simulate
from dynamesis.harness.worlds.test_spec import TestSpec


def options(workload: str = "register", nemesis: str = "none", **more: Any) -> TestOptions:
    """A small test: 2 s, 4 clients, 3 keys."""
    small = {"time_limit": 2.0, "rate": 50, "concurrency": 4, "keys": 3, "seed": 1}
    asked = {"workload": workload, "nemesis": nemesis, "world": "simulated"}
    return plan_test(TestSpec.of({**small, **asked, **more}))


def with_faults(faults: list[JsonObject], **more: Any) -> TestOptions:
    """A small test with these faults, as a schedule file has them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "schedule.yaml"
        file.write_text(yaml.safe_dump({"faults": faults}), encoding="utf-8")
        return options(nemesis=None, schedule=file, **more)  # type: ignore[arg-type]


def run(*arguments: Any, **more: Any) -> tuple[SimulatedTest, JsonObject]:
    """A small test, and its results."""
    ended = simulate(options(*arguments, **more))
    return ended, judge(ended)


def notes(test: SimulatedTest, f: str) -> list[Op]:
    """The events of this name by the nemesis or the harness."""
    return [op for op in test.history if op.f == f and op.type == "info"]
