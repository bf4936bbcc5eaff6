"""Histories written short, so that a test can hold a whole one."""

from collections.abc import Iterable
from typing import Any

from dynamesis.checkers.history.op import Op

Row = tuple[int, str, int | str, str, Any]


def rows(history: Iterable[Op]) -> list[Row]:
    """(time in ns, type, process, f, value) of each event."""
    return [(op.time, op.type, op.process, op.f, op.value) for op in history]


def begun(history: Iterable[Op]) -> list[tuple[int, int | str, str]]:
    """(time in ns, process, f) of each invocation."""
    return [(op.time, op.process, op.f) for op in history if op.type == "invoke"]


def fs(history: Iterable[Op]) -> str:
    """The f of each invocation, run together: one letter each reads best."""
    return "".join(op.f for op in history if op.type == "invoke")
