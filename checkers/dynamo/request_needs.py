"""What each operation must have: how many answers, of which nodes, how durable.

test.json gives N, R and W for all; an invocation may ask for its own (`options`), as far as
the cluster's N allows: `n`, how many of the key's primaries are asked; `r` or `w` answers;
of these `pr` or `pw` primaries; `dw` durable copies; `local` nodes in the zone of the coordinator;
`sloppy`; `timeout` in s. What is not asked for, or makes no sense, is as in test.json, with R and
W cut to an own `n`. Nodes read options in the same way (docs/node.md).

A get and an acknowledged write meet in some replica if both keep to the primaries and
r + w > n, where n is the larger number of primaries that either asked: the one that asks
fewer asks the first of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeGuard

from dynamesis.checkers.dynamo.limits import PATIENT, Limits
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.pairing import INVOKE

#: of a time-out that was asked for: what must have passed before it explains that an operation
#: came to nothing
_MOST = 0.9
#: options that are numbers of nodes
COUNTS = ("n", "r", "w", "pr", "pw", "dw", "local")


@dataclass(frozen=True)
class Need:
    """What an operation needs.

    n: primaries that are asked
    enough: answers that end the operation
    primaries: how many of these must be from primaries
    durable: how many of these must be durable
    strict: all of these must be from primaries
    timeout: of this operation, s
    notfound_ok: an answer without the key counts
    local: how many of these must be from the zone of the coordinator"""

    n: int
    enough: int
    primaries: int = 0
    durable: int = 0
    strict: bool = False
    timeout: float | None = None
    notfound_ok: bool = False
    local: int = 0

    @cached_property
    def answers(self) -> int:
        """The fewest answers with which all of that can be had."""
        return max(self.enough, self.primaries, self.durable, self.local)

    def was_over(self, lasted: float) -> bool:
        """Whether an operation that lasted so long (s) may have timed out because it gave its nodes
        less than they have of their own accord. One that ended before that did not."""
        given = self.timeout
        return given is not None and given < PATIENT and lasted >= _MOST * given


class Needs:
    """The needs of a history's operations."""

    def __init__(self, h: History, test: Mapping[str, Any]) -> None:
        """`test` has n, r and w (test.json); without n, as many as the larger of them."""
        self._h = h
        self._r, self._w = int(test["r"]), int(test["w"])
        self._n = int(test.get("n") or max(self._r, self._w))
        self._strict = test.get("sloppy") is False
        self.limits = Limits.of(test)
        self._defaults = {f: self._need(f, {}) for f in ("get", "put")}
        #: by row of an invocation that asks for something
        self._asked: dict[int, Need] = {}

    def at(self, row: int) -> Need:
        """The need of the operation that an event begins or ends."""
        h = self._h
        f = "get" if h.fs[h.f[row]] == "get" else "put"
        if not h.options:
            return self._defaults[f]
        begun = row if h.kind[row] == INVOKE else int(h.pair[row])
        asked = h.options.get(begun)
        if not asked:
            return self._defaults[f]
        found = self._asked.get(begun)
        if found is None:
            found = self._asked[begun] = self._need(f, asked)
        return found

    def impossible(self, row: int) -> bool:
        """Whether the operation that an event ends asked for a number of nodes that there is not,
        or for more time than a request may: any cluster refuses that."""
        asked = self._h.options.get(int(self._h.pair[row]), {})
        timeout = asked.get("timeout")
        if isinstance(timeout, int | float) and timeout > self.limits.timeout:
            return True
        given = [asked[name] for name in COUNTS if asked.get(name) is not None]
        return not all(_is_count(value, 0, self._n) for value in given)

    def _need(self, f: str, asked: Mapping[str, Any]) -> Need:
        def number(name: str, low: int, most: int) -> int | None:
            value = asked.get(name)
            return value if _is_count(value, low, most) else None

        n = number("n", 1, self._n) or self._n
        answers, primaries = ("r", "pr") if f == "get" else ("w", "pw")
        sloppy, timeout = asked.get("sloppy"), asked.get("timeout")
        return Need(
            n,
            number(answers, 1, n) or min(self._r if f == "get" else self._w, n),
            number(primaries, 0, n) or 0,
            (number("dw", 0, n) or 0) if f == "put" else 0,
            self._strict if not isinstance(sloppy, bool) else not sloppy,
            float(timeout) if isinstance(timeout, int | float) else None,
            asked.get("notfound_ok") is True,
            number("local", 0, n) or 0,
        )

    @cached_property
    def promise(self) -> bool:
        """Whether some gets must show what was acknowledged before them."""
        if self._strict and self._r + self._w > self._n:
            return True
        asked = [o for row, o in self._h.options.items() if self._h.kind[row] == INVOKE]
        return (self._strict and bool(asked)) or any(o.get("sloppy") is False for o in asked)

    @cached_property
    def uniform(self) -> bool:
        """Whether nothing was asked for by single operations."""
        return not self._h.options

    def meet(self, get: int, write: int) -> bool:
        """Whether the get that one event ends must have asked a replica that had taken the
        write that another begins, if that had been acknowledged before."""
        one, other = self.at(get), self.at(write)
        strict = one.strict and other.strict
        return strict and one.answers + other.answers > max(one.n, other.n)


def _is_count(value: object, low: int, most: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= most
