"""Bugs for the tests: a store that refuses, or does not let go. `--bug FILE.py:NAME`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.messages import Get, Put, Refusal


def overloaded_ever_after(node: Node) -> None:
    """A node that was overloaded once stays so."""
    found = node.admission.objection
    flags: list[str] = []

    def objection(size: int) -> str | None:
        reason = flags[0] if flags else found(size)
        if reason is not None:
            flags.append(reason)
        return reason

    node.admission.objection = objection  # type: ignore[method-assign]


def not_ready_now_and_then(node: Node) -> None:
    """One put in seven is refused as `not-ready`."""
    objection, numbers = node.dispatch._objection, count(1)

    def seldom(asked: Get | Put, *about: Any, **queue: Any) -> Refusal | None:
        if isinstance(asked, Put) and next(numbers) % 7 == 0:
            return Refusal(asked.rid, "not-ready", "not yet", 0.1)
        return objection(asked, *about, **queue)

    node.dispatch._objection = seldom  # type: ignore[method-assign]


def distrusts_its_disk(node: Node) -> None:
    """Once a write has failed, half of the puts do, however sound the disk is by then."""
    failed: list[str] = []
    numbers = count()

    class Put(node.put_request):  # type: ignore[misc, name-defined]
        def _stamped(self, place: Any, code: str | None, rest: list[str]) -> None:
            if code == "storage-write":
                failed.append(code)
            elif failed and next(numbers) % 2:
                code = failed[0]
            super()._stamped(place, code, rest)

    node.put_request = Put


def strange_refusals(node: Node) -> None:
    """One get in ten is refused with a code that no table has."""
    numbers = count(1)

    class Get(node.get_request):  # type: ignore[misc, name-defined]
        def _answer(self) -> None:
            if next(numbers) % 10 == 0:
                self._refuse("tired", "come back tomorrow")
            else:
                super()._answer()

    node.get_request = Get


def _every_tenth(call: Callable[..., None]) -> Callable[..., None]:
    """`call`, but not every tenth time."""
    numbers = count(1)

    def now_and_then(*arguments: Any) -> None:
        if next(numbers) % 10:
            call(*arguments)

    return now_and_then


def leaked_slots(node: Node) -> None:
    """One request in ten is never counted out."""
    node.admission.leave = _every_tenth(node.admission.leave)  # type: ignore[method-assign]


def busy_ever_after(node: Node) -> None:
    """Work behind the clients' backs never lets go of one key in ten."""
    node.barriers.leave = _every_tenth(node.barriers.leave)  # type: ignore[method-assign]
