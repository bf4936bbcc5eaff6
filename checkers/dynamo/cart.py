"""The shopping cart: what the merge of the final siblings must hold (paper, section 4.4).

A put's value is {"add" or "remove": sku, "items": [sku, ...]}: the cart after
the change. An application merges siblings by the union of their items, so that the right
cart is the union over the maximal versions that took effect, give or take indeterminate
puts. Too few items is the anomaly `lost-item`, too many `extra-item`. An item that was
removed on one branch and stays on another comes back by the merge: the paper's own
documented behaviour, counted here and not judged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from dynamesis.checkers.dynamo.lost_writes import owed, unjudged
from dynamesis.checkers.explain.describe import (
    contents,
    effect,
    effect_rows,
    listed,
    name,
    reading,
)
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.pairing import Bools
from dynamesis.checkers.history.timeline import final_rows
from dynamesis.checkers.verdict import Anomaly, CheckerResult, judge, skip


def check_cart(run: Run) -> CheckerResult:
    """Compare the merge of each key's final get with the merge of its true siblings."""
    c, timeline, test = run.order, run.timeline, run.test
    if (test or {}).get("workload") != "cart":
        return skip("not the cart workload")
    unable = unjudged(timeline)
    if unable is not None:
        return unable
    settled = owed(run)
    may_be_replaced = c.replaced_by(c.may_take_effect)
    truth = _by_key(c, settled & ~may_be_replaced & ~c.deletes)
    allowed = _by_key(c, c.may_take_effect & ~c.replaced_by(settled) & ~c.deletes)
    found: list[Anomaly] = []
    returned = 0
    for row in final_rows(c.history, timeline, "get").tolist():
        key = int(c.history.key_of[row])
        found += _missing(c, row, truth.get(key, []))
        found += _extra(c, row, allowed.get(key, []))
        returned += _came_back(c, row)
    return judge(found, (), {"removed_items_back_by_merge": returned})


def _by_key(c: Causality, chosen: Bools) -> dict[int, list[int]]:
    grouped: dict[int, list[int]] = {}
    for version in np.flatnonzero(chosen).tolist():
        grouped.setdefault(int(c.key[version]), []).append(version)
    return grouped


def _items(value: Any) -> set[str]:
    items = value.get("items") if isinstance(value, dict) else None
    return {str(item) for item in items} if isinstance(items, list) else set()


def _written_items(c: Causality, version: int) -> set[str]:
    return _items(c.history.value_of(int(c.written[version])))


def _merged(c: Causality, row: int) -> set[str]:
    """The items of the merge of a get."""
    return {item for s in c.history.siblings(row) if not s.deleted for item in _items(s.value)}


def _extra(c: Causality, row: int, allowed: list[int]) -> list[Anomaly]:
    """Items of the merge of this get that are in no version that may be current."""
    h = c.history
    known = {item for version in allowed for item in _written_items(c, version)}
    extra = sorted(_merged(c, row) - known)
    if not extra:
        return []
    verb = "is" if len(extra) == 1 else "are"
    why = (
        f"the merge of {reading(h, row)} ({contents(h, row)}) holds {listed(extra)}, which {verb} "
        f"in no version that may be current ({listed([name(c, v) for v in allowed], 'none')})."
    )
    return [Anomaly("extra-item", why, h.keys[h.key_of[row]], (row,), {"items": extra})]


def _missing(c: Causality, row: int, truth: list[int]) -> list[Anomaly]:
    """The true siblings whose items the merge of this get lacks."""
    h, merged = c.history, _merged(c, row)
    found = []
    for version in truth:
        lacking = sorted(_written_items(c, version) - merged)
        if lacking:
            why = (
                f"{name(c, version)} put {listed(lacking)} into cart {h.keys[h.key_of[row]]} and "
                f"nothing replaced it ({effect(c, version)}), but the merge of {reading(h, row)} "
                f"({contents(h, row)}) lacks {'it' if len(lacking) == 1 else 'them'}."
            )
            proof = tuple(sorted({*effect_rows(c, version), row}))
            data = {"id": name(c, version), "items": lacking}
            found.append(Anomaly("lost-item", why, h.keys[h.key_of[row]], proof, data))
    return found


def _came_back(c: Causality, row: int) -> int:
    """How many items are in the merge although a sibling's own write removed them."""
    values = [s.value for s in c.history.siblings(row) if not s.deleted]
    merged = {item for value in values for item in _items(value)}
    removed = {str(v["remove"]) for v in values if isinstance(v, dict) and "remove" in v}
    return len(merged & removed)
