"""duplicate-dot: two writes of one key under one name.

A store that identifies versions by dots (the actor that stamped it, and the number of its event)
may give the dot of an acknowledged write in its `worth`. A dot names one write
for ever, over restarts, wiped disks and restored ones: of two versions with one name,
a replica that receives both keeps one, whatever else it has.
"""

from __future__ import annotations

from dynamesis.checkers.explain.describe import at, listed
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip


def check_dots(run: Run) -> CheckerResult:
    """Was every acknowledged write stamped under a name of its own?"""
    c = run.order
    h = c.history
    named: dict[tuple[int, str], int] = {}
    #: those of several writes: each write by its id, with its row
    several: dict[tuple[int, str], dict[str, int]] = {}
    ids, keys = h.id.tolist(), h.key_of.tolist()
    for row in sorted(h.worth):
        dot = h.worth[row].get("dot") if ids[row] >= 0 else None
        if isinstance(dot, str):
            first = named.setdefault((keys[row], dot), row)
            if ids[first] != ids[row]:
                writes = several.setdefault((keys[row], dot), {str(h.ids[ids[first]]): first})
                writes.setdefault(str(h.ids[ids[row]]), row)
    if not named:
        return skip("no acknowledgement has the dot under which it was stamped")
    found = []
    for number, dot in filter(several.__contains__, named) if several else ():
        key, writes = h.keys[number], several[number, dot]
        if len(writes) > 1:
            each = [f"{id}, acknowledged at {at(h, row)}" for id, row in writes.items()]
            why = (
                f"{len(writes)} writes were stamped {dot}: {listed(each)}. Of versions with one "
                "name, a replica that receives both keeps one, and none can see that the other is "
                "missing."
            )
            rows = tuple(writes.values())
            data = {"dot": dot, "ids": list(writes)}
            found.append(Anomaly("duplicate-dot", why, key, rows[:2], data, rows))
    more = {"duplicate-dot": len(found) - DESCRIBED} if len(found) > DESCRIBED else {}
    return judge(found[:DESCRIBED], (), {"dots": len(named)}, more)
