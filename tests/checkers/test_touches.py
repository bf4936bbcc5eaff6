"""What logs laid beside a history add to its anomalies: nothing that came later, no cause that
is none."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History
from dynamesis.checkers.logs.logs import Event
from dynamesis.checkers.models.explain import touches, with_touches
from dynamesis.checkers.verdict import Anomaly, Results, judge
from log_lines import TEST, dump, fault, get, history, line, logs, put


def stored(at: float, node: str, id: str, *holds: str, why: str = "put", **more: Any) -> Event:
    shown = {"request": id} if id else {}
    return line(at, node, "stored", key="k", why=why, hash="aa", holds=list(holds), **shown, **more)


def explained(h: History, anomaly: Anomaly, *lines: Event) -> Anomaly:
    results = Results({"some": judge([anomaly])})
    beside = touches(logs(*lines), results, Run(h, TEST))
    return with_touches(results, beside).anomalies[0]


def row(h: History, f: str, type: str = "ok", last: bool = True) -> int:
    found = [o.index for o in h.ops() if o.f == f and o.type == type]
    return found[-1 if last else 0]


def test_touches_end_at_the_observation() -> None:
    h = history(put("1.1", 1, 2), get(3, 4), put("2.1", 5, 6))
    stale = Anomaly("stale-read", "It is so.", "k", (row(h, "get"),))
    shown = explained(h, stale, stored(1.5, "n1", "1.1", "a:1", why="stamp"),
                     stored(5.5, "n1", "2.1", "a:2", why="stamp"))  # fmt: skip
    assert shown.why == "It is so. Last touched on n1 by stamp."
    assert shown.data["last_touched"]["n1"]["request"] == "1.1"


def test_a_read_and_the_order_to_repair_are_not_touches() -> None:
    h = history(put("1.1", 1, 2), get(3, 4))
    noise = [
        line(2.1, "n1", "read", key="k", answers={}),
        line(2.2, "n1", "read-repair", key="k", peer="n2"),
        line(2.3, "n1", "held", key="k", why="anti-entropy"),
    ]
    first = stored(1.5, "n1", "1.1", "a:1")
    shown = explained(h, Anomaly("x", "So.", "k", (row(h, "get"),)), first,
                     *noise)  # fmt: skip
    assert shown.why == "So. Last touched on n1 by put."


def test_a_wipe_since_then_is_reported() -> None:
    h = history(put("1.1", 1, 2), fault(1, "wipe", 2.5, 2.8, nodes=["n1"]), get(3, 4))
    shown = explained(
        h, Anomaly("x", "So.", "k", (row(h, "get"),)), stored(1.5, "n1", "1.1", "a:1")
    )
    start = next(o.index for o in h.ops() if o.f == "start-wipe")
    assert shown.why == f"So. Last touched on n1 by put, and wiped since (index {start})."


def test_a_write_that_failed_is_reported_also_where_it_is_one_of_many_rows() -> None:
    h = history(put("1.1", 1, 2), get(3, 4))
    one = line(1.6, "n1", "storage-error", table="objects", key="k", reason="full")
    many = line(1.6, "n2", "storage-error", table="objects", rows=[{"key": "j"}, {"key": "k"}],
                reason="full", failed=2)  # fmt: skip
    shown = explained(h, Anomaly("x", "So.", "k", (row(h, "get"),)), one, many)
    assert "n1 by storage-error (table objects reason full)" in shown.why
    assert "n2 by storage-error (table objects reason full failed 2)" in shown.why


def test_a_stamp_under_a_new_epoch_is_reported() -> None:
    h = history(put("1.1", 1, 2), get(3, 4))
    renewed = line(1.4, "n1", "epoch-renewed", key="k", was="a:1", actor="a:2")
    shown = explained(h, Anomaly("x", "So.", "k", (row(h, "get"),)), renewed,
                     stored(1.5, "n1", "1.1", "a:2:1", why="stamp", dot="a:2:1"))  # fmt: skip
    assert shown.why == "So. Last touched on n1 by stamp (under the new epoch a:2, after a:1)."


def lost(h: History, id: str) -> Anomaly:
    return Anomaly("lost-write", "It is gone.", "k", (row(h, "get"),), {"id": id})


def test_what_took_a_write_is_reported_and_not_what_replaced_it_rightly() -> None:
    """2.1 was written on 1.1's own acknowledgement: as long as it is there nothing is lost."""
    first = put("1.1", 1, 2)
    h = history(first, get(80, 81))
    basis = row(h, "put")
    h = history(first, put("2.1", 3, 4, basis=basis), get(80, 81))
    shown = explained(
        h,
        lost(h, "1.1"),
        stored(1.5, "n1", "1.1", "a:1", why="stamp", dot="a:1"),
        stored(3.5, "n1", "2.1", "a:2", why="stamp", dot="a:2"),
        stored(6.0, "n1", "", "a:2", "b:1", why="anti-entropy"),
        stored(7.0, "n1", "", "b:1", why="handoff"),
    )
    assert "It was stored on n1 by stamp and was taken from n1 by handoff." in shown.why


@pytest.mark.parametrize(("again", "cause"), [(False, "a wipe (index {})"), (True, "put of 2.1")])
def test_a_wipe_took_a_write_and_not_what_was_stored_first_after_it(
    again: bool, cause: str
) -> None:
    """Unless it had come back before that."""
    h = history(put("1.1", 1, 2), fault(1, "wipe", 3, 4, nodes=["n1"]), get(80, 81))
    shown = explained(
        h,
        lost(h, "1.1"),
        stored(1.5, "n1", "1.1", "a:1", why="stamp", dot="a:1"),
        *[stored(5, "n1", "", "a:1", why="handoff")] * again,
        stored(6, "n1", "2.1", "a:2"),
    )
    start = next(o.index for o in h.ops() if o.f == "start-wipe")
    assert f"was taken from n1 by {cause.format(start)}." in shown.why


def test_a_partition_that_a_transfer_dropped_is_reported() -> None:
    h = history(put("1.1", 1, 2), get(80, 81))
    shown = explained(
        h,
        lost(h, "1.1"),
        stored(1.5, "n1", "1.1", "a:1", why="stamp", dot="a:1"),
        line(5, "n1", "deleted", key="k"),
        line(5.1, "n1", "partition-dropped", partition=2, owners=["n3", "n4"], layout=2),
    )
    assert "taken from n1 by deleted (partition 2 was given up, for n3, n4)" in shown.why


def test_a_copy_that_nothing_took_is_reported_as_such() -> None:
    h = history(put("1.1", 1, 2), get(80, 81))
    shown = explained(h, lost(h, "1.1"), stored(1.5, "n1", "1.1", "a:1", why="stamp", dot="a:1"))
    assert "It was stored on n1 by stamp; n1 by nothing that it logged." in shown.why


def test_answers_of_replicas_to_a_read_is_reported_by_ids() -> None:
    h = history(put("1.1", 1, 2), get(3, 4, node="n2"))
    shown = explained(
        h,
        Anomaly("stale-read", "So.", "k", (row(h, "get"),)),
        stored(1.5, "n1", "1.1", "a:1", why="stamp", dot="a:1"),
        line(3.5, "n2", "read", key="k", answers={"n3": [], "n4 for n1": ["a:1", "z:9"]}),
        line(3.6, "n3", "read", key="k", answers={"n3": []}),
    )
    index = row(h, "get")
    text = f"The get at index {index} was answered by n2 from n3 with nothing, n4 for n1 with 1.1"
    assert f"{text}, z:9." in shown.why


def test_two_reads_that_may_be_it_are_not_guessed_at() -> None:
    h = history(put("1.1", 1, 2), get(3, 4, node="n2"))
    both = [line(at, "n2", "read", key="k", answers={"n3": []}) for at in (3.2, 3.4)]
    shown = explained(h, Anomaly("stale-read", "So.", "k", (row(h, "get"),)), *both)
    assert "was answered" not in shown.why


def test_two_stamps_of_one_write_name_it() -> None:
    h = history(put("1.1", 1, 2), dump(61, "n1", "1.1", "1.1"))
    shown = explained(
        h,
        Anomaly("duplicate-sibling", "So.", "k", (row(h, "dump"),)),
        stored(1.5, "n1", "1.1", "a:1", why="stamp", dot="a:1"),
        stored(1.6, "n2", "1.1", "b:1", why="stamp", dot="b:1"),
    )
    assert "1.1 was stamped as a:1 on n1 and b:1 on n2" in shown.why


def test_a_copy_that_the_disk_refused_was_taken_by_that() -> None:
    h = history(put("1.1", 1, 2), get(80, 81))
    stamp = stored(1.5, "n1", "1.1", "a:1", why="stamp", dot="a:1")
    failed = line(1.6, "n1", "storage-error", table="objects", key="k", reason="full")
    shown = explained(h, lost(h, "1.1"), stamp, failed)
    assert "taken from n1 by storage-error (table objects reason full)" in shown.why
    kept = stored(1.7, "n1", "2.1", "a:1", "a:2")
    assert "by nothing that it logged" in explained(h, lost(h, "1.1"), stamp, failed, kept).why
