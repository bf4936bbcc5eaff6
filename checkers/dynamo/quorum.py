"""What the fault ledger allows: unavailable and impossible-ack.

The nemesis' events show which nodes were down or paused, and which could not reach which; the
ring gives the nodes whose answers an operation needed, and the operation itself how many and of
which, where it asked for its own numbers (quorums). A fault of a kind whose effect on nodes is not
known to this page (a slow disk, for example) makes all nodes doubtful: nothing is judged meanwhile.

`impossible-ack`: an acknowledgement although fewer nodes than R or W can have answered
its coordinator, each of the others being certainly down or cut off from before the
operation began until after it ended; or an answer whose claims (`worth`) contradict
themselves, or that; or a get that showed nothing and counts stand-ins, which would hold
nothing whatever was written.

`unavailable`: an operation that was refused, with whatever code, although no fault that can
excuse it was near (within `grace` seconds, 5 without that in test.json, and more where nodes notice
later by the test's parameters), or although enough
nodes were certainly up and reachable. What a client refused itself, or had to be refused
whatever the cluster's health, is not counted (`of_client`). A fault excuses only what it can
cause (`RESTARTS`, `DISKS`). A busy machine may delay an operation or two: time-outs count only
when they are at least three and more than one in a hundred, and so does a lack of a quorum
that showed only after `Limits.waited`: nodes were asked, and answered too late. (A write that was
refused permanently is not such a case.) An operation that gave the nodes less than PATIENT to
answer may time out, once that has passed, and one that asked for durable copies where they are
made late, or never, be refused. So it is until the heal in a simulated world that is late at
random, or whose disks fail, with no fault active (`unsteady` in test.json; `UNSTEADY`).

After the heal nothing excuses: a key of which no final read succeeded is unavailable.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from dynamesis.checkers.dynamo.limits import Limits, crowded, hints_may_be_full, of_client
from dynamesis.checkers.dynamo.outages import RESTARTS, Outage, joined, outages, reach
from dynamesis.checkers.dynamo.quorum_claims import claims, contradiction, forgetful, needed
from dynamesis.checkers.dynamo.request_needs import Needs
from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.dynamo.zones import in_each_zone, too_far
from dynamesis.checkers.explain.describe import at, listed, times
from dynamesis.checkers.graph.causality import NEVER
from dynamesis.checkers.graph.pace import noticing
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.pairing import FAIL, INFO, INVOKE, OK, Ints
from dynamesis.checkers.history.timeline import Timeline
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip

#: codes that a slow machine causes: nothing came back in time, or its sequel ("forgotten")
DELAYS = ("timeout", "disconnected", "forward-lost", "unreachable", "forgotten")
#: codes that a slow machine causes if the answer took `Limits.waited`: replicas answered too late
QUORUMS = ("read-quorum", "write-quorum", "no-coordinator")
#: codes that a world (`unsteady` of test.json) causes by itself: late at random, with failing disks
UNSTEADY = {
    "late": (*DELAYS, *QUORUMS, "overloaded", "not-ready"),
    "storage": (*QUORUMS, "storage-write", "not-ready"),
    "few-hops": ("too-many-hops",),  # late, and views of health differ
}
#: codes of a write that is refused since hints have no room any more
HINTLESS = ("write-quorum", "no-coordinator", "overloaded")
#: families of faults that make storage fail: by themselves, or by ending a node as it stores
DISKS = ("disk", "kill", "wipe", "stop", "membership", "upgrade", "dead")
#: delays by so many stalls of the machine are the store's
STALLS = 3
#: time-outs of one key's final reads, without any answer, that no slow machine excuses
FINAL_DELAYS = 3
_FS = ("get", "put", "delete")


def check_ledger(run: Run) -> CheckerResult:
    """Judge impossible-ack and unavailable."""
    unread = list(_unread(run.history, run.timeline, Limits.of(run.test or {})))
    judge_of = run.once(ledger_of)
    if judge_of is None:
        return judge(unread) if unread else skip("needs the ring, R and W in test.json")
    acks = judge_of.impossible()
    found = list(islice(acks, DESCRIBED))
    rest = sum(1 for _ in acks)
    counted = {row for anomaly in unread for row in anomaly.ops}
    down = [*unread, *judge_of.unavailable(counted)]
    more = {"impossible-ack": rest} if rest else {}
    if len(down) > DESCRIBED:
        more["unavailable"] = len(down) - DESCRIBED
    return judge([*found, *down[:DESCRIBED]], (), {"outages": judge_of.count}, more)


def ledger_of(run: Run) -> LedgerJudge | None:
    """The facts about a run; None without the ring, R and W."""
    ring, given = CheckedRing.of(run.test), run.test or {}
    if ring is None or not isinstance(given.get("r"), int) or not isinstance(given.get("w"), int):
        return None
    return LedgerJudge(run.history, run.timeline, given, ring)


def _unread(h: History, timeline: Timeline, limits: Limits) -> Iterator[Anomaly]:
    """Keys of which no final read succeeded, although all faults were taken back. A final read
    that was never completed proves nothing: the harness gave up, not the store."""
    if timeline.final is None or timeline.phases.get("heal") is None or not timeline.healed:
        return
    gets = np.flatnonzero((h.kind != INVOKE) & h.rows("get") & (h.process >= 0) & (h.pair >= 0))
    gets = gets[h.pair[gets] > timeline.final]
    answered = set(h.key_of[gets[h.kind[gets] == OK]].tolist())
    failed: dict[int, list[int]] = {}
    for row in gets[h.kind[gets] != OK].tolist():
        if int(h.key_of[row]) not in answered and not of_client(h, row, limits):
            failed.setdefault(int(h.key_of[row]), []).append(row)
    for key, rows in failed.items():
        codes = Counter(h.errors[row].code if row in h.errors else "?" for row in rows)
        if len(rows) < FINAL_DELAYS and all(code in DELAYS for code in codes):
            continue
        ends = listed(
            [f"{times(many)} {code}" if many > 1 else code for code, many in codes.items()]
        )
        why = (
            f"no final read of {h.keys[key]} succeeded, although all was healed: it was tried "
            f"{times(len(rows))} between {at(h, int(h.pair[rows[0]]))} and {at(h, rows[-1])} "
            f"and ended in {ends}."
        )
        ops = tuple(sorted(each for row in rows for each in (int(h.pair[row]), row)))
        yield Anomaly("unavailable", why, h.keys[key], ops, {"codes": dict(codes)})


class LedgerJudge:
    """The facts that judgements by the ledger of faults need."""

    def __init__(
        self, h: History, timeline: Timeline, test: Mapping[str, Any], ring: CheckedRing
    ) -> None:
        self.h, self.timeline, self.ring = h, timeline, ring
        # a node that came may have left again, and answered meanwhile
        came = joined(timeline)
        self.members = tuple(dict.fromkeys((*(test.get("nodes") or ring.members), *came)))
        self.test = test
        self.needs = Needs(h, test)
        #: whether all copies are durable immediately, if a node that holds one answers at all
        buffered = (test.get("params") or {}).get("durability") == "buffered"
        self.durable = test.get("storage") != "memory" and not buffered
        #: whether that is known: no copy counts before it is durable
        self.all_durable = self.durable and isinstance(test.get("storage"), str)
        self.grace = float(test.get("grace", 5.0)) + noticing(test)
        self.reasons = frozenset(_reasons(test))
        self.unsteady = {code for why in self.reasons for code in UNSTEADY.get(why, ())}
        self.virtual = test.get("world") == "simulated"
        #: s after which a quorum was lacking because nodes were slow, which none is by itself in
        #: virtual time
        self.waited = Limits.waited if self.virtual else self.needs.limits.waited
        self.outages = outages(h, timeline, self.members)
        self.count = len(timeline.faults) + len(timeline.found_dead)
        #: when they began and ended, each in order, and what is known of the nodes in reach: it is
        #: the same as long as none of them begins or ends
        self.sinces = sorted(o.since for o in self.outages)
        self.untils = sorted(o.until for o in self.outages)
        self.reachable: dict[tuple[int, int, str | None, str | None], frozenset[str]] = {}
        #: when outages were started and had ended, each in order, and what `near` gave by these
        self.starts = sorted(o.started for o in self.outages)
        self.ends = sorted(o.ended for o in self.outages)
        self.known_near: dict[tuple[int, int, str], list[Outage]] = {}
        #: node -> its zone, where nodes lie in zones
        self.zones = dict(ring.zones)
        self.moved = any(fault.kind == "membership" for fault in timeline.faults)

    def primaries(self, row: int) -> tuple[str, ...]:
        """The nodes that may have been a primary that an operation asked; the ring is known
        as it was at the end."""
        key = self.h.keys[self.h.key_of[row]]
        return self.members if self.moved else self.ring.primaries(key)[: self.needs.at(row).n]

    def candidates(self, row: int) -> tuple[str, ...]:
        """The nodes whose answers count. A primary of the key that a request with fewer places
        does not ask may stand in for one that it does."""
        return self.primaries(row) if self.needs.at(row).strict else self.members

    def impossible(self) -> Iterator[Anomaly]:
        h = self.h
        acknowledged = (h.kind == OK) & h.rows(*_FS) & (h.process >= 0)
        claiming = [row for row in h.worth if acknowledged[row]]
        rows = np.flatnonzero(acknowledged) if self.outages else np.array(claiming, np.int64)
        #: what is known of answers: most of them are alike in all that they are judged by
        known: dict[tuple[object, ...], str] = {}
        each = zip(rows.tolist(), h.pair[rows].tolist(), self._alike(rows), strict=True)
        for row, begin, alike in each:
            if begin in h.options:
                reason = self.contradicted(row, begin)
            else:
                about = (*alike, *claims(h.worth.get(row)))
                found = known.get(about)
                if found is None:
                    found = known[about] = self.contradicted(row, begin)
                reason = found
            if reason:
                need = needed(self.needs.at(row))
                yield self.anomaly("impossible-ack", row, f"needs {need}, but {reason}")

    def _alike(self, rows: Ints) -> Iterator[tuple[int, ...]]:
        """Of acknowledgements all that they are judged by, but for what they claim and what they
        asked for: the outages that last, by two numbers, the node that was asked, what was asked
        of it, whether it showed anything, and the key, where its primaries are known."""
        h, begins = self.h, self.h.pair[rows]
        yield from zip(
            np.searchsorted(self.sinces, begins).tolist(),
            np.searchsorted(self.untils, rows, "right").tolist(),
            h.node[rows].tolist(),
            h.f[rows].tolist(),
            (h.sib_start[rows + 1] > h.sib_start[rows]).tolist(),
            [-1] * len(rows) if self.moved else h.key_of[rows].tolist(),
            strict=True,
        )

    def contradicted(self, row: int, begin: int) -> str:
        """Why an acknowledgement is impossible; empty where it is not."""
        h, need, info = self.h, self.needs.at(row), self.h.worth.get(row)
        could = self.could_answer(row, begin, row)
        primaries = could.intersection(self.primaries(row))
        answered = primaries if need.strict else could.intersection(self.members)
        possible = len(primaries)
        writes = h.fs[h.f[row]] != "get"
        known = writes or bool(h.sib_start[row + 1] > h.sib_start[row])
        reason = contradiction(info, need, possible, known or need.notfound_ok)
        if writes and self.all_durable and not reason:
            reason = forgetful(info)
        if possible < need.primaries and not reason:
            reason = f"only {possible} of the primaries that it needs can have answered"
        reason = reason or too_far(need, self.zones, info, answered)
        if len(answered) < need.answers and not reason:
            reason = f"only {listed(sorted(answered))} can have answered"
        return reason or ""

    def could_answer(self, row: int, begin: int, end: int) -> frozenset[str]:
        """Nodes that may have answered the coordinator of an operation from one row to
        another. Where the answer does not name the coordinator, it may be any node that can
        be reached from the one asked, over others too."""
        named = self.h.worth.get(row, {}).get("coordinator")
        asked = None if self.h.node[row] < 0 else self.h.nodes[self.h.node[row]]
        # the outages that last from before the one until after the other: by these two numbers
        lasting = bisect_left(self.sinces, begin), bisect_right(self.untils, end)
        about = (*lasting, str(named) if named is not None else None, asked)
        found = self.reachable.get(about)
        if found is None:
            whole = [o for o in self.outages if o.since < begin and end < o.until]
            found = self.reachable[about] = frozenset(reach(self.members, whole, named, asked))
        return found

    def unavailable(self, counted: Collection[int] = ()) -> list[Anomaly]:
        """Refusals that nothing excuses, but for those in rows that were `counted` already."""
        h, limits = self.h, self.needs.limits
        ended = np.flatnonzero(((h.kind == FAIL) | (h.kind == INFO)) & h.rows(*_FS) & (h.pair >= 0))
        refused: list[int] = []
        delayed: list[int] = []
        for row in ended.tolist():
            code = h.errors[row].code if row in h.errors else ""
            judged = code and not of_client(h, row, limits) and not self.own_fault(row, code)
            if judged and self.was_fair(row):
                (delayed if self.was_late(row) else refused).append(row)
        begun = np.count_nonzero((h.kind == INVOKE) & h.rows(*_FS) & (h.process >= 0))
        if self.stalls(delayed) >= STALLS and len(delayed) * 100 > begun:
            refused += delayed
        rows = [row for row in sorted(refused) if row not in counted]
        return [self.anomaly("unavailable", row, self.excuse(row)) for row in rows]

    def stalls(self, rows: Sequence[int]) -> int:
        """How many stalls of the machine explain operations that came too late, at least: one
        delays all that are under way. Virtual time has none: there each operation counts."""
        h, count, last = self.h, 0, -1
        if self.virtual:
            return len(rows)
        for row in sorted(rows, key=lambda row: int(h.time[row])):
            if int(h.time[h.pair[row]]) > last:
                count, last = count + 1, int(h.time[row])
        return count

    def own_fault(self, row: int, code: str) -> bool:
        """Whether an operation asked for what its nodes do not promise."""
        need, h = self.needs.at(row), self.h
        hasty = need.was_over(int(h.time[row] - h.time[h.pair[row]]) / 1e9)
        late = code in self.unsteady and row < self.timeline.phases.get("heal", NEVER)
        if late or (code == "overloaded" and crowded(self.h, row, self.needs.limits)):
            return True
        if code in HINTLESS and self.near(row) and self.no_room(row):
            return True
        if code == "bad-request" and self.needs.impossible(row):
            return True
        return (hasty and code in DELAYS) or bool(need.durable and not self.durable)

    def no_room(self, row: int) -> bool:
        """Whether a node may have had no room for hints; keys of extra load are in no history."""
        limits = self.needs.limits
        loaded = limits.hint_bytes is not None and "load" in {o.family for o in self.near(row)}
        return loaded or hints_may_be_full(self.h, row, limits, self.needs.at(row).n)

    def was_late(self, row: int) -> bool:
        """Whether a slow machine explains it: nothing came in time; or a quorum was lacking only
        because nodes that were asked were slow."""
        h = self.h
        code = h.errors[row].code
        asked = h.kind[row] == INFO or h.fs[h.f[row]] == "get"
        waited = asked and (h.time[row] - h.time[h.pair[row]]) / 1e9 >= self.waited
        return code in DELAYS or (code in QUORUMS and bool(waited))

    def was_fair(self, row: int) -> bool:
        """Were enough nodes certainly up and in reach, from `grace` before it began?"""
        h, begin = self.h, int(self.h.pair[row])
        since = self.since(row)
        load = self.timeline.phases.get("load", 0)
        near = self.near(row)
        early = begin < load or int(h.time[begin]) < int(h.time[load])
        if early or not self.near_enough(row):
            return False
        if not near:
            return True
        settled = all(o.known and o.since < since and o.until > row for o in near)
        if not settled or h.node[row] < 0:
            return False
        up, need = self.untouched(row), self.needs.at(row)
        primaries = len(up & set(self.primaries(row)))
        enough = len(up) >= need.answers and primaries >= need.primaries
        return enough and h.nodes[h.node[row]] in up

    def near_enough(self, row: int) -> bool:
        """Whether each zone has as many primaries up as an operation wants of that of its
        coordinator, which may be any."""
        need = self.needs.at(row)
        if not need.local:
            return True
        up = self.untouched(row) & set(self.primaries(row))
        return not self.moved and in_each_zone(need, self.zones, up)

    def near(self, row: int) -> list[Outage]:
        """The faults that may have been felt by an operation, from `grace` before it began, and
        that may cause what it ended in: storage fails by faults of disks, or as a node ends;
        and a node that was never started anew since the load began has no reason not to be
        ready."""
        since, code = self.since(row), self.h.errors[row].code
        # outages that were started before the one, and had not ended by the other
        about = bisect_left(self.starts, row), bisect_left(self.ends, since), code
        found = self.known_near.get(about)
        if found is None:
            found = self.known_near[about] = self._near(row, since, code)
        return found

    def _near(self, row: int, since: int, code: str) -> list[Outage]:
        near = [o for o in self.outages if o.started < row and o.ended >= since]
        if code in ("storage-read", "storage-write"):
            return [o for o in near if o.family in DISKS]
        if code == "not-ready" and not any(
            o.started < row and o.family in RESTARTS for o in self.outages
        ):
            return []
        return near

    def since(self, row: int) -> int:
        """The row that lies `grace` before an operation began."""
        h = self.h
        return int(h.time.searchsorted(h.time[h.pair[row]] - int(self.grace * 1e9)))

    def untouched(self, row: int) -> set[str]:
        """The nodes whose answers count for an operation and that no near fault touches."""
        near = self.near(row)
        down = {node for o in near for node in o.down}
        apart = {node for o in near for pair in o.cut for node in pair}
        return set(self.candidates(row)) - down - apart

    def excuse(self, row: int) -> str:
        """What happened, and that nothing excuses it."""
        h = self.h
        there = (
            f"{listed(sorted(self.untouched(row)))} were up and in reach"
            if self.near(row)
            else f"no fault had been active for {self.grace:g} s"
        )
        need = needed(self.needs.at(row))
        return f"ended in {h.errors[row].code}, although it needed {need} and {there}"

    def anomaly(self, name: str, row: int, why: str) -> Anomaly:
        h, begin = self.h, int(self.h.pair[row])
        node = f" at {h.nodes[h.node[row]]}" if h.node[row] >= 0 else ""
        text = (
            f"the {h.fs[h.f[row]]} of process {h.name_of(int(h.process[row]))} from {at(h, begin)} "
            f"to {at(h, row)}{node} {why}."
        )
        faults = [f.started for f in self.timeline.active((begin, row))]
        return Anomaly(name, text, h.keys[h.key_of[row]], tuple(sorted({*faults, begin, row})))


def _reasons(test: Mapping[str, Any]) -> Iterator[str]:
    """Why a world is unsteady; true, of an earlier version: for all reasons."""
    given = test.get("unsteady")
    named = UNSTEADY if given is True else given if isinstance(given, list) else ()
    few = ["few-hops"] if "late" in named and "max_hops" in (test.get("params") or {}) else []
    return (why for why in (*named, *few) if isinstance(why, str))
