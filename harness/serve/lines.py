"""Lines of a history and of the nodes' logs, some at a time, each with what it leads to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from dynamesis.harness.report.nodelog import Wanted, events, spell
from dynamesis.harness.report.pictures.svg import short
from dynamesis.harness.results.results import HISTORY, NODES
from dynamesis.harness.serve.files import inside, opened

#: lines of a page, and characters of a line
PAGE, LONG = 200, 2000


@dataclass(frozen=True)
class ShownLine:
    """`number`: of the line in its file, or among all that were asked for; `id`: the write that it
    is about, as both the history and the logs name it."""

    number: int
    text: str
    id: str | None


def history_lines(
    root: Path, folder: Path, first: int, id: str = ""
) -> tuple[list[ShownLine], bool]:
    """A page of history.jsonl, from the line `first` on, or from the first about the write `id`;
    and whether there is more."""
    at = inside(root, str((folder / HISTORY).relative_to(root)))
    file = None if at is None else opened(at)
    if file is None:
        return [], False
    with file:
        numbered = enumerate(file)
        if id:
            sought = f'"id":{json.dumps(id)}'.encode()
            found = next(((n, line) for n, line in numbered if sought in line), None)
            head = [] if found is None else [found]
            rest = islice(numbered, PAGE + 1 - len(head))
        else:
            head, rest = [], islice(numbered, first, first + PAGE + 1)
        lines = [_line(number, line) for number, line in [*head, *rest]]
    return lines[:PAGE], len(lines) > PAGE


def log_lines(
    root: Path, folder: Path, first: int, wanted: Wanted, node: str = ""
) -> tuple[list[ShownLine], bool, list[str]]:
    """A page of what the nodes logged and is `wanted`; whether there is more; all nodes."""
    logs = logs_of(root, folder)
    chosen = {node: logs[node]} if node in logs else logs
    found = list(islice(_events(chosen, wanted), first, first + PAGE + 1))
    lines = [ShownLine(first + i, text, id) for i, (text, id) in enumerate(found)]
    return lines[:PAGE], len(lines) > PAGE, sorted(logs)


def logs_of(root: Path, folder: Path) -> dict[str, Path]:
    """node -> its log, where that is a regular file below the store."""
    found = {}
    for path in sorted(folder.glob(f"{NODES}/*/node.log")):
        at = inside(root, str(path.relative_to(root)))
        if at is not None and at.is_file():
            found[path.parent.name] = at
    return found


def _events(logs: dict[str, Path], wanted: Wanted) -> Iterator[tuple[str, str | None]]:
    began: int | None = None
    for event in events(logs):
        began = event["mono"] if began is None else began
        if wanted(event):
            request = event.get("request")
            text = short(spell(event, began), LONG)
            yield text, request if isinstance(request, str) else None


def _line(number: int, raw: bytes) -> ShownLine:
    text = raw.decode(errors="replace").rstrip("\n")
    try:
        event = json.loads(raw)
    except (ValueError, RecursionError):
        event = None
    id = event.get("id") if isinstance(event, dict) else None
    return ShownLine(number, short(text, LONG), id if isinstance(id, str) else None)
