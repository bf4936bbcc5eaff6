"""Writes a history beside itself in another format: whole, or not at all."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

from dynamesis.checkers.formats.io import write_edn, write_json
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.source import STDIN
from dynamesis.harness.targets.system import EnvironmentFailed
from dynamesis.harness.usage.exits import UsageError

WRITERS: dict[str, Callable[[History, Path], None]] = {"edn": write_edn, "json": write_json}

#: what the machine lacks, and no other command would mend
_LACKING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE}
_AWAY = "move it away, or leave --export out"


def export(history: History, file: Path, fmt: str) -> None:
    """Write `history`, which was read from `file`, in a format of WRITERS. Raises UsageError where
    the target is there already or cannot be written, EnvironmentFailed where the disk is full."""
    target = target_of(file, fmt)
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        _write(history, part, target, WRITERS[fmt])
    except FileExistsError as there:
        raise UsageError(f"--export: {target} is there already; {_AWAY}") from there
    except ValueError as held:
        raise UsageError(f"--export: {target}: {held}") from held
    except OSError as failure:
        message = f"--export: {target}: {failure.strerror}"
        raise (EnvironmentFailed if failure.errno in _LACKING else UsageError)(message) from failure
    finally:
        part.unlink(missing_ok=True)
    print(f"wrote {target}", file=sys.stderr)


def target_of(file: Path, fmt: str) -> Path:
    """Where the history of a file is exported to. Raises UsageError where that cannot be."""
    if str(file) in STDIN:
        raise UsageError(
            "--export: standard input has no file name to derive the target's from; give a file"
        )
    name = file.with_suffix("") if file.suffix == ".gz" else file
    target = name.with_suffix(f".{fmt}")
    if os.path.lexists(target):
        raise UsageError(f"--export: {target} is there already; {_AWAY}")
    return target


def _write(
    history: History, part: Path, target: Path, writer: Callable[[History, Path], None]
) -> None:
    """Under another name first, to the disk, and then to its own name, which is not taken from
    a file that came meanwhile."""
    writer(history, part)
    with part.open("rb") as written:
        os.fsync(written.fileno())
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:
        # a file system without links
        if os.path.lexists(target):
            raise FileExistsError(target) from None
        part.rename(target)
