"""Why a get owed a version: the event that made each guarantee bind, for its explanation.

The sweep of `coverage` knows only that something is owed. The explanation names the
earlier operation: one's own write, the get that showed it before, the later write that the
get does show, or what that write's author had read.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from dynamesis.checkers.explain.describe import at, name, reading
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.history.pairing import OK


class Obligation(NamedTuple):
    """A clause, and the events that it speaks of."""

    why: str
    rows: tuple[int, ...]


def obligation(c: Causality, kind: str, get: int, version: int) -> Obligation:
    """Why this get (row of its completion) owed the version that it lacks."""
    h, process = c.history, int(c.history.process[get])
    if kind == "monotonic-reads":
        return _had_read(c, version, process, int(h.pair[get])) or _NONE
    if kind == "monotonic-writes":
        return _wrote_later(c, get, version)
    if kind == "writes-follow-reads":
        return _rested_on(c, get, version)
    if kind == "read-your-writes":
        return Obligation("the same process had written it", ())
    return _NONE


_NONE = Obligation("", ())


def _had_read(c: Causality, version: int, process: int, before: int) -> Obligation | None:
    """The latest get of a process, ended before a row, that covers the version."""
    h, key = c.history, c.key[version]
    mine = (h.kind == OK) & h.rows("get") & (h.process == process) & (h.key_of == key)
    for row in np.flatnonzero(mine[:before])[::-1].tolist():
        shown = [v for v in c.siblings_of(row) if c.path(v, version)]
        if shown:
            named = name(c, version)
            through = "" if version in shown else f", which {name(c, shown[0])} had replaced"
            return Obligation(f"{reading(h, row)} had covered {named}{through}", (row,))
    return None


def _covered(c: Causality, get: int) -> list[int]:
    """What a get covers, the latest first."""
    found: list[int] = np.flatnonzero(c.covered(np.array(c.siblings_of(get)))).tolist()
    return found[::-1]


def _wrote_later(c: Causality, get: int, version: int) -> Obligation:
    """The same process wrote the version, and later one that this get covers."""
    author = c.history.process[c.written[version]]
    for later in _covered(c, get):
        row = int(c.written[later])
        if c.history.process[row] == author and row > c.ended[version]:
            clause = f"it covers {name(c, later)}, which process {author} wrote afterwards"
            return Obligation(f"{clause}, at {at(c.history, row)}", (row,))
    return _NONE


def _rested_on(c: Causality, get: int, version: int) -> Obligation:
    """This get covers a version whose author had read the one that is owed."""
    for later in _covered(c, get):
        row = int(c.written[later])
        author = int(c.history.process[row])
        known = _had_read(c, version, author, row)
        if known is not None:
            clause = f"it covers {name(c, later)}, written by process {author} at "
            return Obligation(
                f"{clause}{at(c.history, row)}: before that {known.why}", (*known.rows, row)
            )
    return _NONE
