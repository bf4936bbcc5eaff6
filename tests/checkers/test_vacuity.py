"""A history without evidence is unknown, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from checkers import CHECKERS, check
from checkers.history import History, Op, Sibling
from checkers.verdict import Anomaly, Results, Verdict, check_safely, judge, skip


def harness(f: str, value: Any) -> Op:
    return Op(type="info", process="harness", f=f, value=value)


def nemesis(f: str, **value: Any) -> Op:
    return Op(type="info", process="nemesis", f=f, value=value)


def put(end: str = "ok", id: str = "0.1", process: int = 0) -> list[Op]:
    return [
        Op(process=process, f="put", key="k", id=id, value=1, basis=None),
        Op(type=end, process=process, f="put", key="k", id=id),  # type: ignore[arg-type]
    ]


def get(*ids: str, process: int = 1) -> list[Op]:
    shown = [Sibling(i, 1) for i in ids]
    return [
        Op(process=process, f="get", key="k"),
        Op(type="ok", process=process, f="get", key="k", siblings=shown),
    ]


QUIET = [
    harness("phase", "quiesce"),
    harness("quiesce", {"quiet": True}),
    harness("phase", "final"),
]


def results(*ops: Op) -> Results:
    return check(History.of(ops))


def test_a_whole_little_test_is_valid() -> None:
    assert results(*put(), *QUIET, *get("0.1")).valid is True


@pytest.mark.parametrize(
    ("ops", "reason"),
    [
        ([], "there were no final reads"),
        ([*put(), *get("0.1")], "did not reach its final reads"),
        ([*put(), harness("phase", "final"), *get("0.1")], "whether the cluster got quiet"),
        ([*put(), *QUIET], "there were no final reads"),
        ([*put("info"), *QUIET, *get()], "no write was acknowledged"),
        ([*put("fail"), *QUIET, *get()], "put was tried 1 times and never succeeded"),
        ([*put(), nemesis("start-cut", fault=1), *QUIET, *get("0.1")], "no cut fault"),
        (
            [
                *put(),
                nemesis("start-cut", fault=1),
                nemesis("evidence", fault=1, bit=False),
                *QUIET,
                *get("0.1"),
            ],
            "no cut fault",
        ),
    ],
)
def test_without_evidence_it_is_unknown(ops: list[Op], reason: str) -> None:
    judged = results(*ops)
    assert judged.valid == "unknown"
    assert any(reason in said for said in judged.reasons())


def test_evidence_is_matched_by_the_number_of_the_fault() -> None:
    faults = [
        nemesis("start-cut", fault=1),
        nemesis("start-pause", fault=2),
        nemesis("evidence", fault=1, bit=True),
        nemesis("stop-cut", fault=1),
        nemesis("evidence", fault=2, bit=True),
        nemesis("stop-pause", fault=2),
    ]
    assert results(*put(), *faults, *QUIET, *get("0.1")).valid is True


def test_an_interrupted_test_still_proves_what_it_saw() -> None:
    judged = results(*put(), *get("9.9"))
    assert (judged.valid, judged.counts()) == (False, {"phantom": 1})


def test_a_malformed_history_in_memory_is_unknown() -> None:
    judged = results(*put()[:1], *put()[:1])
    assert judged.valid == "unknown"
    assert "two invocations open" in judged.reasons()[0]


def test_a_crashing_checker_is_unknown_with_the_last_line() -> None:
    def crash() -> Verdict:
        raise KeyError("n9")

    verdict = check_safely("reads", crash)
    assert verdict.valid == "unknown"
    assert "KeyError: 'n9'" in verdict.reasons[0]


def test_invalid_outranks_unknown_and_skipped_decides_nothing() -> None:
    bad = judge([Anomaly("phantom", "why.")], ["a reason"])
    unknown = judge((), ["a reason"])
    assert Results({"a": unknown, "b": bad}).valid is False
    assert Results({"a": unknown, "b": judge(())}).valid == "unknown"
    assert Results({"a": skip("not this workload"), "b": judge(())}).valid is True
    assert Results({"a": skip("not this workload")}).valid == "unknown"


def test_results_are_plain_data() -> None:
    told = results(*put(), *get("9.9")).to_dict()
    assert told["valid"] is False
    assert told["anomalies"] == {"phantom": 1}
    assert list(told["checkers"]) == list(CHECKERS)
    [phantom] = told["checkers"]["reads"]["anomalies"]
    assert phantom["ops"] == [3]
