"""A stored test as files for other tools: its pictures, and its trace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dynamesis.checkers.graph.run import Run
from dynamesis.harness.check.evaluate import judge_history, locate, read, stored_test
from dynamesis.harness.report.page import pictures
from dynamesis.harness.report.perfetto import trace
from dynamesis.harness.report.stored_logs import stored_logs
from dynamesis.harness.report.summary import described
from dynamesis.harness.results.results import Folder
from dynamesis.harness.usage.exits import UsageError

TRACE = "trace.pftrace"


def save_pictures(folder: Folder, into: Path) -> Iterator[Path]:
    """Writes each picture into a folder, which is made where it is not there; gives their paths.
    Raises UsageError where it cannot be written to."""
    try:
        into.mkdir(parents=True, exist_ok=True)
        for name, drawing in pictures(folder):
            path = into / name
            path.write_text(drawing, encoding="utf-8")
            yield path
    except OSError as failure:
        raise UsageError(
            f"--svg {into}: {failure.strerror}; name a folder that can be written to"
        ) from failure


def save_trace(path: Path, output: Path | None) -> Path:
    """Writes the trace of a stored test, or of a lone history: whole, or not at all. Raises
    UsageError for what cannot be read or written."""
    folder, history = locate(path)
    test = stored_test(folder) if folder else {}
    run = Run(read(history), test)
    logs = stored_logs(folder, test) if folder else None
    found = described(judge_history(run.history, test))
    target = output or history.parent / TRACE
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            file.writelines(trace(run, logs, found))
        part.replace(target)
    except OSError as failure:
        raise UsageError(f"--output {target}: {failure.strerror}; name another file") from failure
    finally:
        part.unlink(missing_ok=True)
    return target
