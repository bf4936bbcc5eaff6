"""What `reconcile: lww` must keep: one winner a key, and not an older one.

The last writer by the store's declared order wins, and the others are discarded on
purpose: that is not an anomaly but the price, counted as the number of acknowledged writes that
nothing final covers. Judged is what no order allows: all of a key gone although a write
took effect that no delete may have beaten (`lost-write`); several versions left in one read
(`false-sibling`); and, where the store shows its order (`timestamp` in the `worth` of an
acknowledgement), a final version that is not the latest (`lost-write`).

A delete is a version as any other, until its tombstone is reaped (`reap` in test.json: s for
which it remains unchanged before). Then nothing is left of the times known before, and a key
that is created again may be dated earlier: what a delete has beaten, itself included, is no
longer held against a version that was acknowledged so long after the delete had begun. A
delete without an acknowledgement may have had any date.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Any

import numpy as np
from dynamesis.checkers.explain.describe import contents, effect, effect_rows, name, reading
from dynamesis.checkers.graph.causality import NEVER, Causality
from dynamesis.checkers.history.arrays import among
from dynamesis.checkers.history.pairing import OK, Bools, Ints
from dynamesis.checkers.verdict import Anomaly, CheckerResult, judge


def is_lww(test: Mapping[str, Any] | None) -> bool:
    """Does the store keep only the last write?"""
    return (test or {}).get("reconcile") == "lww"


class Ranks:
    """The versions of one key in the store's declared order; `bits` has one bit for each."""

    def __init__(self, c: Causality, bits: Mapping[int, int]) -> None:
        stamps = {version: timestamp(c, version) for version in bits}
        self._stamps = stamps
        self._all = sum(bits.values())
        ranked = sorted((s, bits[v]) for v, s in stamps.items() if s is not None)
        self._order = [stamp for stamp, _ in ranked]
        self._bits = [bit for _, bit in ranked]
        self._at, self._below = 0, self._all & ~sum(self._bits)

    def beaten(self, by: Sequence[int]) -> int:
        """The versions that need not show, as they may have lost to one of these: all, where
        the timestamp of one of these is unknown."""
        stamps = [self._stamps[version] for version in by]
        if None in stamps:
            return self._all
        return self._up_to(bisect_right(self._order, max(stamps))) if stamps else 0

    def _up_to(self, place: int) -> int:
        """What comes before `place`; from the last answer on, since reads of a key show
        newer and newer versions."""
        for changed in range(min(self._at, place), max(self._at, place)):
            self._below ^= self._bits[changed]
        self._at = place
        return self._below


def check_lww(
    c: Causality, rows: Ints, settled: Bools, test: Mapping[str, Any] | None = None
) -> CheckerResult:
    """Judge the final reads `rows`, given which versions took effect before them."""
    gets = rows[c.history.rows("get")[rows]]
    places = np.flatnonzero(among(c.owner, rows, len(c.history)) & (c.sibling >= 0))
    reap = (test or {}).get("reap")
    after = round(reap * 1e9) if isinstance(reap, int | float) and reap > 0 else NEVER
    found = [a for row in gets.tolist() for a in _judge_get(c, row, settled, after)]
    covered = c.covered(c.sibling[places])
    read = among(c.key, c.history.key_of[gets], len(c.history.keys))
    discarded = settled & ~covered & read & ~c.deletes & (c.outcome == OK)
    details = {
        "final_reads": len(rows),
        "acknowledged_writes_discarded": int(np.count_nonzero(discarded)),
    }
    return judge(found, (), details)


def _judge_get(c: Causality, row: int, settled: Bools, after: int) -> Iterator[Anomaly]:
    """`after`: ns until a tombstone may be forgotten."""
    h, key = c.history, int(c.history.key_of[row])
    shown = c.siblings_of(row)
    if len(shown) > 1:
        why = f"{reading(h, row)} showed {contents(h, row)}, but the last write alone may stay."
        yield Anomaly("false-sibling", why, h.keys[key], (row,))
    order, starts = c.by_key
    of_key = order[starts[key] : starts[key + 1]]
    effective = of_key[settled[of_key]]
    if not len(effective):
        return
    deletes = of_key[c.deletes[of_key] & c.may_take_effect[of_key]].tolist()
    stamps = {int(v): timestamp(c, int(v)) for v in effective.tolist()}
    if not shown:
        beaten = _latest(c, deletes)
        left = [v for v, s in stamps.items() if not c.deletes[v] and not _may_lose(s, beaten)]
        if left:
            than = " and no delete is dated later" if deletes else ""
            yield _lost(c, row, left[-1], f"yet nothing is left{than}:")
    mine = timestamp(c, shown[0]) if len(shown) == 1 else None
    gone = _latest(c, [d for d in deletes if mine is not None and _reaped(c, d, shown[0], after)])
    dated = {v: s for v, s in stamps.items() if s is not None and not _may_lose(s, gone)}
    if mine is not None and dated:
        latest = max(dated, key=lambda v: dated[v])
        if dated[latest] > mine:
            than = f"its timestamp {dated[latest]} is later than {mine} of {name(c, shown[0])}, yet"
            yield _lost(c, row, latest, than)


def _latest(c: Causality, deletes: Sequence[int]) -> float | None:
    """The latest date that one of these may have; None if there is none of them."""
    stamps = [timestamp(c, version) for version in deletes]
    return inf if None in stamps else max(stamps, default=None)


def _may_lose(stamp: Any, latest: float | None) -> bool:
    """Whether a version of this date may have lost to a delete of that date at the latest."""
    return latest is not None and (stamp is None or stamp <= latest)


def _reaped(c: Causality, delete: int, version: int, after: int) -> bool:
    """Whether a delete may have been forgotten when an acknowledged version was dated."""
    time = c.history.time
    return int(time[c.ended[version]]) - int(time[c.written[delete]]) >= after


def timestamp(c: Causality, version: int) -> Any:
    """The store's own timestamp of an acknowledged version."""
    if c.outcome[version] != OK:
        return None
    stamp = c.history.worth.get(int(c.ended[version]), {}).get("timestamp")
    return stamp if isinstance(stamp, int | float) else None


def _lost(c: Causality, row: int, version: int, reason: str) -> Anomaly:
    h = c.history
    proof = tuple(sorted({*effect_rows(c, version), row}))
    why = f"{effect(c, version)}; {reason} {reading(h, row)} showed {contents(h, row)}."
    data = {"id": name(c, version)}
    return Anomaly("lost-write", why, h.keys[int(c.key[version])], proof, data)
