"""Large records that are replaced without being read: what is stored is the same."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.cluster.core.node.usual_replica import followed, holds
from dynamesis.cluster.core.protocol.messages import Entry, Key, PutReply, Version
from dynamesis.cluster.core.storage.outlines import LARGE, MOST, YOUNG, Outlines
from dynamesis.cluster.core.storage.row_keys import Row
from dynamesis.cluster.core.versions import clock
from hypothesis import given
from hypothesis import strategies as st
from simulator import DictStore, Simulator
from test_usual_cases import ACTORS, History, steps

ROW = Row(b"row")
LARGE_VALUE = bytes(LARGE)


def outlines_of(state: Any, actor: str | None = "A") -> Outlines[Any]:
    outlines = Outlines[Any]()
    outlines.keep(ROW, state, actor, clock.digest(state))
    return outlines


@given(steps, st.integers(0, 99), st.integers(0, 99))
def test_a_copy_follows_on_an_outline_as_on_the_record(
    history: list[tuple[int, int, int]], a: int, b: int
) -> None:
    made = History(history).made
    ours, theirs = made[a % len(made)], made[b % len(made)]
    outline = outlines_of(ours).of(ROW, theirs)
    if outline is None:
        return
    merged = followed(outline.state, theirs)
    if merged is not None:
        assert merged == clock.sync(ours, theirs)
        assert list(merged) == list(clock.sync(ours, theirs))
    for actor in ACTORS:
        assert clock.covers(outline.state, theirs, actor) == clock.covers(ours, theirs, actor)


@given(steps, st.integers(0, 99), st.integers(0, 99), st.sampled_from(ACTORS))
def test_a_put_replaces_an_outline_as_the_record(
    history: list[tuple[int, int, int]], s: int, c: int, actor: str
) -> None:
    done = History(history)
    state, context = done.made[s % len(done.made)], done.contexts[c % len(done.contexts)]
    outline = outlines_of(state).of(ROW, context)
    if outline is None or clock.replaced(context, outline.state) is None:
        return
    event = clock.next_event(state, actor)
    assert clock.next_event(outline.state, actor) == event
    new = Version(b"new")
    by_record = clock.update(context, new, state, actor, event)
    assert clock.update(context, new, outline.state, actor, event) == by_record


def test_no_outline_is_given_where_a_version_may_stay() -> None:
    held = Entry(2, ((2, Version(LARGE_VALUE)),))
    outlines = outlines_of({"A": held, "B": Entry(3)})
    assert outlines.of(ROW, {"B": Entry(4)}) is None
    outline = outlines.of(ROW, {"A": Entry(2)})
    assert outline is not None
    assert outline.state == {"A": Entry(2), "B": Entry(3)}, "without values"
    outlines.drop(ROW)
    assert outlines.of(ROW, {"A": Entry(2)}) is None


def test_outlines_are_bounded() -> None:
    outlines = Outlines[Any]()
    for number in range(MOST + 5):
        outlines.keep(Row(b"%d" % number), {"A": Entry(1)}, "A", 1)
    assert len(outlines) == MOST
    assert outlines.of(Row(b"4"), {}) is None, "the oldest went first"
    assert outlines.of(Row(b"5"), {}) is not None


def test_what_a_state_holds_is_seen_in_one_look() -> None:
    state = {"B": Entry(2, ((2, Version(b"bb")),)), "A": Entry(1, ((1, Version(b"", True)),))}
    assert holds(state) == (clock.dots(state), True, 2)


def test_a_large_value_is_replaced_without_reading_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sim = Simulator()
    read: list[int] = []
    get = DictStore.get

    def counted(self: DictStore, table: str, key: bytes) -> bytes | None:
        row = get(self, table, key)
        if table == "objects" and row is not None:
            read.append(len(row))
        return row

    context = b""
    for value in (LARGE_VALUE, LARGE_VALUE):
        context = _put(sim, value, context)
    monkeypatch.setattr(DictStore, "get", counted)
    context = _put(sim, LARGE_VALUE + b"third", context)
    assert not read, "no replica reads what it replaces"
    _put(sim, b"fourth", b"")
    assert read, "a put that leaves siblings has to read"
    held = sim.holders(b"k").values()
    assert held
    assert all(values == {LARGE_VALUE + b"third", b"fourth"} for values in held)


def test_an_outline_of_a_write_that_failed_is_dropped() -> None:
    sim = Simulator()
    context = _put(sim, LARGE_VALUE, b"")
    context = _put(sim, LARGE_VALUE, context)
    outlined = [node for node in sim.nodes.values() if len(node.objects.outlines)]
    assert outlined
    for node in outlined:
        row = node.replica.row(Key(b"k"))
        node.objects._lost(row, node.replica.own(Key(b"k")))
        assert not len(node.objects.outlines)


def test_a_small_value_is_replaced_without_reading_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sim = Simulator()
    read: list[bytes] = []
    get = DictStore.get

    def counted(self: DictStore, table: str, key: bytes) -> bytes | None:
        if table == "objects":
            read.append(key)
        return get(self, table, key)

    context = _put(sim, b"first", b"")
    context = _put(sim, b"second", context)
    monkeypatch.setattr(DictStore, "get", counted)
    _put(sim, b"third", context)
    assert not read
    _put(sim, b"beside it", context)
    held = sim.holders(b"k").values()
    assert held
    assert all(values == {b"third", b"beside it"} for values in held)
    sim.get("n1", b"k")
    assert read, "what is shown is read"


@pytest.mark.parametrize("how", ["lost", "removed", "damaged", "merged"])
def test_a_small_record_is_forgotten_when_its_row_changes_otherwise(how: str) -> None:
    sim = Simulator()
    context = _put(sim, b"first", b"")
    _put(sim, b"second", context)
    kept = 0
    for node in sim.nodes.values():
        objects, row = node.objects, node.replica.row(Key(b"k"))
        record = objects.outlines.small(row)
        if record is None:
            continue
        kept += 1
        assert record == node.replica.own(Key(b"k"))
        if how == "lost":
            objects._lost(row, record)
        elif how == "removed":
            objects.remove(row, lambda code: None)
        elif how == "damaged":
            objects._report(row)
        else:
            state = {"x": Entry(1, ((1, Version(b"v")),))}
            objects.merge(row, state, "anti-entropy", lambda code: None)
        assert objects.outlines.small(row) is None
    assert kept


def test_small_records_are_bounded() -> None:
    outlines = Outlines[int]()
    for number in range(3 * YOUNG):
        outlines.keep_small(Row(b"%d" % number), number + 1)
    kept = [n for n in range(3 * YOUNG) if outlines.small(Row(b"%d" % n)) is not None]
    assert kept == [*range(YOUNG, 3 * YOUNG)], "the oldest went first"
    outlines.keep(Row(b"%d" % kept[-1]), {"A": Entry(1)}, "A", 1)
    assert outlines.small(Row(b"%d" % kept[-1])) is None, "it is large now"


def _put(sim: Simulator, value: bytes, context: bytes) -> bytes:
    reply = sim.put("n1", b"k", value, context)
    assert isinstance(reply, PutReply), reply
    sim.run(0.5)
    return reply.context
