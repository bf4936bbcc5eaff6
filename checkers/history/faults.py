"""The faults of a test, as the nemesis records them.

A fault has up to five events: its start and its end, each invoked and completed, and the
evidence of whether it took effect (docs/history.md). Each event names the fault by its number;
of a history without numbers, an end belongs to the latest open fault of its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dynamesis.checkers.history.codes import NEMESIS
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.pairing import INFO, INVOKE, Row


@dataclass(frozen=True)
class Fault:
    """One injected fault, active at most from row `started` to `stopped`. With evidence that it
    took effect it was active from `begun` to `stopping`."""

    number: int
    #: its family, or the name in its start event: "cut", "kill"
    kind: str
    #: its start was invoked
    started: Row
    #: its start completed; None if that failed, or is not recorded
    begun: Row | None = None
    #: its end was invoked
    stopping: Row | None = None
    #: its end completed; None if it never did
    stopped: Row | None = None
    #: whether it took effect; None without evidence
    took_effect: bool | None = None
    #: the event of its evidence
    proved: Row | None = None
    #: by the evidence, there was no process for it to act on
    no_target: bool = False
    #: by the evidence, all members agree on one layout, by which nothing moves
    settled: bool = False
    #: the fields of its start events (docs/history.md)
    value: Mapping[str, Any] | None = None

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields of its start events, none for a fault without."""
        return self.value or {}

    @property
    def family(self) -> str:
        """The family that it belongs to: "cut" of "cut.one"."""
        return self.kind.partition(".")[0]

    @property
    def member(self) -> str:
        """Its full name where it is recorded, else its kind: "cut.one"."""
        return str(self.fields.get("member") or self.kind)

    @property
    def detail(self) -> object:
        """The kind within its member: "bit-flip" of a disk, "refused" of a cut."""
        return self.fields.get("kind")

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that it is aimed at."""
        return self.names("nodes")

    @property
    def joins(self) -> tuple[str, ...]:
        """The nodes that it adds to the cluster."""
        return self.names("joins")

    @property
    def skipped(self) -> bool:
        """Whether it found no target, and was left out."""
        return "skipped" in self.fields

    def names(self, field: str) -> tuple[str, ...]:
        """The nodes in one of its fields: of a list, or a single one."""
        value = self.fields.get(field)
        named = [value] if isinstance(value, str) else value if isinstance(value, list) else ()
        return tuple(name for name in named if isinstance(name, str))


def faults_of(h: History) -> tuple[Fault, ...]:
    """The faults of a history, by start."""
    faults: list[Fault] = []
    begun_or_done = (h.kind == INFO) | (h.kind == INVOKE)
    for row in h.where(begun_or_done & (h.process == NEMESIS)):
        f, value = h.fs[h.f[row]], h.value_of(row)
        fields = value if isinstance(value, dict) else {}
        verb, _, kind = f.partition("-")
        if verb == "start":
            begun = h.kind[row] == INFO and row not in h.errors
            _begin(faults, fields, kind, row, begun)
        elif f == "evidence":
            _prove(faults, fields, row)
        elif verb == "stop":
            _end(faults, fields, kind, row, h.kind[row] == INVOKE)
    return tuple(faults)


def _begin(
    faults: list[Fault], fields: Mapping[str, Any], kind: str, row: Row, begun: bool
) -> None:
    """A fault may be active from when its start was invoked; the completion adds facts."""
    number = fields.get("fault", -1 - len(faults))
    for i, fault in enumerate(faults):
        if fault.number == number:
            value = {**fault.fields, **fields}
            faults[i] = replace(fault, value=value, begun=row if begun else None)
            return
    faults.append(Fault(number, kind, row, value=fields))


def _prove(faults: list[Fault], fields: Mapping[str, Any], row: Row) -> None:
    """Add evidence, unless there is some already that the fault took effect."""
    i = _place(faults, fields, None)
    if i is None or faults[i].took_effect:
        return
    detail = fields.get("detail")
    faults[i] = replace(
        faults[i],
        proved=row,
        took_effect=fields.get("bit") is True,
        no_target=isinstance(detail, dict) and detail.get("nobody") is True,
        settled=_is_settled(detail),
    )


def _end(
    faults: list[Fault], fields: Mapping[str, Any], kind: str, row: Row, invoked: bool
) -> None:
    """Add that the end of a fault was invoked (only the first counts), or completed."""
    i = _place(faults, fields, kind)
    if i is None or (invoked and faults[i].stopping):
        return
    if invoked:
        faults[i] = replace(faults[i], stopping=row)
    else:
        stopping = row if faults[i].stopping is None else faults[i].stopping
        faults[i] = replace(faults[i], stopped=row, stopping=stopping)


def _place(faults: list[Fault], fields: Mapping[str, Any], kind: str | None) -> int | None:
    """The fault that an event names, else the latest open one of its kind."""
    number = fields.get("fault")
    for i in reversed(range(len(faults))):
        fault = faults[i]
        if number is not None:
            match = fault.number == number
        else:
            match = fault.stopped is None and kind in (None, fault.kind)
        if match:
            return i
    return None


def _is_settled(detail: object) -> bool:
    """Whether the evidence of a change of the membership shows a layout that has settled."""
    view = detail.get("membership") if isinstance(detail, dict) else None
    return isinstance(view, dict) and view.get("settled") is True
