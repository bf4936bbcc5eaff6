"""What a node leaves in its folder: its data, a copy of them, and its logs."""

from __future__ import annotations

import shutil
from pathlib import Path

CONFIG, STDERR, CLOCK = "config.json", "stderr.log", "clock"
_DATA, _COPY = "data", "data.copy"
_LOGS = ("node.log", STDERR)
_TAIL_BYTES = 16 << 10


def wipe_data(folder: Path) -> None:
    """Delete the data of a node that is down."""
    shutil.rmtree(folder / _DATA, ignore_errors=True)


def copy_data(folder: Path) -> None:
    """Keep a copy of the data of a node that is down."""
    shutil.rmtree(folder / _COPY, ignore_errors=True)
    if (folder / _DATA).exists():
        shutil.copytree(folder / _DATA, folder / _COPY)


def restore_data(folder: Path) -> bool:
    """Put the copy in the place of the data; False if there is none."""
    if not (folder / _COPY).exists():
        return False
    wipe_data(folder)
    shutil.copytree(folder / _COPY, folder / _DATA)
    return True


def collect(folder: Path, into: Path) -> None:
    """Copy a node's log, what it printed and its configuration."""
    for file in (folder / name for name in (CONFIG, *_LOGS)):
        if file.exists():
            into.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, into / file.name)


def last_lines(folder: Path, lines: int = 10) -> list[str]:
    """The end of each of a node's logs."""
    return [line for name in _LOGS for line in _tail(folder / name, lines)]


def _tail(file: Path, lines: int) -> list[str]:
    if not file.exists():
        return []
    with file.open("rb") as content:
        content.seek(max(0, file.stat().st_size - _TAIL_BYTES))
        return content.read().decode("utf-8", "replace").splitlines()[-lines:]
