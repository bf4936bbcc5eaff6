"""Planted bugs: each is a subclass of `Node`, with a method or a part that does the wrong thing.

None of this is imported by a node without `bugs` in its configuration.
To add a bug, write a subclass of Node in the file of its family (cluster.core.node.parts
lists what can be replaced), and add a line to the table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.node.parts import Parts
from dynamesis.cluster.zoo import (
    antientropy,
    hints,
    lww,
    membership,
    outside,
    overload,
    quorum,
    reaping,
    repair,
    transfers,
    versions,
)


@dataclass(frozen=True)
class Bug:
    """A bug, what is wrong with it, and the test that should show it: under this nemesis,
    with this workload and these more arguments of `dynamesis test`, one of these
    anomalies."""

    node: type[Node]
    mechanism: str
    nemesis: str
    workload: str
    anomalies: tuple[str, ...]
    options: tuple[str, ...] = ()


#: Each key has one copy: what one replica forgets, no other one heals.
_ONE_COPY = ("--n=1", "--r=1", "--w=1")
#: Many keys, written without a look at what is there: a node that has forgotten something
#: of them writes before it has received it.
_FORGETFUL = ("--keys=100", "--rate=300", "--option=blind=1")
#: Each key has more coordinators than a clock of 10 actors can name.
_ELEVEN = ("--nodes=11", "--n=11", "--concurrency=22")

BUGS: dict[str, Bug] = {
    # ---- versions
    "ctx-only-increment": Bug(
        versions.CtxOnlyIncrement,
        "the event is the context's plus 1; the local clock is ignored",
        nemesis="none",
        workload="register",
        anomalies=("lost-write", "false-sibling", "duplicate-dot"),
    ),
    "merged-clock-siblings": Bug(
        versions.MergedClockSiblings,
        "siblings share one merged clock: a write replaces all of them or none",
        nemesis="none",
        workload="register",
        anomalies=("false-sibling",),
    ),
    "amnesia": Bug(
        versions.Amnesia,
        "a wiped node names its versions as in its earlier life",
        nemesis="wipe.one,link.slow",
        workload="blind",
        anomalies=("lost-write", "divergence", "duplicate-dot"),
        options=(*_FORGETFUL, "--time-limit=25s"),
    ),
    "equal-actors": Bug(
        versions.EqualActors,
        "all nodes stamp under one actor id",
        nemesis="cut",
        workload="register",
        anomalies=("lost-write", "divergence", "altered-value", "duplicate-dot"),
        options=("--keys=1",),
    ),
    "lazy-epoch": Bug(
        versions.LazyEpoch,
        "epochs are used before the disk knows that they are",
        nemesis="kill.again",
        workload="blind",
        anomalies=("lost-write", "divergence", "duplicate-dot"),
        options=(
            *("--nodes=3", "--keys=3", "--rate=100", "--concurrency=24", "--option=blind=1"),
            *("--param=max_siblings=2000", "--param=durability=buffered"),
            "--param=buffer_interval=2",
            "--time-limit=32s",
        ),
    ),
    "prune-clock": Bug(
        versions.PruneClock,
        "clocks are cut to 10 actors",
        nemesis="none",
        workload="register",
        anomalies=("false-sibling", "resurrection"),
        options=(*_ELEVEN, "--links=direct"),
    ),
    "prune-in-repair": Bug(
        versions.PruneInRepair,
        "read repair cuts the clocks that it writes to 10 actors",
        nemesis="link.jitter",
        workload="hot-key",
        anomalies=("divergence", "unbounded", "resurrection", "false-sibling"),
        options=(*_ELEVEN, "--links=embedded", "--time-limit=16s"),
    ),
    "self-merge": Bug(
        versions.SelfMerge,
        "a merge drops what both sides hold",
        nemesis="none",
        workload="register",
        anomalies=("lost-write",),
    ),
    "ctx-underclaims": Bug(
        versions.CtxUnderclaims,
        "the context covers only what the first replica showed",
        nemesis="cut",
        workload="register",
        anomalies=("false-sibling",),
    ),
    "foreign-context": Bug(
        versions.ForeignContext,
        "the context of another key is taken",
        nemesis="none",
        workload="register",
        anomalies=("foreign-context", "lost-write"),
    ),
    "double-stamp": Bug(
        versions.DoubleStamp,
        "a forwarded put in doubt is stamped again elsewhere",
        nemesis="cut.one-way,link.cut-off",
        workload="register",
        anomalies=("duplicate-sibling",),
    ),
    "stale-forward": Bug(
        versions.StaleForward,
        "an earlier answer is taken for that of a forward that failed",
        nemesis="kill.one,link.slow",
        workload="register",
        anomalies=("lost-write", "duplicate-sibling", "false-sibling"),
    ),
    "handoff-coordinates": Bug(
        versions.HandoffCoordinates,
        "a write that a transfer brings is stamped again",
        nemesis="membership",
        workload="register",
        anomalies=("duplicate-sibling", "false-sibling"),
    ),
    # ---- the last writer wins
    "lww-own-clock": Bug(
        lww.LwwOwnClock,
        "the winner keeps its own clock only",
        nemesis="kill.one",
        workload="lww",
        anomalies=("resurrection", "divergence", "unbounded", "lost-write", "duplicate-dot"),
        options=("--nodes=3", "--keys=40", "--time-limit=15s"),
    ),
    "lww-client-time": Bug(
        lww.LwwClientTime,
        "a write is dated by a wall clock that may be behind",
        nemesis="clock.jump",
        workload="lww",
        anomalies=("lost-write", "misdated"),
    ),
    "lww-arrival": Bug(
        lww.LwwArrival,
        "a replica keeps what arrived last",
        nemesis="cut,link.jitter",
        workload="lww",
        anomalies=("divergence", "lost-write", "unbounded"),
        options=("--keys=2", "--time-limit=12s"),
    ),
    # ---- quorums and durability
    "w-counts-twice": Bug(
        quorum.WCountsTwice,
        "the coordinator counts twice towards W",
        nemesis="cut.one",
        workload="register",
        anomalies=("impossible-ack", "lost-write"),
    ),
    "pw-on-plan": Bug(
        quorum.PwOnPlan,
        "PW is judged on the plan, not on the nodes that answered",
        nemesis="pause",
        workload="register",
        anomalies=("impossible-ack",),
    ),
    "notfound-quorum": Bug(
        quorum.NotfoundQuorum,
        "an empty fallback's not-found counts towards R",
        nemesis="kill.one",
        workload="bulk",
        anomalies=("stale-read", "impossible-ack"),
    ),
    "ack-before-durable": Bug(
        quorum.AckBeforeDurable,
        "acknowledged before it is durable",
        nemesis="disk.lost-writes",
        workload="register",
        anomalies=("lost-write",),
        options=_ONE_COPY,
    ),
    "log-tail": Bug(
        quorum.LogTail,
        "what is still in the log's tail is taken to be durable",
        nemesis="disk.lost-writes",
        workload="register",
        anomalies=("lost-write",),
        options=_ONE_COPY,
    ),
    # ---- read repair
    "repair-overwrites": Bug(
        repair.RepairOverwrites,
        "read repair overwrites a replica's record instead of syncing into it",
        nemesis="link.jitter",
        workload="hot-key",
        anomalies=("lost-write",),
    ),
    "repair-first-only": Bug(
        repair.RepairFirstOnly,
        "read repair writes one sibling under the clock of all",
        nemesis="none",
        workload="register",
        anomalies=("lost-write", "divergence"),
    ),
    "repair-equal": Bug(
        repair.RepairEqual,
        "read repair writes to replicas that are equal",
        nemesis="none",
        workload="register",
        anomalies=("unbounded",),
    ),
    "no-linger": Bug(
        repair.NoLinger,
        "a replica that answers a read late is not repaired",
        nemesis="wipe.one",
        workload="bulk",
        anomalies=("divergence", "misplaced"),
        options=("--param=anti_entropy_interval=0",),
    ),
    "error-is-notfound": Bug(
        repair.ErrorIsNotfound,
        "a record that cannot be read counts as absent, and is written over",
        nemesis="disk.read-error",
        workload="register",
        anomalies=("lost-write",),
        options=_ONE_COPY,
    ),
    # ---- deletes
    "reap-at-w": Bug(
        reaping.ReapAtW,
        "a tombstone is reaped although not all have answered",
        nemesis="cut.one",
        workload="delete",
        anomalies=("resurrection",),
        options=("--strict", "--time-limit=20s"),
    ),
    "doomstone": Bug(
        reaping.Doomstone,
        "a tombstone that a fallback kept eats the key that was created again",
        nemesis="cut.hint-holder",
        workload="delete",
        anomalies=("lost-write",),
        options=("--time-limit=20s",),
    ),
    "hard-delete": Bug(
        reaping.HardDelete,
        "a delete leaves no tombstone",
        nemesis="kill,cut",
        workload="delete",
        anomalies=("resurrection",),
        options=("--time-limit=16s",),
    ),
    # ---- hints
    "hint-early-delete": Bug(
        hints.HintEarlyDelete,
        "a hint is deleted when sent, not when acknowledged",
        nemesis="cut.one,link.lossy",
        workload="bulk",
        anomalies=("lost-write",),
        options=(*_ONE_COPY, "--links=embedded", "--time-limit=16s"),
    ),
    "hints-forgotten": Bug(
        hints.HintsForgotten,
        "hints are not looked for after a restart",
        nemesis="cut,kill",
        workload="register",
        anomalies=("stuck", "divergence", "misplaced"),
        options=("--time-limit=20s",),
    ),
    "hint-key-collision": Bug(
        hints.HintKeyCollision,
        "a hint's key lacks its target",
        nemesis="cut",
        workload="register",
        anomalies=("divergence", "lost-write", "lost-hint"),
    ),
    "hint-to-ghost": Bug(
        hints.HintToGhost,
        "hints for a node that was removed are kept for it",
        nemesis="membership.remove",
        workload="register",
        anomalies=("stuck", "misplaced"),
    ),
    "torn-hint": Bug(
        hints.TornHint,
        "behind a torn hint no other is read",
        nemesis="cut,disk.bit-flip",
        workload="bulk",
        anomalies=("stuck",),
    ),
    "decommission-drops-hints": Bug(
        hints.DecommissionDropsHints,
        "a node that leaves drops its hints",
        nemesis="cut,membership.leave",
        workload="bulk",
        anomalies=("lost-write",),
        options=(*_ONE_COPY, "--rate=300", "--time-limit=20s"),
    ),
    # ---- transfers
    "handoff-overwrites": Bug(
        transfers.HandoffOverwrites,
        "a transfer overwrites newer data",
        nemesis="cut",
        workload="register",
        anomalies=("lost-write",),
    ),
    "source-deletes": Bug(
        transfers.SourceDeletes,
        "the source gives a transfer so much time, and deletes though it failed",
        nemesis="membership,link.stall",
        workload="bulk",
        anomalies=("lost-write",),
        options=(*_ONE_COPY, "--links=embedded", "--time-limit=15s"),
    ),
    "no-final-sync": Bug(
        transfers.NoFinalSync,
        "the tail of a transfer is missing",
        nemesis="membership,link",
        workload="blind",
        anomalies=("lost-write",),
        options=(*_ONE_COPY, *_FORGETFUL, "--time-limit=20s"),
    ),
    "early-cleanup": Bug(
        transfers.EarlyCleanup,
        "a newcomer cleans up what it has fetched, as long as it is joining",
        nemesis="membership.join",
        workload="bulk",
        anomalies=("lost-write",),
        options=_ONE_COPY,
    ),
    # ---- anti-entropy
    "aae-last-segment": Bug(
        antientropy.AaeLastSegment,
        "the last part of each tree is never compared",
        nemesis="wipe.one",
        workload="bulk",
        anomalies=("divergence", "stuck", "misplaced"),
    ),
    "aae-no-rehash": Bug(
        antientropy.AaeNoRehash,
        "what repair writes is not hashed",
        nemesis="wipe.old-disk",
        workload="register",
        anomalies=("unbounded", "stuck"),
    ),
    "aae-order-hash": Bug(
        antientropy.AaeOrderHash,
        "equal records hash differently",
        nemesis="none",
        workload="register",
        anomalies=("unbounded", "stuck"),
    ),
    "aae-dirty-tree": Bug(
        antientropy.AaeDirtyTree,
        "after a crash the trees of before it are taken up",
        nemesis="kill.loop",
        workload="register",
        anomalies=("divergence", "stuck", "unbounded"),
    ),
    "aae-expired-tree": Bug(
        antientropy.AaeExpiredTree,
        "an expired tree is cleared long before it is made anew",
        nemesis="none",
        workload="register",
        anomalies=("stuck",),
        options=("--param=tree_expiry=3",),
    ),
    "half-open-slot": Bug(
        antientropy.HalfOpenSlot,
        "an exchange that was cut off holds its slot",
        nemesis="link.stall",
        workload="register",
        anomalies=("stuck",),
        options=("--links=embedded", "--time-limit=15s"),
    ),
    "one-bad-value": Bug(
        antientropy.OneBadValue,
        "one damaged value ends every scan",
        nemesis="disk.bit-flip",
        workload="bulk",
        anomalies=("stuck",),
    ),
    "unthrottled": Bug(
        overload.Unthrottled,
        "background work ignores how long readers wait",
        nemesis="wipe.one",
        workload="bulk",
        anomalies=("unavailable", "unbounded"),
    ),
    # ---- membership and failure detection
    "ghost-member": Bug(
        membership.GhostMember,
        "stale gossip revives a node that was removed",
        nemesis="membership.remove",
        workload="register",
        anomalies=("split-membership", "stuck", "misplaced"),
        options=("--time-limit=5s",),
    ),
    "lone-ring": Bug(
        membership.LoneRing,
        "a node that finds no cluster founds its own",
        nemesis="membership.join",
        workload="register",
        anomalies=("split-membership", "stuck", "misplaced"),
    ),
    "clock-merge": Bug(
        membership.ClockMerge,
        "of two layouts the one with the later date wins",
        nemesis="clock.jump,membership",
        workload="register",
        anomalies=("split-membership", "stuck", "early-ownership"),
        options=("--time-limit=12s",),
    ),
    "double-claim": Bug(
        membership.DoubleClaim,
        "every member makes plans, and keeps its own",
        nemesis="membership.two",
        workload="register",
        anomalies=("misplaced", "split-membership", "stuck"),
    ),
    "tail-violation": Bug(
        membership.TailViolation,
        "partitions are dealt out in turn, past the end of the ring too",
        nemesis="none",
        workload="bulk",
        anomalies=("misplaced", "divergence", "stuck"),
        options=("--nodes=3",),
    ),
    "banned-forever": Bug(
        membership.BannedForever,
        "a peer that was suspected is never asked again",
        nemesis="pause",
        workload="register",
        anomalies=("stuck", "unavailable"),
    ),
}


def resolve(name: str) -> type[Node]:
    """The node with the bug of this name in the table, or of FILE.py:NAME outside of it.
    Raises ValueError with what is wrong and what is allowed."""
    if ":" in name:
        return outside.load(name)
    if name not in BUGS:
        near = get_close_matches(name, BUGS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(
            f"there is no {name!r}{hint}; allowed: FILE.py:NAME, {', '.join(sorted(BUGS))}"
        )
    return BUGS[name].node


def plant(names: Iterable[str]) -> type[Node]:
    """A node with all the named bugs. Raises ValueError as `resolve` does, and for two bugs
    that replace the same part."""
    bugs = tuple(dict.fromkeys(map(resolve, names)))
    if len(bugs) == 1:
        return bugs[0]
    changed: dict[str, type[Any]] = {}
    for bug in bugs:
        for each in fields(Parts):
            part = getattr(bug.parts, each.name)
            if part is getattr(Node.parts, each.name):
                continue
            if changed.get(each.name, part) is not part:
                raise ValueError(f"two of these bugs replace {each.name}; plant one of them")
            changed[each.name] = part
    return type("PlantedNode", bugs, {"parts": Parts(**changed)})
