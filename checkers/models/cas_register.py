"""Models `cas-register` and `mutex`: is each key linearizable, where values repeat?

`cas-register`: `read`, `write` of a value, `cas` of [from, to]. Where no operation is a cas and
each value is written once, the zones of `register` judge without search; else `linearize`
searches. `mutex`: `acquire` and `release`, a register that is free or held. The holder is
not checked, since a client that crashed continues under another number.

An operation that failed had no effect, whatever the reason: a failed cas shows nothing of the
value then, for a store also fails what it cannot do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynamesis.checkers.history.columns import History
from dynamesis.checkers.linearizability.acts import EXCHANGE, READ, WRITE
from dynamesis.checkers.linearizability.search import BUDGET
from dynamesis.checkers.models.linearizable_register import check_register
from dynamesis.checkers.models.objects import Called, Oddity, Reading, check_objects
from dynamesis.checkers.models.operations import altered, not_understood
from dynamesis.checkers.models.register_operations import WRITES, keyed, operations_of
from dynamesis.checkers.verdict import CheckerResult, judge

_READS = ("read", "r")
_FREE, _HELD = "free", "held"


def check_cas_register(h: History, initial: Any = None, budget: int = BUDGET) -> CheckerResult:
    """Judge key by key; `initial` is what each register holds at first, `budget` how many
    configurations the search visits for one key."""
    reasons = [*not_understood(h, "cas-register"), *altered(h, *WRITES, "cas")]
    if reasons:
        return judge((), reasons)
    if "cas" not in h.fs and _written_once(h, initial):
        return check_register(h, initial)
    return check_objects(
        h, Reading("register", initial, _register_step, frozenset({"cas"})), budget
    )


def check_mutex(h: History, budget: int = BUDGET) -> CheckerResult:
    """Judge key by key; all are free at first."""
    reasons = not_understood(h, "mutex")
    return (
        judge((), reasons)
        if reasons
        else check_objects(h, Reading("mutex", _FREE, _mutex_step), budget)
    )


def _written_once(h: History, initial: Any) -> bool:
    """Whether zones can judge."""
    keys = keyed(h, initial)
    return not isinstance(keys, str) and not operations_of(h, *keys)[1]


def _register_step(c: Called, number: Callable[[Any], int]) -> tuple[int, int, int] | None:
    if c.f in _READS:
        return None if c.failed else (READ, number(c.answer), -1)
    if c.f in WRITES:
        return WRITE, -1, number(c.asked)
    if not isinstance(c.asked, list) or len(c.asked) != 2:
        raise Oddity("[from, to] of a cas", c.asked)
    before, after = map(number, c.asked)
    # that changes nothing: it only shows what was there
    return (READ, before, -1) if before == after else (EXCHANGE, before, after)


def _mutex_step(c: Called, number: Callable[[Any], int]) -> tuple[int, int, int]:
    free, held = number(_FREE), number(_HELD)
    return (EXCHANGE, free, held) if c.f == "acquire" else (EXCHANGE, held, free)
