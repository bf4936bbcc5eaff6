"""Which lines of a node's event log are a situation: of one line, and of those before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dynamesis.checkers.logs.logs import Event


@dataclass
class Before:
    """What the lines so far have shown, as far as a later line is judged by it."""

    #: nodes that have been ready
    lived: set[str] = field(default_factory=set)
    #: node -> the members that it knew last
    members: dict[str, frozenset[str]] = field(default_factory=dict)
    #: node -> the layout under which it fetches, and whether that was interrupted
    fetching: dict[str, tuple[Any, bool]] = field(default_factory=dict)
    #: of the line of a copy: how many versions that has now and had before
    now: int = 0
    had: int = 0

    def take(self, event: Event, what: str) -> None:
        """Take in the line that was judged, one of TAKEN."""
        node = event.get("node", "")
        if what == "layout":
            self.members[node] = _members(event)
            if "target" in event and self.fetching.get(node, (None,))[0] != event.get("version"):
                self.fetching[node] = event.get("version"), False
        elif what == "ready":
            self.lived.add(node)
        if what in ("ready", "start", "exchange-failed") and node in self.fetching:
            self.fetching[node] = self.fetching[node][0], True


#: lines that others are judged by, beside those of copies
TAKEN = ("layout", "ready", "start", "exchange-failed")


def _members(event: Event) -> frozenset[str]:
    members = event.get("members")
    return frozenset(map(str, members)) if isinstance(members, list | tuple) else frozenset()


When = Callable[[Event, Before], bool]


def always(event: Event, before: Before) -> bool:
    """Every line of that name."""
    return True


@dataclass(frozen=True)
class Came:
    """Lines of a copy that came by `why`; of a hint, of a record, or (None) of either."""

    why: str
    hint: bool | None = None

    def __call__(self, event: Event, before: Before) -> bool:
        return came_by(event) == self.why and (
            self.hint is None or ("hint_for" in event) is self.hint
        )


def came_by(event: Event) -> str:
    """Why a copy is there."""
    why = event.get("why", "")
    return why if type(why) is str and "," not in why else str(why).partition(",")[0]


def why(why: str, *, hint: bool | None = None) -> When:
    """Lines of a copy that came by `why`; of a hint, of a record, or (None) of either."""
    return Came(why, hint)


@dataclass(frozen=True)
class Has:
    """Lines that have a field which fits."""

    name: str
    fits: Callable[[Any], bool] = bool

    def __call__(self, event: Event, before: Before) -> bool:
        return self.name in event and self.fits(event[self.name])


def is_any(name: str, *values: object) -> When:
    return Has(name, lambda value: value in values)


def contains(name: str, words: str) -> When:
    return Has(name, lambda value: words in str(value))


def made(event: Event, before: Before) -> bool:
    """More versions than before, by a client's put."""
    return before.now > max(1, before.had) and _put_here(event)


def met(event: Event, before: Before) -> bool:
    """More versions than before, by a copy that came."""
    return before.now > max(1, before.had) and not _put_here(event)


def resolved(event: Event, before: Before) -> bool:
    return before.now == 1 < before.had and _put_here(event)


def superseded(event: Event, before: Before) -> bool:
    return before.now == 1 < before.had and not _put_here(event)


#: what a line of a copy can be only where that has more than one version now, or had
SEVERAL: frozenset[When] = frozenset({made, met, resolved, superseded})


def _put_here(event: Event) -> bool:
    return event.get("why") == "stamp"


def wiped(event: Event, before: Before) -> bool:
    """The version that the client had seen was named by an incarnation before this one."""
    seen, now = event.get("seen"), str(event.get("actor", "")).rpartition(":")[0]
    return isinstance(seen, list | tuple) and any(
        str(name).rpartition(":")[0] != now for name in seen
    )


def forgot(event: Event, before: Before) -> bool:
    return not wiped(event, before)


def joined(event: Event, before: Before) -> bool:
    known = before.members.get(event.get("node", ""))
    return known is not None and not _members(event) <= known


def left(event: Event, before: Before) -> bool:
    known = before.members.get(event.get("node", ""))
    return known is not None and not known <= _members(event)


def resumed(event: Event, before: Before) -> bool:
    version, interrupted = before.fetching.get(event.get("node", ""), (None, False))
    return interrupted and version == event.get("layout")


def by_fallback(event: Event, before: Before) -> bool:
    answers: Any = event.get("answers")
    known = answers.__class__ is dict or isinstance(answers, Mapping)
    return known and " for " in "\n".join(map(str, answers))


def stale(event: Event, before: Before) -> bool:
    """Replicas answered one get with different versions."""
    answers = event.get("answers")
    if answers.__class__ is not dict and not isinstance(answers, Mapping):
        return False
    dots = list(answers.values())
    alike = not dots or dots.count(dots[0]) == len(dots)
    return not alike and len(set(map(str, dots))) > 1


def elsewhere(event: Event, before: Before) -> bool:
    to = event.get("to")
    return isinstance(to, list | tuple) and list(to) != [event.get("target")]


def sign(name: str, positive: bool) -> When:
    def fits(value: object) -> bool:
        return isinstance(value, int | float) and (value > 0 if positive else value < 0)

    return Has(name, fits)
