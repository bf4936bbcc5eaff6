"""Sets by element, banks by account, counters by what was possible: reads side by side.

A column a read, in order of time; the reads that the proof cites are red. Which elements are drawn
follows from the proof: those of cited adds, then others that the cited reads show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import FAIL, INVOKE, OK, Bools
from dynamesis.harness.report.pictures.instants import clock_of
from dynamesis.harness.report.pictures.svg import Drawing, short, wrapped

#: reads and rows of a table, and pixels; a table is at least so wide that a phone shows it
READS, ROWS, GUTTER, CELL, LINE, LEAST = 11, 14, 110, 72, 26, 470

_SETS = ("lost-element", "phantom", "aborted-read", "future-read", "duplicate-elements",
         "stale-read", "lost-item", "extra-item")  # fmt: skip
_BANKS = ("wrong-total", "negative-value", "nil-balance", "unexpected-key")


def counter_picture(h: History, anomaly: Mapping[str, Any]) -> Drawing | None:
    """The picture of an anomaly of a counter; None for any other."""
    return _counter(h, anomaly) if anomaly["name"] == "out-of-bounds" else None


def element_table(h: History, anomaly: Mapping[str, Any]) -> Drawing | None:
    """The picture of an anomaly of a set or a bank; None for any other."""
    name = anomaly["name"]
    if name in _BANKS:
        return _table(h, anomaly, _accounts)
    if name in _SETS and _reads(h, anomaly, list):
        return _table(h, anomaly, _elements)
    return None


def _of_key(h: History, anomaly: Mapping[str, Any]) -> Bools:
    """The events of the object that an anomaly is of: all, where objects have no key."""
    key = anomaly.get("key")
    return h.key_of == h.keys.index(key) if key in h.keys else np.ones(len(h), bool)


def _reads(h: History, anomaly: Mapping[str, Any], kind: type) -> list[int]:
    """The completed reads nearest to the proof whose value is of this type, cited ones first."""
    rows = np.flatnonzero((h.kind == OK) & h.rows("read") & (h.process >= 0) & _of_key(h, anomaly))
    cited = [int(r) for r in anomaly["ops"] if 0 <= r < len(h)]
    if not len(rows) or not cited:
        return []
    near = np.abs(rows - max(cited))
    near[np.isin(rows, cited)] = -1
    chosen = rows[np.argsort(near, kind="stable")[: READS * 2]].tolist()
    fit = [row for row in chosen if isinstance(h.value_of(row), kind)]
    return sorted(fit[:READS])


Cell = tuple[str, str]


def _accounts(h: History, anomaly: Mapping[str, Any], rows: Sequence[int]) -> dict[str, list[Cell]]:
    """Balances by account, and their sums."""
    balances = [dict(h.value_of(row)) for row in rows]
    names = list(dict.fromkeys(account for each in balances for account in each))
    both = zip(rows, balances, strict=True)
    sane = next((each for row, each in both if row not in anomaly["ops"]), {})
    strange = anomaly["name"] == "unexpected-key"
    found: dict[str, list[Cell]] = {}
    for account in names[:ROWS]:
        extra = strange and account not in sane
        found[short(account, 14)] = [_balance(h, each, account, extra) for each in balances]
    totals = [sum(v for v in each.values() if isinstance(v, int)) for each in balances]
    usual = max(set(totals), key=totals.count)
    bad = anomaly["name"] == "wrong-total"
    cited = set(anomaly["ops"])
    found["total"] = [
        (str(t), "bad" if bad and (row in cited or t != usual) else "bold")
        for row, t in zip(rows, totals, strict=True)
    ]
    return found


def _balance(h: History, balances: Mapping[str, Any], account: str, extra: bool) -> Cell:
    """The balance of an account in a read; red where it is what is wrong."""
    if account not in balances:
        return "\u2014", "" if extra else "bad"
    value = balances[account]
    return short(h.spelled(value), 9), "bad" if extra or value is None or _below(value) else ""


def _below(value: object) -> bool:
    return isinstance(value, int) and value < 0


def _elements(h: History, anomaly: Mapping[str, Any], rows: Sequence[int]) -> dict[str, list[Cell]]:
    """By element whether each read shows it."""
    shown = [[h.spelled(e) for e in h.value_of(row)] for row in rows]
    added = [h.spelled(h.value_of(r)) for r in anomaly["ops"]
             if 0 <= r < len(h) and h.fs[h.f[r]] == "add"]  # fmt: skip
    cited = set(anomaly["ops"])
    known = {h.spelled(v) for v in _added(h, anomaly)}
    strange = [e for each in shown for e in each if e not in known]
    twice = [e for row, each in zip(rows, shown, strict=True) if row in cited
             for e in each if each.count(e) > 1]  # fmt: skip
    wrong = list(dict.fromkeys([*added, *strange, *twice]))
    others = [e for row, each in zip(rows, shown, strict=True) if row in cited for e in each]
    names = list(dict.fromkeys([*wrong, *others, *(e for each in shown for e in each)]))[:ROWS]
    found: dict[str, list[Cell]] = {}
    for name in names:
        marks = []
        for row, each in zip(rows, shown, strict=True):
            times = each.count(name)
            mark = "\u2014" if not times else "\u2713" if times == 1 else f"\u2713 x{times}"
            marks.append((mark, "bad" if name in wrong and row in cited else ""))
        found[short(name, 14)] = marks
    return found


def _added(h: History, anomaly: Mapping[str, Any]) -> list[Any]:
    rows = np.flatnonzero((h.kind == INVOKE) & h.rows("add") & _of_key(h, anomaly))
    return [h.value_of(int(row)) for row in rows[:100_000]]


def _table(h: History, anomaly: Mapping[str, Any], cells: Any) -> Drawing | None:
    rows = _reads(h, anomaly, dict if cells is _accounts else list)
    if not rows:
        return None
    lines: dict[str, list[Cell]] = cells(h, anomaly, rows)
    legend = f"red: {_MEANS[cells]}; the reads that the proof cites have a ground"
    width = max(GUTTER + CELL * len(rows) + 8, LEAST)
    height = 50 + LINE * len(lines) + 8
    words = wrapped(legend, width - 8)
    drawing = Drawing(f"{anomaly['name']}: reads side by side", width, height + 5 + 15 * len(words))
    for n, part in enumerate(words):
        drawing.text(4, height + 12 + 15 * n, part, "soft")
    spell = clock_of(h, rows)
    drawing.text(4, 16, "read ended at" if h.time.any() else "reads", "soft")
    drawing.text(4, 34, "index", "soft")
    for i, row in enumerate(rows):
        x = GUTTER + CELL * i + CELL / 2
        cited = row in anomaly["ops"]
        if cited:
            drawing.rect(x - CELL / 2 + 2, 2, CELL - 4, height - 6, "badband")
        drawing.text(x, 16, spell(row) if h.time.any() else "", "soft", "middle")
        drawing.text(x, 34, row, "bad" if cited else "soft", "middle")
    for n, (label, line) in enumerate(lines.items()):
        y = 50 + LINE * n + 17
        drawing.line(0, y - 17, width, y - 17)
        drawing.text(4, y, label, "bold" if label == "total" else "")
        for i, (text, cls) in enumerate(line):
            drawing.text(GUTTER + CELL * i + CELL / 2, y, text, cls, "middle")
    return drawing


#: what is red in a table
_MEANS = {_accounts: "a balance, or a sum, that cannot be",
          _elements: "\u2713 shown, or \u2014 not shown, against what was added"}  # fmt: skip


def _counter(h: History, anomaly: Mapping[str, Any]) -> Drawing | None:
    """The least and the most that a counter can have been, and what the reads gave."""
    of = _of_key(h, anomaly)
    steps = _bounds(h, of)
    cited = {int(r) for r in anomaly["ops"]}
    rows = np.flatnonzero((h.kind == OK) & h.rows("read") & of)
    reads = [(int(r), h.value_of(int(r))) for r in rows]
    reads = [(row, v) for row, v in reads if isinstance(v, int)]
    near = sorted(reads, key=lambda read: min(abs(read[0] - c) for c in cited))[:40]
    if not near:
        return None
    low_row, high_row = min(r for r, _ in near), max(r for r, _ in near)
    low_row = min(low_row, *cited)
    within = [step for step in steps if low_row <= step[0] <= high_row]
    before = max((step for step in steps if step[0] < low_row), default=steps[0])
    shown = [(low_row, *before[1:]), *within]
    values = [v for _, v in near] + [b for s in shown for b in s[1:]]
    bottom, top = min(values), max(values)
    drawing = Drawing("out-of-bounds: what a counter can have been", 640, 254)

    def place(row: int, value: int) -> tuple[float, float]:
        x = 70 + 550 * (row - low_row) / max(1, high_row - low_row)
        return x, 190 - 160 * (value - bottom) / max(1, top - bottom)

    upper = _stairs([place(row, most) for row, _, most in shown], 626)
    lower = _stairs([place(row, least) for row, least, _ in shown], 626)
    drawing.path([*upper, *reversed(lower)], "possible")
    for value in sorted({bottom, top}):
        y = place(low_row, value)[1]
        drawing.line(66, y, 626, y)
        drawing.text(60, y + 4, short(value, 8), "soft", "end")
    for row, value in near:
        bad = row in cited
        drawing.circle(*place(row, value), 6 if bad else 4, "badfill" if bad else "ok",
                       f"read {value} at index {row}")  # fmt: skip
        if bad:
            x, y = place(row, value)
            anchor = "end" if x > 500 else "start"
            drawing.text(x + (-10 if x > 500 else 10), y - 8, f"read {short(value, 8)}",
                         "halo bad", anchor)  # fmt: skip
    _counter_words(drawing, h, (low_row, high_row))
    return drawing


def _counter_words(drawing: Drawing, h: History, rows: tuple[int, int]) -> None:
    spell = clock_of(h, rows)
    for row, x, anchor in zip(rows, (70, 620), ("start", "end"), strict=True):
        words = f"index {row}, {spell(row)}" if h.time.any() else f"index {row}"
        drawing.text(x, 214, words, "soft", anchor)
    legend = "disks: reads; the ground between the lines: what the acknowledged and open adds allow"
    drawing.text(4, 244, legend, "soft")


def _stairs(points: Sequence[tuple[float, float]], end: float) -> list[tuple[float, float]]:
    corners: list[tuple[float, float]] = []
    for x, y in points:
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    return [*corners, (end, corners[-1][1])] if corners else []


def _bounds(h: History, of: Bools) -> list[tuple[int, int, int]]:
    """By event: (row, least, most) of the sum of the adds that may have taken effect."""
    least, most, found = [0], [0], []
    for row in np.flatnonzero(h.rows("add") & (h.process >= 0) & of).tolist():
        value = h.value_of(row if h.kind[row] == INVOKE else int(h.pair[row]))
        value = value if isinstance(value, int) else 0
        kind = h.kind[row]
        end = int(h.pair[row]) if kind == INVOKE else row
        fails = end >= 0 and h.kind[end] == FAIL
        begins, done = kind == INVOKE and not fails, kind == OK
        most.append(value if (begins and value > 0) or (done and value < 0) else 0)
        least.append(value if (begins and value < 0) or (done and value > 0) else 0)
        found.append(row)
    sums = zip([0, *found], accumulate(least), accumulate(most), strict=True)
    return [(row, low, high) for row, low, high in sums]
