"""overdue: a node did not keep the time-out that a request asked for.

A request may ask its nodes for an answer within `timeout` seconds (docs/node.md). The node that it
was sent to answers by then, whatever it waits for: with what it has, or that time is up. An answer
that comes more than SLACK after that is overdue: a client that asked for 50 ms waits for as long as
the node finds right. (Nor does a time-out excuse a refusal that came
before it was over: `Need.was_over`.)

An operation is judged that was sent once, to one node, and answered by it, while no fault was near
that might delay that node itself or its client: nodes that are down, paused, or cut off from each
other delay what the node waits for, and not its answer. A busy machine may stall, which delays all
that is under way. So the node must have answered another request meanwhile, one that began after
the time was over: it was awake, and its timers were due; and no fewer than STALLS of them must
explain what was late. Virtual time has none.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from dynamesis.checkers.dynamo.outages import DOWN, Outage
from dynamesis.checkers.dynamo.quorum import STALLS, LedgerJudge, ledger_of
from dynamesis.checkers.explain.describe import at
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.pairing import INVOKE
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip

#: s after its time-out in which an answer must have come: a connection may have to be opened first;
#: in virtual time that takes as long as the network does (`latency` of test.json: s, at most, of
#: one message, where that is not the default), for so many messages one after the other
SLACK, VIRTUAL_SLACK, MESSAGES = 1.2, 0.3, 5
#: s after its time-out, and before its answer, in which the node must have been awake
AWAKE = 0.1
#: options by which a client sends an operation more than once, or elsewhere
_SEVERAL = ("retry", "hedge", "direct")
#: families of faults that leave a node's own answers alone, unless it is one of those that are down
_ELSEWHERE = (*DOWN, "cut")


def check_deadlines(run: Run) -> CheckerResult:
    """Judge overdue."""
    ledger = run.once(ledger_of)
    if ledger is None:
        return skip("needs the ring, R and W in test.json")
    asked = list(_asked(ledger.h))
    if not asked:
        return skip("no request asked for a time-out of its own")
    late = [row for row in asked if _overdue(ledger, row)]
    found = late if ledger.virtual or ledger.stalls(late) >= STALLS else []
    anomalies = [_anomaly(ledger, row) for row in found[:DESCRIBED]]
    more = {"overdue": len(found) - DESCRIBED} if len(found) > DESCRIBED else {}
    return judge(anomalies, (), {"asked": len(asked), "late": len(late)}, more)


def _asked(h: History) -> Iterator[int]:
    """The completions of operations that asked for a time-out and were sent once."""
    for begun, options in sorted(h.options.items()):
        if h.kind[begun] != INVOKE or not isinstance(options.get("timeout"), int | float):
            continue
        row = int(h.pair[begun])
        if row >= 0 and h.node[row] >= 0 and not any(options.get(name) for name in _SEVERAL):
            yield row


def _lasted(h: History, row: int) -> float:
    """s from the invocation of an operation to its completion."""
    return float(h.time[row] - h.time[h.pair[row]]) / 1e9


def _overdue(ledger: LedgerJudge, row: int) -> bool:
    """Whether an answer came too late, and nothing may have delayed it but the node itself."""
    h, given = ledger.h, ledger.needs.at(row).timeout
    slack = _slack(ledger)
    if given is None or _lasted(h, row) <= given + slack or "late" in ledger.reasons:
        return False
    load = ledger.timeline.phases.get("load", 0)
    node = h.nodes[h.node[row]]
    since = int(np.searchsorted(h.time, h.time[h.pair[row]] - int(ledger.grace * 1e9)))
    near = [o for o in ledger.outages if o.started < row and o.ended >= since]
    judged = int(h.pair[row]) > load and all(_leaves_alone(o, node) for o in near)
    return judged and (ledger.virtual or _was_awake(h, row, given))


def _slack(ledger: LedgerJudge) -> float:
    """SLACK of this world, s."""
    if not ledger.virtual:
        return SLACK
    return VIRTUAL_SLACK + MESSAGES * float(ledger.test.get("latency", 0.0))


def _was_awake(h: History, row: int, given: float) -> bool:
    """Whether the node that ended an operation late answered another one, which had begun after
    the time was over, before that."""
    over = int(h.time[h.pair[row]]) + int((given + AWAKE) * 1e9)
    done = np.flatnonzero((h.kind[:row] != INVOKE) & (h.pair[:row] >= 0))
    done = done[(h.node[done] == h.node[row]) & (h.time[done] < h.time[row] - int(AWAKE * 1e9))]
    return bool(np.any(h.time[h.pair[done]] > over))


def _leaves_alone(outage: Outage, node: str) -> bool:
    """Whether an outage cannot have delayed an answer of this node to a client."""
    return outage.known and outage.family in _ELSEWHERE and node not in outage.down


def _anomaly(ledger: LedgerJudge, row: int) -> Anomaly:
    h, given = ledger.h, ledger.needs.at(row).timeout or 0.0
    begin, node = int(h.pair[row]), h.nodes[h.node[row]]
    code = f" with {h.errors[row].code}" if row in h.errors else ""
    why = (
        f"the {h.fs[h.f[row]]} from {at(h, begin)} at {node} asked for an answer within "
        f"{given:g} s; it ended{code} at {at(h, row)}, after {_lasted(h, row):.3f} s, although "
        f"nothing kept {node} from answering."
    )
    data = {"timeout": given, "lasted": round(_lasted(h, row), 6), "node": node}
    return Anomaly("overdue", why, h.keys[h.key_of[row]], (begin, row), data)
