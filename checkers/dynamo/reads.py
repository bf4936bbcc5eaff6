"""What a single read must never show: phantom, aborted-read, future-read, crossed-key,
altered-value, duplicate-sibling, false-sibling.

What a write's answer shows (`return_body`) is held to the same, and must hold the write
itself: an answer that lacks it, and what replaced it, is an impossible-ack.

The conditions are those of docs/checkers.md. Each is one mask over all siblings that
any client was shown, so that a clean history costs a few passes over its arrays; only what is
found is looked at one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from dynamesis.checkers.explain.describe import at, contents, covering, fate, name, reading
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.codes import DYNAMO
from dynamesis.checkers.history.op import canonical
from dynamesis.checkers.history.pairing import FAIL, OK, Bools, Ints
from dynamesis.checkers.history.spelling import JSON
from dynamesis.checkers.history.wellformed import WRITES
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge


def check_reads(run: Run) -> CheckerResult:
    """Judge each read by itself."""
    c = run.order
    without = _without_itself(c)
    found: list[Anomaly] = [_no_such_answer(c, row) for row in without[:DESCRIBED]]
    more = {"impossible-ack": len(without) - DESCRIBED} if len(without) > DESCRIBED else {}
    for kind, places in _masks(c).items():
        rows = np.flatnonzero(places)
        found += [_DESCRIBE[kind](c, place) for place in rows[:DESCRIBED].tolist()]
        if len(rows) > DESCRIBED:
            more[kind] = len(rows) - DESCRIBED
    false, by_key = c.dominated(), Counter[str]()
    for number, each in enumerate(false):
        by_key[c.history.keys[c.history.key_of[each[0]]]] += 1
        if number < DESCRIBED:
            found.append(_false_sibling(c, *each))
    if by_key.total() > DESCRIBED:
        more["false-sibling"] = by_key.total() - DESCRIBED
    details = {"false_siblings_by_key": dict(by_key.most_common())} if by_key else {}
    return judge(found, details=details, more=more)


def _masks(c: Causality) -> dict[str, Bools]:
    """By anomaly: which of the flattened siblings show it."""
    h = c.history
    reads = ((h.kind == OK) & h.rows(*DYNAMO))[c.owner]
    version = c.of_id[h.sib_id]
    exists = reads & (version >= 0)
    row, owner = c.written[version] if len(c) else version, c.owner
    other_key = exists & (h.key_of[row] != h.key_of[owner])
    return {
        "phantom": reads & (version < 0),
        "aborted-read": exists & _take(c.outcome == FAIL, version) & (row < owner),
        "future-read": exists & (row > owner),
        "crossed-key": other_key,
        "altered-value": _altered(c, exists, version),
        "duplicate-sibling": reads & _repeated(owner, h.sib_id),
    }


def _without_itself(c: Causality) -> list[int]:
    """Rows of writes whose answers show siblings, and neither them nor what replaced them."""
    h = c.history
    bodies = np.flatnonzero((h.kind == OK) & h.rows(*WRITES) & h.shown & (h.pair >= 0))
    found = []
    for row in bodies.tolist():
        own, shown = int(c.of_id[h.id[h.pair[row]]]), c.siblings_of(row)
        if own not in shown and not any(c.path(other, own) for other in shown):
            found.append(row)
    return found


def _no_such_answer(c: Causality, row: int) -> Anomaly:
    h = c.history
    begin = int(h.pair[row])
    why = (
        f"{reading(h, row)} acknowledged {h.ids[h.id[begin]]} and showed the versions of that "
        f"time, {contents(h, row)}, without it and without anything that replaced it."
    )
    return Anomaly("impossible-ack", why, h.keys[h.key_of[row]], (begin, row))


def _take(mask: Bools, version: Ints) -> Any:
    """mask[version], False where there is no version."""
    return np.append(mask, False)[version]


def _repeated(owner: Ints, ids: Ints) -> Bools:
    """Which siblings have an id that their read has shown before."""
    order = np.lexsort((ids, owner))
    again = np.zeros(len(owner), np.bool_)
    same = (np.diff(owner[order]) == 0) & (np.diff(ids[order]) == 0)
    again[order[1:][same]] = True
    return again


def _altered(c: Causality, exists: Bools, version: Ints) -> Bools:
    """Which siblings are not what was written. Equal JSON is equal; unequal JSON is
    compared as values, so that spaces and the order of fields do not matter. A tombstone's
    value is not looked at."""
    h = c.history
    if not len(c):
        return exists
    deleted = c.deletes[version]
    wrong_kind = exists & (deleted != h.sib_deleted)
    suspect = exists & ~deleted & ~wrong_kind & (h.value[c.written[version]] != h.sib_value)
    for place in np.flatnonzero(suspect).tolist():
        written = h.value_of(int(c.written[version[place]]))
        suspect[place] = canonical(written) != canonical(h.decode(int(h.sib_value[place])))
    altered: Bools = wrong_kind | suspect
    return altered


def _anomaly(c: Causality, kind: str, place: int, rows: list[int], why: str) -> Anomaly:
    h = c.history
    row = int(c.owner[place])
    number = int(h.key_of[row])
    key = h.keys[number] if number >= 0 else None
    data = {"id": h.ids[h.sib_id[place]], "shown": [s.id for s in h.siblings(row)]}
    return Anomaly(kind, why, key, tuple(sorted({*rows, row})), data)


def _shown(c: Causality, place: int) -> tuple[str, str]:
    """The id and the read that showed it."""
    return c.history.ids[c.history.sib_id[place]], reading(c.history, int(c.owner[place]))


def _phantom(c: Causality, place: int) -> Anomaly:
    shown, read = _shown(c, place)
    return _anomaly(c, "phantom", place, [], f"{read} showed {shown}, which no operation wrote.")


def _write_rows(c: Causality, place: int) -> tuple[int, int]:
    version = int(c.of_id[c.history.sib_id[place]])
    return version, int(c.written[version])


def _aborted(c: Causality, place: int) -> Anomaly:
    shown, read = _shown(c, place)
    version, row = _write_rows(c, place)
    why = f"{read} showed {shown}, although {fate(c, version)}."
    return _anomaly(c, "aborted-read", place, [row, int(c.ended[version])], why)


def _future(c: Causality, place: int) -> Anomaly:
    shown, read = _shown(c, place)
    _, row = _write_rows(c, place)
    why = f"{read} showed {shown}, whose write began only at {at(c.history, row)}."
    return _anomaly(c, "future-read", place, [row], why)


def _crossed(c: Causality, place: int) -> Anomaly:
    shown, read = _shown(c, place)
    h, (_, row) = c.history, _write_rows(c, place)
    here, there = h.keys[h.key_of[c.owner[place]]], h.keys[h.key_of[row]]
    why = f"{read} of key {here} showed {shown}, which was written to key {there}."
    return _anomaly(c, "crossed-key", place, [row], why)


def _altered_value(c: Causality, place: int) -> Anomaly:
    shown, read = _shown(c, place)
    h, (version, row) = c.history, _write_rows(c, place)
    deleted = bool(h.sib_deleted[place])
    got = "a tombstone" if deleted else JSON(h.decode(int(h.sib_value[place])))
    put = "a delete" if c.deletes[version] else JSON(h.value_of(row))
    why = f"{read} showed {shown} as {got}; what was written at {at(h, row)} is {put}."
    return _anomaly(c, "altered-value", place, [row], why)


def _duplicate(c: Causality, place: int) -> Anomaly:
    shown, read = _shown(c, place)
    why = f"{read} showed {shown} more than once: {contents(c.history, int(c.owner[place]))}."
    return _anomaly(c, "duplicate-sibling", place, [], why)


_DESCRIBE: dict[str, Callable[[Causality, int], Anomaly]] = {
    "phantom": _phantom,
    "aborted-read": _aborted,
    "future-read": _future,
    "crossed-key": _crossed,
    "altered-value": _altered_value,
    "duplicate-sibling": _duplicate,
}


def _false_sibling(c: Causality, row: int, lower: int, upper: int) -> Anomaly:
    h = c.history
    how, rows = covering(c, c.path(upper, lower))
    proof = tuple(sorted({*rows, row}))
    why = (
        f"{reading(h, row)} showed {name(c, lower)} and {name(c, upper)} as concurrent, but "
        f"{name(c, upper)} replaced {name(c, lower)}: {how}."
    )
    data = {"lower": name(c, lower), "upper": name(c, upper)}
    return Anomaly("false-sibling", why, h.keys[h.key_of[row]], proof, data)
