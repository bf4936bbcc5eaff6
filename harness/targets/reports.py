"""What nodes report, as values: their status, the ring as they see it, and what a replica holds.

A node's own words are decoded here and nowhere else (`NodeStatus.of`, `RingView.of`,
`DumpRow.of`), and become plain values again only for files, by `as_value`. A store need not
report everything: what is absent has the default, which is that nothing is outstanding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Self

import msgspec
from dynamesis.checkers.history.op import JsonObject

#: What a node counts in its status that must come to nothing without load.
IN_PROGRESS = ("requests", "request_bytes", "unsent", "owed", "keys_in_progress")
#: The sizes in a node's status; test.json has their bounds.
SIZES = (
    *IN_PROGRESS,
    *("hint_bytes", "background_slices"),
    *("hints_kept", "hints_handed_off", "hints_given_up", "hints_held"),
)


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what nodes report."""

    def as_value(self) -> JsonObject:
        """As files have it: a JSON object with the keys of the fields, in this order."""
        value: JsonObject = msgspec.json.decode(msgspec.json.encode(self))
        return value


class NodeReport(View, frozen=True, kw_only=True):
    """A whole answer. `reported`: all that the node answered, known here or not; empty where a
    target made this value itself."""

    reported: Mapping[str, object] = {}

    @classmethod
    def of(cls, reported: Mapping[str, object]) -> Self:
        """From what a node answered. Raises ValueError, naming the field, for one that has
        another type."""
        return msgspec.structs.replace(msgspec.convert(reported, cls), reported=reported)

    def as_value(self) -> JsonObject:
        """As files have it: all that the node answered, in its own keys."""
        if self.reported:
            return dict(self.reported)
        value = {key: each for key, each in super().as_value().items() if each is not None}
        del value["reported"]
        return value


class PeerView(View, frozen=True, kw_only=True):
    """What a node knows of another: whether it answers, and how often it did not."""

    up: bool = False
    suspected: bool = False
    failures: int = 0
    timeouts: int = 0


class ExchangeView(View, frozen=True, kw_only=True):
    """The exchanges of a node with a peer: how many have ended, how many of the last ones found
    nothing to repair, and how many keys they repaired."""

    rounds: int = 0
    clean: int = 0
    repaired: int = 0


class LinkView(View, frozen=True, kw_only=True):
    """A node's connection to a peer. `bytes_in`: received over it so far, if it is counted."""

    up: bool = False
    bytes_in: int | None = None


class TreesView(View, frozen=True, kw_only=True):
    """The hash trees of a node: whether all are there, whether they are being made, and how often
    that has ended."""

    complete: bool = True
    rebuilding: bool = False
    rebuilds: int = 0


class MoveView(View, frozen=True, kw_only=True):
    """A partition on the move. `state`: "receiving" or "giving up"; `waiting_for`: the nodes
    whose exchanges it waits for."""

    partition: int = -1
    state: str = ""
    waiting_for: tuple[str, ...] = ()


class MembershipView(View, frozen=True, kw_only=True):
    """The membership as a node sees it.

    settled: whether no partition is on the move
    owned: how many partitions each member is to own
    former: nodes that are gone, and may still hold something
    """

    version: int = 0
    members: tuple[str, ...] = ()
    settled: bool = True
    owned: Mapping[str, int] = {}
    former: tuple[str, ...] = ()


class DiskView(View, frozen=True, kw_only=True):
    """A disk that can be made to fail. `effects`: by fault, how often it took effect."""

    effects: Mapping[str, int] = msgspec.field(default_factory=dict, name="bites")


class ClockView(View, frozen=True, kw_only=True):
    """A wall clock that can be made wrong. `wall`: ms since 1970; `between_ns`, where it can be
    had: the moments of CLOCK_MONOTONIC before and after it was read."""

    wall: int
    between_ns: tuple[int, int] | None = None


class NodeStatus(NodeReport, frozen=True, kw_only=True):
    """What a node reports of itself.

    hints: how many it keeps for others; hints_for: how many for each of them
    unsaved: how many rows it has changed in memory that its disk does not have yet
    transfers: how many partitions are on the move; moving: some of them
    objects: how many records it has; damaged: how many of its rows could not be read
    read_repairs: how many replicas its reads have repaired; None: it does not count them
    membership: None where it has none yet, or the membership cannot change
    disk, clock: where faults may be injected there
    sizes: the figures of SIZES that it reports
    """

    node: str = ""
    hints: int = 0
    unsaved: int = 0
    hints_for: Mapping[str, int] | None = None
    transfers: int = 0
    moving: tuple[MoveView, ...] = ()
    objects: int = 0
    damaged: int = 0
    read_repairs: int | None = None
    peers: Mapping[str, PeerView] = {}
    exchanges: Mapping[str, ExchangeView] = {}
    links: Mapping[str, LinkView] | None = None
    trees: TreesView | None = None
    membership: MembershipView | None = None
    disk: DiskView | None = None
    clock: ClockView | None = None
    sizes: Mapping[str, int] = {}

    @classmethod
    def of(cls, reported: Mapping[str, object]) -> Self:
        sizes = {name: size for name in SIZES if isinstance(size := reported.get(name), int)}
        status = msgspec.convert(reported, cls)
        # of no other yet, it is completed in place: nodes are asked again and again
        msgspec.structs.force_setattr(status, "reported", reported)
        msgspec.structs.force_setattr(status, "sizes", sizes)
        return status


class RingView(NodeReport, frozen=True, kw_only=True):
    """The ring as a node sees it.

    owners: of each of the `partitions`, a node
    members: None where they are not known
    n, r, w, sloppy: how many nodes hold a key, and of how many a request needs an answer
    zones, zone_replicas: of nodes that lie in one, and how many replicas each holds at most
    version: that of the membership that it is of (MembershipView)
    """

    owners: tuple[str, ...]
    n: int
    partitions: int | None = None
    version: int | None = None
    members: tuple[str, ...] | None = None
    r: int | None = None
    w: int | None = None
    sloppy: bool | None = None
    zones: Mapping[str, str] | None = None
    zone_replicas: Mapping[str, int] | None = None


class DumpedSibling(View, frozen=True, kw_only=True):
    """One version of a key, as it is stored."""

    value: bytes
    deleted: bool = False


class DumpRow(View, frozen=True, kw_only=True):
    """The versions of a key that one node holds: its own, or those that it keeps as a hint for
    another."""

    key: str
    hint_for: str | None = None
    siblings: tuple[DumpedSibling, ...] = ()

    @classmethod
    def of(cls, row: Mapping[str, object] | DumpRow) -> DumpRow:
        """From a plain row {"key": str or bytes, "siblings": [{"value": bytes, "deleted":
        bool}], "hint_for": str | None}. Raises ValueError for another."""
        if isinstance(row, DumpRow):
            return row
        key = row.get("key")
        if isinstance(key, bytes):
            row = {**row, "key": key.decode("utf-8", "backslashreplace")}
        return msgspec.convert(row, cls, builtin_types=(bytes,))

    def as_value(self) -> JsonObject:
        """As files have it: values as text."""
        siblings = [
            {"value": each.value.decode("utf-8", "backslashreplace"), "deleted": each.deleted}
            for each in self.siblings
        ]
        return {"key": self.key, "hint_for": self.hint_for, "siblings": siblings}


def dump_rows(rows: Iterable[Mapping[str, object] | DumpRow]) -> list[DumpRow]:
    """The rows of a dump, of a target that returns plain ones or values."""
    return [DumpRow.of(row) for row in rows]
