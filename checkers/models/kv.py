"""Model `kv`: is each key of a store of text linearizable? By the search of `linearize`.

`get` shows the text of a key (nil counts as none: ""), `put` replaces it, `append` adds to its
end. As the key-value tests of Porcupine have it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynamesis.checkers.history.columns import History
from dynamesis.checkers.linearizability.acts import EXTEND, READ, WRITE
from dynamesis.checkers.linearizability.search import BUDGET
from dynamesis.checkers.models.objects import Called, Oddity, Reading, check_objects
from dynamesis.checkers.models.operations import altered, not_understood
from dynamesis.checkers.verdict import CheckerResult, judge


def check_kv(h: History, budget: int = BUDGET) -> CheckerResult:
    """Judge key by key; all are empty at first."""
    reasons = [*not_understood(h, "kv"), *altered(h, "put", "append")]
    if reasons:
        return judge((), reasons)
    reading = Reading("text", "", _step, extend=lambda text, added: text + added)
    return check_objects(h, reading, budget)


def _step(c: Called, number: Callable[[Any], int]) -> tuple[int, int, int] | None:
    if c.f == "get":
        return None if c.failed else (READ, number(_text("" if c.answer is None else c.answer)), -1)
    return (WRITE if c.f == "put" else EXTEND), -1, number(_text(c.asked))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Oddity("text", value)
    return value
