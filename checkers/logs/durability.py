"""impossible-ack, by the nodes' event logs: an answer claims more durable copies than there were.

Where replicas acknowledge from memory (`durability: buffered`), a coordinator asks some of them to
have a version durable first, and `worth.durable` counts those that answered so. A node that was
not asked logs that beside the copy (`stored`, `held`: durable false). So an answer cannot claim
more durable copies than there are nodes whose logs have one that was not of memory.

A node that ended or was paused while the write was under way may have lost its line: it counts
as durable.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from dynamesis.checkers.explain.describe import counted, fate, listed
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.pairing import OK
from dynamesis.checkers.logs.copies import Kept, KeptById, works
from dynamesis.checkers.logs.copy_lines import NONE, copy_lines, lines_taken_back
from dynamesis.checkers.logs.endings import Endings
from dynamesis.checkers.logs.logs import Logs
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip


def check_durability(run: Run, logs: Logs) -> CheckerResult:
    """Judge the durable copies that acknowledgements claim."""
    c, test = run.order, run.test or {}
    silent = sorted({*map(str, test.get("nodes") or ())} - {*logs.by_node})
    if silent:
        return skip(f"there is no log of {listed(silent)}")
    if not logs.once(copy_lines).from_memory:
        return skip("no node logged that it acknowledged a copy from memory")
    kept, durable = logs.once(KeptById), _durable_by_id(logs)
    endings, work = Endings.of(c.history, run.timeline), works(test)
    found: list[Anomaly] = []
    judged, more = 0, 0
    for version, claimed in _claims(c):
        id = c.names[version]
        begun, ended = int(c.written[version]), int(c.ended[version])
        window = (int(c.history.time[begun]), int(c.history.time[ended]) + work)
        judged += 1
        if claimed <= len(durable[id] | endings.nodes(window)):
            continue
        if len(found) < DESCRIBED:
            found.append(_anomaly(c, version, claimed, kept[id], sorted(durable[id])))
        else:
            more += 1
    return judge(found, (), {"writes": judged}, {"impossible-ack": more} if more else {})


def _durable_by_id(logs: Logs) -> defaultdict[str, set[str]]:
    """By id of a write: the nodes that acknowledged a copy or a hint only once it was durable."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    lines = logs.once(copy_lines)
    not_durable = lines.from_memory | logs.once(lines_taken_back)
    for line in np.flatnonzero(lines.are("stored", "held") & (lines.writes != NONE)).tolist():
        if line not in not_durable:
            found[lines.ids[lines.writes[line]]].add(lines.copies[lines.numbers[line]][0])
    return found


def _claims(c: Causality) -> Iterator[tuple[int, int]]:
    """The acknowledged writes whose answers claim durable copies, and how many."""
    h = c.history
    for version in np.flatnonzero(c.outcome == OK).tolist():
        claimed = h.worth.get(int(c.ended[version]), {}).get("durable")
        if isinstance(claimed, int) and not isinstance(claimed, bool):
            yield version, claimed


def _anomaly(c: Causality, version: int, claimed: int, known: Kept, durable: list[str]) -> Anomaly:
    h = c.history
    rows = (int(c.written[version]), int(c.ended[version]))
    others = {*known.copies, *(node for nodes in known.hints.values() for node in nodes)}
    memory = sorted(others.difference(durable))
    why = (
        f"{fate(c, version)}, and the answer claims "
        f"{counted(claimed, 'durable copy', 'durable copies')}. By the nodes' logs "
        f"{listed(durable, 'no node')} acknowledged it once it was durable, "
        f"{listed(memory, 'no other')} from memory."
    )
    data = {"durable": durable, "memory": memory, "claimed": claimed}
    return Anomaly("impossible-ack", why, h.keys[int(c.key[version])], rows, data)
