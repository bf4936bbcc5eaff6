"""The lines of a history that a page shows: those that prove something, and what harness and
nemesis did."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from dynamesis.checkers.history.history import History, encode
from dynamesis.checkers.history.pairing import INFO
from dynamesis.harness.results.documents import JsonObject

log = logging.getLogger(__name__)

#: events of harness and nemesis that are listed
_STORY = 2_000

#: a line of the history without its quorum information (`worth`), and that, as JSON
Cited = tuple[str, str]


def cited_line(line: str) -> Cited:
    """A line that proves something, in its two parts; any other text stays as it is."""
    try:
        event = json.loads(line)
        quorum = event.pop("worth", None)
    except (ValueError, AttributeError, RecursionError):
        return line, ""
    if quorum is None:
        return line, ""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False), json.dumps(quorum)


def read_lines(path: Path, wanted: set[int]) -> tuple[dict[int, str], list[JsonObject]]:
    """The lines that prove something, and what harness and nemesis did."""
    proof: dict[int, str] = {}
    story: list[JsonObject] = []
    try:
        with path.open("rb") as lines:
            for index, line in enumerate(lines):
                if index in wanted:
                    proof[index] = line.decode(errors="replace").strip()
                if (b'"nemesis"' in line or b'"harness"' in line) and len(story) < _STORY:
                    event = _event(line)
                    if event is not None:
                        story.append(event)
    except OSError:
        log.warning("%s cannot be read", path)
    return proof, story


def held_lines(h: History, wanted: set[int]) -> tuple[dict[int, str], list[JsonObject]]:
    """As `read_lines`, of a history in another form: its events as lines of ours."""
    proof = {row: encode(h.op(row)).decode().strip() for row in wanted if 0 <= row < len(h)}
    done = h.where((h.process < 0) & (h.kind == INFO))[:_STORY]
    events = (_event(encode(h.op(row))) for row in done)
    return proof, [event for event in events if event is not None]


def _event(line: bytes) -> JsonObject | None:
    """An event of harness or nemesis that is done; None for any other line."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("time"), int):
        return None
    done = event.get("process") in ("nemesis", "harness") and event.get("type") == "info"
    return event if done else None
