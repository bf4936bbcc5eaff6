"""Histories of single objects, key by key, judged by the search of `linearize`.

A model reads its operations into steps (`linearize.Act`) whose states are numbers; here they are
sorted by key, searched, and what no order explains is put into words, with the data that a
picture of it needs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from dynamesis.checkers.explain.describe import as_text, listed
from dynamesis.checkers.graph.causality import NEVER
from dynamesis.checkers.history.codes import VALUELESS, NameTable
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.pairing import FAIL, INFO, INVOKE, OK
from dynamesis.checkers.history.spelling import freeze, thaw
from dynamesis.checkers.linearizability.acts import EXTEND, READ, Act, Outcome, Stuck
from dynamesis.checkers.linearizability.search import BUDGET, search
from dynamesis.checkers.models.independent import other_key
from dynamesis.checkers.models.operations import limited
from dynamesis.checkers.models.sets import capped
from dynamesis.checkers.verdict import Anomaly, CheckerResult

#: operations that a picture of a proof shows, and orders of them
_SHOWN, _ORDERS = 40, 4
#: rows that a proof names at most
_PROOF = 8
#: operations that change nothing
_READS = ("read", "r", "get")


@dataclass(frozen=True)
class Called:
    """One operation of a client: its rows (`end` NEVER where its outcome is unknown), whether it
    failed, its f, what was asked, and what was answered; `crossed`: of another key than was
    asked."""

    row: int
    end: int
    failed: bool
    f: str
    asked: Any
    answer: Any
    crossed: bool = False


@dataclass
class Object:
    """The steps of one key, and for each the row of its invocation. `refused`: state -> the first
    row that would have made it and failed; `obscure`: an operation that cannot be understood may
    have changed its state, so that no order of the others proves anything."""

    name: str
    steps: list[Act] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)
    obscure: bool = False


class Oddity(ValueError):
    """A value that the model cannot use; the message has what was expected."""

    def __init__(self, expected: str, value: Any) -> None:
        super().__init__(expected)
        self.value = value


@dataclass(frozen=True)
class Reading:
    """How a model reads operations. `steps`: the step that an operation is, as (kind, before,
    after), by a function that numbers states; None where it adds nothing. `initial` is the
    state at first, `noun` what an object is called, `extend` what an EXTEND makes of two states."""

    noun: str
    initial: Any
    step: Callable[[Called, Callable[[Any], int]], tuple[int, int, int] | None]
    composite: frozenset[str] = frozenset()
    extend: Callable[[Any, Any], Any] | None = None


def check_objects(h: History, reading: Reading, budget: int = BUDGET) -> CheckerResult:
    """Judge every key. `budget`: configurations that are visited for one key."""
    states = NameTable(freeze(reading.initial))
    objects, reasons = _objects(h, reading, lambda value: states[freeze(value)])
    names = [thaw(reading.initial), *map(thaw, states.all())]
    found: list[Anomaly] = []
    left, keys = 4 * budget, {}
    for one in objects.values():
        if one.obscure:
            continue
        proof = Refutation(h, reading, one, names)
        broken = list(proof.impossible_reads())
        gone = {a.data["step"] for a in broken}
        kept = [i for i, row in enumerate(one.rows) if row not in gone]
        one.steps, one.rows = [one.steps[i] for i in kept], [one.rows[i] for i in kept]
        outcome = _search(one, reading, names, min(budget, max(left, 10 * len(kept))))
        left -= outcome.visited
        if outcome.stuck is not None:
            broken.append(proof.nonlinearizable(outcome.stuck))
        elif outcome.exhausted:
            reasons.append(_beyond(one.name, budget, outcome))
        found += broken
        keys[one.name] = outcome
    reasons += _without_evidence(h, reading, objects)
    return capped(found, reasons, _details(objects, keys))


def _details(objects: Mapping[Any, Object], keys: Mapping[str, Outcome]) -> dict[str, object]:
    return {
        "operations": sum(len(one.steps) for one in objects.values()),
        "keys": len(objects),
        "configurations": sum(each.visited for each in keys.values()),
        "most_at_once": max((each.most for each in keys.values()), default=0),
    }


def _beyond(name: str, budget: int, outcome: Outcome) -> str:
    return (
        f"key {name}: the search for an order was given up after {outcome.visited} configurations "
        f"(BUDGET {budget} a key, and four times that in all): "
        "too many operations are open at the same time"
    )


def _search(one: Object, reading: Reading, names: list[Any], budget: int) -> Outcome:
    if reading.extend is None:
        return search(one.steps, -1, budget)
    return search(one.steps, -1, budget, _extension(one, reading.extend, names))


def _extension(
    one: Object, extend: Callable[[Any, Any], Any], names: list[Any]
) -> Callable[[int, int], int | None]:
    """What an EXTEND makes, as numbers: one for all states that begin nothing read."""
    shown = sorted({names[s.before + 1] for s in one.steps if s.kind == READ})
    numbers = {names[s.before + 1]: s.before for s in one.steps if s.kind == READ}
    numbers |= {names[s.after + 1]: s.after for s in one.steps if s.kind not in (READ, EXTEND)}
    numbers[names[0]] = -1
    text = {number: name for name, number in numbers.items()}
    lost = len(names) + 1
    known: dict[tuple[int, int], int] = {}

    def extended(state: int, added: int) -> int:
        made = known.get((state, added))
        if made is None:
            made = known[state, added] = lost if state == lost else number_of(state, added)
        return made

    def number_of(state: int, added: int) -> int:
        value = extend(text[state], names[added + 1])
        if value not in numbers:
            at = bisect_left(shown, value)
            if at == len(shown) or not shown[at].startswith(value):
                return lost
            numbers[value] = lost + 1 + len(numbers)
            text[numbers[value]] = value
        return numbers[value]

    return extended


def _objects(
    h: History, reading: Reading, number: Callable[[Any], int]
) -> tuple[dict[Any, Object], list[str]]:
    """The operations that count, by key; and why some cannot be judged."""
    objects: dict[Any, Object] = {}
    odd: list[str] = []
    for key, called in _calls(h, reading):
        name = key if isinstance(key, str) else h.spelled(key)
        if called.crossed:
            odd.append(other_key(h, called.end))
            if called.f not in _READS:
                objects.setdefault(freeze(key), Object(name)).obscure = True
            continue
        try:
            read = reading.step(called, number)
        except Oddity as error:
            at = called.row if called.end >= NEVER else called.end
            got = h.spelled(error.value)
            odd.append(f"index {at}, field value: expected {error}, got {got}")
            if called.f not in _READS and not called.failed:
                objects.setdefault(freeze(key), Object(name)).obscure = True
            continue
        if read is None:
            continue
        one = objects.setdefault(freeze(key), Object(name))
        kind, before, after = read
        if called.failed:
            one.refused.setdefault(after, called.row)
        elif called.end < NEVER or kind != READ:
            one.steps.append(Act(kind, before, after, called.row, called.end))
            one.rows.append(called.row)
    return objects, limited(odd)


def _calls(h: History, reading: Reading) -> Iterator[tuple[Any, Called]]:
    """Every operation of a client with its key, in order."""
    rows = np.flatnonzero((h.kind == INVOKE) & (h.process >= 0))
    named = bool(np.any(h.key[rows] >= 0))
    values = [h.decode(i) for i in range(len(h.values))]
    values.append(None)
    paired = not named and _paired(h, reading, rows.tolist(), values)
    for row in rows.tolist():
        end = int(h.pair[row])
        kind = int(h.kind[end]) if end >= 0 else INFO
        key: Any = h.keys[h.key[row]] if named else reading.noun
        asked = values[h.value[row]]
        answer = values[h.value[end]] if kind == OK else None
        crossed = False
        if paired:
            key, asked = asked
            crossed = answer is not None and freeze(answer[0]) != freeze(key)
            answer = answer[1] if answer is not None else None
        f, ended = h.fs[h.f[row]], end if kind == OK else NEVER
        yield key, Called(row, ended, kind == FAIL, f, asked, answer, crossed)


def _paired(h: History, reading: Reading, rows: list[int], values: list[Any]) -> bool:
    """Whether all values are [key, value]: those of operations whose values are pairs themselves
    ([from, to]) only where the second is such a pair."""
    if not rows:
        return False
    for row in rows:
        asked, end = values[h.value[row]], int(h.pair[row])
        if not _is_pair(asked) or (h.fs[h.f[row]] in reading.composite and not _is_pair(asked[1])):
            return False
        if end >= 0 and h.kind[end] == OK and not _is_pair(values[h.value[end]]):
            return False
    return True


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def _without_evidence(h: History, reading: Reading, objects: Mapping[Any, Object]) -> Iterator[str]:
    steps = [s for one in objects.values() for s in one.steps]
    returned = [s for s in steps if s.end < NEVER]
    if not returned:
        yield "no operation succeeded"
    elif not any(s.kind != READ or s.before >= 0 for s in returned):
        yield "no write was acknowledged, and none was read"
    elif reading.noun != "mutex" and not any(s.kind in (READ, 2) for s in returned):
        yield "no read succeeded"


@dataclass(frozen=True)
class Refutation:
    """What is wrong with one object, in words and rows."""

    h: History
    reading: Reading
    one: Object
    names: list[Any]

    def impossible_reads(self) -> Iterator[Anomaly]:
        """Reads of what no operation can have made before they ended."""
        if self.reading.extend is not None:
            return
        made: dict[int, int] = {-1: -1}
        for s in self.one.steps:
            if s.kind != READ:
                made[s.after] = min(made.get(s.after, NEVER), s.begin)
        for s, row in zip(self.one.steps, self.one.rows, strict=True):
            began = made.get(s.before, NEVER)
            if s.kind == READ and self.h.fs[self.h.f[row]] != "cas" and began > s.end:
                yield self._impossible(s, row, began)

    def _impossible(self, s: Act, row: int, began: int) -> Anomaly:
        shown = (
            f"the read that ended at index {s.end} saw {self.h.spelled(self.names[s.before + 1])}"
        )
        failed = self.one.refused.get(s.before, NEVER)
        rows: tuple[int, ...] = (s.end,)
        if failed < s.end:
            name, rows = "aborted-read", (failed, s.end)
            why = f"{shown}, whose write at index {failed} failed"
        elif began < NEVER:
            name, rows = "future-read", (s.end, began)
            why = f"{shown}, whose write began at index {began}"
        else:
            name, why = "phantom", f"{shown}, which no operation had written"
            why += as_text(thaw(self.names[s.before + 1]))
        return Anomaly(name, f"{why}.", self.one.name, rows, {"step": row})

    def nonlinearizable(self, stuck: Stuck) -> Anomaly:
        """The operation that no order lets return, after the longest part that can be ordered."""
        steps, rows = self.one.steps, self.one.rows
        last = [self._maker(order) for _, order in stuck.states]
        held = [
            f"{self._state(state)} (since the {self._call(maker)})"
            if maker is not None
            else f"{self._state(state)} (from the beginning)"
            for (state, _), maker in zip(stuck.states, last, strict=True)
        ]
        others = [n for n in stuck.open if n != stuck.step]
        open_then = listed([self._call(n) for n in others])
        why = (
            f"no order explains the {self._call(stuck.step)}: in every order of what ended before "
            f"index {steps[stuck.step].end} the {self.reading.noun} {' or '.join(held)}, "
            f"and nothing that was open then leads to it (open: {open_then})."
        )
        chosen = [stuck.step, *(n for n in last if n is not None)]
        proof = {self._row(n) for n in dict.fromkeys(chosen[:_PROOF])}
        data = {"step": rows[stuck.step], **self._picture(stuck)}
        return Anomaly("nonlinearizable", why, self.one.name, tuple(sorted(proof)), data)

    def _maker(self, order: tuple[int, ...]) -> int | None:
        """The last step of an order that made a state."""
        return next((n for n in reversed(order) if self.one.steps[n].kind != READ), None)

    def _picture(self, stuck: Stuck) -> dict[str, object]:
        """What a picture shows: the operations near the end of the longest prefix, and orders of
        them that explain all but the last. Rows name operations."""
        orders = stuck.states[:_ORDERS]
        near: set[int] = {stuck.step, *stuck.open}
        for _, order in orders:
            near.update(order[-_SHOWN:])
        shown = sorted(near, key=lambda n: self.one.steps[n].begin)[-2 * _SHOWN :]
        if stuck.step not in shown:
            shown.append(stuck.step)
        return {
            "prefix": sum(s.end < self.one.steps[stuck.step].end for s in self.one.steps),
            "open": [self.one.rows[n] for n in stuck.open],
            "operations": [self._drawn(n) for n in shown],
            "orders": [
                {"state": self._state(state), "order": [self.one.rows[n] for n in order[-_SHOWN:]]}
                for state, order in orders
            ],
        }

    def _drawn(self, number: int) -> dict[str, object]:
        step, row = self.one.steps[number], self.one.rows[number]
        end = step.end if step.end < NEVER else None
        return {
            "row": row,
            "end": end,
            "process": self.h.name_of(int(self.h.process[row])),
            "what": self._what(number),
        }

    def _what(self, number: int) -> str:
        """`read 3`, `cas [1 2]`: an operation with what it was asked, or showed."""
        row, step = self.one.rows[number], self.one.steps[number]
        f: str = self.h.fs[self.h.f[row]]
        at = step.end if step.kind == READ and step.end < NEVER else row
        if f in VALUELESS or (self.h.value[at] < 0 and step.kind != READ):
            return f
        return f"{f} {self.h.spelled(self.h.value_of(at))}"

    def _call(self, number: int) -> str:
        return f"{self._what(number)} at index {self._row(number)}"

    def _row(self, number: int) -> int:
        """Where an operation ended; where it began, if its outcome is not known."""
        step = self.one.steps[number]
        return step.end if step.end < NEVER else step.begin

    def _state(self, state: int) -> str:
        if self.reading.noun == "mutex":
            return f"was {self.names[state + 1]}"
        if state + 1 < len(self.names):
            return f"held {self.h.spelled(self.names[state + 1])}"
        return "held what no read showed"
