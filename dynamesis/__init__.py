"""Dynamesis breaks eventually consistent stores, and proves whether they kept their promises.

The public names, described in docs/api.md. Each is imported when it is first used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynamesis.checkers.history.history import History, Op
    from dynamesis.checkers.verdict import Anomaly, CheckerResult, NoTruthValue, Results, Verdict
    from dynamesis.harness.check.evaluate import check
    from dynamesis.harness.nemesis import Nemesis
    from dynamesis.harness.targets.client import Client
    from dynamesis.harness.targets.system import EnvironmentFailed
    from dynamesis.harness.targets.target import Target
    from dynamesis.harness.usage.exits import UsageError
    from dynamesis.harness.worlds.observer import Observer
    from dynamesis.harness.worlds.run_test import run_test
    from dynamesis.harness.worlds.test_result import TestResult
    from dynamesis.harness.worlds.test_spec import TestSpec
    from dynamesis.workloads import Workload

__all__ = [
    "Anomaly",
    "CheckerResult",
    "Client",
    "EnvironmentFailed",
    "History",
    "Nemesis",
    "NoTruthValue",
    "Observer",
    "Op",
    "Results",
    "Target",
    "TestResult",
    "TestSpec",
    "UsageError",
    "Verdict",
    "Workload",
    "check",
    "run_test",
]

#: name -> module, and the name in it where that is another
_HOMES = {
    "Anomaly": "checkers.verdict",
    "CheckerResult": "checkers.verdict",
    "Client": "harness.targets.client",
    "EnvironmentFailed": "harness.targets.system",
    "History": "checkers.history.history",
    "Nemesis": "harness.nemesis",
    "NoTruthValue": "checkers.verdict",
    "Observer": "harness.worlds.observer",
    "Op": "checkers.history.history",
    "Results": "checkers.verdict",
    "Target": "harness.targets.target",
    "TestResult": "harness.worlds.test_result",
    "TestSpec": "harness.worlds.test_spec",
    "UsageError": "harness.usage.exits",
    "Verdict": "checkers.verdict",
    "Workload": "workloads",
    "check": "harness.check.evaluate",
    "run_test": "harness.worlds.run_test",
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'dynamesis' has no attribute {name!r}")
    module, _, other = _HOMES[name].partition(":")
    found: object = getattr(import_module(f"dynamesis.{module}"), other or name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*globals(), *(name for name in __all__ if name not in globals())]
