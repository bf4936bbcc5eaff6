"""duplicate-dot: two writes of one key under one name.

A store that tells versions apart by dots (who stamped it, and its how manieth event that was)
may say in the `worth` of an acknowledged write which one it was given. A dot names one write
for ever, over restarts, wiped disks and restored ones: of two versions with one name,
whoever meets both keeps one, whatever else he knows.
"""

from __future__ import annotations

from dynamesis.checkers.explain.describe import at, listed
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip


def check_dots(run: Run) -> CheckerResult:
    """Was every acknowledged write stamped under a name of its own?"""
    c = run.order
    h = c.history
    named: dict[tuple[str, str], dict[str, int]] = {}
    for row in sorted(h.worth):
        dot = h.worth[row].get("dot")
        if isinstance(dot, str) and h.id[row] >= 0:
            writes = named.setdefault((h.keys[h.key_of[row]], dot), {})
            writes.setdefault(str(h.ids[h.id[row]]), row)
    if not named:
        return skip("no acknowledgement says under which dot it was stamped")
    found = []
    for (key, dot), writes in named.items():
        if len(writes) > 1:
            told = listed([f"{id}, acknowledged at {at(h, row)}" for id, row in writes.items()])
            why = (
                f"{len(writes)} writes were stamped {dot}: {told}. Of versions with one name, "
                "whoever meets both keeps one, and no replica can tell that the other is missing."
            )
            rows = tuple(writes.values())
            data = {"dot": dot, "ids": list(writes)}
            found.append(Anomaly("duplicate-dot", why, key, rows[:2], data, rows))
    more = {"duplicate-dot": len(found) - DESCRIBED} if len(found) > DESCRIBED else {}
    return judge(found[:DESCRIBED], (), {"dots": len(named)}, more)
