"""What reads owe: stale-read in strict mode, and the four session guarantees.

A get *covers* versions (docs/checkers.md). In strict mode (not sloppy, R + W > N) it must
cover every version that was acknowledged before it began, save those that a delete above
them may have removed, or that a change of the membership or a disk that forgot excuses
(`freshness`). The session guarantees ask the same of one process and key (Terry
et al., SessionState Guarantees for Weakly Consistent Replicated Data, 1994): its own writes
(read-your-writes), what its earlier gets covered (monotonic-reads), and, with any write
that a get covers, what that writer wrote before (monotonic-writes) and had read before
(writes-follow-reads). Dynamo promises none of these by default: they are counted, and
judged only where `promises` in test.json names them.

Where the last writer wins, nothing is owed that may have lost to what was shown.

One sweep a key, in order of rows; a set of versions is an integer of one bit each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from dynamesis.checkers.dynamo.forgotten import may_be_forgotten
from dynamesis.checkers.dynamo.freshness import Freshness
from dynamesis.checkers.dynamo.lww import Ranks, is_lww, timestamp
from dynamesis.checkers.dynamo.request_needs import Needs
from dynamesis.checkers.explain.describe import at, contents, fate, listed, name, reading
from dynamesis.checkers.explain.session_explain import obligation
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.pairing import OK, Ints
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip

SESSIONS = ("read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads")
#: events above which what is only counted is left out, unless it is asked for
COUNTED = 400_000

BEGIN, WROTE, SHOWED, ACKNOWLEDGED = range(4)
_HAPPENS = np.array((WROTE, ACKNOWLEDGED, BEGIN, SHOWED))


@dataclass
class SessionState:
    """What one process has of a key."""

    wrote: int = 0
    covered: int = 0


@dataclass
class Sweep:
    """The state of the walk through one key. `known`: by version its past, and what a get owes
    that covers it, by its writers' sessions: writes, and reads. `ranks`: where the last writer
    wins."""

    bits: dict[int, int]
    #: by row, and by version: whose it is
    process: list[int]
    writer: list[int]
    #: the deletes that may take effect
    deletions: frozenset[int]
    ranks: Ranks | None = None
    known: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    acknowledged: int = 0
    removed: int = 0
    #: those that were written already
    deletes: list[int] = field(default_factory=list)
    sessions: dict[int, SessionState] = field(default_factory=lambda: defaultdict(SessionState))
    #: what was acknowledged, and the session's own, when each open get began
    begun: dict[int, tuple[int, int, int]] = field(default_factory=dict)


#: anomaly, row of the get, the bits that it lacks
Missing = tuple[str, int, int]


def check_coverage(run: Run) -> CheckerResult:
    """Judge stale-read in strict mode, count the session guarantees."""
    c, timeline, test = run.order, run.timeline, run.test
    given = test or {}
    needs = _needs(c, given)
    strict = needs is not None and needs.promise
    promised = {p for p in given.get("promises", ()) if p in SESSIONS}
    judged = promised | ({"stale-read"} if strict else set())
    if not judged and len(c.history) > COUNTED:
        return skip("no session guarantee is promised, and the history is long")
    found: dict[str, list[Anomaly]] = {kind: [] for kind in ("stale-read", *SESSIONS)}
    counts = dict.fromkeys(found, 0)
    fresh, gone = Freshness.of(timeline, given), run.once(may_be_forgotten)
    for versions, kind, row, missing in missing_of_gets(run):
        if kind == "stale-read":
            missing = fresh.owed(c, row, versions, missing, gone)
            if strict and needs is not None:
                missing = _owed(c, needs, versions, row, missing)
            if not missing:
                continue
        counts[kind] += 1
        if kind in judged and len(found[kind]) < DESCRIBED:
            found[kind].append(_anomaly(c, kind, row, _members(versions, missing)))
    anomalies = [a for some in found.values() for a in some]
    more = {kind: counts[kind] - len(some) for kind, some in found.items() if kind in judged}
    details = {"strict": strict, "counts": {k: n for k, n in counts.items() if n}}
    return judge(anomalies, (), details, {kind: n for kind, n in more.items() if n})


def _needs(c: Causality, test: Mapping[str, Any]) -> Needs | None:
    sizes = [test.get(k) for k in ("r", "w", "n")]
    return Needs(c.history, test) if all(isinstance(s, int) for s in sizes) else None


def _owed(c: Causality, needs: Needs, versions: Ints, row: int, missing: int) -> int:
    """Those of the versions that a get lacks whose writes must have met it (quorums)."""
    if needs.uniform:
        return missing
    owed, left = 0, missing
    while left:
        bit = left & -left
        left ^= bit
        if needs.meet(row, int(c.written[versions[bit.bit_length() - 1]])):
            owed |= bit
    return owed


#: versions of the key, anomaly, row of the get, bits of the versions that it lacks; bit i is the
#: i-th version
MissingOfKey = tuple[Ints, str, int, int]


def missing_of_gets(run: Run) -> Iterable[MissingOfKey]:
    """What gets lack, key by key. Of a history that is not long it is kept, since it is both
    judged and measured."""
    return run.once(_all_missing) if len(run.history) <= COUNTED else _missing_of_gets(run)


def _all_missing(run: Run) -> tuple[MissingOfKey, ...]:
    return tuple(_missing_of_gets(run))


def _missing_of_gets(run: Run) -> Iterator[MissingOfKey]:
    c, lww = run.order, is_lww(run.test)
    h = c.history
    gets = np.flatnonzero((h.kind == OK) & h.rows("get"))
    keys = h.key_of[gets]
    order = np.argsort(keys, kind="stable")
    cuts = np.searchsorted(keys[order], np.arange(len(h.keys) + 1))
    by_key, starts = c.by_key
    process, writer = h.process.tolist(), h.process[c.written].tolist()
    deletions = frozenset(np.flatnonzero(c.deletes & c.may_take_effect).tolist())
    for key in range(len(h.keys)):
        of_key = gets[order[cuts[key] : cuts[key + 1]]]
        versions = by_key[starts[key] : starts[key + 1]]
        if len(of_key) and len(versions):
            bits = {version: 1 << place for place, version in enumerate(versions.tolist())}
            sweep = Sweep(bits, process, writer, deletions, Ranks(c, bits) if lww else None)
            for kind, row, missing in _sweep(c, sweep, versions, of_key):
                yield versions, kind, row, missing


def _sweep(c: Causality, sweep: Sweep, versions: Ints, gets: Ints) -> Iterator[Missing]:
    bits, sessions = sweep.bits, sweep.sessions
    for what, number in _in_order(c, versions, gets):
        if what == WROTE:
            _write(c, sweep, number)
        elif what == BEGIN:
            session = sessions[sweep.process[number]]
            sweep.begun[number] = sweep.acknowledged, session.wrote, session.covered
        elif what == SHOWED:
            yield from _judge(c, sweep, number)
        else:
            sweep.acknowledged |= bits[number]
            sessions[sweep.writer[number]].wrote |= bits[number]


def _in_order(c: Causality, versions: Ints, gets: Ints) -> Iterator[tuple[int, int]]:
    """What happened to a key, in order of rows, each of which is one of these: (WROTE, version),
    (ACKNOWLEDGED, version), (BEGIN, get), (SHOWED, get)."""
    acknowledged = versions[c.outcome[versions] == OK]
    rows = (c.written[versions], c.ended[acknowledged], c.history.pair[gets], gets)
    what = np.repeat(_HAPPENS, tuple(map(len, rows)))
    numbers = np.concatenate((versions, acknowledged, gets, gets))
    order = np.argsort(np.concatenate(rows))
    return zip(what[order].tolist(), numbers[order].tolist(), strict=True)


def _write(c: Causality, sweep: Sweep, version: int) -> None:
    session = sweep.sessions[sweep.writer[version]]
    known, past, writes, reads = sweep.known, sweep.bits[version], session.wrote, session.covered
    for parent in c.parents_of(version):
        above = known[parent]
        past |= above[0]
        writes |= above[1]
        reads |= above[2]
    known[version] = past, writes, reads
    if version in sweep.deletions:
        sweep.removed |= past
        sweep.deletes.append(version)


def _judge(c: Causality, sweep: Sweep, get: int) -> Iterable[Missing]:
    covered, writes, reads = 0, 0, 0
    shown = c.siblings_of(get)
    for version in shown:
        past, its_writes, its_reads = sweep.known[version]
        covered |= past
        writes |= its_writes
        reads |= its_reads
    sweep.sessions[sweep.process[get]].covered |= covered
    acknowledged, own, before = sweep.begun.pop(get)
    excused = covered | sweep.removed
    if not (acknowledged | own | before | writes | reads) & ~excused:
        return ()
    excused |= _lost_to(sweep, shown)
    owed = (
        ("stale-read", acknowledged),
        ("read-your-writes", own),
        ("monotonic-reads", before),
        ("monotonic-writes", writes),
        ("writes-follow-reads", reads),
    )
    return [(kind, get, bits & ~excused) for kind, bits in owed if bits & ~excused]


def _lost_to(sweep: Sweep, shown: list[int]) -> int:
    """What need not show as it lost, or may have: to what is shown, or to a delete that is
    forgotten by now."""
    if sweep.ranks is None:
        return 0
    return sweep.ranks.beaten([*shown, *sweep.deletes])


def _members(versions: Ints, bits: int) -> list[int]:
    found: list[int] = []
    while bits and len(found) < 4:
        lowest = bits & -bits
        found.append(int(versions[lowest.bit_length() - 1]))
        bits ^= lowest
    return found


def _anomaly(c: Causality, kind: str, row: int, missing: list[int]) -> Anomaly:
    h, version = c.history, missing[0]
    begin = int(h.pair[row])
    owed = obligation(c, kind, row, version)
    rows = {int(c.written[version]), begin, row, *owed.rows}
    if c.outcome[version] == OK:
        rows.add(int(c.ended[version]))
    proof = tuple(sorted(rows))
    later = _later(c, row, version)
    why = (
        f"{reading(h, row)}, begun at {at(h, begin)}, showed {contents(h, row)} and covers "
        f"neither {listed([name(c, v) for v in missing])} nor a delete above: "
        f"{fate(c, version)}{owed.why and '; '}{owed.why}{later}."
    )
    return Anomaly(kind, why, h.keys[h.key_of[row]], proof, {"missing": name(c, version)})


def _later(c: Causality, row: int, version: int) -> str:
    """Where the last writer wins: the timestamps by which the version should have won."""
    mine = timestamp(c, version)
    shown = {name(c, v): timestamp(c, v) for v in c.siblings_of(row)}
    later = [f"{stamp} of {id}" for id, stamp in shown.items() if stamp is not None]
    if mine is None or not later:
        return ""
    return f"; its timestamp {mine} is later than {listed(later)}"
