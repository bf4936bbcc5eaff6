"""What the nodes themselves say when all is quiet: split-membership and unbounded.

The harness asks every node after quiescence and writes what it says as events of f
`membership` ({"node", "members", "owners"}) and `sizes` ({"node", name: number, ...};
docs/history.md). Members and owners must be the same everywhere. `bounds` in test.json
gives the most that each size may reach; its `siblings` also bounds what a read may show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

import numpy as np

from .causality import Causality
from .columns import HARNESS, History
from .course import Course
from .op import canonical
from .pairing import INFO, OK
from .verdict import DESCRIBED, Anomaly, Verdict, judge, skip
from .words import at, listed, reading


def check_membership(c: Causality, course: Course, _test: Mapping[str, Any] | None) -> Verdict:
    """Do all nodes agree on members and owners after quiescence?"""
    told = [row for row in _said(c.history, "membership") if row > (course.quiesced or 0)]
    if not told:
        return skip("no node was asked for its membership after quiescence")
    if not course.quiet:
        return skip("the cluster did not get quiet: its views may still be under way")
    views: dict[bytes, list[int]] = {}
    for row in told:
        view = _view(c.history, row)
        views.setdefault(canonical(view), []).append(row)
    if len(views) == 1:
        return judge((), (), {"asked": len(told)})
    why, data = _disagreement(c.history, list(views.values()))
    first = tuple(rows[0] for rows in views.values())
    during = (course.phases.get("load", 0), *first)
    found = Anomaly("split-membership", why, None, first, data, during)
    return judge([found], (), {"asked": len(told)})


def _view(h: History, row: int) -> dict[str, Any]:
    """Members in order, and owners, as a node told them."""
    told = h.value_of(row)
    members = told.get("members")
    ordered = sorted(members, key=str) if isinstance(members, list) else members
    return {"members": ordered, "owners": told.get("owners")}


def _disagreement(h: History, groups: list[list[int]]) -> tuple[str, dict[str, Any]]:
    """Who says what, as prose and as data: each group of rows tells the same."""
    who = [listed([str(h.value_of(row).get("node")) for row in rows]) for rows in groups]
    views = [_view(h, rows[0]) for rows in groups]
    data = {nodes: view["members"] for nodes, view in zip(who, views, strict=True)}
    if len({canonical(view["members"]) for view in views}) > 1:
        said = [f"{nodes} say {_names(members)}" for nodes, members in data.items()]
        why = f"after quiescence nodes disagree on the members: {'; '.join(said)}."
        return why, {"members": data}
    owners = [v["owners"] if isinstance(v["owners"], list) else [v["owners"]] for v in views]
    differ = [p for p, of_all in enumerate(zip_longest(*owners)) if len({*map(str, of_all)}) > 1]
    said = [
        f"{nodes} say {listed([f'{p} is of {_owner(own, p)}' for p in differ])}"
        for nodes, own in zip(who, owners, strict=True)
    ]
    why = f"after quiescence nodes disagree on who owns which partition: {'; '.join(said)}."
    return why, {"partitions": differ}


def _names(members: Any) -> str:
    return listed([str(m) for m in members]) if isinstance(members, list) else str(members)


def _owner(owners: list[Any], partition: int) -> str:
    return str(owners[partition]) if partition < len(owners) else "nobody"


def check_bounds(c: Causality, _course: Course, test: Mapping[str, Any] | None) -> Verdict:
    """Did anything outgrow its bound?"""
    bounds = (test or {}).get("bounds")
    if not isinstance(bounds, Mapping) or not bounds:
        return skip("needs bounds in test.json")
    found = [*_too_many_siblings(c, bounds.get("siblings")), *_oversized(c, bounds)]
    more = {"unbounded": len(found) - DESCRIBED} if len(found) > DESCRIBED else {}
    return judge(found[:DESCRIBED], (), {"bounds": dict(bounds)}, more)


def _said(h: History, f: str) -> list[int]:
    rows: list[int] = np.flatnonzero((h.kind == INFO) & (h.process == HARNESS) & h.rows(f)).tolist()
    return [row for row in rows if isinstance(h.value_of(row), dict)]


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
    for row in _said(c.history, "sizes"):
        value = c.history.value_of(row)
        for name, size in value.items():
            bound = bounds.get(name)
            if isinstance(bound, int | float) and isinstance(size, int | float) and size > bound:
                why = (
                    f"{value.get('node')} reported {name} of {size} at {at(c.history, row)}, more "
                    f"than the bound of {bound}."
                )
                yield Anomaly("unbounded", why, None, (row,), {name: size, "bound": bound})
