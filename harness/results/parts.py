"""Parts of a history: what drivers recorded of their shares of a load, and how it becomes one.

Each driver writes a part beside the history of the harness. All are stamped by one clock, the
monotonic one of the machine, so that the order of the times is the order in which things happened.
They are merged when the test is over; where the harness was killed before, when its folder is
judged. A part is claimed by the process that writes it: what still grows is not merged.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import re
from array import array
from collections.abc import Iterator
from pathlib import Path

import msgspec
from dynamesis.checkers.history.op import Line
from msgspec import UNSET, UnsetType

_NAME = re.compile(r"history-driver-(\d+)\.jsonl")
#: the claims of this process, which last as long as it does
_CLAIMS: list[int] = []

#: time, source, index in the source, basis, the line
_Event = tuple[int, int, int, "int | UnsetType | None", bytes]


class _Stamp(msgspec.Struct):
    """The fields of an event that are looked at."""

    index: int
    time: int
    basis: int | UnsetType | None = UNSET


_stamp = msgspec.json.Decoder(_Stamp).decode
_line = msgspec.json.Decoder(Line).decode


class StillRuns(RuntimeError):
    """The test whose history is to be merged has not ended."""


def part(folder: Path, driver: int) -> Path:
    """The part of a driver, counted from 1."""
    return folder / f"history-driver-{driver}.jsonl"


def parts_of(folder: Path) -> list[Path]:
    """The parts in a folder that were not merged yet."""
    named = ((_NAME.fullmatch(path.name), path) for path in folder.glob("history-driver-*.jsonl"))
    numbered = sorted((int(found[1]), path) for found, path in named if found)
    return [path for _, path in numbered]


def claim(path: Path) -> None:
    """Make the part, and keep others from merging it until this process has ended."""
    claimed = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    fcntl.flock(claimed, fcntl.LOCK_EX | fcntl.LOCK_NB)
    _CLAIMS.append(claimed)


def merge(history: Path) -> None:
    """Merge the parts beside a history into it, by time, if there are any: numbered anew, and what
    names another event by its index with it. Raises StillRuns while one of them grows, OSError
    where there is no space for it; nothing is lost then."""
    parts = parts_of(history.parent)
    if not parts:
        return
    for path in parts:
        _must_be_free(path)
    merged = history.with_name(f".{history.name}.{os.getpid()}")
    try:
        with merged.open("wb", buffering=1 << 20) as file:
            file.writelines(_renumbered([history, *parts]))
        merged.replace(history)
    finally:
        merged.unlink(missing_ok=True)
    for path in parts:
        path.unlink()


def _must_be_free(path: Path) -> None:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StillRuns(f"{path} still grows: the test has not ended") from None


def _renumbered(sources: list[Path]) -> Iterator[bytes]:
    """The lines of the whole history. Of events of one time those of the harness come first."""
    places = [array("q") for _ in sources]
    events = heapq.merge(*(_events(path, source) for source, path in enumerate(sources)))
    for place, (_, source, _, basis, line) in enumerate(events):
        own = places[source]
        own.append(place)
        if isinstance(basis, int):
            event = _line(line)
            event.index, event.basis = place, own[basis]
            yield msgspec.json.encode(event) + b"\n"
        else:
            yield b'{"index":%d%b' % (place, line[line.index(b",") :])


def _events(path: Path, source: int) -> Iterator[_Event]:
    """The whole lines of a file; half of one is left out, as its process ended while it wrote."""
    with path.open("rb", buffering=1 << 20) as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            stamp = _stamp(line)
            yield stamp.time, source, stamp.index, stamp.basis, line
