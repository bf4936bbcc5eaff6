"""The event logs that nodes keep, merged by time into one that can be read.

All nodes of a test run on one machine, so the monotonic stamps of their logs are of one
clock; the wall clock, which a fault may turn, is not asked. Times are shown in s after
the first event of any node.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, chain
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
from dynamesis.checkers.history.arrays import line_ends
from dynamesis.checkers.history.gc_pause import gc_paused
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.results import NODES

_MONO = itemgetter("mono")
_HEAD = ("time", "mono", "node", "event")


_decoder = msgspec.json.Decoder()
_decode, _decode_lines = _decoder.decode, _decoder.decode_lines


@dataclass(frozen=True)
class Wanted:
    """Which events to show: of these names, about this key, of this request. None: whatever
    they are."""

    events: frozenset[str] | None
    key: str | None
    request: str | None = None

    def __call__(self, event: Mapping[str, Any]) -> bool:
        if self.events is not None and event["event"] not in self.events:
            return False
        if self.request is not None and event.get("request") != self.request:
            return False
        return self.key is None or self.key in _keys(event)


def _keys(event: Mapping[str, Any]) -> list[Any]:
    """The keys that an event is about; one row that could not be stored may be of many."""
    rows = event.get("rows")
    listed = rows if isinstance(rows, list) else []
    named = [row.get("key") for row in listed if isinstance(row, dict)]
    return [event.get("key"), *named]


def nodes_of(folder: Path) -> dict[str, Path]:
    """node -> its log, for every node of a test that has one."""
    return {path.parent.name: path for path in sorted(folder.glob(f"{NODES}/*/node.log"))}


def events(logs: Mapping[str, Path]) -> Iterator[JsonObject]:
    """What all nodes logged, merged by time."""
    streams = [_events(node, path) for node, path in logs.items()]
    return heapq.merge(*streams, key=_MONO)


def all_events(logs: Mapping[str, Path]) -> list[JsonObject]:
    """As `events`, all in memory: quicker, where they are needed so anyhow."""
    with gc_paused():
        found = list(chain.from_iterable(_whole(node, path) for node, path in logs.items()))
        found.sort(key=_MONO)
        return found


def merged(logs: Mapping[str, Path], wanted: Wanted) -> Iterator[str]:
    """The lines to show. A line that a kill cut off, or that is not an event, is shown as it
    is, where it is."""
    began: int | None = None
    for event in events(logs):
        began = event["mono"] if began is None else began
        if wanted(event):
            yield spell(event, began)


def _whole(node: str, path: Path) -> Iterable[JsonObject]:
    """As `_events`, decoded together where every line is an event."""
    content = path.read_bytes()
    try:
        found = _decode_lines(content)
    except (ValueError, RecursionError):
        return _events(node, path)
    if len(found) != line_ends(content) or not content.endswith(b"\n"):
        return _events(node, path)
    try:
        stamps = [event["mono"] for event in found if "event" in event]
    except (TypeError, KeyError):
        return _events(node, path)
    if len(stamps) != len(found) or not {*map(type, stamps)} <= {int}:
        return _events(node, path)
    if stamps != sorted(stamps):
        for event, latest in zip(found, accumulate(stamps, max), strict=True):
            event["mono"] = latest
    return found


def _is_event(event: Any) -> bool:
    return isinstance(event, dict) and isinstance(event.get("mono"), int) and "event" in event


def _events(node: str, path: Path) -> Iterator[JsonObject]:
    last = 0
    with path.open("rb") as lines:
        for line in lines:
            event = _parse(line)
            if event is None:
                text = line.decode(errors="replace").rstrip()
                event = {"mono": last, "node": node, "event": "(cut off)", "line": text}
            elif event["mono"] < last:
                # a log may be behind itself by a hair where two threads wrote it
                event["mono"] = last
            last = event["mono"]
            yield event


def _parse(line: bytes) -> JsonObject | None:
    try:
        event = _decode(line)
    except (ValueError, RecursionError):  # what that one refuses: NaN, bytes that are not UTF-8
        try:
            event = json.loads(line.decode(errors="replace"))
        except (ValueError, RecursionError):
            return None
    return event if _is_event(event) else None


def spell(event: Mapping[str, Any], began: int) -> str:
    """One event as a line, `began` ns before it being 0 s."""
    rest = "  ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in event.items()
        if name not in _HEAD
    )
    seconds = (event["mono"] - began) / 1e9
    return f"{seconds:10.4f}  {event.get('node', '?'):5} {event['event']:18} {rest}".rstrip()
