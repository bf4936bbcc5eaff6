"""Measured, not judged: how long after the heal each key converged, and by what.

The nodes' event logs show when a replica stored a copy and why (`stored`: put, read-repair,
handoff, anti-entropy, transfer). From the end of the last fault to the quiet, the last copy
that no client sent is when the key converged; what stored the last copy on each node
repaired it there.
Logs are stamped by the machine's monotonic clock, as the history is.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.timeline import Timeline
from dynamesis.checkers.measure.percentiles import percentiles

#: copies that clients' writes made, and not repair
WRITES = ("put", "stamp")
#: keys that are reported one by one, the slowest first
REPORTED = 100
_MONO = itemgetter("mono")


def repairs(run: Run, events: Sequence[Mapping[str, Any]], began: int) -> dict[str, object] | None:
    """Convergence by key, in s after the last fault ended; `events` of all nodes in order of
    time, `began` the ns of their clock at which the history begins. None for a test that
    did not get quiet after a heal."""
    h, timeline = run.history, run.timeline
    healed = _healed(timeline)
    if healed is None or timeline.quiesced is None or not timeline.quiet:
        return None
    first, last = (began + int(h.time[row]) for row in (healed, timeline.quiesced))
    by_key: dict[str, dict[str, tuple[float, str]]] = {}
    since, until = bisect_left(events, first, key=_MONO), bisect_right(events, last, key=_MONO)
    for event in events[since:until]:
        if event.get("event") != "stored":
            continue
        key, node, why = (event.get(name) for name in ("key", "node", "why"))
        if why not in WRITES and isinstance(key, str):
            seconds = round((event["mono"] - first) / 1e9, 3)
            by_key.setdefault(key, {})[str(node)] = (seconds, str(why))
    return _summary(by_key)


def _healed(timeline: Timeline) -> int | None:
    """The row at which the last fault ended; at the latest, that of the phase `heal`."""
    heal = timeline.phases.get("heal")
    ends = [heal if fault.stopped is None else fault.stopped for fault in timeline.faults]
    return heal if heal is None or not ends else min(heal, max(e for e in ends if e is not None))


def _summary(by_key: Mapping[str, Mapping[str, tuple[float, str]]]) -> dict[str, object]:
    took = {key: max(s for s, _ in nodes.values()) for key, nodes in by_key.items()}
    by = Counter(why for nodes in by_key.values() for _, why in nodes.values())
    slowest = sorted(took, key=lambda key: -took[key])[:REPORTED]
    marks = percentiles(list(took.values()), (50, 99, 100)) if took else []
    return {
        "keys": len(by_key),
        "by": dict(by),
        "s": {f"p{p}": round(float(m), 3) for p, m in zip((50, 99, 100), marks, strict=False)},
        "slowest": {
            key: {"s": took[key], "by": {n: why for n, (_, why) in sorted(by_key[key].items())}}
            for key in slowest
        },
    }
