"""What the nodes themselves say when all is quiet: split-membership and unbounded.

The harness asks every node after quiescence and writes what it says as events of f
`membership` ({"node", "members", "owners"}) and `sizes` ({"node", name: number, ...};
docs/history.md). Members and owners must be the same everywhere. `bounds` in test.json
gives the most that each size may reach; its `siblings` also bounds what a read may show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from .causality import Causality
from .columns import HARNESS, History
from .course import Course
from .pairing import INFO, OK
from .verdict import DESCRIBED, Anomaly, Verdict, judge, skip
from .words import at, meanwhile, reading


def check_membership(c: Causality, course: Course, _test: Mapping[str, Any] | None) -> Verdict:
    """Do all nodes agree on members and owners after quiescence?"""
    told = [row for row in _said(c.history, "membership") if row > (course.quiesced or 0)]
    if not told:
        return skip("no node was asked for its membership after quiescence")
    if not course.quiet:
        return skip("the cluster did not get quiet: its views may still be under way")
    views: dict[bytes, tuple[int, str]] = {}
    for row in told:
        value = c.history.value_of(row)
        view = {k: value.get(k) for k in ("members", "owners")}
        if isinstance(view["members"], list):
            view["members"] = sorted(view["members"])
        encoded = msgspec.json.encode(view, order="sorted")
        views.setdefault(encoded, (row, str(value.get("node"))))
    if len(views) == 1:
        return judge((), (), {"asked": len(told)})
    rows = tuple(row for row, _ in views.values())
    differ = "; ".join(f"{node} says {view.decode()[:200]}" for view, (_, node) in views.items())
    why = f"after quiescence nodes disagree on members or owners: {differ}."
    return judge([Anomaly("split-membership", why, None, rows)], (), {"asked": len(told)})


def check_bounds(c: Causality, course: Course, test: Mapping[str, Any] | None) -> Verdict:
    """Did anything outgrow its bound?"""
    bounds = (test or {}).get("bounds")
    if not isinstance(bounds, Mapping) or not bounds:
        return skip("needs bounds in test.json")
    found = [*_too_many_siblings(c, course, bounds.get("siblings")), *_oversized(c, bounds)]
    more = {"unbounded": len(found) - DESCRIBED} if len(found) > DESCRIBED else {}
    return judge(found[:DESCRIBED], (), {"bounds": dict(bounds)}, more)


def _said(h: History, f: str) -> list[int]:
    rows: list[int] = np.flatnonzero((h.kind == INFO) & (h.process == HARNESS) & h.rows(f)).tolist()
    return [row for row in rows if isinstance(h.value_of(row), dict)]


def _too_many_siblings(c: Causality, course: Course, bound: Any) -> Iterator[Anomaly]:
    """The read with the most siblings of each key that exceeds the bound."""
    h = c.history
    if not isinstance(bound, int):
        return
    reads = np.flatnonzero((h.kind == OK) & h.rows("get", "dump"))
    count = h.sib_start[reads + 1] - h.sib_start[reads]
    worst: dict[int, tuple[int, int]] = {}
    for row, many in zip(reads[count > bound].tolist(), count[count > bound].tolist(), strict=True):
        key = int(h.key_of[row])
        worst[key] = max(worst.get(key, (0, 0)), (many, row))
    for key, (many, row) in worst.items():
        why = (
            f"{reading(h, row)} showed {many} siblings, more than the bound of {bound}."
            f"{meanwhile(course, (row,))}"
        )
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
