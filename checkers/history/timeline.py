"""The timeline of a test as its history tells it: phases, quiescence, faults.

These events stand among the clients' operations, written by the processes "harness" and
"nemesis" (docs/history.md). Where the harness never got as far as a phase, the facts that
would come with it are None, and who needs them must say unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from signal import SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP
from typing import Any

import numpy as np
from dynamesis.checkers.history.columns import HARNESS, NEMESIS, History
from dynamesis.checkers.history.pairing import INFO, INVOKE, OK, Ints

#: EX_SOFTWARE, and the signals of a process's own making
CRASHES = (
    70,
    *(-number for number in (SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS)),
)
#: The phases of a test in order; an interrupted one leaves some out, but never the last.
PHASES = ("boot", "load", "heal", "quiesce", "final", "stop")


@dataclass(frozen=True)
class Fault:
    """One injected fault, active at most from row `started` (its start was invoked) to
    `stopped` (its end completed; None if never). `proved`: there was evidence (`bit` is None
    without), which says that it was active from `begun` (its start completed; None if that
    failed, or nobody says) to `stopping` (its end was invoked). `met_nobody`: the evidence says
    that nobody was there to be bitten; `settled`: that all members agree on one layout, by which
    nothing moves."""

    number: int
    kind: str
    started: int
    begun: int | None = None
    stopping: int | None = None
    stopped: int | None = None
    bit: bool | None = None
    proved: int | None = None
    met_nobody: bool = False
    settled: bool = False
    value: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Timeline:
    """Rows of the phases by name; whether the cluster got quiet (None: nobody says), in
    which row that was said, what it still waited for, and which pairs of nodes repaired
    without end; whether every node was dumped
    whole, hints included (None: nobody says); the faults by start; the rows in which nodes
    were found dead that no fault in the ledger of the nemesis accounts for; the rows of what
    the nemesis could not do (inject or lift a fault), and of what could not be healed."""

    phases: Mapping[str, int]
    quiet: bool | None
    quiesced: int | None
    waiting: Any
    in_vain: Any
    dumped: bool | None
    faults: tuple[Fault, ...]
    found_dead: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    unhealed: tuple[int, ...] = ()

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
    phases: dict[str, int] = {}
    quiet: bool | None = None
    quiesced: int | None = None
    waiting: Any = None
    in_vain: Any = None
    dumped: bool | None = None
    info = h.kind == INFO
    for row in np.flatnonzero(info & (h.process == HARNESS)).tolist():
        f, value = h.fs[h.f[row]], h.value_of(row)
        if f == "phase":
            phases[str(value)] = row
        if f == "dumped" and isinstance(value, dict):
            dumped = bool(value) and all(value.values())
        said = _quiet(f, value)
        if said is not None:
            quiet, quiesced = said, row
            waiting, in_vain = value.get("waiting"), value.get("in_vain")
    told = ((h.kind == INFO) | (h.kind == INVOKE)) & (h.process == NEMESIS)
    faults = _faults(h, np.flatnonzero(told).tolist())
    dead = np.flatnonzero(info & (h.process == NEMESIS) & h.rows("found-dead"))
    dead_rows = tuple(dead.tolist())
    failed, unhealed = _failures(h)
    return Timeline(
        phases, quiet, quiesced, waiting, in_vain, dumped, faults, dead_rows, failed, unhealed
    )


def _failures(h: History) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The rows in which something could not be injected or lifted, and healed: by the f of the
    event, or by the code of the error with which the nemesis completed it."""
    by_f = {f: (h.process < 0) & h.rows(f) for f in ("nemesis-failed", "heal-failed")}
    failed = set(np.flatnonzero(by_f["nemesis-failed"]).tolist())
    unhealed = set(np.flatnonzero(by_f["heal-failed"]).tolist())
    for row, error in h.errors.items():
        if h.process[row] in (NEMESIS, HARNESS) and h.fs[h.f[row]] != "dump":
            (unhealed if error.code == "heal-failed" else failed).add(row)
    return tuple(sorted(failed - unhealed)), tuple(sorted(unhealed))


def _quiet(f: str, value: Any) -> bool | None:
    """What an event says of quiescence; None if it says nothing."""
    if f != "quiesce" or not isinstance(value, dict):
        return None
    quiet = value.get("quiet")
    return quiet if isinstance(quiet, bool) else None


def _faults(h: History, rows: list[int]) -> tuple[Fault, ...]:
    faults: list[Fault] = []
    for row in rows:
        f, value = h.fs[h.f[row]], h.value_of(row)
        fields = value if isinstance(value, dict) else {}
        verb, _, kind = f.partition("-")
        if verb == "start":
            begun = h.kind[row] == INFO and row not in h.errors
            _begin(faults, fields, kind, row, begun)
        elif f == "evidence":
            detail = fields.get("detail")
            nobody = isinstance(detail, dict) and detail.get("nobody") is True
            told = {"bit": fields.get("bit") is True, "settled": _is_settled(detail)}
            _amend(faults, fields, None, proved=row, met_nobody=nobody, **told)
        elif verb == "stop":
            ending = {"stopping": row} if h.kind[row] == INVOKE else {"stopped": row}
            _amend(faults, fields, kind, **ending)
    return tuple(faults)


def _is_settled(detail: Any) -> bool:
    """Whether the evidence of a change of the membership shows a layout that has settled."""
    view = detail.get("membership") if isinstance(detail, dict) else None
    return isinstance(view, dict) and view.get("settled") is True


def _begin(faults: list[Fault], fields: dict[str, Any], kind: str, row: int, begun: bool) -> None:
    """A fault may be active from when its start was invoked; the completion adds facts."""
    number = fields.get("fault", -1 - len(faults))
    for i, fault in enumerate(faults):
        if fault.number == number:
            value = {**(fault.value or {}), **fields}
            faults[i] = replace(fault, value=value, begun=row if begun else None)
            return
    faults.append(Fault(number, kind, row, value=fields))


def _amend(faults: list[Fault], fields: dict[str, Any], kind: str | None, **facts: Any) -> None:
    """Add facts to the fault that the event names, else to the latest open one of its kind."""
    number = fields.get("fault")
    for i in reversed(range(len(faults))):
        fault = faults[i]
        if number is not None:
            match = fault.number == number
        else:
            match = fault.stopped is None and kind in (None, fault.kind)
        if match:
            if ("bit" in facts and fault.bit) or ("stopping" in facts and fault.stopping):
                return
            if "stopped" in facts and fault.stopping is None:
                facts["stopping"] = facts["stopped"]
            faults[i] = replace(fault, **facts)
            return


def exits(h: History, row: int) -> Mapping[str, int]:
    """How the nodes of a found-dead event had ended, as far as it says so: the exit code, or
    minus the number of the signal."""
    value = h.value_of(row)
    told = value.get("exits") if isinstance(value, dict) else None
    ends = told.items() if isinstance(told, dict) else ()
    return {node: code for node, code in ends if isinstance(code, int)}


def crashed(code: int | None) -> bool:
    """Whether a process that ended so has failed by itself: 70 is EX_SOFTWARE of sysexits.h, and
    of the signals it is those that a process's own errors raise. Who else ended it, an
    administrator or the kernel for want of memory, is not said by any other."""
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
