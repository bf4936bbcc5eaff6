"""Histories of several things at once, as jepsen.independent writes them: values [key, value].

Where the value of every client's event is such a pair, each key is a history of its own, to
be judged by itself: what one of them shows proves nothing about another. Indices stay those
of the whole, so that a part is the whole with the other keys' events given to nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .columns import HARNESS, History, Names
from .op import raw
from .sets import capped
from .spelling import freeze
from .verdict import Verdict

Check = Callable[[History], Verdict]


def each_key(check: Check, h: History) -> Verdict:
    """The verdict on every key together; on the whole, if values are no pairs."""
    verdicts = {key: check(part) for key, part in _parts(h)}
    if not verdicts:
        return check(h)
    found = [replace(a, key=key) for key, v in verdicts.items() for a in v.anomalies]
    reasons = [f"key {key}: {reason}" for key, v in verdicts.items() for reason in v.reasons]
    told = capped(found, reasons, {"by_key": {key: v.details for key, v in verdicts.items()}})
    return replace(told, more=sum((Counter(v.more) for v in verdicts.values()), Counter(told.more)))


def _parts(h: History) -> Iterator[tuple[str, History]]:
    """Key by key, the history with the values of that key; nothing if values are no pairs."""
    clients = h.process >= 0
    if not np.any(clients) or np.any(h.value[clients] < 0):
        return
    used = np.unique(h.value[clients]).tolist()
    pairs = {number: h.decode(number) for number in used}
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs.values()):
        return
    keys, values = Names(), Names()
    key_of, inner = np.full((2, len(h.values) + 1), -1, np.int64)
    for number, (key, value) in pairs.items():
        key_of[number] = keys[freeze(key)]
        inner[number] = -1 if value is None else values[bytes(raw(value))]
    key = np.where(clients, key_of[h.value], -1)
    told: dict[str, Any] = {"value": inner[h.value], "values": values.all()}
    for number, name in enumerate(keys.all()):
        others = clients & (key != number)
        yield (
            str(name) if isinstance(name, str | int) else name.json.decode(),
            replace(h, process=np.where(others, HARNESS, h.process), **told),
        )
