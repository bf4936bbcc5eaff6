"""Whether the replicas agree when all is quiet: divergence, misplaced, stuck.

The evidence is the repair-free dumps of the final phase. The N primaries of a key must
hold the same versions and values; no other node may hold any, not even as a hint. So it is of the
keys that only the harness's own load wrote, which it has compared itself (`extra-keys`). Where
tombstones are reaped (`reap` in test.json), a replica that holds nothing but tombstones
equals an empty one: the primaries reap one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from dynamesis.checkers.dynamo.lost_writes import unjudged
from dynamesis.checkers.dynamo.ring import CheckedRing, everywhere
from dynamesis.checkers.evidence.figures import is_run
from dynamesis.checkers.explain.describe import (
    SPELLED,
    at,
    contents,
    counted,
    fate,
    listed,
    reading,
    times,
)
from dynamesis.checkers.graph.causality import NEVER, Causality
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.codes import HARNESS
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.op import canonical
from dynamesis.checkers.history.pairing import OK
from dynamesis.checkers.history.timeline import Timeline, final_rows, hint_targets
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip

#: what a replica holds of a key, comparable: (id, value number, deleted), sorted
Content = tuple[tuple[int, int, bool], ...]
#: key -> replica -> (row of its last final dump, content)
Dumps = dict[int, dict[str, tuple[int, Content]]]


def check_stuck(run: Run) -> CheckerResult:
    """Did hints, transfers and anti-entropy drain before the deadline?"""
    c, timeline = run.order, run.timeline
    if timeline.quiet is None or timeline.quiesced is None:
        return judge((), ["the history has no event on whether the cluster got quiet"])
    if timeline.quiet:
        return judge(())
    waited = f": {_outstanding(timeline.waiting)}" if timeline.waiting else ""
    ended = at(c.history, timeline.quiesced)
    why = f"the cluster was not quiet when the wait for it ended at {ended}{waited}."
    during = (timeline.phases.get("load", 0), timeline.quiesced)
    stuck = Anomaly("stuck", why, None, (timeline.quiesced,), {"waiting": timeline.waiting}, during)
    return judge([stuck, *_endless(c.history, timeline.in_vain, timeline.quiesced)])


def _repaired(counts: Mapping[str, Any]) -> str:
    keys = counts.get("repaired")
    return counted(keys, "key") if isinstance(keys, int) else f"{keys} keys"


def _rounds(counts: Mapping[str, Any]) -> str:
    rounds = counts.get("rounds")
    return times(rounds) if isinstance(rounds, int) else f"{rounds} times"


def _endless(h: History, in_vain: Any, row: int) -> Iterator[Anomaly]:
    """Anti-entropy that finds differences again and again without writes."""
    if not isinstance(in_vain, Mapping):
        return
    done = {str(pair): counts for pair, counts in in_vain.items() if isinstance(counts, Mapping)}
    if done:
        pairs = [
            f"{pair} {_rounds(counts)} ({_repaired(counts)} repaired)"
            for pair, counts in done.items()
        ]
        why = (
            f"without load anti-entropy found the same replicas to differ until {at(h, row)}, each "
            f"time that it compared them: {listed(pairs)}. Where no key was repaired, hash trees "
            "differ that are of equal records; else what repair writes does not make them equal."
        )
        yield Anomaly("unbounded", why, None, (row,), {"in_vain": done}, (row,))


def _outstanding(waiting: Any) -> str:
    """What the wait was still for, in words."""
    if not isinstance(waiting, Mapping):
        return f"it still waited for {waiting}"
    parts = {
        "exchanges": "anti-entropy came to no end between",
        "idle": "none has ended between",
        "hints": "hints were still held by",
        "unsaved": "rows were not stored yet at",
        "hints_for": "hints were for",
        "suspects": "peers were suspected by",
        "versions": "the versions of the membership that they knew were",
        "transfers": "transfers were still under way at",
        "silent": "there was no answer from",
        "unsettled": "partitions had not come to their new owners as far as was known to",
        "membership": "different versions of the membership were known to",
        "rebuilding": "all rows were still being read at",
        "treeless": "there were no hash trees to compare at",
        "damaged": "rows could not be read at",
        "unreadable": "what they hold could not be reported by",
    }
    return "; ".join(
        f"{parts.get(what, what)} {listed([str(item) for item in left])}"
        if isinstance(left, list)
        else f"{parts.get(what, what)} {_counted(left)}"
        for what, left in waiting.items()
    )


def _counted(left: Any) -> str:
    """By node how much, else as it was reported."""
    if not isinstance(left, Mapping):
        return str(left)
    return listed([f"{node} ({amount})" for node, amount in left.items()])


def check_replicas(run: Run) -> CheckerResult:
    """Judge divergence and misplaced, key by key."""
    c, timeline, test = run.order, run.timeline, run.test
    ring = CheckedRing.of(test)
    if ring is None and is_run(test) and run.history.rows("dump").any():
        return judge((), ["replicas were dumped, and test.json has no ring to compare them by"])
    if ring is None:
        return skip("needs the ring in test.json")
    unable = unjudged(timeline)
    if unable is not None and not timeline.in_vain:  # else nothing is under way but comparisons
        return unable
    h = c.history
    rows = final_rows(h, timeline, "dump")
    if not len(rows):
        return judge((), ["no replica was dumped after the final phase began"])
    hints = hint_targets(h, rows)
    dumps = _dumps(h, [r for r in rows.tolist() if r not in hints], bool((test or {}).get("reap")))
    found, undumped = [_hint(c, row, target) for row, target in hints.items() if _holds(h, row)], 0
    for key, by_replica in dumps.items():
        primaries = ring.primaries(h.keys[key])
        found += _judge_key(run, key, by_replica, ring)
        undumped += not set(primaries) <= set(by_replica)
    if is_run(test):
        undumped += len(_keys_written(h) - dumps.keys())
    found += _of_load(h, timeline)
    if not found:
        found += _needless(h, timeline)
    reasons = [f"{counted(undumped, 'key')} had no dump of a primary"] if undumped else []
    more: dict[str, int] = {}
    for anomaly in found[DESCRIBED:]:
        more[anomaly.name] = more.get(anomaly.name, 0) + 1
    return judge(found[:DESCRIBED], reasons, {"keys": len(dumps), "dumps": len(rows)}, more)


def _keys_written(h: History) -> set[int]:
    """The keys of which a write was acknowledged."""
    wrote = (h.kind == OK) & (h.process >= 0) & h.rows("put", "delete")
    return set(h.key_of[wrote & (h.key_of >= 0)].tolist())


def _needless(h: History, timeline: Timeline) -> Iterator[Anomaly]:
    """Read repair by the final gets, though all replicas held the same and there were no
    writes. Where there were deletes, replicas may just have been reaping one after the other."""
    counted = np.flatnonzero((h.process == HARNESS) & h.rows("read-repairs")).tolist()
    if not counted or h.rows("delete").any():
        return
    counts = h.value_of(counted[-1])
    busy = {node: n for node, n in counts.items() if n} if isinstance(counts, dict) else {}
    if busy:
        final = timeline.final or 0
        by_node = [f"{times(n)} by {node}" for node, n in busy.items()]
        why = (
            "the replicas held the same, there were no writes, and yet the gets after "
            f"{at(h, final)} had replicas repaired: {listed(by_node)}. "
            "Reads that repair what is equal cost a write to every replica, for ever."
        )
        rows = (final, counted[-1])
        yield Anomaly("unbounded", why, None, rows, {"read_repairs": busy}, rows)


def _of_load(h: History, timeline: Timeline) -> Iterator[Anomaly]:
    """Keys of the harness's own load of which the copies differ, or lie elsewhere."""
    rows = np.flatnonzero((h.process == HARNESS) & h.rows("extra-keys"))
    for row in rows[rows > (NEVER if timeline.final is None else timeline.final)].tolist():
        value = h.value_of(row)
        keys = value.get("keys") if isinstance(value, dict) else None
        for key, held in keys.items() if isinstance(keys, dict) else ():
            copies = [f"{node} {_digests(content)}" for node, content in held.items()]
            why = (
                f"{key}, which only the load of the harness wrote ({value.get('differ')} of "
                f"{value.get('compared')} such keys), is held differently at {at(h, row)}, though "
                f"all is quiet: {listed(copies)}."
            )
            during = (timeline.phases.get("load", 0), row)
            yield Anomaly("divergence", why, key, (row,), {"held": held}, during)


def _digests(content: Any) -> str:
    """What a node holds, by the digests of the versions; of hints with their target."""
    parts = content.items() if isinstance(content, Mapping) else ()
    named = [f"{f'a hint for {target}: ' if target else ''}{' '.join(d)}" for target, d in parts]
    return f"({', '.join(named)})" if named else "nothing"


def _holds(h: History, row: int) -> bool:
    return bool(h.sib_start[row + 1] > h.sib_start[row])


def _dumps(h: History, rows: list[int], reaping: bool) -> Dumps:
    dumps: Dumps = {}
    if not rows:
        return dumps
    first, places = int(h.sib_start[rows[0]]), np.array(rows)
    held = slice(first, int(h.sib_start[rows[-1] + 1]))
    values = np.where(h.sib_deleted[held], -1, h.sib_value[held]).tolist()
    flat = list(zip(h.sib_id[held].tolist(), values, h.sib_deleted[held].tolist(), strict=True))
    begin, end = (h.sib_start[places] - first).tolist(), (h.sib_start[places + 1] - first).tolist()
    keys, replicas = h.key_of[places].tolist(), h.replica[h.pair[places]].tolist()
    for row, key, replica, *span in zip(rows, keys, replicas, begin, end, strict=True):
        content = tuple(sorted(flat[slice(*span)]))
        if reaping and all(deleted for _, _, deleted in content):
            content = ()
        dumps.setdefault(key, {})[h.nodes[replica]] = (row, content)
    return dumps


def _judge_key(
    run: Run, key: int, dumps: Mapping[str, tuple[int, Content]], ring: CheckedRing
) -> list[Anomaly]:
    """Where every node holds every key, there is no wrong place: replicas agree or do not."""
    c, alike = run.order, everywhere(run.test)
    primaries = ring.primaries(c.history.keys[key])
    mine = {node: dumps[node] for node in primaries if node in dumps}
    found = []
    if len({content for _, content in mine.values()}) > 1 and _differ(c.history, mine):
        holders = "nodes" if alike else "primaries"
        found.append(_divergence(c, run.timeline, key, mine, holders))
    if alike:
        return found
    found += [
        _misplaced(c, key, row, f"{node} is not among its primaries {in_zones(ring, primaries)}")
        for node, (row, content) in dumps.items()
        if content and node not in primaries
    ]
    full = [row for row, content in mine.values() if content]
    found += [
        _misplaced(c, key, row, f"its primary {node} lacks it", full[0])
        for node, (row, content) in mine.items()
        if full and not content
    ]
    return found


def in_zones(ring: CheckedRing, nodes: Iterable[str]) -> str:
    """Nodes, each with the zone by which it was chosen, where there are any."""
    zones = dict(ring.zones)
    return listed([f"{node} (zone {zones[node]})" if node in zones else node for node in nodes])


def _differ(h: History, dumps: Mapping[str, tuple[int, Content]]) -> bool:
    """Do they differ as values too, or only in how the same JSON is spelled?"""
    spellings = {
        tuple(sorted((i, canonical(h.decode(value)), deleted) for i, value, deleted in content))
        for _, content in dumps.values()
    }
    return len(spellings) > 1


def _divergence(
    c: Causality,
    timeline: Timeline,
    key: int,
    dumps: Mapping[str, tuple[int, Content]],
    holders: str,
) -> Anomaly:
    """The proof is one dump of each differing content."""
    h = c.history
    differing: dict[Content, int] = {}
    for row, content in dumps.values():
        differing.setdefault(content, row)
    rows = tuple(sorted(differing.values()))
    ids = {node: {i for i, _, _ in content} for node, (_, content) in dumps.items()}
    lacking = _lacking(ids)
    common = len(set().union(*ids.values())) - len(lacking)
    if lacking and common > SPELLED:
        beside = {node: [str(h.ids[i]) for i in sorted(ids[node] & {*lacking})] for node in dumps}
        held = "; ".join(f"{node} held {listed(own)}" for node, own in beside.items())
        held = f"{common} are the same, and beside these {held}"
    else:
        held = "; ".join(f"{node} held {contents(h, row)}" for node, (row, _) in dumps.items())
    what = "different versions" if lacking else "the same ids with different values"
    which = lacking or {i: [] for content in differing for i, _, _ in content}
    when = "although the cluster was quiet" if timeline.quiet else "when the wait for quiet ended"
    why = f"the {holders} of {h.keys[key]} hold {what} {when}: {held}.{_written(c, which)}"
    data = {"lacking": {h.ids[i]: nodes for i, nodes in lacking.items()}}
    return Anomaly("divergence", why, h.keys[key], rows, data, (*_begun(c, which), *rows))


def _lacking(held: Mapping[str, set[int]]) -> dict[int, list[str]]:
    """By id that some primary holds: the primaries that do not, if there are any."""
    every = sorted(set().union(*held.values()))
    without = {i: [node for node, ids in held.items() if i not in ids] for i in every}
    return {i: nodes for i, nodes in without.items() if nodes}


def _written(c: Causality, ids: Iterable[int]) -> str:
    """How the writes of these ids ended, as a sentence; nothing for ids without a write."""
    fates = [fate(c, v) for v in (int(c.of_id[i]) for i in ids) if v >= 0]
    return f" {listed(fates[:SPELLED], separator='; ')}." if fates else ""


def _ids(h: History, row: int) -> list[int]:
    """What a row showed, as numbers."""
    ids: list[int] = h.sib_id[h.sib_start[row] : h.sib_start[row + 1]].tolist()
    return ids


def _begun(c: Causality, ids: Iterable[int]) -> list[int]:
    """When they began."""
    return [int(c.written[v]) for v in (int(c.of_id[i]) for i in ids) if v >= 0]


def _misplaced(c: Causality, key: int, row: int, reason: str, holder: int | None = None) -> Anomaly:
    h = c.history
    proof = tuple(sorted({row} | ({holder} if holder is not None else set())))
    has = f", while {reading(h, holder)} showed {contents(h, holder)}" if holder is not None else ""
    ids = list(dict.fromkeys(i for r in proof for i in _ids(h, r)))
    why = (
        f"{reading(h, row)} showed {contents(h, row)} of {h.keys[key]}: {reason}{has}."
        f"{_written(c, ids)}"
    )
    return Anomaly("misplaced", why, h.keys[key], proof, {}, (*_begun(c, ids), *proof))


def _hint(c: Causality, row: int, target: str) -> Anomaly:
    key = int(c.history.key_of[row])
    return _misplaced(c, key, row, f"it is a hint for {target}, never handed off")
