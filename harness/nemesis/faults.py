"""Faults as values, one type a family: drawn by the catalogue or read from a schedule, carried
through the schedule and the nemesis to the handler of the family.

A fault becomes a dict in one place only, `as_value`, for files: the history, schedule.yaml and
the ledger. The keys there are those of the fields (`settings` is `with`), in this order, without
the fields that are not set. A field that a fault gets only when it strikes (the nodes that its
target then means) is empty before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec
from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.links.faults import LinkFault, make_fault
from dynamesis.harness.nemesis.cuts import Grudge


class FaultValue(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """Base of all faults. `family`: the first part of the names of its members in the catalogue;
    one of a user's own may be called otherwise."""

    family: ClassVar[str]

    def as_value(self) -> JsonObject:
        """The fault as it is written to files."""
        value: JsonObject = msgspec.to_builtins(self)
        return value


class AimedFault(FaultValue, frozen=True, kw_only=True):
    """A fault whose victims are either given, or found when it strikes.

    target: what is hit, one of harness.nemesis.targets.TARGETS
    key: whose primaries or coordinator are meant
    otherwise: the node that is hit where there is no such target
    """

    target: str | None = None
    key: str | None = None
    otherwise: str | None = None


class CutFault(AimedFault, frozen=True, kw_only=True):
    """Some nodes do not receive what others send. `kind`: one of harness.nemesis.cuts.KINDS."""

    family = "cut"
    kind: str
    grudge: Grudge = []


class LinksFault(FaultValue, frozen=True, kw_only=True):
    """The same link fault on several routes.

    kind: one of harness.links.faults.FAULTS
    settings: its fields; those that are not there have their defaults
    links: names of routes
    """

    family = "link"
    kind: str
    settings: dict[str, int | str] | None = msgspec.field(default=None, name="with")
    links: list[str]

    @property
    def link_fault(self) -> LinkFault:
        """What each route suffers. Raises FaultError."""
        return make_fault(self.kind, **self.settings or {})


class KillFault(AimedFault, frozen=True, kw_only=True):
    """Processes end.

    signal: SIGKILL where none is given
    pause_ms: SIGSTOP first, and so much later the signal
    grace_ms: SIGTERM first, and SIGKILL so much later
    again_ms: once they are started again, SIGKILL so much later, and another start; for each
    """

    family = "kill"
    nodes: list[str] = []
    signal: Literal["SIGKILL", "SIGTERM"] | None = None
    pause_ms: int | None = None
    grace_ms: int | None = None
    again_ms: list[int] = []


class PauseFault(AimedFault, frozen=True, kw_only=True):
    """Processes are stopped with SIGSTOP."""

    family = "pause"
    nodes: list[str] = []


class WipeFault(FaultValue, frozen=True, kw_only=True):
    """Processes end, and with them what they stored.

    disk: what is done to the data; `wiped` where nothing is given
    apart: the node is cut off from its peers for a while, once it runs again
    """

    family = "wipe"
    nodes: list[str] = []
    disk: Literal["wiped", "copied", "restored"] | None = None
    apart: bool = False


class DiskFault(AimedFault, frozen=True, kw_only=True):
    """Disks fail. `kind` and `settings` (times in s): harness.nemesis.disks.DISK_FAULTS."""

    family = "disk"
    kind: str
    settings: dict[str, int | float] | None = msgspec.field(default=None, name="with")
    nodes: list[str] = []


class ClockFault(FaultValue, frozen=True, kw_only=True):
    """Wall clocks are wrong. `kind` and `settings`: harness.nemesis.clocks.CLOCK_FAULTS."""

    family = "clock"
    kind: str
    settings: dict[str, int] = msgspec.field(name="with")
    nodes: list[str] = []


class LoadFault(FaultValue, frozen=True, kw_only=True):
    """Nodes get more load. `kind` and `settings`: harness.nemesis.loads.LOADS."""

    family = "load"
    kind: str
    settings: dict[str, int] = msgspec.field(name="with")
    nodes: list[str] = []


class UpgradeFault(FaultValue, frozen=True, kw_only=True):
    """Nodes are started in another version of the store, one after the other in this order.

    signal: how each process ends before that; SIGTERM where none is given
    versions: `from` and `to`, when it strikes
    """

    family = "upgrade"
    nodes: list[str] = []
    signal: Literal["SIGKILL", "SIGTERM"] | None = None
    versions: dict[str, str] | None = None


class MembershipFault(FaultValue, frozen=True, kw_only=True):
    """A change of the membership as it is planned: only how many nodes.

    joins, leaves, removes: how many nodes do so
    back: the contrary follows, after_ms ms later
    among: the nodes that may leave or be removed; the first that can
    keep: how many members must stay
    """

    family = "membership"
    joins: int
    leaves: int
    removes: int
    back: bool = False
    after_ms: int | None = None
    among: list[str]
    keep: int


class MembershipChange(FaultValue, frozen=True, kw_only=True):
    """The same when it strikes: which nodes join, leave, and are removed as dead."""

    family = "membership"
    joins: list[str]
    leaves: list[str]
    removes: list[str]
    back: bool = False
    after_ms: int | None = None
    among: list[str]
    keep: int


#: Faults that hit nodes.
NodesFault = KillFault | PauseFault | WipeFault | DiskFault | ClockFault | LoadFault | UpgradeFault

FAULT_TYPES: dict[str, type[FaultValue]] = {
    fault.family: fault
    for fault in (
        *(CutFault, LinksFault, KillFault, PauseFault, WipeFault),
        *(DiskFault, ClockFault, LoadFault, UpgradeFault, MembershipFault),
    )
}


def fault_from_value(family: str, value: Mapping[str, Any]) -> FaultValue:
    """The inverse of FaultValue.as_value. Raises ValueError, naming the field that is wrong."""
    planned = not isinstance(value.get("joins"), list)
    kind = FAULT_TYPES[family] if planned else MembershipChange
    return msgspec.convert(dict(value), type=kind)


class FaultAction(msgspec.Struct, frozen=True):
    """What the nemesis is to do, or has done; the value of an operation of its own.

    number: by which the start, the evidence and the stop of a fault are matched
    member: the name in the catalogue of what was drawn
    """

    number: int
    member: str | None

    def as_value(self) -> JsonObject:
        """As it is written to files."""
        return {"fault": self.number} | ({} if self.member is None else {"member": self.member})


class FaultStart(FaultAction, frozen=True):
    """A fault begins."""

    fault: FaultValue

    def as_value(self) -> JsonObject:
        return super().as_value() | self.fault.as_value()

    @property
    def stop(self) -> FaultStop:
        """The end of it."""
        return FaultStop(self.number, self.member)


class FaultStop(FaultAction, frozen=True):
    """A fault ends."""


class FaultSkipped(FaultAction, frozen=True):
    """A fault that was not injected, or has nothing to be lifted, and why."""

    reason: str

    def as_value(self) -> JsonObject:
        return super().as_value() | {"skipped": self.reason}


def action_from_value(f: str, value: Mapping[str, Any]) -> FaultStart | FaultStop:
    """The inverse of FaultAction.as_value, for an operation that is called `f`, such as
    start-cut. Raises ValueError."""
    verb, _, family = f.partition("-")
    rest = {key: each for key, each in value.items() if key not in ("fault", "member")}
    number, member = int(value["fault"]), value.get("member")
    if verb == "start":
        return FaultStart(number, member, fault_from_value(family, rest))
    return FaultStop(number, member)
