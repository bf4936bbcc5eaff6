"""Which writes a node may have forgotten that alone had them.

A write that asks for a single copy, or that no client got an answer about, may lie on one node
only. Where that forgets, by a wipe of its disk, an older copy of it, bits that flip, its removal
from the cluster, or, where writes are acknowledged from memory, its end, the write is gone, and
what it had replaced may be back. No store can do better; so neither is held against it.

The answer to a write shows how many nodes had it (`worth`: replicas) and which one stamped it
(`coordinator`); without that it is as many as the write needed. It may have been forgotten where
at least so many nodes forgot after it was begun, the one that stamped it among them, unless that
had it as a hint (`fallbacks`) or the membership changed: then its copy goes to another node. An
acknowledgement of two copies survives one node. That the other copies are made soon after
the answer is not considered: nothing in the history shows when.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any

import numpy as np
from dynamesis.checkers.dynamo.freshness import in_memory
from dynamesis.checkers.dynamo.request_needs import Needs
from dynamesis.checkers.graph.causality import NEVER, Causality
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.faults import Fault
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import OK, Bools
from dynamesis.checkers.history.timeline import Timeline

#: families of faults by which a node loses what is in its memory
_ENDS = ("kill", "upgrade", "disk", "stop")


def may_be_forgotten(run: Run) -> Bools:
    """By version: whether all nodes that certainly had it may have forgotten it since."""
    c, test = run.order, run.test or {}
    found: Bools = np.zeros(len(c), np.bool_)
    forgotten = sorted(_forgotten(c.history, run.timeline, test), key=itemgetter(1))
    if not forgotten:
        return found
    needs = Needs(c.history, test) if _has_needs(test) else None
    moved = any(each.family == "membership" for each in run.timeline.faults if not each.skipped)
    rows = [row for _, row in forgotten]
    #: by place in `rows`: the nodes that forgot then or later
    since: list[frozenset[str]] = [frozenset()]
    for node, _ in reversed(forgotten):
        since.append(since[-1] | {node})
    since.reverse()
    early = np.flatnonzero(c.written <= rows[-1])
    places = np.searchsorted(rows, c.written[early])
    for version, place in zip(early.tolist(), places.tolist(), strict=True):
        nodes = since[place]
        copies, coordinator = _copies(c, version, needs)
        found[version] = len(nodes) >= copies and (moved or coordinator in (None, *nodes))
    return found


def _has_needs(test: Mapping[str, Any]) -> bool:
    return isinstance(test.get("r"), int) and isinstance(test.get("w"), int)


def _copies(c: Causality, version: int, needs: Needs | None) -> tuple[int, str | None]:
    """On how many nodes a version certainly was, and on which it stays, as far as that is known."""
    if c.outcome[version] != OK:
        return 1, None
    ended = int(c.ended[version])
    worth = c.history.worth.get(ended, {})
    replicas, coordinator = worth.get("replicas"), worth.get("coordinator")
    if not isinstance(replicas, int):
        replicas = 1 if needs is None else needs.at(ended).answers
    stays = isinstance(coordinator, str) and not worth.get("fallbacks")
    return max(1, replicas), coordinator if stays else None


def _forgotten(
    h: History, timeline: Timeline, test: Mapping[str, Any]
) -> Iterator[tuple[str, int]]:
    """Each node that forgot, and the row up to which what was written may be gone from it."""
    members = tuple(str(node) for node in test.get("nodes") or ())
    volatile = in_memory(test)
    for fault in timeline.faults:
        if not fault.skipped:
            row = NEVER if fault.stopped is None or fault.detail == "bit-flip" else fault.stopped
            yield from ((node, row) for node in _forgetting(fault, volatile, members))
    for row in timeline.found_dead if volatile else ():
        value = h.value_of(row)
        dead = value.get("nodes") if isinstance(value, dict) else None
        yield from ((str(node), row) for node in (dead if isinstance(dead, list) else members))


def _forgetting(fault: Fault, volatile: bool, members: tuple[str, ...]) -> tuple[str, ...]:
    """The nodes that a fault makes forget; all, where it names none."""
    if fault.family == "membership":
        return fault.names("removes")
    if fault.family == "wipe" or fault.detail == "bit-flip" or (volatile and fault.family in _ENDS):
        return fault.nodes or members
    return ()
