"""The operations of a history as columns for the browser: packed, and small.

Each column is 32-bit integers; those that grow are written as differences, the whole is
compressed, and the browser inflates it. So 100,000 operations take some 1 MB of the page.
"""

from __future__ import annotations

import base64
import heapq
import zlib
from collections.abc import Mapping

import numpy as np
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import INVOKE, OK, Ints
from dynamesis.harness.report.pictures.intervals import label_of
from dynamesis.harness.report.pictures.svg import short
from dynamesis.harness.results.documents import JsonObject

#: the columns in the order in which they are packed; those with + are differences
COLUMNS = (
    "row+",
    "end",
    "start+",
    "took",
    "process",
    "lane",
    "node",
    "f",
    "key",
    "outcome",
    "seen",
)
#: processes that have a lane each; where there are more, a lane is used again
OWN = 40
#: operations of which the words are packed too; names of keys
WORDED, KEYS = 20_000, 20_000
#: an operation that never ended
OPEN = 3


def operations(h: History) -> JsonObject:
    """{count, harness, columns, packed (base64), names, lane_names, words}: of all operations but
    the nemesis's; `harness`: the processes by number that are not clients, the first ones. Times
    are us since the test began; `outcome` is 0 ok, 1 fail, 2 info, 3 open; `took` is -1 where it is
    open; `seen` is the number of siblings, -1 where none were asked for."""
    rows = np.flatnonzero((h.kind == INVOKE) & (h.process != -2))
    end = h.pair[rows]
    ended = np.maximum(end, 0)
    start = h.time[rows] // 1000
    finish = np.where(end >= 0, h.time[ended] // 1000, -1)
    siblings = np.where(
        (end >= 0) & h.shown[ended], h.sib_start[ended + 1] - h.sib_start[ended], -1
    )
    names, process = np.unique(h.process[rows], return_inverse=True)
    own = owners(h.process[rows])
    order = sorted(range(len(h.nodes)), key=h.nodes.__getitem__)
    place = np.append(np.argsort(order), -1).astype(np.int64)
    columns: Mapping[str, Ints] = {
        "row": rows,
        "end": np.where(end >= 0, end - rows, 0),
        "start": start,
        "took": np.where(end >= 0, finish - start, -1),
        "process": process.reshape(-1),
        "lane": lanes(h.process[rows], start, finish),
        "node": place[np.where(end >= 0, _node(h, rows, ended), h.replica[rows])],
        "f": h.f[rows],
        "key": np.where(h.key_of[rows] < KEYS, h.key_of[rows], -1),
        "outcome": np.where(end >= 0, h.kind[ended] - OK, OPEN),
        "seen": np.where(h.kind[ended] == OK, siblings, -1),
    }
    return {
        "count": len(rows),
        "harness": int(np.sum(names < 0)),
        "columns": COLUMNS,
        "packed": pack([columns[name.rstrip("+")] for name in COLUMNS]),
        "names": {
            "process": [short(h.name_of(int(p)), 24) for p in names],
            "node": [short(h.nodes[i], 24) for i in order],
            "f": [short(f, 24) for f in h.fs],
            "key": [short(key, 48) for key in h.keys[:KEYS]],
        },
        "lane_names": [short(h.name_of(p), 12) for p in own],
        "words": words(h, rows),
    }


def _node(h: History, rows: Ints, ended: Ints) -> Ints:
    """The node that answered, else the replica that was asked."""
    return np.where(h.node[ended] >= 0, h.node[ended], h.replica[rows])


def lanes(process: Ints, start: Ints, finish: Ints) -> Ints:
    """A lane for each process; where they are many, it is used again when its process has done its
    last operation: retired processes would else make thousands."""
    if own := owners(process):
        place = {p: i for i, p in enumerate(own)}
        return np.array([place[p] for p in process.tolist()], np.int64)
    lane_of: dict[int, int] = {}
    last: dict[int, int] = {}
    for p, begun, done in zip(process.tolist(), start.tolist(), finish.tolist(), strict=True):
        last[p] = max(last.get(p, 0), done, begun)
    free: list[int] = []
    busy: list[tuple[int, int]] = []
    found = np.empty(len(process), np.int64)
    for i, (p, at) in enumerate(zip(process.tolist(), start.tolist(), strict=True)):
        if p not in lane_of:
            while busy and busy[0][0] < at:
                heapq.heappush(free, heapq.heappop(busy)[1])
            lane_of[p] = heapq.heappop(free) if free else len(busy)
            heapq.heappush(busy, (last[p], lane_of[p]))
        found[i] = lane_of[p]
    return found


def owners(process: Ints) -> list[int]:
    """The processes by their lanes, clients first; empty where a lane does not have one alone."""
    names = np.unique(process).tolist()
    if len(names) > OWN:
        return []
    return sorted(names, key=lambda p: (p < 0, abs(p)))


def words(h: History, rows: Ints) -> str:
    """What each operation did, packed; empty where they are many."""
    if len(rows) > WORDED:
        return ""
    text = "\n".join(short(label_of(h, row), 60) for row in rows.tolist())
    return base64.b64encode(zlib.compress(text.encode(errors="replace"), 6)).decode()


def pack(columns: list[Ints]) -> str:
    """Columns one after the other as little-endian int32, compressed, as base64."""
    parts = []
    for name, column in zip(COLUMNS, columns, strict=True):
        kept = np.diff(column, prepend=0) if name.endswith("+") else column
        parts.append(np.clip(kept, -(2**31), 2**31 - 1).astype("<i4").tobytes())
    return base64.b64encode(zlib.compress(b"".join(parts), 6)).decode()
