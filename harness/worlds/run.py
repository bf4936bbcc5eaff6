"""`python -P -m dynamesis.harness.worlds.run SPEC.json`: one test in a process of its own.

Campaigns and the pytest fixture start tests so: what becomes of one harms nothing else. The
file holds the spec, and the folder in which the results go.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.worlds.test_spec import TestSpec

SPEC = "spec.json"


def save(spec: TestSpec, store: Path, junit: Path | None = None) -> Path:
    """The file from which a process runs this test, written into `store`."""
    file = store / SPEC
    content = {"spec": spec.to_dict(), "store": str(store), "junit": junit and str(junit)}
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return file


def command_line(file: Path) -> list[str]:
    """The arguments of the process."""
    return [sys.executable, "-P", "-m", "dynamesis.harness.worlds.run", str(file)]


def run(file: Path) -> int:
    """The exit code of the verdict."""
    from dynamesis.harness.worlds.observer import ConsoleObserver
    from dynamesis.harness.worlds.run_test import run_test

    content: JsonObject = json.loads(file.read_text(encoding="utf-8"))
    spec, junit = TestSpec.of(content["spec"]), content["junit"]
    junit = None if junit is None else Path(junit)
    store = Path(content["store"])
    return run_test(spec, store=store, junit=junit, observer=ConsoleObserver()).exit_code


def main() -> None:
    """The process, from its first line to its exit code."""
    from dynamesis.harness.usage.outcome import outcome
    from dynamesis.harness.usage.process import process

    process(lambda: outcome("dynamesis test", lambda: run(Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
