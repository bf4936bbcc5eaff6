"""What the final reads must show: lost-write and resurrection.

On a quiet cluster the right content of a key is exact: the maximal versions among those
that took effect, give or take indeterminate ones. A version that took effect and is
covered by nothing final was lost, unless a delete above it may have taken effect; a final
version below one that took effect came back from the dead.

A version that may have been on nodes only that forgot since (forgotten.py) is as one that is
indeterminate: neither it nor what it replaced is owed.

Only what took effect before the final phase is judged, since an indeterminate write may
land between two final reads. A key is judged for loss when its reads are conclusive: a get
through a coordinator, or dumps of all its primaries. A cluster that did not get quiet may
still hold everything in hints and transfers: `stuck` reports that. There a version is lost
only if every node was dumped whole, hints included, and none holds it or a successor:
whatever moves is still held where it comes from.
"""

from __future__ import annotations

import numpy as np
from dynamesis.checkers.dynamo.forgotten import may_be_forgotten
from dynamesis.checkers.dynamo.lww import check_lww, is_lww
from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.explain.describe import (
    at,
    by_node,
    contents,
    counted,
    covering,
    effect,
    effect_rows,
    listed,
    name,
    reading,
)
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.arrays import among, distinct
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import Bools, Ints
from dynamesis.checkers.history.spelling import JSON
from dynamesis.checkers.history.timeline import Timeline, final_rows, hint_targets
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip


def unjudged(timeline: Timeline) -> CheckerResult | None:
    """Why nothing final can be judged; None if it can."""
    if timeline.final is None:
        return judge((), ["the test did not reach its final reads: loss cannot be judged"])
    if timeline.quiet is None:
        return judge(
            (), ["the history has no event on whether the cluster got quiet before its final reads"]
        )
    if not timeline.quiet:
        return skip("the cluster did not get quiet: what its replicas lack may be under way")
    return None


def check_final(run: Run) -> CheckerResult:
    """Judge lost-write and resurrection."""
    c, timeline, test = run.order, run.timeline, run.test
    unable = unjudged(timeline)
    if unable is not None and timeline.quiet is False and timeline.dumped:
        return _check_everywhere(c, timeline, owed(run))
    if unable is not None:
        return unable
    rows = _final_rows(c, timeline)
    places = _places(c, rows)
    settled = owed(run)
    if is_lww(test):
        return _with_risen(c, check_lww(c, rows, settled, test), settled, places)
    lost = _lost(c, settled, c.sibling[places])
    conclusive = _conclusive_keys(c, rows, CheckedRing.of(test))
    judged = among(c.key, conclusive, len(c.history.keys))
    lost_versions = np.flatnonzero(lost & judged)
    back = _risen(c, settled, places)
    found = [_lost_write(c, v, rows) for v in lost_versions[:DESCRIBED].tolist()]
    found += [_resurrection(c, settled, place) for place in back[:DESCRIBED].tolist()]
    more = {
        kind: len(all_of) - DESCRIBED
        for kind, all_of in (("lost-write", lost_versions), ("resurrection", back))
        if len(all_of) > DESCRIBED
    }
    unread = distinct(c.key[settled & ~judged])
    return judge(found, _unread_reason(c, unread), _details(c, rows), more)


def _with_risen(c: Causality, result: CheckerResult, settled: Bools, places: Ints) -> CheckerResult:
    """What is replaced is dated earlier, and so comes back nowhere."""
    back = _risen(c, settled, places)
    found = [_resurrection(c, settled, place) for place in back[:DESCRIBED].tolist()]
    more = {"resurrection": len(back) - DESCRIBED} if len(back) > DESCRIBED else {}
    return judge(
        [*result.anomalies, *found], result.reasons, result.details, {**result.more, **more}
    )


def owed(run: Run) -> Bools:
    """By version: whether it certainly took effect before the final phase, and is somewhere."""
    c, timeline = run.order, run.timeline
    took: Bools = c.effective < (timeline.final or 0)
    return took & ~run.once(may_be_forgotten)


def _check_everywhere(c: Causality, timeline: Timeline, settled: Bools) -> CheckerResult:
    """Judge lost-write on a cluster that is not quiet: what is held nowhere is lost."""
    parts = [final_rows(c.history, timeline, f) for f in ("get", "dump")]
    rows = np.sort(np.concatenate(parts))
    places = _places(c, rows)
    lost = np.flatnonzero(_lost(c, settled, c.sibling[places]))
    found = [_lost_write(c, v, rows) for v in lost[:DESCRIBED].tolist()]
    more = {"lost-write": len(lost) - DESCRIBED} if len(lost) > DESCRIBED else {}
    return judge(found, [], _details(c, rows), more)


def _final_rows(c: Causality, timeline: Timeline) -> Ints:
    dumps = final_rows(c.history, timeline, "dump")
    hints = hint_targets(c.history, dumps)
    replicas = [row for row in dumps.tolist() if row not in hints]
    gets = final_rows(c.history, timeline, "get")
    return np.sort(np.concatenate([gets, np.array(replicas, np.int64)]))


def _places(c: Causality, rows: Ints) -> Ints:
    """Where in the siblings the versions are that these rows showed."""
    return np.flatnonzero(among(c.owner, rows, len(c.history)) & (c.sibling >= 0))


def _lost(c: Causality, settled: Bools, final: Ints) -> Bools:
    """Versions covered neither by a final version nor by a delete that may have happened."""
    deletes = np.flatnonzero(c.deletes & c.may_take_effect)
    return settled & ~c.covered(np.concatenate([final, deletes]))


def _risen(c: Causality, settled: Bools, places: Ints) -> Ints:
    """Places of final siblings that lie below a version that took effect: one a version."""
    replaced = c.replaced_by(settled)
    risen = places[replaced[c.sibling[places]]]
    if not len(risen):
        return risen
    _, first = np.unique(c.sibling[risen], return_index=True)
    return risen[np.sort(first)]


def _conclusive_keys(c: Causality, rows: Ints, ring: CheckedRing | None) -> Ints:
    """Keys with a final get, or with a final dump of each primary."""
    h = c.history
    dumps = h.rows("dump")[rows]
    keys = set(h.key_of[rows[~dumps]].tolist())
    if ring is not None:
        dumped: dict[int, set[str]] = {}
        replicas = h.replica[h.pair[rows[dumps]]].tolist()
        for key, replica in zip(h.key_of[rows[dumps]].tolist(), replicas, strict=True):
            dumped.setdefault(key, set()).add(h.nodes[replica])
        keys |= {k for k, at_ in dumped.items() if set(ring.primaries(h.keys[k])) <= at_}
    return np.array(sorted(keys), np.int64)


def _unread_reason(c: Causality, keys: Ints) -> list[str]:
    if not len(keys):
        return []
    names = listed([c.history.keys[k] for k in keys.tolist()])
    return [f"{counted(len(keys), 'key')} had no conclusive final read: {names}"]


def _details(c: Causality, rows: Ints) -> dict[str, object]:
    return {"final_reads": len(rows), "versions": len(c)}


def _reads_of(c: Causality, key: int, rows: Ints) -> list[int]:
    of_key = rows[c.history.key_of[rows] == key]
    gets = of_key[c.history.rows("get")[of_key]]
    chosen: list[int] = (gets if len(gets) else of_key).tolist()
    return chosen


def _lost_write(c: Causality, version: int, rows: Ints) -> Anomaly:
    h, key = c.history, int(c.key[version])
    reads = _reads_of(c, key, rows)
    instead = "; ".join(f"{reading(h, row)} showed {contents(h, row)}" for row in reads)
    last = _last_shown(c, version)
    proof = tuple(sorted({*effect_rows(c, version), *reads, *last}))
    seen = f"last seen in {_place(h, last[0])}" if last else "no read ever showed it"
    value = "" if c.deletes[version] else f", value {JSON(h.value_of(int(c.written[version])))}"
    why = (
        f"{effect(c, version)} (written at {at(h, int(c.written[version]))}{value}); {seen}. No "
        f"version in the final reads knew of it, and no delete can have removed it: {instead}."
    )
    gone = (*(last or effect_rows(c, version)), *reads)
    return Anomaly("lost-write", why, h.keys[key], proof, {"id": name(c, version)}, gone)


def _last_shown(c: Causality, version: int) -> list[int]:
    """The last read that showed the version, if any did."""
    shown: list[int] = c.owner[c.sibling == version].tolist()
    return shown[-1:]


def _place(h: History, row: int) -> str:
    """A read with the node that answered; a dump names its node itself."""
    if h.replica[h.pair[row]] >= 0:
        return reading(h, row)
    return f"{reading(h, row)}{by_node(h, row).replace(' by ', ' from ')}"


def _resurrection(c: Causality, settled: Bools, place: int) -> Anomaly:
    h, row, version = c.history, int(c.owner[place]), int(c.sibling[place])
    chain = _chain_down(c, version, settled)
    how, rows = covering(c, chain)
    proof = tuple(sorted({*rows, *effect_rows(c, chain[0]), row}))
    why = (
        f"{reading(h, row)} showed {name(c, version)} again, although {name(c, chain[0])} had "
        f"replaced it: {how}; {effect(c, chain[0])}."
    )
    data = {"id": name(c, version), "replaced_by": name(c, chain[0])}
    came = (int(c.written[chain[0]]), row)
    return Anomaly("resurrection", why, h.keys[int(c.key[version])], proof, data, came)


def _chain_down(c: Causality, version: int, settled: Bools) -> list[int]:
    """The shortest chain to `version` from one that took effect (`settled`) and covers it."""
    order, starts = c.by_key
    key = int(c.key[version])
    of_key = order[starts[key] : starts[key + 1]]
    children: dict[int, list[int]] = {}
    for v in of_key[of_key > version].tolist():
        for parent in c.parents_of(v):
            children.setdefault(parent, []).append(v)
    chains, seen = [[version]], {version}
    for chain in chains:
        for child in children.get(chain[0], ()):
            if settled[child]:
                return [child, *chain]
            if child not in seen:
                seen.add(child)
                chains.append([child, *chain])
    raise LookupError(f"nothing that took effect covers version {version}")
