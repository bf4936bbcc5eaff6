"""The timeline of a test as its history records it: phases, quiescence, faults.

These events are among the clients' operations, written by the processes "harness" and
"nemesis" (docs/history.md). Where the harness never got as far as a phase, the facts that
would come with it are None, and a checker that needs them must answer unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from signal import SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP
from typing import Any

import numpy as np
from dynamesis.checkers.history.codes import HARNESS, NEMESIS
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.faults import Fault as Fault
from dynamesis.checkers.history.faults import faults_of
from dynamesis.checkers.history.pairing import INFO, OK, Ints, Row

#: exit codes of a process that failed by itself: EX_SOFTWARE, and minus the number of a signal
CRASHES = (
    70,
    *(-number for number in (SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS)),
)
#: the phases of a test in order; an interrupted one leaves some out, but never the last
PHASES = ("boot", "load", "heal", "quiesce", "final", "stop")


@dataclass(frozen=True)
class Timeline:
    """Phases, quiescence and faults of a test, by the rows of their events."""

    #: by name of the phase: its row
    phases: Mapping[str, Row]
    #: whether the cluster got quiet; None where it is not recorded
    quiet: bool | None
    #: the event that recorded it
    quiesced: Row | None
    #: what the cluster still waited for then
    waiting: Any
    #: the pairs of nodes that repaired without end
    in_vain: Any
    #: whether every node was dumped whole, hints included; None where it is not recorded
    dumped: bool | None
    #: the faults by start
    faults: tuple[Fault, ...]
    #: nodes were found dead for which no fault in the ledger of the nemesis accounts
    found_dead: tuple[Row, ...] = ()
    #: what the nemesis could not inject or lift
    failed: tuple[Row, ...] = ()
    #: what could not be healed
    unhealed: tuple[Row, ...] = ()

    @property
    def healed(self) -> bool:
        """Whether all faults were taken back, and every node lived from then on."""
        heal = self.phases.get("heal")
        after = self.phases.get("quiesce", heal)
        return (
            heal is not None
            and after is not None
            and not self.unhealed
            and all(row < after for row in self.found_dead)
        )

    @property
    def final(self) -> int | None:
        """The row after which reads are final."""
        return self.phases.get("final")

    def active(self, rows: tuple[int, ...]) -> list[Fault]:
        """Faults active at any time from the first to the last of these rows."""
        if not rows:
            return []
        first, last = min(rows), max(rows)
        return [
            fault
            for fault in self.faults
            if fault.started <= last and (fault.stopped is None or fault.stopped >= first)
        ]


def timeline(h: History) -> Timeline:
    """Gather the events of harness and nemesis."""
    harness = [
        (row, h.fs[h.f[row]], h.value_of(row))
        for row in h.where((h.kind == INFO) & (h.process == HARNESS))
    ]
    quiesced, quiescence = _quiescence(harness)
    dumps = [value for _, f, value in harness if f == "dumped" and isinstance(value, dict)]
    dead = (h.kind == INFO) & (h.process == NEMESIS) & h.rows("found-dead")
    failed, unhealed = _failures(h)
    return Timeline(
        phases={str(value): row for row, f, value in harness if f == "phase"},
        quiet=quiescence.get("quiet"),
        quiesced=quiesced,
        waiting=quiescence.get("waiting"),
        in_vain=quiescence.get("in_vain"),
        dumped=bool(dumps[-1]) and all(dumps[-1].values()) if dumps else None,
        faults=faults_of(h),
        found_dead=h.where(dead),
        failed=failed,
        unhealed=unhealed,
    )


def _quiescence(events: Sequence[tuple[Row, str, Any]]) -> tuple[Row | None, Mapping[str, Any]]:
    """The last event that recorded whether the cluster got quiet, and its fields."""
    for row, f, value in reversed(events):
        if f == "quiesce" and isinstance(value, dict) and isinstance(value.get("quiet"), bool):
            return row, value
    return None, {}


def _failures(h: History) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """The rows in which something could not be injected or lifted, and healed: by the f of the
    event, or by the code of the error with which the nemesis completed it."""
    by_f = {f: (h.process < 0) & h.rows(f) for f in ("nemesis-failed", "heal-failed")}
    failed, unhealed = set(h.where(by_f["nemesis-failed"])), set(h.where(by_f["heal-failed"]))
    for row, error in h.errors.items():
        if h.process[row] in (NEMESIS, HARNESS) and h.fs[h.f[row]] != "dump":
            (unhealed if error.code == "heal-failed" else failed).add(Row(row))
    return tuple(sorted(failed - unhealed)), tuple(sorted(unhealed))


def exits(h: History, row: int) -> Mapping[str, int]:
    """How the nodes of a found-dead event had ended, as far as it is recorded: the exit code, or
    minus the number of the signal."""
    value = h.value_of(row)
    ends = value.get("exits") if isinstance(value, dict) else None
    pairs = ends.items() if isinstance(ends, dict) else ()
    return {node: code for node, code in pairs if isinstance(code, int)}


def crashed(code: int | None) -> bool:
    """Whether a process that ended so has failed by itself: 70 is EX_SOFTWARE of sysexits.h, and
    of the signals it is those that a process's own errors raise. Any other may come from an
    administrator, or from the kernel for want of memory."""
    return code in CRASHES


def final_rows(h: History, timeline: Timeline, f: str) -> Ints:
    """The ok rows of this f ("get" or "dump") that were invoked after `final`."""
    if timeline.final is None:
        return np.empty(0, np.int64)
    ok = np.flatnonzero((h.kind == OK) & h.rows(f))
    return ok[h.pair[ok] > timeline.final]


def hint_targets(h: History, dumps: Ints) -> dict[int, str]:
    """Of these rows those that show hint copies (kept for another node, so no replica of
    the key), with the node that each is kept for."""
    noted = dumps[(h.value[dumps] >= 0) | (h.value[h.pair[dumps]] >= 0)]
    targets: dict[int, str] = {}
    for row in noted.tolist():
        for value in (h.value_of(row), h.value_of(int(h.pair[row]))):
            if isinstance(value, dict) and isinstance(value.get("hint_for"), str):
                targets[row] = value["hint_for"]
    return targets
