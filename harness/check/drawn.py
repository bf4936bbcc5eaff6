"""The pictures of a stored test as files, for READMEs and issues."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dynamesis.harness.report.page import pictures
from dynamesis.harness.results.results import Folder
from dynamesis.harness.usage.exits import UsageError


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
            f"--svg {into}: {failure.strerror}; name a folder to write to"
        ) from failure
