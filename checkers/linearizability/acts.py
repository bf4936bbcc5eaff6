"""What is put into an order, and what a search for one finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

READ, WRITE, EXCHANGE, EXTEND = range(4)


@dataclass(frozen=True, slots=True)
class Act:
    """One operation: what it does, from when to when (rows; NEVER where its outcome is unknown).
    `before`: the state that a read saw, or that an exchange needs; `after`: what a write or an
    exchange makes, or what an EXTEND adds."""

    kind: int
    before: int
    after: int
    begin: int
    end: int


#: the order so far as a linked list, the last first: (the step's number, whether it is hidden
#: right before the write that comes before it in the list, the rest)
Path = tuple[int, bool, "Path"] | None


@dataclass(frozen=True)
class Stuck:
    """The order ends: no configuration lets `step` return. `states` are those reached before it,
    each with an order that reaches it (numbers of steps); `open` the steps open then."""

    step: int
    states: tuple[tuple[int, tuple[int, ...]], ...]
    open: tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """What a search found: stuck, or an order. `exhausted`: the budget was reached before.
    `visited`, `most`: configurations in all, and at one time."""

    stuck: Stuck | None
    exhausted: bool
    visited: int
    most: int


#: state, the bits of steps that are in the order, the bits of writes that are free
Config = tuple[int, int, int]


def copied(thing: Any) -> Any:
    """A copy of dicts and lists, and of those in them."""
    if not isinstance(thing, dict | list):
        return thing
    made = copy(thing)
    if isinstance(made, dict):
        made.update({name: copied(inner) for name, inner in made.items()})
    return made


def first_open(alike: Iterable[tuple[int, int]], used: int) -> int:
    """The bit of the first of equal steps that is not in the order yet, 0 where all are."""
    for _, bit in alike:
        if not used & bit:
            return bit
    return 0


def bits(mask: int) -> Iterator[int]:
    """The single bits of a mask, lowest first."""
    while mask:
        low = mask & -mask
        yield low
        mask &= ~low


def order_of(path: Path, steps: Sequence[Act]) -> tuple[int, ...]:
    """The numbers of the steps of a path, first to last; hidden writes before what hides
    them."""
    order: list[int] = []
    hidden: list[int] = []
    while path is not None:
        number, is_hidden, path = path
        if is_hidden:
            hidden.append(number)
            continue
        order.append(number)
        if hidden and steps[number].kind == WRITE:
            order += hidden
            hidden = []
    return tuple(reversed(order))
