"""Single objects by brute force, from docs/checkers.md: every order of the operations is tried.

A specification gives what an operation makes of a state, or IMPOSSIBLE. Nothing is remembered
and only what cannot be an order is left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynamesis.checkers.history.history import Op
from oracle_models import Paired

IMPOSSIBLE = object()
#: (state, f, what was asked, what was answered or UNKNOWN) -> state, or IMPOSSIBLE
Specification = Callable[[Any, str, Any, Any], Any]
UNKNOWN = object()


def register(state: Any, f: str, asked: Any, answer: Any) -> Any:
    if f == "read":
        return state if answer in (state, UNKNOWN) else IMPOSSIBLE
    if f == "write":
        return asked
    return asked[1] if asked[0] == state else IMPOSSIBLE


def mutex(state: bool, f: str, asked: Any, answer: Any) -> Any:
    return f == "acquire" if state == (f == "release") else IMPOSSIBLE


def text(state: str, f: str, asked: Any, answer: Any) -> Any:
    if f == "get":
        return state if answer is UNKNOWN or (answer or "") == state else IMPOSSIBLE
    return asked if f == "put" else state + asked


def linearizable(ops: list[Op], initial: Any, specification: Specification) -> bool:
    """Whether some order of all that succeeded, and of any of unknown outcome, is possible."""
    paired = Paired(ops)
    begun = [i for i, op in enumerate(ops) if op.type == "invoke" and paired.outcome(i) != "fail"]
    certain = frozenset(i for i in begun if paired.outcome(i) == "ok")
    ends = {i: paired.end[i] if i in certain else len(ops) for i in begun}

    def continues(state: Any, left: frozenset[int]) -> bool:
        if not left & certain:
            return True
        first_end = min(ends[i] for i in left & certain)
        for i in left:
            if i > first_end:
                continue
            answer = ops[paired.end[i]].value if i in certain else UNKNOWN
            after = specification(state, ops[i].f, ops[i].value, answer)
            if after is not IMPOSSIBLE and continues(after, left - {i}):
                return True
        return False

    return continues(initial, frozenset(begun))


def fits(ops: list[Op], order: list[int], initial: Any, specification: Specification) -> bool:
    """Whether this order of operations (the rows of their invocations) is possible: it respects
    real time, and each operation answers as the specification has it."""
    paired, state = Paired(ops), initial
    if len(set(order)) != len(order):
        return False
    for at, i in enumerate(order):
        if any(paired.outcome(j) == "ok" and paired.end[j] < i for j in order[at + 1 :]):
            return False
        answer = ops[paired.end[i]].value if paired.outcome(i) == "ok" else UNKNOWN
        state = specification(state, ops[i].f, ops[i].value, answer)
        if state is IMPOSSIBLE:
            return False
    return True
