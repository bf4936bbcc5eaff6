"""The lines of the nodes' logs about copies, and which copy each is about.

A copy is a record or a hint, of a key, on a node. Most lines of a log are about one, and several
checkers follow copies through the logs: which copy a line is about is found out once for all of
them, and is a number. What they ask of every line is a column of numbers; of the lines that answer
nothing by themselves the events are looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from dynamesis.checkers.history.codes import NameTable
from dynamesis.checkers.history.pairing import Bools, Ints
from dynamesis.checkers.logs.logs import Event, Logs

#: (node, key, for which node a hint is; None: a record)
Copy = tuple[str, str, str | None]

#: lines that show a copy
STORED = "stored"
#: lines about one copy: as it is from then on, or that it is gone
ABOUT = (STORED, "held", "deleted", "undone", "row-damaged")
#: after which it is not known what a node has: its log may lack the end of the life before
START = "start"
KINDS = (*ABOUT, START)
#: each of these in the column `kinds`: a bit, so that several are found with one look
_BITS = {kind: 1 << place for place, kind in enumerate(KINDS)}
_STORED, _START = _BITS[STORED], _BITS[START]
#: lines that say what a copy is; and those by which it is found what of it was taken back
_LEFT = _STORED | _BITS["held"] | _BITS["deleted"]
_CHANGES = _START | _BITS["undone"]
#: what few lines have, beside what all have that are stored
RARE = ("durable", "deleted", "ahead", "times")
#: the number that a line has which has none
NONE = -1


@dataclass(frozen=True, eq=False)
class CopyLines:
    """Lines of KINDS in order of time, and column by column what several checkers ask of them: to
    come back to a line takes longer than to read it.

    places: where they are among all events
    lines: of each its event
    kinds: of each which of KINDS it is (`are`)
    numbers, writes, reasons: of each which copy it is about, which write it comes of (`request`),
        and why it is there (`why`, in words); NONE for none
    states: of each line that shows what a copy holds (`holds`, by dot) which state that is, NONE
        for others: many replicas hold the same
    dots: line -> dot, of lines that have a state and what the write's dot is
    incoming: line -> that field, where it is given
    rare: the lines that have one of RARE
    copies, ids, whys: by number; what each write is
    held: by state: its key, and the dots of what it holds
    of_hash: key -> hash -> state"""

    places: Ints
    lines: list[Event]
    kinds: Ints
    numbers: Ints
    writes: Ints
    reasons: Ints
    states: Ints
    copies: list[Copy]
    ids: list[str]
    whys: list[str]
    dots: dict[int, str]
    incoming: dict[int, Any]
    rare: list[int]
    held: list[tuple[str, list[str]]]
    of_hash: dict[str, dict[str, int]]

    def are(self, *kinds: str) -> Bools:
        """By line: whether it is of these kinds."""
        found: Bools = self.kinds & sum(map(_BITS.__getitem__, kinds)) != 0
        return found

    def came_by(self, whys: Iterable[str]) -> Bools:
        """By line: whether it is there for one of these reasons."""
        wanted = {*whys}
        given = [why in wanted for why in self.whys]
        found: Bools = np.array([*given, False], np.bool_)[self.reasons]
        return found

    @cached_property
    def hints(self) -> Bools:
        """By copy, and one more for none: whether it is a hint."""
        return np.array([*(target is not None for _, _, target in self.copies), False], np.bool_)

    @cached_property
    def from_memory(self) -> set[int]:
        """The lines about what was acknowledged before it was durable."""
        return {line for line in self.rare if self.lines[line].get("durable") is False}


def copy_lines(logs: Logs) -> CopyLines:
    """Derived from logs (`Logs.once`)."""
    places, kinds = _places_and_kinds(logs)
    lines = [logs.events[place] for place in places.tolist()]
    about = _About(lines, kinds)
    shown = _Shown(lines, np.flatnonzero(kinds == _STORED), about)
    return CopyLines(
        places,
        lines,
        kinds,
        np.array(about.numbers, np.int32),
        np.array(about.writes, np.int32),
        np.array(about.reasons, np.int32),
        shown.states,
        about.copies,
        about.ids.all(),
        about.whys.all(),
        shown.dots,
        about.incoming,
        about.rare,
        shown.held,
        shown.of_hash,
    )


class _About:
    """What lines are about: fields of CopyLines, and names of writes and reasons by number."""

    def __init__(self, lines: list[Event], kinds: Ints) -> None:
        self.numbers: list[int] = []
        self.writes: list[int] = []
        self.reasons: list[int] = []
        self.copies: list[Copy] = []
        self.ids, self.whys = NameTable(), NameTable()
        self.incoming: dict[int, Any] = {}
        self.rare: list[int] = []
        self._read(lines, kinds)

    def _read(self, lines: list[Event], kinds: Ints) -> None:
        #: node -> key -> number of its record; (node, target) -> the same of its hints
        known: defaultdict[object, dict[str, int]] = defaultdict(dict)
        ids, whys, copies, incoming = self.ids, self.whys, self.copies, self.incoming
        add_number, add_rare = self.numbers.append, self.rare.append
        add_write, add_reason = self.writes.append, self.reasons.append
        for line, (event, kind) in enumerate(zip(lines, kinds.tolist(), strict=True)):
            get = event.get
            id, why = get("request"), get("why")
            add_write(ids[id] if id and id.__class__ is str else NONE)
            add_reason(whys[why if why is None or why.__class__ is str else str(why)])
            if "durable" in event or "deleted" in event or "ahead" in event or "times" in event:
                add_rare(line)
            if kind == _START:
                add_number(NONE)
                continue
            node, key, target = event["node"], get("key"), get("hint_for")
            if key.__class__ is not str:
                key = str(key)
            if target is not None:
                target = str(target)
            of_node = known[node if target is None else (node, target)]
            number = of_node.get(key)
            if number is None:
                number = of_node[key] = len(copies)
                copies.append((node, key, target))
            add_number(number)
            if "incoming" in event and event["incoming"] is not None:
                incoming[line] = event["incoming"]


class _Shown:
    """What copies hold by the lines that show them: fields of CopyLines."""

    def __init__(self, lines: list[Event], rows: Ints, about: _About) -> None:
        self.states = np.full(len(lines), NONE, np.int32)
        self.dots: dict[int, str] = {}
        self.held: list[tuple[str, list[str]]] = []
        self.of_hash: dict[str, dict[str, int]] = defaultdict(dict)
        self.states[rows] = list(self._read(lines, rows.tolist(), about))

    def _read(self, lines: list[Event], rows: list[int], about: _About) -> Iterator[int]:
        dots, held, of_hash = self.dots, self.held, self.of_hash
        numbers, copies = about.numbers, about.copies
        for line in rows:
            event = lines[line]
            holds: Any = event.get("holds")
            if holds.__class__ is not list:
                yield NONE
                continue
            key, hash = copies[numbers[line]][1], event.get("hash")
            known = of_hash[key]
            state = known.get(hash) if hash.__class__ is str else None
            # most lines show what another one has shown under the same hash
            if state is None or held[state][1] != holds:
                state = len(held)
                held.append((key, list(map(str, holds))))
                if hash.__class__ is str:
                    known.setdefault(hash, state)
            yield state
            if "dot" in event and event["dot"].__class__ is str:
                dots[line] = event["dot"]


def _places_and_kinds(logs: Logs) -> tuple[Ints, Ints]:
    """Where the lines of KINDS are among all events, in order, and which of them each is."""
    by_kind = [logs.places(kind) for kind in KINDS]
    places = np.array(list(chain.from_iterable(by_kind)), np.int64)
    kinds = np.repeat(np.array([*_BITS.values()], np.int8), list(map(len, by_kind)))
    order = np.argsort(places, kind="stable")
    return places[order], kinds[order]


def lines_taken_back(logs: Logs) -> set[int]:
    """The lines about what a disk refused later."""
    lines = logs.once(copy_lines)
    #: an `undone` that names no state takes nothing back
    undone = np.flatnonzero(lines.are("undone")).tolist()
    undone = [line for line in undone if lines.lines[line].get("hash") is not None]
    concerned = np.zeros(len(lines.copies) + 1, np.bool_)
    concerned[lines.numbers[undone]] = concerned[NONE] = True
    #: by copy: its lines that have not been taken back
    left: defaultdict[int, list[int]] = defaultdict(list)
    found: set[int] = set()
    lives: dict[str, int] = {}
    rows = np.flatnonzero(concerned[lines.numbers[: undone[-1] + 1 if undone else 0]])
    columns = rows.tolist(), lines.kinds[rows].tolist(), lines.numbers[rows].tolist()
    for line, kind, copy in zip(*columns, strict=True):
        if kind & _LEFT:
            left[copy].append(line)
        elif kind & _CHANGES:
            event = lines.lines[line]
            if kind == _START:
                lives[event["node"]] = event.get("mono", 0)
            elif event.get("hash") is not None:
                since = lives.get(event["node"], -1)
                found.update(_take_back(lines.lines, left[copy], event, since))
    return found


def _take_back(lines: Sequence[Event], left: list[int], undone: Event, since: int) -> Iterator[int]:
    """Take out the last lines about a record or hint, of states that its disk refused: back to
    the state that is there now, or to where it was deleted; none of before `since` (ns), when this
    life of the process began. A state of which the log has no line, or that cannot be read, does
    not show how many of them that are: only the one that was refused itself. `left`: the places of
    its lines in `lines`; yields those that are taken out."""
    now, refused = undone.get("now"), undone.get("hash")
    known: bool | None = True if now is None else None
    if undone.get("unreadable"):
        known = False
    while left:
        last = lines[left[-1]]
        state = last.get("hash")
        if last["event"] == "deleted" or last.get("mono", 0) < since or state == now:
            return
        if state != refused:
            if known is None:  # of what was taken out already none is it
                known = any(_state(lines[place]) == now for place in reversed(left))
            if not known:
                return
        yield left.pop()
        if str(last.get("why")).endswith("healed"):
            return  # what was there before had been stored, and was damaged


def _state(line: Event) -> object:
    """The hash of what a line leaves there; None for nothing."""
    return None if line["event"] == "deleted" else line.get("hash")
