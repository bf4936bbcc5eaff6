"""The folder of past tests: `store/<test>/<UTC time>/`, one unique folder a test.

Every file is written whole under another name and then renamed, so that a reader never
sees half of one; only history.jsonl and the logs grow in place. The `latest` links are
replaced by rename too: concurrent tests never see each other's link missing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dynamesis.checkers.history.op import JsonObject

TEST, HISTORY, RESULTS = "test.json", "history.jsonl", "results.json"
REPORT, JUNIT, LOG, LEDGER, NODES, SCHEDULE = (
    "report.html",
    "junit.xml",
    "harness.log",
    "ledger.jsonl",
    "nodes",
    "schedule.yaml",
)
#: where names are not those of files in a folder
_SPECIAL = (("dev",), ("proc",))
#: of a simulated test: what went between clients and nodes about a key
MESSAGES = "messages.jsonl"


class DamagedFolder(ValueError):
    """A file of a test or a campaign that cannot be read. The message names it."""


def write_whole(path: Path, text: str) -> None:
    """Write a file that a user named: whole, or not at all, so that none is left cut off where the
    disk is full. A pipe, a device or what an open file is called there (/dev/stdout), and what lies
    in a folder that takes no other file, is written as it is. Raises OSError that names it."""
    special = (path.exists() and not path.is_file()) or path.absolute().parts[1:2] in _SPECIAL
    if special or not os.access(path.resolve().parent, os.W_OK):
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as failure:
            failure.filename = failure.filename or str(path)
            raise
    else:
        _replace(path.resolve(), text)


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as failure:
        failure.filename = str(path)
        with suppress(OSError):
            part.unlink()
        raise


class Folder:
    """The files of one test."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def save(self, name: str, text: str) -> None:
        """Write a file whole, or not at all. Raises OSError that names it."""
        _replace(self.path / name, text)

    def save_json(self, name: str, value: Mapping[str, Any]) -> None:
        self.save(name, json.dumps(value, indent=2, default=str) + "\n")

    def load_json(self, name: str) -> JsonObject:
        """The object in a file; {} when the file is not there. Raises DamagedFolder."""
        try:
            value = json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError) as error:
            raise DamagedFolder(f"{self.path / name}: expected JSON: {error}") from error
        return value if isinstance(value, dict) else {}

    def peek_json(self, name: str) -> JsonObject:
        """The same for callers that continue without it: {} when it is damaged, too."""
        try:
            return self.load_json(name)
        except DamagedFolder:
            return {}


def create(root: Path, test: str, now: datetime | None = None) -> Folder:
    """Make a new folder for one run of `test` and point the `latest` links at it."""
    parent = root / test
    parent.mkdir(parents=True, exist_ok=True)
    path = _unused(parent, (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z")
    point_latest(root, path)
    return Folder(path)


def point_latest(root: Path, path: Path) -> None:
    """Points the `latest` links of a store at a test in it."""
    _point(path.parent / "latest", Path(path.name))
    _point(root / "latest", path.relative_to(root))


def runs(root: Path) -> Iterator[Folder]:
    """Every test of a store, oldest first."""
    found = (file.parent for file in root.glob(f"*/*/{TEST}") if not file.parent.is_symlink())
    return (Folder(path) for path in sorted(found, key=lambda path: path.name))


def _unused(parent: Path, stamp: str) -> Path:
    """mkdir is what decides between two tests that begin in the same millisecond."""
    for attempt in range(1000):
        path = parent / (stamp if attempt == 0 else f"{stamp}-{attempt}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"{parent}/{stamp}: a thousand tests began in the same millisecond")


def _point(link: Path, target: Path) -> None:
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
