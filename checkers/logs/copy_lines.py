"""The lines of the nodes' logs about copies, and which copy each is about.

A copy is a record or a hint, of a key, on a node. Most lines of a log are about one, and several
checkers follow copies through the logs: which copy a line is about is found out once for all of
them, and is a number.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from dynamesis.checkers.logs.logs import Event, Logs

#: (node, key, for which node a hint is; None: a record)
Copy = tuple[str, str, str | None]

#: lines about one copy: as it is from then on, or that it is gone
ABOUT = ("stored", "held", "deleted", "undone", "row-damaged")
#: after which it is not known what a node has: its log may lack the end of the life before
START = "start"
#: the number that such a line has instead of that of a copy
NONE = -1


@dataclass(frozen=True)
class CopyLines:
    """Lines of ABOUT and START, in order of time.

    places: where they are among all events
    names, numbers: of each line its event, and which copy it is about
    copies: by number"""

    places: list[int]
    lines: list[Event]
    names: list[str]
    numbers: list[int]
    copies: list[Copy]


def copy_lines(logs: Logs) -> CopyLines:
    """Derived from logs (`Logs.once`)."""
    places = logs.places(START, *ABOUT)
    lines = [logs.events[place] for place in places]
    copies: list[Copy] = []
    #: node -> key -> number of its record; (node, target) -> the same of its hints
    known: defaultdict[object, dict[str, int]] = defaultdict(dict)
    names: list[str] = []
    numbers: list[int] = []
    for event in lines:
        get, name = event.get, event["event"]
        names.append(name)
        if name == START:
            numbers.append(NONE)
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
        numbers.append(number)
    return CopyLines(places, lines, names, numbers, copies)
