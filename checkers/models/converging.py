"""Models `set-full` and `counter` with `eventual`: only final reads must show everything.

A store that converges may show less for a while, on any node; so nothing is judged by what a read
of the load lacks. Once it had time without load, every node must show all that is known: what was
acknowledged, or was shown by any read. Final are the reads of the phase of that name; in a
history without phases, those that begin after the last event of an add. After the checkers of
Maelstrom's g-set, broadcast, g-counter and pn-counter; there an element that one node lacks in the
end is missed where a later read, of another node, has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from dynamesis.checkers.explain.describe import listed
from dynamesis.checkers.graph.causality import NEVER
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.pairing import Ints
from dynamesis.checkers.models.counters import bounded_reads
from dynamesis.checkers.models.sets import Sets, capped, sets_of, unexpected
from dynamesis.checkers.verdict import Anomaly, CheckerResult, judge


def check_converging_set(
    h: History, final: int | None = None, nodes: Sequence[str] = ()
) -> CheckerResult:
    """Every final read shows all that is known, and no read what cannot be there. `final`: the row
    after which reads are final, in a history with phases; `nodes`: those that must each have been
    read in the end."""
    s = sets_of(h)
    last = np.flatnonzero(s.begin > _final_from(h, final))
    reasons = [*s.reasons, *_unread(h, s.end[last], nodes)]
    known, seen = s.acknowledged.copy(), s.seen()
    np.minimum.at(known, s.element[seen], s.end[s.read[seen]])
    found = [
        _lacks(s, e, read, int(known[e]))
        for read in last.tolist()
        for e in _lacking(s, read, known)
    ]
    lost = len({a.ops[0] for a in found})
    found += unexpected(s, range(len(s.begin)))
    known_count = int(np.count_nonzero(known < NEVER))
    if not known_count:
        reasons.append("no element was known")
    return capped(found, reasons, {"known": known_count, "lost": lost, "final_reads": len(last)})


def _lacking(s: Sets, read: int, known: Ints) -> list[int]:
    """The known elements that a read does not show."""
    every = np.flatnonzero(known < NEVER)
    lacking: list[int] = every[~np.isin(every, s.element[s.read == read])].tolist()
    return lacking


def _lacks(s: Sets, element: int, read: int, known: int) -> Anomaly:
    end = int(s.end[read])
    how = "acknowledged" if known == s.acknowledged[element] else "shown by the read"
    where = _node(s.history, end)
    why = (
        f"{s.spelled(element)} was {how} at index {known}, but the final read{where} at index "
        f"{end} lacks it."
    )
    return Anomaly("lost-element", why, None, tuple(sorted({int(s.added[element]), known, end})))


def check_converging_counter(
    h: History, final: int | None = None, nodes: Sequence[str] = ()
) -> CheckerResult:
    """Every final read gives a sum that what was added can come to; the rest as for a set."""
    begun = _final_from(h, final)
    result, ends = bounded_reads(h, lambda reads: reads > begun)
    return judge(
        result.anomalies,
        [*result.reasons, *_unread(h, ends, nodes)],
        result.details,
        result.more,
    )


def _final_from(h: History, final: int | None) -> int:
    """The row after which reads are final."""
    if final is not None:
        return final
    adds = np.flatnonzero((h.process >= 0) & h.rows("add"))
    return int(adds[-1]) if len(adds) else -1


def _node(h: History, row: int) -> str:
    return f" of {h.nodes[h.node[row]]}" if h.node[row] >= 0 else ""


def _unread(h: History, ends: Ints, nodes: Sequence[str]) -> Iterable[str]:
    """Nodes that no final read shows; or that there is none at all."""
    if not len(ends):
        yield "no final read succeeded"
        return
    shown = {h.nodes[h.node[row]] for row in ends.tolist() if h.node[row] >= 0}
    missing = [node for node in nodes if node not in shown]
    if missing:
        yield f"no final read shows {listed(missing)}"
