"""The operations of a proof in words, a row of a table each, and the verdict as a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dynamesis.checkers.history.codes import VALUELESS
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import FAIL, INVOKE, OK
from dynamesis.harness.report.pictures.cycle import micro
from dynamesis.harness.report.pictures.instants import clock_of, duration
from dynamesis.harness.report.pictures.svg import short
from dynamesis.harness.report.summary import compared_on, word
from dynamesis.harness.report.words import counted, facts_of, times
from dynamesis.harness.results.documents import JsonObject

#: operations that may write nil
_WRITES = ("write", "w", "put", "add", "append", "enqueue")
#: operations of one proof that are listed, and characters of a value
LISTED, VALUE = 20, 120
#: numbers of missed versions that are listed one by one
_MISSED = 5


def operations(h: History, ops: Sequence[int]) -> list[JsonObject]:
    """What the cited operations did, in order: {row, at (s), process, did, ended}. An operation of
    which both events are cited is one row."""
    begun: dict[int, None] = {}
    for row in sorted(r for r in ops if 0 <= r < len(h)):
        first = row if h.kind[row] == INVOKE or h.pair[row] < 0 else int(h.pair[row])
        begun[first] = None
    listed = list(begun)[:LISTED]
    spell = clock_of(h, listed)
    return [_operation(h, row, spell) for row in listed]


def _operation(h: History, row: int, spell: Callable[[int], str]) -> JsonObject:
    name = h.name_of(int(h.process[row]))
    process = f"process {name}" if isinstance(name, int) else str(name)
    return {
        "row": row,
        "at": spell(row),
        "process": short(process, 24),
        "did": _did(h, row),
        "ended": _ended(h, row),
    }


def _did(h: History, row: int) -> str:
    """What was asked for: "put k1 = 7 as 3.12 on the context of index 9"."""
    f = h.fs[h.f[row]]
    parts = [f]
    if h.key_of[row] >= 0:
        parts.append(short(h.keys[h.key_of[row]], 40))
    if h.replica[row] >= 0:
        parts.append(f"of {short(h.nodes[h.replica[row]], 20)}")
    if f == "txn":
        parts.append(_value(h, row))
    elif h.process[row] < 0 and (words := facts_of(h.value_of(row))):
        parts[-1] += f": {short(words, VALUE)}"
    elif _asked(h, row):
        parts.append(f"= {_value(h, row)}")
    if h.id[row] >= 0:
        parts.append(f"as {short(h.ids[h.id[row]], 24)}")
    if h.basis[row] >= 0:
        parts.append(f"on the context of index {int(h.basis[row])}")
    elif h.basis[row] == -1 and f in ("put", "delete"):
        parts.append("blindly")
    return " ".join(parts)


def _asked(h: History, row: int) -> bool:
    """Whether the value of an invocation is of use: a read has none, and some spell that nil."""
    return h.value[row] >= 0 and (h.value_of(row) is not None or h.fs[h.f[row]] in _WRITES)


def _value(h: History, row: int) -> str:
    value = h.value_of(row)
    if h.fs[h.f[row]] == "txn" and isinstance(value, list):
        asked = h.kind[row] == INVOKE
        return short("; ".join(micro(h, step, asked) for step in value[:12]), VALUE)
    return short(h.spelled(value), VALUE)


def _ended(h: History, row: int) -> str:
    """How it ended: "ok by n2 after 41.2 ms (index 14): shows 3.12"."""
    end = row if h.kind[row] != INVOKE else int(h.pair[row])
    if end < 0:
        return "never ended"
    # what the harness noted is an event of its own: it has no outcome to be unknown
    other = "recorded" if end == row else "done" if h.process[row] < 0 else "outcome unknown"
    name = {OK: "ok", FAIL: "refused"}.get(int(h.kind[end]), other)
    node = f" by {short(h.nodes[h.node[end]], 20)}" if h.node[end] >= 0 else ""
    took = (
        f" after {duration(int(h.time[end] - h.time[row]))}" if end != row and h.time.any() else ""
    )
    text = f"{name}{node}{took} (index {end})"
    if h.shown[end]:
        shown = [short(s.id, 24) + " (deleted)" * s.deleted for s in h.siblings(end)[:8]]
        text += f": shows {', '.join(shown) or 'nothing'}"
    elif h.kind[end] == OK and _answered(h, row, end):
        text += f": {_value(h, end)}"
    error = h.errors.get(end)
    return f"{text}: {short(error.code, 40)}: {short(error.message, VALUE)}" if error else text


def _answered(h: History, row: int, end: int) -> bool:
    """Whether a completion has a value that its invocation did not have in words."""
    if h.value[end] < 0 or h.fs[h.f[row]] in VALUELESS:
        return False
    return h.text_of(end) != h.text_of(row) or not _asked(h, row)


def sentence(results: Mapping[str, Any]) -> str:
    """The verdict in a sentence."""
    verdict = word(results["valid"])
    counts = results.get("anomalies") or {}
    if verdict == "invalid":
        found = ", ".join(f"{name} {times(n)}" for name, n in counts.items())
        return f"The store broke its promises: {found}."
    if verdict == "unknown":
        return "There was not enough evidence to say that the store kept its promises."
    return "The store kept its promises, and the evidence was there to show otherwise."


def grounds(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a verdict rests on, as (figure, what it counts); of what a history cannot have,
    nothing."""
    found = [_of(figures["acknowledged"], figures["tried"], "operation", "acknowledged")]
    if faults := figures["faults"]:
        took = sum(fault["took_effect"] is True for fault in faults)
        found.append(_of(took, len(faults), "fault", "took effect"))
    if (final := figures["final_reads"])["asked"]:
        found.append(_of(final["answered"], final["asked"], "final read", "answered"))
    if (compared := figures["compared"])["keys"]:
        found.append(compared_on(compared))
    return found


def _of(part: int, whole: int, one: str, did: str) -> tuple[str, str]:
    count, _, noun = counted(whole, one).partition(" ")
    return f"{part:,} of {count}", f"{noun} {did}"


def missed(k: Mapping[str, int] | None) -> str:
    """How many versions gets missed, in words: "0 by 59 gets, 1 by 17 gets, 5 to 51 by 30 gets";
    `k`: by versions, how many gets."""
    if not k:
        return "not measured"
    rows = sorted((int(versions), count) for versions, count in k.items())
    first, rest = rows[:_MISSED], rows[_MISSED:]
    found = [f"{versions} by {counted(count, 'get')}" for versions, count in first]
    if rest:
        span = f"{rest[0][0]} to {rest[-1][0]}" if len(rest) > 1 else str(rest[0][0])
        found.append(f"{span} by {counted(sum(count for _, count in rest), 'get')}")
    return ", ".join(found)
