"""Model `register`: is each key linearizable? By zones, without search.

Where written values are unique, a read names its write. A write and its reads are a
*cluster*; its zone spans the first end (f) and the last beginning (s) among them. Where
f < s the zone is forward: the register certainly held this value from f to s. Else it is
backward: there is one instant from s to f at which the whole cluster may have happened.
The history is linearizable exactly when no read ends before its write begins, no two
forward zones overlap, and no backward zone lies inside a forward one. Gibbons and Korach,
Testing Shared Memories (1997), theorem 4.2: O(n log n) for any concurrency.

A write of unknown outcome counts if its value was read, and then ends never. Where a
value is written twice, a read does not name its write, and the verdict is unknown. The value
that a register holds at first (nil unless given) counts as written before everything, so that
a write of it is such a second write.

How far from linearizable a key is, is measured in `katomicity`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from dynamesis.checkers.explain.describe import as_text
from dynamesis.checkers.graph.causality import NEVER
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.pairing import FAIL, INVOKE, Bools, Ints
from dynamesis.checkers.models.katomicity import Register, smallest_delta
from dynamesis.checkers.models.operations import altered, not_understood
from dynamesis.checkers.models.register_operations import (
    WRITES,
    Operations,
    code,
    keyed,
    operations_of,
)
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge

#: keys for which their distance is measured
MEASURED = 20


@dataclass(frozen=True, eq=False)
class Zones:
    """One row a cluster: key, first end and last beginning with their operations (numbers),
    and the write (-1: the initial value)."""

    key: Ints
    first_end: Ints
    last_begin: Ints
    ends_first: Ints
    begins_last: Ints

    @property
    def forward(self) -> Bools:
        forward: Bools = self.first_end < self.last_begin
        return forward


def check_register(h: History, initial: Any = None) -> CheckerResult:
    """Judge linearizability key by key; `initial` is what each register holds at first."""
    reasons = [*not_understood(h, "register"), *altered(h, *WRITES)]
    if reasons:
        return judge((), reasons)
    keys = keyed(h, initial)
    if isinstance(keys, str):
        return judge((), [keys])
    key, value, names = keys
    ops, reasons = operations_of(h, key, value, names)
    found, more = _limited(_read_findings(h, ops, key, value))
    if reasons:
        return judge(found, reasons, more=more)
    if not np.any(~ops.write):
        return judge(found, ["no read succeeded"], more=more)
    zones = _zones(ops)
    broken, beyond = _limited(_conflicts(h, ops, zones))
    details: dict[str, object] = {"operations": len(ops.row), "keys": len(names)}
    if broken:
        details |= _distances(h, ops, [k for a in broken if isinstance(k := a.data["key"], int)])
    if not np.any(ops.write):
        reasons = ["no write was acknowledged, and none was read"]
    return judge([*found, *broken], reasons, details, {**more, **beyond})


def _limited(anomalies: Iterator[Anomaly]) -> tuple[list[Anomaly], dict[str, int]]:
    kept: list[Anomaly] = []
    more: dict[str, int] = {}
    for anomaly in anomalies:
        if len(kept) < DESCRIBED:
            kept.append(anomaly)
        else:
            more[anomaly.name] = more.get(anomaly.name, 0) + 1
    return kept, more


def _read_findings(h: History, ops: Operations, key: Ints, value: Ints) -> Iterator[Anomaly]:
    """Reads that no order can explain: of what no operation wrote, or only a failed one, or a
    later one. An initial value is never among them."""
    span = int(value.max(initial=0)) + 2
    reads, writes = ops.only(~ops.write & (ops.value >= 0)), ops.only(ops.write)
    written = code(writes.key, writes.value, span)
    order = np.argsort(written, kind="stable")
    wanted = code(reads.key, reads.value, span)
    place = np.searchsorted(written[order], wanted)
    known = place < len(order)
    known[known] = written[order][place[known]] == wanted[known]
    refused = _refused(h, key, value, span)
    for i in np.flatnonzero(~known).tolist():
        read = int(reads.end[i])
        failed = refused.get(int(wanted[i]), NEVER)
        name, rows = "aborted-read", tuple(sorted((failed, read)))
        why = f"the read at index {read} saw {{}}, whose write at index {failed} failed"
        if failed > read:  # a write that began after the read ended cannot be what it saw
            name, rows = "phantom", (read,)
            why = f"the read at index {read} saw {{}}, which no operation had written"
        yield _anomaly(h, ops, name, int(reads.key[i]), rows, why, read)
    write = order[place[known]]
    early = np.flatnonzero(reads.end[known] < writes.begin[write])
    for i in early.tolist():
        read, began = int(reads.end[known][i]), int(writes.begin[write][i])
        why = f"the read that ended at index {read} saw {{}}, whose write began at index {began}"
        yield _anomaly(h, ops, "future-read", int(reads.key[known][i]), (read, began), why, read)


def _refused(h: History, key: Ints, value: Ints, span: int) -> dict[int, int]:
    """By key and value: the first write of it that failed."""
    row = np.flatnonzero((h.kind == INVOKE) & (h.process >= 0) & h.rows(*WRITES) & (h.pair >= 0))
    row = row[h.kind[h.pair[row]] == FAIL]
    row = row[::-1]
    return dict(zip(code(key[row], value[row], span).tolist(), row.tolist(), strict=True))


def _anomaly(
    h: History, ops: Operations, name: str, key: int, rows: tuple[int, ...], why: str, read: int
) -> Anomaly:
    value = h.value_of(read)
    shown = why.replace("{}", h.spelled(value)) + (as_text(value) if name == "phantom" else "")
    return Anomaly(name, f"{shown}.", str(ops.keys[key]), rows, {"key": key})


def _zones(ops: Operations, begin: Ints | None = None) -> Zones:
    """The zone of each cluster; the initial value counts as written before everything."""
    begin = ops.begin if begin is None else begin
    order = np.lexsort((ops.end, ops.value, ops.key))
    key, value = ops.key[order], ops.value[order]
    first = np.flatnonzero(
        np.append([True], (key[1:] != key[:-1]) | (value[1:] != value[:-1]))[: len(order)]
    )
    by_begin = np.lexsort((begin, ops.value, ops.key))
    last = np.append(first[1:], len(order)) - 1
    initial = value[first] < 0
    ends_first, begins_last = order[first], by_begin[last]
    first_end = np.where(initial, -1, ops.end[ends_first])
    return Zones(key[first], first_end, begin[begins_last], ends_first, begins_last)


def _conflicts(h: History, ops: Operations, zones: Zones) -> Iterator[Anomaly]:
    """Overlapping forward zones, and backward zones inside forward ones."""
    span = len(h) + 2
    base = zones.key * span + 1
    forward = np.flatnonzero(zones.forward)
    forward = forward[np.argsort((base + zones.first_end)[forward], kind="stable")]
    low, high = (base + zones.first_end)[forward], (base + zones.last_begin)[forward]
    reach = np.maximum.accumulate(high) if len(high) else high
    for i in (np.flatnonzero(low[1:] < reach[:-1]) + 1).tolist():
        j = int(np.flatnonzero(high[:i] == reach[i - 1])[-1])
        yield _overlap(h, ops, zones, int(forward[j]), int(forward[i]))
    backward = np.flatnonzero(~zones.forward & (zones.first_end < NEVER))
    under = np.searchsorted(low, (base + zones.last_begin)[backward]) - 1
    inside = under >= 0
    inside[inside] = (base + zones.first_end)[backward][inside] < reach[under[inside]]
    for b, u in zip(backward[inside].tolist(), under[inside].tolist(), strict=True):
        f = int(forward[np.flatnonzero(high[: u + 1] == reach[u])[-1]])
        yield _overlap(h, ops, zones, f, b)


def _overlap(h: History, ops: Operations, zones: Zones, one: int, other: int) -> Anomaly:
    """The proof: the operations at the ends of both zones."""
    numbers = {int(z[c]) for z in (zones.ends_first, zones.begins_last) for c in (one, other)}
    ends = [int(ops.end[i]) if ops.end[i] < NEVER else int(ops.row[i]) for i in numbers]
    a, b = (_held(h, ops, zones, c) for c in (one, other))
    why = f"{a}, yet meanwhile {b}: no order of these operations respects real time."
    key = int(zones.key[one])
    return Anomaly("nonlinearizable", why, str(ops.keys[key]), tuple(sorted(ends)), {"key": key})


def _held(h: History, ops: Operations, zones: Zones, cluster: int) -> str:
    op = int(zones.ends_first[cluster])
    row = int(ops.row[op]) if ops.write[op] else int(ops.end[op])
    value = h.spelled(h.value_of(row))
    end, begin = int(zones.first_end[cluster]), int(zones.last_begin[cluster])
    if end < begin:
        since = "the beginning" if end < 0 else f"index {end}"
        return f"the register must have held {value} from {since} to index {begin}"
    return f"it must have held {value} at some time between index {begin} and index {end}"


def _distances(h: History, ops: Operations, keys: list[int]) -> dict[str, object]:
    """By key how far it is from linearizable, and for how many that was not measured."""
    wrong = list(dict.fromkeys(keys))
    measured = {str(ops.keys[k]): _distance(h, ops.only(ops.key == k)) for k in wrong[:MEASURED]}
    beyond = len(wrong) - len(measured)
    return {"distance": measured, **({"distance_not_measured": beyond} if beyond > 0 else {})}


def _distance(h: History, ops: Operations) -> dict[str, object]:
    """Delta in ms, and k: exact if it is 2, else a lower bound; null where some read cannot
    have seen what it saw, so that no k and no delta explains it. Delta is null too where times
    are absent or too coarse to order the operations."""
    one = Register.of(ops.write, ops.value, ops.begin, ops.end)
    if one is None:
        return {"delta_ms": None, "k": None}
    fits, most = _with_earlier_reads(h, ops), int(h.time.max() - h.time.min()) + 1
    measurable = not fits(0) and fits(most)
    delta = smallest_delta(fits, most) / 1e6 if measurable else None
    if one.is_two_atomic():
        return {"delta_ms": delta, "k": 2}
    return {"delta_ms": delta, "k_at_least": max(3, one.certain_staleness())}


def _with_earlier_reads(h: History, ops: Operations) -> Callable[[int], bool]:
    """Does the key fit, if reads began so many ns earlier?"""
    times = np.append(h.time, 0)
    begin = times[ops.begin]
    end = np.where(ops.end < NEVER, times[np.minimum(ops.end, len(h))], NEVER)
    timed = replace(ops, begin=begin, end=end)
    return lambda ns: _fits(_zones(timed, np.where(ops.write, begin, begin - ns)))


def _fits(zones: Zones) -> bool:
    """Is one key with these zones linearizable? Zones that only touch do not conflict."""
    forward = np.flatnonzero(zones.forward)
    forward = forward[np.argsort(zones.first_end[forward], kind="stable")]
    low, high = zones.first_end[forward], zones.last_begin[forward]
    if np.any(low[1:] < np.maximum.accumulate(high)[:-1]):
        return False
    back = np.flatnonzero(~zones.forward & (zones.first_end < NEVER))
    under = np.searchsorted(low, zones.last_begin[back]) - 1
    inside = under >= 0
    return not np.any(zones.first_end[back][inside] < high[under[inside]])
