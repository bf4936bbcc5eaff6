"""Every place of an acknowledged write has a copy or a hint: by logs made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.models.log_checkers import check_logs
from dynamesis.checkers.verdict import CheckerResult, Verdict
from log_lines import TEST, dump, fault, history, line, logs, op, put

P, Q, X = CheckedRing.of(TEST).primaries("k")  # type: ignore[union-attr]
(SPARE,) = {"n1", "n2", "n3", "n4"} - {P, Q, X}


def stored(node: str, at: float = 1.1, what: str = "stored", **more: Any) -> dict[str, Any]:
    why = "stamp" if node == P and not more else "put"
    return dict(line(at, node, what, key="k", request="1.1", why=why, hash="aa", **more))


def verdict(lines: list[Any], *ops: Any, test: dict[str, Any] = TEST) -> CheckerResult:
    h = history(put("1.1", 1, 1.2), *ops)
    return check_logs(Run(h, test), logs(*lines)).verdicts["places"]


TWO = [stored(P), stored(Q)]


def test_a_copy_on_each_place_is_right() -> None:
    result = verdict([*TWO, stored(X)])
    assert (result.verdict, result.details) == (Verdict.VALID, {"writes": 1})


@pytest.mark.parametrize("what", ["stored", "held"])
def test_a_hint_serves_for_a_copy(what: str) -> None:
    assert verdict([*TWO, stored(SPARE, what=what, hint_for=X)]).verdict is Verdict.VALID


def test_a_place_with_neither_is_a_lost_hint() -> None:
    (anomaly,) = verdict(TWO).anomalies
    assert (anomaly.name, anomaly.key) == ("lost-hint", "k")
    assert anomaly.data["primary"] == X
    assert f"{P} a copy, {Q} a copy was stored of it" in anomaly.why.replace(f"{Q} a copy, {P} a "
        "copy", f"{P} a copy, {Q} a copy")  # fmt: skip
    assert f"neither a copy on {X} nor a hint for it" in anomaly.why


def test_a_hint_for_another_node_is_none_for_this() -> None:
    assert verdict([*TWO, stored(SPARE, hint_for=Q)]).counts() == {"lost-hint": 1}


def test_another_write_of_the_key_means_nothing_of_this() -> None:
    other = {**stored(X), "request": "2.1"}
    assert verdict([*TWO, other]).counts() == {"lost-hint": 1}


@pytest.mark.parametrize(("left", "valid"), [({}, True), ({SPARE: False}, True),
                                             ({SPARE: True}, False)])  # fmt: skip
def test_a_coordinator_without_a_node_to_ask_is_excused(left: Any, valid: bool) -> None:
    logged = line(1.6, P, "unplaced", key="k", request="1.1", primary=X, left=left, failed=[X])
    result = verdict([*TWO, logged])
    assert result.verdict.json is valid
    assert all(f"It could have gone to {SPARE}" in a.why for a in result.anomalies)


def undone(node: str, at: float, hash: str | None, now: str | None, **more: Any) -> dict[str, Any]:
    return dict(line(at, node, "undone", key="k", hash=hash, now=now, **more))


@pytest.mark.parametrize(
    ("after", "valid"),
    [
        ([undone(X, 1.2, "aa", None)], False),
        ([undone(X, 1.2, "aa", "99")], False),
        ([undone(X, 1.2, "bb", "99")], True),
        ([undone(X, 1.2, "bb", "aa")], True),
        ([undone(X, 1.2, None, "aa")], True),
        ([undone(X, 1.2, "aa", None, hint_for=Q)], True),
        ([undone(SPARE, 1.2, "aa", None)], True),
        ([undone(X, 1.2, "aa", None), stored(X, 1.3)], True),
    ],
)
def test_a_copy_that_a_disk_refused_is_none(after: list[Any], valid: bool) -> None:
    """Found by simulate (seed 43 with batches that fail): the line of a copy is written before it
    is on the disk, and a copy whose batch failed was expected in the dumps."""
    assert verdict([*TWO, stored(X), *after]).verdict.json is valid


def again(node: str, at: float) -> Any:
    """The node is started again, with a disk that has forgotten, or an older one."""
    return line(at, node, "start")


@pytest.mark.parametrize("now", [None, "99", "bb", "aa"])
def test_what_an_earlier_life_stored_is_not_taken_back(now: str | None) -> None:
    """Found in a storm: after a wipe, the first write that a full disk refused took back all that
    the node had stored since the test began, of 77 acknowledged writes."""
    older = {**stored(X, 0.5), "request": "0.1", "hash": "bb"}
    newer = {**stored(X, 6), "request": "2.1", "hash": "cc"}
    lines = [*TWO, older, stored(X), again(X, 5), newer, undone(X, 7, "cc", now)]
    assert verdict(lines).verdict is Verdict.VALID


def test_a_hint_of_an_earlier_life_is_not_taken_back() -> None:
    newer = {**stored(SPARE, 6, hint_for=X), "request": "2.1", "hash": "cc"}
    failed = undone(SPARE, 7, "cc", None, hint_for=X)
    lines = [*TWO, stored(SPARE, hint_for=X), again(SPARE, 5), newer, failed]
    assert verdict(lines).verdict is Verdict.VALID


@pytest.mark.parametrize("now", [None, "99"])
def test_what_this_life_was_refused_is_taken_back_to_what_an_earlier_one_left(
    now: str | None,
) -> None:
    """Two states under way, the newer of which holds the older: both were refused."""
    left = {**stored(X, 0.2), "request": "0.1", "hash": "99"}
    newer = {**stored(X, 1.2), "request": "2.1", "hash": "cc"}
    lines = [*TWO, left, again(X, 0.5), stored(X), newer, undone(X, 1.3, "cc", now)]
    assert verdict(lines).counts() == {"lost-hint": 1}
    assert verdict([*lines[:-1], again(X, 1.25), lines[-1]]).verdict is Verdict.VALID


def test_a_start_of_another_node_ends_no_life_of_this() -> None:
    lines = [*TWO, stored(X), again(Q, 1.15), undone(X, 1.2, "aa", None)]
    assert verdict(lines).counts() == {"lost-hint": 1}


@pytest.mark.parametrize(
    ("unreadable", "refused", "valid"),
    [({}, "cc", False), ({"unreadable": True}, "cc", True), ({"unreadable": True}, "aa", False)],
)
def test_a_disk_that_cannot_be_read_takes_back_only_what_it_refused(
    unreadable: dict[str, Any], refused: str, valid: bool
) -> None:
    """A row that was damaged after it was stored is neither a record nor the absence of one."""
    newer = [{**stored(X, 1.5), "request": "2.1", "hash": "cc"}] * (refused == "cc")
    lines = [*TWO, stored(X), *newer, undone(X, 1.6, refused, None, **unreadable)]
    assert verdict(lines).verdict.json is valid


@pytest.mark.parametrize("more", [{}, {"unreadable": True}])
def test_what_was_damaged_had_been_stored_before_what_heals_it(more: dict[str, Any]) -> None:
    """Found by simulate (seed 290): the state that heals a row is as a rule the same again."""
    healed = {**stored(X, 2), "why": "anti-entropy, healed"}
    del healed["request"]
    again = [healed, {**healed, "event": "held", "why": "anti-entropy"}]
    lines = [*TWO, stored(X), *again, undone(X, 2.1, "aa", None, **more)]
    assert verdict(lines).verdict is Verdict.VALID


@pytest.mark.parametrize(("versions", "valid"), [((2, 1), True), ((1, 2), False), ((2, 2), False)])
def test_a_layout_that_a_node_had_before_it_was_away_is_not_in_force_again(
    versions: tuple[int, int], valid: bool
) -> None:
    """An older disk that was put back has an older layout, which the node logs first."""
    change = fault(1, "membership", 0.1, 0.2, joins=[], leaves=["n9"])
    both = zip(versions, (TEST["ring"]["owners"], [SPARE, X, P, Q]), strict=True)
    layouts = [
        line(0.3 + i / 10, Q, "layout", version=version, members=[], owners=owners, gone=[])
        for i, (version, owners) in enumerate(both)
    ]
    result = verdict([*TWO, stored(X), *layouts], change)
    assert result.details == {"writes": 1}
    assert [a.data["primary"] for a in result.anomalies] == [SPARE] * (not valid)


@pytest.mark.parametrize(("known", "judged"), [(1, 0), (2, 1)])
def test_what_a_coordinator_with_an_older_layout_places_is_not_judged(
    known: int, judged: int
) -> None:
    """Found by a hunt: the disk of the coordinator was an older one, and a node that had left its
    places meanwhile refused the copy."""
    change = fault(1, "membership", 0.1, 0.2, joins=[], leaves=["n9"])
    about: dict[str, Any] = {"members": [], "owners": TEST["ring"]["owners"], "gone": []}
    layouts = [
        line(0.3, Q, "layout", version=2, **about),
        line(0.4, P, "layout", version=known, **about),
    ]
    result = verdict([*TWO, *layouts], change)
    assert result.details == {"writes": judged}
    assert result.counts() == ({"lost-hint": 1} if judged else {})


def test_a_hint_that_a_disk_refused_takes_none_back_that_was_handed_off() -> None:
    hint = stored(SPARE, hint_for=X)
    away = line(1.2, SPARE, "deleted", key="k", hint_for=X)
    newer = {**stored(SPARE, 1.3, hint_for=X), "request": "2.1", "hash": "bb"}
    failed = undone(SPARE, 1.4, "bb", None, hint_for=X)
    assert verdict([*TWO, hint, away, newer, failed]).verdict is Verdict.VALID
    assert verdict([*TWO, hint, failed]).counts() == {"lost-hint": 1}


@pytest.mark.parametrize(
    ("node", "start", "valid"),
    [(P, 1.5, True), (X, 1.5, True), (SPARE, 1.5, True), (Q, 1.5, False), (X, 9.0, False),
     (X, 0.5, False)],
)  # fmt: skip
def test_a_kill_excuses_only_nodes_that_may_have_lost_the_line(
    node: str, start: float, valid: bool
) -> None:
    """One that was down before the write began has lost nothing of it."""
    assert verdict(TWO, fault(1, "kill", start, start + 5, nodes=[node])).verdict.json is valid


def test_a_coordinator_that_was_paused_is_not_judged() -> None:
    assert verdict(TWO, fault(1, "pause", 0.5, 5, nodes=[P])).details == {"writes": 0}


def test_a_request_for_fewer_places_is_owed_no_more() -> None:
    logged = line(1, P, "fewer-places", key="k", request="1.1", n=2)
    assert verdict([*TWO, logged]).verdict is Verdict.VALID


def test_a_change_of_the_membership_is_not_judged_but_what_comes_after_is() -> None:
    change = fault(1, "membership", 0.5, 1.5, joins=[], leaves=["n9"])
    assert verdict(TWO, change).details == {"writes": 0}
    earlier = fault(1, "membership", 0.3, 0.4, joins=[], leaves=["n9"])
    layout = line(0.4, P, "layout", version=2, members=[], owners=TEST["ring"]["owners"], gone=[])
    logged = check_logs(Run(history(put("1.1", 1, 1.2), earlier), TEST), logs(*TWO, layout))
    assert logged.verdicts["places"].details["writes"] == 1


def test_logs_that_say_nothing_leave_it_skipped() -> None:
    assert verdict([]).skipped is not None
    one = [each for each in logs(*TWO).events if each["node"] != X]
    h = history(put("1.1", 1, 1.2))
    silent = check_logs(Run(h, TEST), type(logs()).of(one, 0)).verdicts["places"]
    assert silent.skipped == f"there is no log of {X}"
    assert check_logs(Run(h, {}), logs(*TWO)).verdicts["places"].skipped is not None


HINTED = [*TWO, stored(SPARE, hint_for=X)]


@pytest.mark.parametrize(("shown", "valid"), [(["1.1"], True), ([], False)])
def test_a_dump_before_the_repairing_reads_must_show_what_was_handed_off(
    shown: list[str], valid: bool
) -> None:
    result = verdict(HINTED, dump(45, X, *shown), dump(45, P, "1.1"))
    assert result.verdict.json is valid
    for anomaly in result.anomalies:
        assert anomaly.name == "lost-hint"
        assert f"a hint for {X} was kept by {SPARE}" in anomaly.why
        assert "before any read could repair it" in anomaly.why


def test_a_disk_that_forgot_excuses_the_dump() -> None:
    wipe = fault(1, "wipe", 9, 10, nodes=[X])
    assert verdict(HINTED, dump(45, X), wipe).verdict is Verdict.VALID


def test_a_place_that_never_answered_may_have_ended_with_its_copy() -> None:
    """Found by simulate (seed 79 with batches that fail): a line of a copy is on the disk before
    the copy is, where that takes long."""
    (unplaced,) = [line(1.6, P, "unplaced", key="k", request="1.1", primary=X, left={}, failed=[X])]
    killed = fault(1, "kill", 1.3, 9, nodes=[X])
    assert verdict([*TWO, stored(X), unplaced], dump(45, X), killed).verdict is Verdict.VALID
    assert verdict([*TWO, stored(X)], dump(45, X), killed).counts() == {"lost-hint": 1}


def test_a_delete_excuses_the_dump() -> None:
    gone = [
        op(2, process=7, f="delete", key="k", id="7.1", basis=2),
        op(3, type="info", process=7, f="delete", key="k", id="7.1"),
    ]
    assert verdict(HINTED, gone, dump(45, X)).verdict is Verdict.VALID


def test_a_coordinator_whose_stamp_is_lost_with_the_end_of_its_log_is_known_by_the_answer() -> None:
    kill = fault(1, "kill", 1.25, 5, nodes=[P])
    only = [stored(Q)]
    for named, judged in ((P, 0), (Q, 1), (None, 0)):
        worth = {} if named is None else {"worth": {"coordinator": named}}
        h = history(put("1.1", 1, 1.2, **worth), kill)
        logged = check_logs(Run(h, TEST), logs(*only)).verdicts["places"]
        assert logged.details == {"writes": judged}
