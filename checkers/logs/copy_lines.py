"""The lines of the nodes' logs about copies, and which copy each is about.

A copy is a record or a hint, of a key, on a node. Most lines of a log are about one, and several
checkers follow copies through the logs: which copy a line is about is found out once for all of
them, and is a number.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from dynamesis.checkers.history.codes import NameTable
from dynamesis.checkers.logs.logs import Event, Logs

#: (node, key, for which node a hint is; None: a record)
Copy = tuple[str, str, str | None]

#: lines that show a copy
STORED = "stored"
#: lines about one copy: as it is from then on, or that it is gone
ABOUT = (STORED, "held", "deleted", "undone", "row-damaged")
#: after which it is not known what a node has: its log may lack the end of the life before
START = "start"
#: the number that such a line has instead of that of a copy
NONE = -1


@dataclass(frozen=True)
class CopyLines:
    """Lines of ABOUT and START, in order of time, and column by column what several checkers ask of
    them: to come back to a line takes longer than to read it.

    places: where they are among all events
    names, numbers: of each line its event, and which copy it is about
    writes: of each line which write it comes of (`request`), NONE for none
    whys, hashes, dots, incoming: of each line that field, None for none
    states: of each line that shows what a copy holds (`holds`, by dot) which state that is, NONE
        for others: many replicas hold the same
    from_memory: the lines about what was acknowledged before it was durable
    copies, ids: by number; what each write is
    held: by state: its key, and the dots of what it holds
    of_hash: key -> hash -> state"""

    places: list[int]
    lines: list[Event] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)
    whys: list[Any] = field(default_factory=list)
    hashes: list[Any] = field(default_factory=list)
    states: list[int] = field(default_factory=list)
    dots: list[Any] = field(default_factory=list)
    incoming: list[Any] = field(default_factory=list)
    from_memory: set[int] = field(default_factory=set)
    copies: list[Copy] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    held: list[tuple[str, list[str]]] = field(default_factory=list)
    of_hash: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))


def copy_lines(logs: Logs) -> CopyLines:
    """Derived from logs (`Logs.once`)."""
    found = CopyLines(logs.places(START, *ABOUT))
    copies = found.copies
    writes = NameTable()
    #: node -> key -> number of its record; (node, target) -> the same of its hints
    known: defaultdict[object, dict[str, int]] = defaultdict(dict)
    add_line, add_name, add_number = found.lines.append, found.names.append, found.numbers.append
    add_write, add_why, add_hash = found.writes.append, found.whys.append, found.hashes.append
    add_state, add_dot, add_incoming = found.states.append, found.dots.append, found.incoming.append
    held, of_hash = found.held, found.of_hash
    for line, event in enumerate(map(logs.events.__getitem__, found.places)):
        get, name = event.get, event["event"]
        add_line(event)
        add_name(name)
        id = get("request")
        add_write(writes[id] if id and id.__class__ is str else NONE)
        add_why(get("why"))
        hash: Any = get("hash")
        add_hash(hash)
        add_dot(get("dot"))
        add_incoming(get("incoming"))
        if get("durable") is False:
            found.from_memory.add(line)
        if name == START:
            add_number(NONE)
            add_state(NONE)
            continue
        node, key, target = get("node", ""), get("key"), get("hint_for")
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
        holds = get("holds")
        if name != STORED or holds.__class__ is not list:
            add_state(NONE)
            continue
        known_states = of_hash[key]
        named = hash.__class__ is str
        state = known_states.get(hash) if named else None
        # most lines show what another one has shown under the same hash
        if state is None or held[state][1] != holds:
            state = len(held)
            held.append((key, list(map(str, holds))))
            if named:
                known_states.setdefault(hash, state)
        add_state(state)
    found.ids.extend(writes.all())
    return found
