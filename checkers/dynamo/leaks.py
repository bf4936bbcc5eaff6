"""What a node still has in progress when all is quiet: leak.

Without load everything that a node counts as in progress must come to nothing: requests end
when their last replica has answered or timed out, answers are read, and work behind the clients'
backs lets go of the keys that it holds. The harness waits for that, up to a deadline, and then
writes down what it found in events of f `sizes` (docs/history.md). What is left is a leak: a
counter that is never given back uses up the bound on requests, one after the other, until the
node refuses everything.
"""

from __future__ import annotations

from dynamesis.checkers.explain.describe import at, listed
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.timeline import Timeline
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip

#: size -> what it counts
IN_PROGRESS = {
    "requests": "requests",
    "request_bytes": "bytes of requests",
    "unsent": "bytes of answers that were not read",
    "owed": "requests without an answer",
    "keys_in_progress": "keys that work is under way for",
}


def check_leaks(run: Run) -> CheckerResult:
    """Is anything left in progress on a node although there is no load any more?"""
    c, timeline = run.order, run.timeline
    h = c.history
    sizes_of = _last_sizes(h, timeline)
    if not sizes_of:
        return skip("no node reported after quiescence what it had in progress")
    if not timeline.healed:
        return skip("not everything was healed: requests may wait for nodes that are away")
    found = []
    for node, (row, sizes) in sizes_of.items():
        left = {name: sizes[name] for name in IN_PROGRESS if sizes.get(name)}
        if left:
            what = listed([f"{size} {IN_PROGRESS[name]}" for name, size in left.items()])
            why = (
                f"{node} still had work in progress at {at(h, row)}, after quiescence and without "
                f"load: {what}."
            )
            during = (timeline.phases.get("load", 0), row)
            found.append(Anomaly("leak", why, None, (row,), {"node": node, **left}, during))
    more = {"leak": len(found) - DESCRIBED} if len(found) > DESCRIBED else {}
    return judge(found[:DESCRIBED], (), {"asked": len(sizes_of)}, more)


def _last_sizes(h: History, timeline: Timeline) -> dict[str, tuple[int, dict[str, int]]]:
    """By node the last event of its sizes after quiescence: the row, and what it counts that
    must come to nothing."""
    found: dict[str, tuple[int, dict[str, int]]] = {}
    if timeline.quiesced is None:
        return found
    for row, value in h.reported("sizes"):
        if row <= timeline.quiesced:
            continue
        sizes = {
            name: value[name]
            for name in IN_PROGRESS
            if isinstance(value.get(name), int) and not isinstance(value[name], bool)
        }
        if sizes:
            found[str(value.get("node"))] = row, sizes
    return found
