"""Evidence in plain words: what which client wrote, what a read showed, which faults ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.history.counts import counted as counted
from dynamesis.checkers.history.counts import share as share
from dynamesis.checkers.history.counts import times as times
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import FAIL, OK
from dynamesis.checkers.history.timeline import Fault

#: how many items of a list are spelled out
SPELLED = 8


def listed(items: Sequence[str], nothing: str = "nothing", separator: str = ", ") -> str:
    """A list for a sentence, cut where it gets long."""
    if len(items) > SPELLED:
        return f"{separator.join(items[:SPELLED])} and {len(items) - SPELLED} more"
    return separator.join(items) or nothing


def as_text(value: object) -> str:
    """A hint, as the end of a sentence, for a value that was read and not written, where it is the
    text of a number: a client that does not parse what it reads returns such."""
    try:
        float(value) if isinstance(value, str) else float("")
    except ValueError:
        return ""
    return " (it is a string: does the client return text where a number was written?)"


def at(h: History, row: int) -> str:
    """When and in which event: "1.53 s (index 12)"."""
    return f"{h.seconds(row):.3f} s (index {row})"


def by_node(h: History, row: int) -> str:
    """By which node or replica an event was answered, as a clause; empty if not known."""
    number = h.replica[row] if h.replica[row] >= 0 else h.node[row]
    return f" by {h.nodes[number]}" if number >= 0 else ""


def contents(h: History, row: int) -> str:
    """What a read showed."""
    shown = [f"{s.id} (deleted)" if s.deleted else s.id for s in h.siblings(row)]
    return listed(shown)


def reading(h: History, row: int) -> str:
    """A read as a noun: "the dump of n2 at 3.1 s (index 40)"."""
    if h.fs[h.f[row]] == "dump":
        return f"the dump of {h.nodes[h.replica[h.pair[row]]]} at {at(h, row)}"
    if h.fs[h.f[row]] != "get":
        return (
            f"the answer to the {h.fs[h.f[row]]} of process "
            f"{h.name_of(int(h.process[row]))} at {at(h, row)}"
        )
    return f"the get of process {h.name_of(int(h.process[row]))} at {at(h, row)}"


def name(c: Causality, version: int) -> str:
    """The id of a version."""
    return str(c.history.ids[c.history.id[c.written[version]]])


def fate(c: Causality, version: int) -> str:
    """How a version's write ended: "3.12 was acknowledged at 1.53 s (index 14) by n2"."""
    h, what = c.history, "delete " if c.deletes[version] else ""
    subject = f"{what}{name(c, version)}"
    end = int(c.ended[version])
    if c.outcome[version] == OK:
        return f"{subject} was acknowledged at {at(h, end)}{by_node(h, end)}"
    if c.outcome[version] == FAIL:
        return f"{subject} was refused at {at(h, end)}{by_node(h, end)}"
    return f"{subject} was sent at {at(h, int(c.written[version]))} and its outcome never known"


def effect(c: Causality, version: int) -> str:
    """Why a version certainly took effect."""
    if c.outcome[version] == OK:
        return fate(c, version)
    shown = int(c.first_shown[version])
    return f"{fate(c, version)}, but {reading(c.history, shown)} showed it"


def effect_rows(c: Causality, version: int) -> tuple[int, ...]:
    """The events that prove that a version took effect."""
    return int(c.written[version]), int(c.effective[version])


def covering(c: Causality, chain: Sequence[int]) -> tuple[str, tuple[int, ...]]:
    """Why the first version of a chain covers the last, and the events that prove it."""
    h, clauses, rows = c.history, [], []
    for upper, lower in pairwise(chain):
        row = int(c.written[upper])
        basis = int(h.basis[row])
        rows += [basis, row]
        given = (
            f"that the acknowledgement of {name(c, lower)} gave (index {basis})"
            if h.pair[basis] == c.written[lower]
            else f"of the {h.fs[h.f[basis]]} at index {basis}, which showed "
            f"{_beside(h, basis, name(c, lower))}"
        )
        clauses.append(f"{name(c, upper)} was written at index {row} on the context {given}")
    if chain:
        rows.append(int(c.written[chain[-1]]))
    return listed(clauses, separator="; "), tuple(sorted(set(rows)))


def _beside(h: History, row: int, id: str) -> str:
    """What a get showed beside this version: a write on its context replaces all of it."""
    others = [s.id for s in h.siblings(row) if s.id != id]
    return f"{id} beside {listed(others)}" if others else f"{id} alone"


def concerned(fault: Fault) -> str:
    """A fault as a noun: "cut.one refused n3 | n1,n2,n4,n5 (index 249)"."""
    value = fault.fields
    targets = next((value[f] for f in ("grudge", "links", "nodes", "node") if value.get(f)), "")
    name = value.get("member") or fault.kind
    parts = (name, value.get("kind"), _spelled(targets), _change(value))
    return f"{' '.join(str(part) for part in parts if part)} (index {fault.started})"


def _change(value: Mapping[str, Any]) -> str:
    """The nodes that joined, left and were removed: "n6 joins, n2 leaves"."""
    words = {"joins": "joins", "leaves": "leaves", "removes": "is removed"}
    asked = {word: value.get(kind) for kind, word in words.items()}
    return ", ".join(
        f"{node} {word}"
        for word, nodes in asked.items()
        if isinstance(nodes, list)
        for node in nodes
    )


def _spelled(targets: Any) -> str:
    """Nodes, links, or a grudge: groups that are apart, or by node the others that it is cut off
    from."""
    if isinstance(targets, dict):
        return "; ".join(f"{node} | {_spelled(others)}" for node, others in targets.items())
    if not isinstance(targets, list):
        return str(targets)
    apart = any(isinstance(part, list) for part in targets)
    rest = f" and {len(targets) - SPELLED} more" if len(targets) > SPELLED else ""
    return (" | " if apart else ",").join(map(_spelled, targets[:SPELLED])) + rest
