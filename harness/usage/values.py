"""Reads what users write after a flag; raises UsageError with the flag and what is allowed."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynamesis.harness.processes.limits import shortage
from dynamesis.harness.results.results import Folder, create, write_whole
from dynamesis.harness.targets.system import EnvironmentFailed
from dynamesis.harness.usage.exits import UsageError

if TYPE_CHECKING:
    from dynamesis.checkers.history.exact import Number

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def duration(flag: str, text: str, low: float = 0.001, high: float = math.inf) -> float:
    """Seconds, from `500ms`, `10s`, `2m` or `1h`. Raises UsageError unless low <= it <= high."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        raise UsageError(f"{flag}: {text!r} is not a length of time; write 500ms, 10s, 2m or 1h")
    seconds = float(match[1]) * _UNITS[match[2]]
    if not low <= seconds <= high:
        raise UsageError(f"{flag}: {text} is out of range; allowed: {low:g} s to {high / 3600:g} h")
    return seconds


def one_of(flag: str, text: str, allowed: Iterable[str]) -> str:
    """`text`, if it is one of the names that are allowed."""
    names = sorted(allowed)
    if text in names:
        return text
    near = get_close_matches(text, names, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise UsageError(f"{flag}: there is no {text!r}{hint}; allowed: {', '.join(names)}")


def within(flag: str, value: float, low: float, high: float) -> None:
    """Complain unless low <= value <= high."""
    if not low <= value <= high:
        raise UsageError(f"{flag}: {value} is out of range; allowed: {low} to {high}")


def results_folder(root: Path, name: str) -> Folder:
    """A new folder for one run. Raises UsageError where `root` is not a folder,
    EnvironmentFailed where it takes nothing."""
    try:
        return create(root, name)
    except (NotADirectoryError, FileExistsError) as failure:
        raise UsageError(
            f"--store: {root} takes no results: {failure.strerror}; name another folder"
        ) from failure
    except OSError as failure:
        why = shortage(failure) or str(failure)
        raise EnvironmentFailed(
            f"--store: {root} takes no results: {why}; make room there, or name another folder"
        ) from failure


def writable_file(flag: str, path: Path) -> None:
    """Complain unless a file can be written at `path`."""
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageError(f"{flag}: {path} cannot be written; name a file in a folder that exists")


def writable_files(*files: tuple[str, Path | None]) -> None:
    """Complain unless each of the files that are given, with its flag, can be written, and each is
    another one: the last to be written would be all that is left."""
    taken: dict[Path, str] = {}
    for flag, path in files:
        if path is None:
            continue
        writable_file(flag, path)
        first = taken.setdefault(path.resolve(), flag)
        if first != flag and (path.is_file() or not path.exists()):  # a device takes both
            raise UsageError(f"{flag}: {path} is that of {first} too; name another file")


def write_file(flag: str, path: Path, text: str) -> None:
    """Write the file that a flag names, whole or not at all. Raises EnvironmentFailed with both
    where that fails."""
    try:
        write_whole(path, text)
    except OSError as failure:
        why = failure.strerror or str(failure)
        raise EnvironmentFailed(
            f"{flag}: {path} was not written: {why}; name a file elsewhere"
        ) from failure


def write_files(*files: tuple[str, Path | None, str]) -> None:
    """Write each of the files that are given: flag, path, text. Raises EnvironmentFailed for the
    first that fails, once all have been tried."""
    failed: EnvironmentFailed | None = None
    for flag, path, text in files:
        try:
            if path is not None:
                write_file(flag, path, text)
        except EnvironmentFailed as failure:
            failed = failed or failure
    if failed is not None:
        raise failed


def exact_number(flag: str, text: str) -> Number:
    """A number without rounding, from `10`, `-0.5`, `1e3` or `1/3`. Raises UsageError."""
    from dynamesis.checkers.history.exact import parse_number

    try:
        return parse_number(text)
    except ValueError as wrong:
        raise UsageError(f"{flag}: {wrong}") from wrong


def value_of(flag: str, text: str) -> Any:
    """A value as a history spells it, in JSON or in EDN; a bare word is text. Raises UsageError."""
    import msgspec
    from dynamesis.checkers.formats.edn import EdnError, Parser

    try:
        return msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:
        [value] = Parser(text).forms()
    except (EdnError, ValueError, RecursionError) as wrong:
        raise UsageError(f"{flag}: expected one value in JSON or EDN, got {text[:40]!r}") from wrong
    return value


def program(given: str) -> str:
    """A program as a user gave it, a file or a command line, with every file of it by its whole
    path: it will be started in another folder."""
    if Path(given).is_file():
        return str(Path(given).resolve())
    try:
        words = shlex.split(given)
    except ValueError:
        return given
    found = [str(Path(word).resolve()) if Path(word).is_file() else word for word in words]
    return shlex.join(found)
