"""What the checks of single workloads share: the writes of a history, and what an
application would make of the final reads.

Such a check speaks of elements and counts where model dynamo speaks of versions. It is no
stricter than that, and easier to believe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from dynamesis.checkers.dynamo.forgotten import may_be_forgotten
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import FAIL, INVOKE, OK
from dynamesis.checkers.history.timeline import final_rows
from dynamesis.checkers.verdict import CheckerResult, judge, skip

_ENDS = {OK: "ok", FAIL: "fail"}


@dataclass(frozen=True)
class WriteOp:
    """A put: where it began, its client, what, and how it ended ("ok", "fail" or "info")."""

    row: int
    process: int
    key: str
    value: Any
    end: str


@dataclass(frozen=True)
class Final:
    """The last final get of a key: its row, and the values it showed."""

    row: int
    values: tuple[Any, ...]


def writes(history: History) -> Iterator[WriteOp]:
    """Every put, in the order in which they began."""
    for row in np.flatnonzero((history.kind == INVOKE) & history.rows("put")).tolist():
        end = int(history.pair[row])
        ended = _ENDS.get(int(history.kind[end]), "info") if end >= 0 else "info"
        key = history.keys[history.key_of[row]]
        yield WriteOp(row, int(history.process[row]), key, history.value_of(row), ended)


def owed_writes(run: Run) -> Iterator[WriteOp]:
    """Every put, as `writes`. One that was acknowledged, and that every node which certainly had it
    may have forgotten since, ended in "info": no store can do better (checkers.dynamo.forgotten).
    """
    order = run.order
    forgotten = frozenset(order.written[run.once(may_be_forgotten)].tolist())
    for write in writes(run.history):
        yield replace(write, end="info") if write.row in forgotten else write


def final_merges(run: Run) -> dict[str, Final]:
    """By key, what its last final get showed that is not deleted."""
    history = run.history
    found: dict[str, Final] = {}
    for row in final_rows(history, run.timeline, "get").tolist():
        shown = tuple(s.value for s in history.siblings(row) if not s.deleted)
        found[history.keys[history.key_of[row]]] = Final(row, shown)
    return found


def own_check(check: Callable[[Run], CheckerResult]) -> Callable[[Run], CheckerResult]:
    """`check`, run only when there are final reads of a quiet cluster to judge."""

    def checked(run: Run) -> CheckerResult:
        timeline = run.timeline
        if timeline.final is None or timeline.quiet is None:
            return judge((), ["there are no final reads of a cluster known to be quiet"])
        if not timeline.quiet:
            return skip("the cluster did not get quiet: what its replicas lack may be under way")
        return check(run)

    return checked
