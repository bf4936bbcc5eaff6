"""Membership: explicit changes, one plan at a time, merged without a clock (section 4.8).

What a node knows of the membership has two parts, and both merge as join-semilattices,
so that gossip in any order, however stale, leads all nodes to the same:

- requests: a set that only grows, of changes (cluster.core.membership.changes);
- the layout: the members, the owner of each partition now and next, and which
  newcomers have their data. A layout has a version; the higher one wins. Two claimants
  that wrote the same version in ignorance of each other are distinguished by content, and
  the loser's requests, still in the set, are planned again.

The claimant, the first member by name that is not leaving, turns requests into
the next layout, and ends a layout once every newcomer is ready. No data depends on nodes
agreeing on the layout: a holder deletes what it no longer owns only after the owners have
acknowledged it (see transfers).
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Literal

import msgspec
from dynamesis.cluster.core.membership.changes import (
    Requests,
    after,
    change_id,
    claimant,
    closed,
    gone,
    open_requests,
    participants,
)
from dynamesis.cluster.core.protocol.messages import Change, ChangeKind, Layout
from dynamesis.cluster.core.protocol.names import name_objection
from dynamesis.cluster.core.ring.placement import Placement, Rules

Kind = Literal["join", "leave", "remove"]


class ChangeRefused(Exception):
    """A change that cannot be made. The message: why, and what could be."""


def first_layout(members: tuple[str, ...], partitions: int, rules: Rules) -> Layout:
    """The layout that every initial member makes alone, and all make alike."""
    owners = rules.claim(members, partitions)
    return Layout(1, "", tuple(sorted(members)), owners, owners)


def settled(layout: Layout) -> bool:
    """True when no partition is on its way to other owners."""
    return layout.owners == layout.target


def merge_layouts(a: Layout | None, b: Layout | None) -> Layout | None:
    """The later layout; of two alike, one that knows all that are ready."""
    if a is None or b is None:
        return a or b
    if _identity(a) != _identity(b):
        return max(a, b, key=_identity)
    ready = {
        p: tuple(sorted({*a.ready.get(p, ()), *b.ready.get(p, ())}))
        for p in sorted({*a.ready, *b.ready})
    }
    return msgspec.structs.replace(a, ready=ready)


def _identity(layout: Layout) -> tuple[Any, ...]:
    """What makes two layouts the same one, and orders those that are not."""
    return (
        layout.version,
        layout.author,
        layout.members,
        layout.target,
        layout.owners,
        layout.applied,
    )


class Membership:
    """What one node knows of the membership."""

    def __init__(
        self,
        node: str,
        rules: Rules,
        entropy: int,
        *,
        on_change: Callable[[], None],
        on_passed_over: Callable[[Change, str], None],
    ) -> None:
        """`entropy`: a number that no other life of any node was given. `on_change` is called
        after every new layout or request, `on_passed_over(change, reason)` for a request that
        became impossible before it was applied."""
        self.node = node
        self._rules = rules
        self._entropy = entropy
        self.layout: Layout | None = None
        self.requests: Requests = {}
        #: whether this life has learned what others know
        self.informed = True
        self.on_change = on_change
        self.on_passed_over = on_passed_over

    def adopt(self, layout: Layout | None, requests: Requests) -> bool:
        """Merge the layout and requests of another node; True when that changed anything."""
        same = layout is None or layout == self.layout
        if same and requests.keys() <= self.requests.keys():
            return False  # as nearly all gossip
        merged = merge_layouts(self.layout, layout)
        union = {**self.requests, **requests}
        if merged == self.layout and len(union) == len(self.requests):
            return False
        self.layout, self.requests = merged, union
        self.advance()
        self.on_change()
        return True

    def request(self, kind: Kind, node: str) -> Change:
        """Ask for a change. Raises ChangeRefused."""
        if wrong := name_objection(node):
            raise ChangeRefused(wrong)
        layout = self.layout
        if layout is None:
            raise ChangeRefused(f"{self.node} is not a member of a cluster yet")
        if not self.informed:
            raise ChangeRefused(
                f"{self.node} has had no answer from another member yet; ask again soon"
            )
        members = layout.members
        for change in open_requests(layout, self.requests):
            if self._objection(change.kind, change.node, members) is None:
                members = after(members, [change])
        objection = self._objection(kind, node, members)
        if kind == "remove" and node not in members and node in gone(layout, self.requests):
            objection = f"{node} was removed before"
        if objection is not None:
            raise ChangeRefused(objection)
        return self._add(kind, node)

    def close(self, node: str) -> None:
        """Have done with a node that has gone (see cluster.core.membership.decommission)."""
        self._add("close", node)

    def _add(self, kind: ChangeKind, node: str) -> Change:
        id = change_id(self.requests, self.node, self._entropy, kind, node)
        change = Change(id, kind, node)
        self.adopt(None, {id: change})
        return change

    def participants(self) -> frozenset[str]:
        """The nodes whose states are merged; none before there is a layout."""
        if self.layout is None:
            return frozenset()
        return participants(self.layout, self.requests)

    def fingerprint(self) -> int:
        """64 bits, the same where nodes agree on the layout and on what takes part."""
        layout = () if self.layout is None else _identity(self.layout)
        view = msgspec.msgpack.encode((layout, sorted(self.participants())))
        return int.from_bytes(blake2b(view, digest_size=8).digest(), "big")

    def _objection(self, kind: ChangeKind, node: str, members: tuple[str, ...]) -> str | None:
        """Why a change cannot be made to these members; None if it can."""
        assert self.layout is not None
        if kind == "join" and node in members:
            return f"{node} is a member already; members are {', '.join(members)}"
        if kind == "join" and node in closed(self.requests):
            return f"{node} was a member and has gone; what comes back takes another name"
        if kind == "remove" and node not in members and node in self.participants():
            return (
                None  # it is leaving, or has left, and died: from now on no transfer waits for it
            )
        if kind != "join" and node not in members:
            return f"{node} is not a member; members are {', '.join(members)}"
        n = self._rules.n
        if kind != "join" and len(members) <= n:
            return f"{len(members)} members are left and N is {n}: let another join first"
        try:
            self._rules.check(after(members, [Change("", kind, node)]), len(self.layout.owners))
        except ValueError as error:
            return f"{kind} of {node}: {error}"
        return None

    def mark_ready(self, partition: int) -> None:
        """This node, a newcomer of `partition`, holds all that its owners held."""
        layout = self.layout
        assert layout is not None
        ready = {**layout.ready, partition: (*layout.ready.get(partition, ()), self.node)}
        self.adopt(msgspec.structs.replace(layout, ready=ready), {})

    def advance(self) -> None:
        """As claimant: end a layout whose newcomers are all ready, begin the next."""
        layout = self.layout
        if layout is None or claimant(layout, self.requests) != self.node:
            return
        if not settled(layout):
            if not self.all_ready(layout):
                return
            layout = self.next_layout(layout, owners=layout.target)
        changes = open_requests(layout, self.requests)
        if changes:
            layout = self._take_in(layout, changes)
        self.layout = layout

    def to_be_claimed(self) -> tuple[str, str]:
        """The claimant, and what it has to do, or waits to do; nothing where no change is asked
        for or under way."""
        layout = self.layout
        assert layout is not None
        named = [f"{each.kind} {each.node}" for each in open_requests(layout, self.requests)]
        task = "end the change under way" if not settled(layout) else ""
        if named and not task:
            task = f"begin what was asked for ({', '.join(named)})"
        return claimant(layout, self.requests), task

    def _take_in(self, layout: Layout, changes: list[Change]) -> Layout:
        """The layout after `changes`. Each was possible at the node that took it, which may
        not have known of the others: one that together with those before it is not possible
        any more is passed over."""
        self.layout = layout
        members = layout.members
        for change in changes:
            objection = self._objection(change.kind, change.node, members)
            if objection is None:
                members = after(members, [change])
            else:
                self.on_passed_over(change, objection)
        target = layout.owners
        if members != layout.members:
            target = self._rules.claim(members, len(layout.owners), layout.owners)
        applied = (*layout.applied, *(c.id for c in changes))
        return self.next_layout(layout, members=members, target=target, applied=applied)

    def all_ready(self, layout: Layout) -> bool:
        """Whether every newcomer of every partition has its data."""
        placement = Placement(layout, self._rules, gone(layout, self.requests))
        return all(placement.switched(p) for p in range(len(layout.owners)))

    def next_layout(self, layout: Layout, **changes: Any) -> Layout:
        return msgspec.structs.replace(
            layout, version=layout.version + 1, author=self.node, ready={}, **changes
        )
