"""What the nodes themselves show: split-membership, unbounded, lost-hint, crash.

The harness asks every node after quiescence and records the answers as events of f
`membership` ({"node", "members", "owners"}) and `sizes` ({"node", name: number, ...};
docs/history.md). Members and owners must be the same everywhere, and a founder that no
administrator asked to leave, or removed, must be among them. `bounds` in test.json
gives the most that each size may reach; its `siblings` also bounds what a read may show.
Hints that a node kept in its present life are handed off, given up or held by it. And no node
ends of an error of its own, whatever is done to it: the nemesis records how those ended that it
found dead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import numpy as np
from dynamesis.checkers.explain.describe import at, listed, reading
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.op import canonical
from dynamesis.checkers.history.pairing import OK
from dynamesis.checkers.history.timeline import Timeline, crashed, exits
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip


def check_membership(run: Run) -> CheckerResult:
    """Do all nodes agree on members and owners after quiescence, and does every founder remain
    that no administrator took away? Where the cluster did not get quiet, partitions may still be
    on the move; but the names of the members need no more than some rounds of gossip."""
    c, timeline, test = run.order, run.timeline, run.test
    h = c.history
    answers = [row for row in _answers(h, "membership") if row > (timeline.quiesced or 0)]
    if not answers:
        return skip("no node was asked for its membership after quiescence")
    views: dict[bytes, list[int]] = {}
    for row in answers:
        view = _view(h, row)
        views.setdefault(canonical(view if timeline.quiet else view["members"]), []).append(row)
    found = [
        *_split(h, timeline, list(views.values())),
        *_missing(h, timeline, answers, test or {}),
    ]
    if timeline.quiet:
        found += _ghosts(h, timeline, answers)
    return judge(found, (), {"asked": len(answers)})


def _split(h: History, timeline: Timeline, groups: list[list[int]]) -> Iterator[Anomaly]:
    if len(groups) > 1:
        why, data = _disagreement(h, groups)
        first = tuple(rows[0] for rows in groups)
        lists = [set(_members(h, rows[0])) for rows in groups]
        disputed = {name for one in lists for name in one if not all(name in o for o in lists)}
        when = "after quiescence" if timeline.quiet else "when the wait for quiet ended,"
        why = f"{when} nodes {why}{_changes(h, timeline, disputed)}"
        during = (timeline.phases.get("load", 0), *first)
        yield Anomaly("split-membership", why, None, first, data, during)


def _missing(
    h: History, timeline: Timeline, answers: list[int], test: Mapping[str, Any]
) -> Iterator[Anomaly]:
    """Founders that some node does not list, although no administrator took them away."""
    newcomers, taken = _asked(timeline, "joins"), _asked(timeline, "leaves", "removes")
    stay = [n for n in test.get("nodes", ()) if n not in newcomers and n not in taken]
    short: dict[tuple[str, ...], list[int]] = {}
    for row in answers:
        if (members := _members(h, row)) and not set(stay) <= set(members):
            short.setdefault(tuple(members), []).append(row)
    for listing, rows in short.items():
        gone = [name for name in stay if name not in listing]
        reporters = listed([str(h.value_of(row).get("node")) for row in rows])
        why = (
            f"{reporters}: no other members than {listed(listing)} at {at(h, rows[0])}, but no "
            f"administrator asked {listed(gone)} to leave.{_changes(h, timeline, set(listing))}"
        )
        during = (timeline.phases.get("load", 0), rows[0])
        yield Anomaly("split-membership", why, None, (rows[0],), {"missing": gone}, during)


def _ghosts(h: History, timeline: Timeline, answers: list[int]) -> Iterator[Anomaly]:
    """Nodes that were removed as dead and are members all the same, though all is quiet."""
    removed = _asked(timeline, "removes")
    for name in sorted(removed - _asked(timeline, "joins")):
        rows = [row for row in answers if name in _members(h, row)]
        if rows:
            reporters = listed([str(h.value_of(row).get("node")) for row in rows])
            why = (
                f"{name} is a member still, or again, by the views of {reporters} at "
                f"{at(h, rows[0])}, although all is quiet.{_changes(h, timeline, {name})}"
            )
            during = (timeline.phases.get("load", 0), rows[0])
            yield Anomaly("split-membership", why, None, (rows[0],), {"removed": name}, during)


def _asked(timeline: Timeline, *kinds: str) -> set[str]:
    """The nodes that changes of these kinds were about."""
    values = [fault.fields for fault in timeline.faults if fault.kind == "membership"]
    lists = [value.get(kind) for value in values for kind in kinds]
    return {name for names in lists if isinstance(names, list) for name in names}


def _changes(h: History, timeline: Timeline, nodes: set[str]) -> str:
    """What an administrator asked for these nodes, as a sentence."""
    words = {"joins": "join", "leaves": "leave", "removes": "be removed"}
    changes = [
        f"{name} was to {word} at {at(h, fault.started)}"
        for fault in timeline.faults
        for kind, word in words.items()
        for name in sorted(_asked(replace(timeline, faults=(fault,)), kind) & nodes)
    ]
    return f" {'; '.join(changes)}." if changes else ""


def _view(h: History, row: int) -> dict[str, object]:
    """Members in order, and owners, as a node answered."""
    answer = h.value_of(row)
    members = answer.get("members")
    ordered = sorted(members, key=str) if isinstance(members, list) else members
    return {"members": ordered, "owners": answer.get("owners")}


def _disagreement(h: History, groups: list[list[int]]) -> tuple[str, dict[str, object]]:
    """The views in conflict, as prose and as data: the rows of a group have the same view."""
    reporters = [listed([str(h.value_of(row).get("node")) for row in rows]) for rows in groups]
    views = [_view(h, rows[0]) for rows in groups]
    data = {nodes: view["members"] for nodes, view in zip(reporters, views, strict=True)}
    if len({canonical(view["members"]) for view in views}) > 1:
        views_of = [f"{nodes} have {_names(members)}" for nodes, members in data.items()]
        why = f"disagree on the members: {'; '.join(views_of)}."
        return why, {"members": data}
    owners = [v["owners"] if isinstance(v["owners"], list) else [v["owners"]] for v in views]
    differ = [p for p, of_all in enumerate(zip_longest(*owners)) if len({*map(str, of_all)}) > 1]
    owned = [
        f"{nodes} have {listed([f'{p} is of {_owner(own, p)}' for p in differ])}"
        for nodes, own in zip(reporters, owners, strict=True)
    ]
    why = f"disagree on the owners of partitions: {'; '.join(owned)}."
    return why, {"partitions": differ}


def _members(h: History, row: int) -> list[str]:
    members = _view(h, row)["members"]
    return [str(m) for m in members] if isinstance(members, list) else []


def _names(members: Any) -> str:
    return listed([str(m) for m in members]) if isinstance(members, list) else str(members)


def _owner(owners: list[Any], partition: int) -> str:
    return str(owners[partition]) if partition < len(owners) else "no node"


def check_bounds(run: Run) -> CheckerResult:
    """Did anything outgrow its bound?"""
    c, test = run.order, run.test
    bounds = (test or {}).get("bounds")
    if not isinstance(bounds, Mapping) or not bounds:
        return skip("needs bounds in test.json")
    found = [*_too_many_siblings(c, bounds.get("siblings")), *_oversized(c, bounds)]
    more = {"unbounded": len(found) - DESCRIBED} if len(found) > DESCRIBED else {}
    return judge(found[:DESCRIBED], (), {"bounds": dict(bounds)}, more)


#: What became of the hints of a node, and how many it kept: the sum, if none was lost.
_FATES = ("hints_handed_off", "hints_given_up", "hints_held")
_KEPT = "hints_kept"


def check_hints(run: Run) -> CheckerResult:
    """Can every node account for its hints? Anti-entropy brings a target what a lost hint does
    not, so replicas may agree all the same: until the other copies are lost too. A node whose
    disk was made to fail has an excuse."""
    c, timeline = run.order, run.timeline
    h = c.history
    excused = {node for fault in timeline.faults if fault.kind == "disk" for node in fault.nodes}
    last: dict[str, int] = {}
    for row, value in h.reported("sizes"):
        if all(isinstance(value.get(name), int) for name in (_KEPT, *_FATES)):
            last[str(value.get("node"))] = row
    asked = {node: row for node, row in last.items() if node not in excused}
    if not asked:
        return skip("no node accounted for its hints")
    return judge(list(_unaccounted(h, asked)), (), {"asked": len(asked)})


def _unaccounted(h: History, asked: Mapping[str, int]) -> Iterator[Anomaly]:
    for node, row in asked.items():
        value = h.value_of(row)
        kept, (handed_off, given_up, held) = value[_KEPT], (value[name] for name in _FATES)
        missing = kept - handed_off - given_up - held
        if missing > 0:
            why = (
                f"{node} cannot account for {missing} of its hints at {at(h, row)}: of {kept} that "
                f"it has kept since it started, it handed {handed_off} off, gave {given_up} up "
                f"and holds {held}. What such a hint was for, its target did not get from it."
            )
            data = {"node": node, "kept": kept, "missing": missing}
            yield Anomaly("lost-hint", why, None, (row,), data, (0, row))


def check_crashes(run: Run) -> CheckerResult:
    """Did a node end by an error of its own?"""
    h, timeline = run.history, run.timeline
    found = []
    for row in timeline.found_dead:
        value = h.value_of(row)
        last = value.get("last") if isinstance(value, dict) else None
        for node, code in exits(h, row).items():
            if crashed(code):
                output = str(last.get(node) or "") if isinstance(last, dict) else ""
                reason = next(reversed(output.split("\n")), "").strip()
                why = (
                    f"{node} ended by an error of its own (exit code {code}) before {at(h, row)}"
                    f"{': ' * bool(reason)}{reason}."
                )
                data = {"node": node, "exit": code, "last": output}
                found.append(Anomaly("crash", why, None, (row,), data))
    more = {"crash": len(found) - DESCRIBED} if len(found) > DESCRIBED else {}
    return judge(found[:DESCRIBED], more=more)


def members_answered(h: History, timeline: Timeline) -> list[tuple[int, str, frozenset[str]]]:
    """What nodes answered about the members after the wait for quiet: row, node, members."""
    rows = [row for row in _answers(h, "membership") if row > (timeline.quiesced or 0)]
    return [(row, str(h.value_of(row).get("node")), frozenset(_members(h, row))) for row in rows]


def _answers(h: History, f: str) -> list[int]:
    return [row for row, _ in h.reported(f)]


def _too_many_siblings(c: Causality, bound: Any) -> Iterator[Anomaly]:
    """The read with the most siblings of each key that exceeds the bound."""
    h = c.history
    if not isinstance(bound, int | float):
        return
    reads = np.flatnonzero((h.kind == OK) & h.rows("get", "dump"))
    count = h.sib_start[reads + 1] - h.sib_start[reads]
    worst: dict[int, tuple[int, int]] = {}
    for row, many in zip(reads[count > bound].tolist(), count[count > bound].tolist(), strict=True):
        key = int(h.key_of[row])
        worst[key] = max(worst.get(key, (0, 0)), (many, row))
    for key, (many, row) in worst.items():
        why = f"{reading(h, row)} showed {many} siblings, more than the bound of {bound}."
        yield Anomaly("unbounded", why, h.keys[key], (row,), {"siblings": many, "bound": bound})


def _oversized(c: Causality, bounds: Mapping[str, Any]) -> Iterator[Anomaly]:
    for row, value in c.history.reported("sizes"):
        for name, size in value.items():
            bound = bounds.get(name)
            if isinstance(bound, int | float) and isinstance(size, int | float) and size > bound:
                why = (
                    f"{value.get('node')} reported {name} of {size} at {at(c.history, row)}, more "
                    f"than the bound of {bound}."
                )
                yield Anomaly("unbounded", why, None, (row,), {name: size, "bound": bound})
