"""Planted bugs: each replaces one method of a freshly built node, and nothing else.

None of this is imported by a node that was not told to (`bugs` in its configuration).
To add a bug, write a function that takes a node and replaces a method, in the file of
its family, and add a line to the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from cluster.core.node import Node

from . import antientropy, hints, membership, outside, quorum, repair, transfers, versions

Plant = Callable[[Node], None]


@dataclass(frozen=True)
class Bug:
    """A bug, what is wrong with it, and the test that should show it: under this nemesis,
    with this workload and these more arguments of `dynamesis test`, one of these
    anomalies."""

    plant: Plant
    mechanism: str
    nemesis: str
    workload: str
    anomalies: tuple[str, ...]
    options: tuple[str, ...] = ()


BUGS: dict[str, Bug] = {
    # ---- versions
    "ctx-only-increment": Bug(
        versions.ctx_only_increment,
        "the event is the context's plus 1; the local clock is ignored",
        nemesis="none",
        workload="register",
        anomalies=("lost-write", "false-sibling"),
    ),
    "merged-clock-siblings": Bug(
        versions.merged_clock_siblings,
        "siblings share one merged clock: a write replaces all of them or none",
        nemesis="none",
        workload="register",
        anomalies=("false-sibling",),
    ),
    "amnesia": Bug(
        versions.amnesia,
        "a wiped node names its versions as in its earlier life",
        nemesis="wipe",
        workload="register",
        anomalies=("lost-write", "divergence"),
    ),
    "equal-actors": Bug(
        versions.equal_actors,
        "all nodes stamp under one actor id",
        nemesis="cut",
        workload="register",
        anomalies=("lost-write", "divergence"),
    ),
    "prune-clock": Bug(
        versions.prune_clock,
        "clocks are cut to 10 actors",
        nemesis="cut",
        workload="register",
        anomalies=("false-sibling", "resurrection"),
    ),
    "self-merge": Bug(
        versions.self_merge,
        "a merge drops what both sides hold",
        nemesis="none",
        workload="register",
        anomalies=("lost-write",),
    ),
    "ctx-underclaims": Bug(
        versions.ctx_underclaims,
        "the context covers only what the first replica showed",
        nemesis="cut",
        workload="register",
        anomalies=("false-sibling",),
    ),
    "foreign-context": Bug(
        versions.foreign_context,
        "the context of another key is taken",
        nemesis="none",
        workload="register",
        anomalies=("foreign-context", "lost-write"),
    ),
    "double-stamp": Bug(
        versions.double_stamp,
        "a forwarded put in doubt is stamped again elsewhere",
        nemesis="cut",
        workload="register",
        anomalies=("duplicate-sibling",),
    ),
    "stale-forward": Bug(
        versions.stale_forward,
        "an earlier answer is taken for that of a forward that failed",
        nemesis="pause",
        workload="register",
        anomalies=("lost-write",),
    ),
    "handoff-coordinates": Bug(
        versions.handoff_coordinates,
        "a write that a transfer brings is stamped again",
        nemesis="membership",
        workload="register",
        anomalies=("duplicate-sibling", "false-sibling"),
    ),
    # ---- quorums and durability
    "w-counts-twice": Bug(
        quorum.w_counts_twice,
        "the coordinator counts twice towards W",
        nemesis="cut.one",
        workload="register",
        anomalies=("impossible-ack", "lost-write"),
    ),
    "notfound-quorum": Bug(
        quorum.notfound_quorum,
        "an empty fallback's not-found counts towards R",
        nemesis="kill",
        workload="sessions",
        anomalies=("stale-read", "impossible-ack"),
    ),
    "ack-before-durable": Bug(
        quorum.ack_before_durable,
        "acknowledged before it is durable",
        nemesis="kill.all",
        workload="register",
        anomalies=("lost-write",),
    ),
    # ---- read repair
    "repair-overwrites": Bug(
        repair.repair_overwrites,
        "read repair overwrites a replica's record instead of syncing into it",
        nemesis="pause",
        workload="register",
        anomalies=("lost-write",),
    ),
    "repair-first-only": Bug(
        repair.repair_first_only,
        "read repair writes one sibling under the clock of all",
        nemesis="none",
        workload="register",
        anomalies=("lost-write", "divergence"),
    ),
    # ---- hints
    "hint-early-delete": Bug(
        hints.hint_early_delete,
        "a hint is deleted when sent, not when acknowledged",
        nemesis="kill",
        workload="register",
        anomalies=("lost-write",),
    ),
    "hints-forgotten": Bug(
        hints.hints_forgotten,
        "hints are not looked for after a restart",
        nemesis="cut,kill",
        workload="register",
        anomalies=("stuck", "divergence", "misplaced"),
    ),
    "decommission-drops-hints": Bug(
        hints.decommission_drops_hints,
        "a node that leaves drops its hints",
        nemesis="cut,membership.leave",
        workload="register",
        anomalies=("lost-write",),
    ),
    # ---- transfers
    "handoff-overwrites": Bug(
        transfers.handoff_overwrites,
        "a transfer overwrites newer data",
        nemesis="cut",
        workload="register",
        anomalies=("lost-write",),
    ),
    "source-deletes": Bug(
        transfers.source_deletes,
        "the source deletes although its data did not arrive",
        nemesis="membership",
        workload="register",
        anomalies=("lost-write",),
    ),
    "no-final-sync": Bug(
        transfers.no_final_sync,
        "the tail of a transfer is missing",
        nemesis="membership",
        workload="register",
        anomalies=("lost-write",),
    ),
    # ---- anti-entropy
    "aae-last-segment": Bug(
        antientropy.aae_last_segment,
        "the last part of each tree is never compared",
        nemesis="wipe",
        workload="register",
        anomalies=("divergence", "stuck", "misplaced"),
    ),
    "aae-no-rehash": Bug(
        antientropy.aae_no_rehash,
        "what repair writes is not hashed",
        nemesis="wipe",
        workload="register",
        anomalies=("unbounded", "stuck"),
    ),
    "aae-order-hash": Bug(
        antientropy.aae_order_hash,
        "equal records hash differently",
        nemesis="none",
        workload="register",
        anomalies=("unbounded", "stuck"),
    ),
    # ---- membership and failure detection
    "ghost-member": Bug(
        membership.ghost_member,
        "stale gossip revives a node that was removed",
        nemesis="membership",
        workload="register",
        anomalies=("split-membership", "stuck", "misplaced"),
    ),
    "lone-ring": Bug(
        membership.lone_ring,
        "a node that hears of no cluster founds its own",
        nemesis="membership.join",
        workload="register",
        anomalies=("split-membership", "stuck", "misplaced"),
    ),
    "banned-forever": Bug(
        membership.banned_forever,
        "a peer that was suspected is never asked again",
        nemesis="pause",
        workload="register",
        anomalies=("stuck", "unavailable"),
    ),
}


def resolve(name: str) -> Plant:
    """What plants the bug of this name in the table, or of FILE.py:NAME outside of it.
    Raises ValueError with what is wrong and what is allowed."""
    if ":" in name:
        return outside.load(name)
    if name not in BUGS:
        near = get_close_matches(name, BUGS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(
            f"there is no {name!r}{hint}; allowed: FILE.py:NAME, {', '.join(sorted(BUGS))}"
        )
    return BUGS[name].plant


def plant(names: Iterable[str], node_class: type[Node]) -> type[Node]:
    """A node class with the named bugs planted. Raises ValueError as `resolve` does."""
    plants = [resolve(name) for name in names]

    class Planted(node_class):  # type: ignore[misc, valid-type]
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)
            for each in plants:
                each(self)

    return Planted
