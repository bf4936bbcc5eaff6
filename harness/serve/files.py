"""The files of a store that may have been made elsewhere: only regular files below it are read.

Nothing here waits or raises, whatever a path names: a link that leads outside, a FIFO, a device, a
name with a NUL byte, JSON of any form.
"""

from __future__ import annotations

import io
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dynamesis.harness.results.documents import JsonObject

#: bytes of a JSON file beyond which it is not read
_MOST = 64 << 20
#: files with the secret of a cluster, which only their owner may read, and how it is given there
_SECRET_FILES = ("config.json", "cluster.json")
_SECRET = re.compile(rb'("(?:former_)?secret"\s*:\s*)"(?:[^"\\]|\\.)*"')


def inside(root: Path, relative: str) -> Path | None:
    """What a path below `root` (itself resolved) comes to; None if that is not below it, or not
    there."""
    try:
        found = (root / relative.lstrip("/")).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return None
    return found if found.is_relative_to(root) else None


def opened(path: Path) -> BinaryIO | None:
    """A regular file, opened; None for all else."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    if stat.S_ISREG(os.fstat(number).st_mode):
        return os.fdopen(number, "rb")
    os.close(number)
    return None


def without_secret(name: str, file: BinaryIO) -> BinaryIO:
    """The file, without the secret of the cluster if it has one: any user of this machine may
    ask a port, and may not read such a file."""
    if not name.removesuffix(".part").endswith(_SECRET_FILES):
        return file
    return io.BytesIO(_SECRET.sub(rb'\1"not shown"', file.read(_MOST)))


def load(root: Path, path: Path) -> JsonObject:
    """The object in a JSON file below `root`; {} where there is none."""
    at = inside(root, str(path.relative_to(root))) if path.is_relative_to(root) else None
    file = None if at is None else opened(at)
    if file is None:
        return {}
    with file:
        content = file.read(_MOST + 1)
    try:
        value = json.loads(content) if len(content) <= _MOST else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def changed(path: Path) -> tuple[int, int]:
    """What differs between two states of a file; (0, 0) where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return 0, 0
    return found.st_mtime_ns, found.st_size


def folders(root: Path, pattern: str) -> Iterator[Path]:
    """The folders below `root` (itself resolved) of the files that match; not by way of links, of
    which `latest` is one at each level, so that each folder comes once."""
    try:
        found = sorted(root.glob(pattern))
    except (OSError, RecursionError):
        return
    for file in found:
        if inside(root, str(file.relative_to(root))) == file:
            yield file.parent


def table(value: object) -> JsonObject:
    """A value as a dict: {} where it is none."""
    return value if isinstance(value, dict) else {}


def rows(value: object) -> list[JsonObject]:
    """The dicts in a list; [] where it is none."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
