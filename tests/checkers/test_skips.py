"""What cannot be judged is skipped or unknown, with a reason; what just can is judged."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.history.history import History, Op, Sibling
from dynamesis.checkers.models.dynamo import check
from dynamesis.checkers.simulate.simulate import TEST as RING
from dynamesis.checkers.verdict import CheckerResult, Verdict


def note(f: str, value: Any) -> Op:
    return Op(type="info", f=f, value=value)


CART = {"add": "a", "items": ["a"]}
PUT = [
    Op(process=0, f="put", key="k", id="0.1", value=CART, basis=None),
    Op(type="ok", process=0, f="put", key="k", id="0.1", node="n1"),
]
EMPTY = [Op(process=9, f="get", key="k"), Op(type="ok", process=9, f="get", key="k", siblings=[])]
QUIET, UNQUIET = (note("quiesce", {"quiet": quiet}) for quiet in (True, False))
FINAL, LOAD = note("phase", "final"), note("phase", "load")
VIEWS = [note("membership", {"node": n, "members": [n], "owners": []}) for n in ("n1", "n2")]
WHOLE = note("dumped", {"n1": True})


def judged(name: str, *ops: Op, **test: Any) -> CheckerResult:
    return check(History.of([LOAD, *ops]), {"n": 3, **test}).verdicts[name]


#: checker, events, test.json, whether it is skipped or unknown, and part of its reason
LEFT = [
    ("cart", [*PUT, QUIET, FINAL, *EMPTY], {"workload": "set"}, "skipped", "not the cart"),
    ("cart", [*PUT, UNQUIET, FINAL, *EMPTY], {"workload": "cart"}, "skipped", "not get quiet"),
    ("cart", [*PUT, QUIET], {"workload": "cart"}, "unknown", "final reads"),
    ("cart", [*PUT, FINAL, *EMPTY], {"workload": "cart"}, "unknown", "got quiet"),
    ("final", [*PUT, UNQUIET, FINAL, *EMPTY], {}, "skipped", "not get quiet"),
    ("final", [*PUT, QUIET], {}, "unknown", "final reads"),
    ("final", [*PUT, QUIET, FINAL], {}, "unknown", "1 key had no conclusive final read: k"),
    ("replicas", [*PUT, QUIET, FINAL], {}, "skipped", "the ring"),
    ("replicas", [*PUT, QUIET, FINAL], RING, "unknown", "no replica was dumped"),
    ("replicas", [*PUT, UNQUIET, FINAL], RING, "skipped", "not get quiet"),
    ("stuck", [*PUT], {}, "unknown", "whether the cluster got quiet"),
    ("membership", [*PUT, QUIET], {}, "skipped", "no node was asked"),
    ("membership", [*PUT, *VIEWS, QUIET], {}, "skipped", "no node was asked"),
    ("bounds", [*PUT], {}, "skipped", "bounds"),
    ("bounds", [*PUT], {"bounds": {}}, "skipped", "bounds"),
    ("bounds", [*PUT], {"bounds": 5}, "skipped", "bounds"),
    ("ledger", [*PUT], {}, "skipped", "the ring, R and W"),
    ("ledger", [*PUT], {**RING, "r": 2}, "skipped", "the ring, R and W"),
    ("ledger", [*PUT], {**RING, "w": 2}, "skipped", "the ring, R and W"),
]


@pytest.mark.parametrize(("name", "ops", "test", "how", "why"), LEFT)
def test_what_cannot_be_judged_gives_the_reason(
    name: str, ops: list[Op], test: dict[str, Any], how: str, why: str
) -> None:
    verdict = judged(name, *ops, **test)
    assert (verdict.skipped is not None) == (how == "skipped")
    assert verdict.verdict.json == (True if how == "skipped" else "unknown")
    assert why in (verdict.skipped or verdict.reasons[0])


def named(id: str, dot: Any, key: str = "k", f: str = "put") -> list[Op]:
    """An acknowledged write, and the dot of its answer."""
    process = int(id.partition(".")[0])
    write: dict[str, Any] = {"process": process, "f": f, "key": key, "id": id}
    done = Op(type="ok", **write, worth={"dot": dot})
    return [Op(**write, value=1, basis=None), done]


def hints(kept: int, handed_off: int, given_up: int, held: int) -> dict[str, Any]:
    fates = {"handed_off": handed_off, "given_up": given_up, "held": held, "kept": kept}
    return {"node": "n1", **{f"hints_{name}": number for name, number in fates.items()}}


#: checker, events, test.json, the anomalies
JUDGED = [
    ("cart", [*PUT, QUIET, FINAL, *EMPTY], {"workload": "cart"}, {"lost-item": 1}),
    ("cart", [QUIET, FINAL, *PUT, *EMPTY], {"workload": "cart"}, {}),
    ("final", [*PUT, QUIET, FINAL, *EMPTY], {}, {"lost-write": 1}),
    ("final", [QUIET, FINAL, *PUT, *EMPTY], {}, {}),
    ("final", [*PUT, UNQUIET, FINAL, *EMPTY, WHOLE], {}, {"lost-write": 1}),
    ("stuck", [*PUT, UNQUIET], {}, {"stuck": 1}),
    ("stuck", [*PUT, UNQUIET, QUIET], {}, {}),
    ("membership", [*PUT, QUIET, *VIEWS], {}, {"split-membership": 1}),
    ("membership", [*PUT, UNQUIET, *VIEWS], {}, {"split-membership": 1}),
    ("membership", [*PUT, QUIET, *VIEWS[:1]], {}, {}),
    ("bounds", [note("sizes", {"node": "n1", "clock": 6})], {"bounds": {"clock": 5.5}},
     {"unbounded": 1}),
    ("bounds", [note("sizes", {"node": "n1", "clock": 6})], {"bounds": {"clock": 6}}, {}),
    ("bounds", [note("sizes", {"node": "n1", "clock": 6})], {"bounds": {"hints": 1}}, {}),
    ("hints", [note("sizes", hints(3, 1, 1, 0))], {}, {"lost-hint": 1}),
    ("dots", [*named("1.1", "a:1"), *named("2.1", "a:1")], {}, {"duplicate-dot": 1}),
    ("dots", [*named("1.1", "a:1"), *named("2.1", "a:1", f="delete")], {}, {"duplicate-dot": 1}),
    ("dots", [*named("1.1", "a:1"), *named("2.1", "a:1", key="j")], {}, {}),
    ("dots", [*named("1.1", "a:1"), *named("2.1", "a:2"), *named("3.1", None)], {}, {}),
    ("hints", [note("sizes", hints(3, 1, 1, 0)), note("sizes", hints(3, 1, 1, 1))], {}, {}),
    ("hints", [note("sizes", hints(3, 1, 1, 1)), note("sizes", hints(3, 2, 1, 1))], {}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "ops", "test", "found"), JUDGED)
def test_what_just_can_be_judged_is(
    name: str, ops: list[Op], test: dict[str, Any], found: dict[str, int]
) -> None:
    verdict = judged(name, *ops, **test)
    assert verdict.skipped is None
    assert verdict.counts() == found


def test_a_bound_on_siblings_need_not_be_whole() -> None:
    two = [Sibling("0.1", CART), Sibling("0.2", 1)]
    read = [
        Op(process=9, f="get", key="k"),
        Op(type="ok", process=9, f="get", key="k", siblings=two),
    ]
    assert judged("bounds", *read, bounds={"siblings": 1.5}).counts() == {"unbounded": 1}
    assert judged("bounds", *read, bounds={"siblings": 2.0}).counts() == {}


def test_an_event_of_a_node_that_does_not_take_part_does_not_count_as_evidence() -> None:
    ops = [*PUT, QUIET, FINAL, *EMPTY]
    results = check(History.of(ops), {"nodes": ["n2", "n3"]})
    assert results.verdict is Verdict.UNKNOWN
    assert "index 1, node: expected one of n2, n3; got 'n1'" in results.reasons()[0]
    joined = [note("membership", {"node": "n1"}), *ops]
    for test, events in (({"nodes": ["n1"]}, ops), ({"nodes": ["n2"]}, joined), ({}, ops)):
        assert "history" not in check(History.of(events), test).verdicts


@pytest.mark.parametrize(
    ("r", "w", "n", "sloppy", "strict"),
    [
        (2, 2, 3, False, True),
        (1, 2, 3, False, False),
        (1, 3, 3, False, True),
        (2, 2, 3, True, False),
        (2, 2, 3, None, False),
        (None, 2, 3, False, False),
    ],
)
def test_reads_must_be_fresh_only_in_strict_mode(
    r: int | None, w: int, n: int, sloppy: bool | None, strict: bool
) -> None:
    verdict = judged("coverage", *PUT, *EMPTY, r=r, w=w, n=n, sloppy=sloppy)
    assert verdict.details["strict"] is strict
    assert verdict.counts() == ({"stale-read": 1} if strict else {})


def test_of_a_long_history_only_what_is_promised_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ops = [*PUT, *EMPTY]
    monkeypatch.setattr("dynamesis.checkers.dynamo.session_guarantees.COUNTED", len(ops) + 1)
    assert judged("coverage", *ops).skipped is None
    monkeypatch.setattr("dynamesis.checkers.dynamo.session_guarantees.COUNTED", len(ops))
    assert "the history is long" in (judged("coverage", *ops).skipped or "")
    assert judged("coverage", *ops, promises=["monotonic-reads"]).skipped is None


@pytest.mark.parametrize(
    ("removed", "shown", "found"),
    [(False, [], {"stale-read": 1}), (True, [], {}), (True, [Sibling("0.1", CART)], {})],
)
def test_where_the_last_writer_wins_a_forgotten_delete_may_have_won(
    removed: bool, shown: list[Sibling], found: dict[str, int]
) -> None:
    delete = [
        Op(process=1, f="delete", key="k", id="1.1", basis=None),
        Op(type="ok", process=1, f="delete", key="k", id="1.1", worth={"timestamp": 1}),
    ]
    get = [Op(process=9, f="get", key="k")]
    get += [Op(type="ok", process=9, f="get", key="k", siblings=shown)]
    strict = {"r": 2, "w": 2, "sloppy": False, "reconcile": "lww"}
    verdict = judged("coverage", *PUT, *(delete if removed else ()), *get, **strict)
    assert verdict.counts() == found
